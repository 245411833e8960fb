/* The USART and the LPUART of STM32F0, F3, F7, G0, G4, H7, L0, L4, L5 and U5.
 * Registers: RM0351, sections 40.8 (USART) and 41.7 (LPUART). */
#include "port.h"

#include "stm32.h"

#define USART_CR1 REGISTER(PORT_UART_BASE + 0x00u)
#define USART_BRR REGISTER(PORT_UART_BASE + 0x0cu)
#define USART_ISR REGISTER(PORT_UART_BASE + 0x1cu)
#define USART_ICR REGISTER(PORT_UART_BASE + 0x20u)
#define USART_RDR REGISTER(PORT_UART_BASE + 0x24u)
#define USART_TDR REGISTER(PORT_UART_BASE + 0x28u)

#define CR1_UE (1u << 0)
#define CR1_RE (1u << 2)
#define CR1_TE (1u << 3)
#define ISR_ORE (1u << 3)
#define ISR_RXNE (1u << 5)
#define ISR_TXE (1u << 7)

/* An LPUART divides 256 times its clock by BRR (RM0351, 41.4.4), a USART its clock. */
#define BRR_CLOCK (PORT_IS_LPUART ? (uint64_t)PORT_UART_CLOCK_HZ * 256u : PORT_UART_CLOCK_HZ)

void port_init(void)
{
    stm32_prepare_uart();
    USART_BRR = (uint32_t)((BRR_CLOCK + PORT_BAUD / 2u) / PORT_BAUD);
    USART_CR1 = CR1_UE | CR1_TE | CR1_RE;
}

uint8_t port_read_byte(void)
{
    while ((USART_ISR & ISR_RXNE) == 0u) {
        USART_ICR = ISR_ORE; /* an overrun stops reception until it is cleared */
    }
    return (uint8_t)USART_RDR;
}

void port_write_byte(uint8_t byte)
{
    while ((USART_ISR & ISR_TXE) == 0u) {
    }
    USART_TDR = byte;
}
