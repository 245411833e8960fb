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
#define ISR_TC (1u << 6)
#define ISR_TXE (1u << 7)

/* An LPUART divides 256 times its clock by BRR (RM0351, 41.4.4), a USART its clock. */
static uint32_t divisor(uint32_t baud)
{
#if PORT_IS_LPUART
    const uint32_t whole = PORT_UART_CLOCK_HZ / baud;
    const uint32_t rest = PORT_UART_CLOCK_HZ % baud;
    return whole * 256u + (rest * 256u + baud / 2u) / baud; /* no product of 40 bits */
#else
    return (PORT_UART_CLOCK_HZ + baud / 2u) / baud;
#endif
}

void port_init(void)
{
    stm32_prepare_uart();
    USART_BRR = divisor(PORT_BAUD);
    USART_CR1 = CR1_UE | CR1_TE | CR1_RE;
}

uint32_t port_try_read(uint8_t *byte)
{
    USART_ICR = ISR_ORE; /* an overrun stops reception until it is cleared */
    if ((USART_ISR & ISR_RXNE) == 0u) {
        return 0u;
    }
    *byte = (uint8_t)USART_RDR;
    return 1u;
}

void port_write_byte(uint8_t byte)
{
    while ((USART_ISR & ISR_TXE) == 0u) {
    }
    USART_TDR = byte;
}

void port_set_baud(uint32_t baud)
{
    while ((USART_ISR & ISR_TC) == 0u) {
    }
    USART_CR1 &= ~CR1_UE; /* BRR is writable only while the UART is off (RM0351, 40.8.4) */
    USART_BRR = divisor(baud);
    USART_CR1 |= CR1_UE;
}
