/* The USART of STM32F2 and F4. Registers: RM0090, section 30.6. */
#include "port.h"

#include "stm32.h"

#define USART_SR REGISTER(PORT_UART_BASE + 0x00u)
#define USART_DR REGISTER(PORT_UART_BASE + 0x04u)
#define USART_BRR REGISTER(PORT_UART_BASE + 0x08u)
#define USART_CR1 REGISTER(PORT_UART_BASE + 0x0cu)

#define SR_RXNE (1u << 5)
#define SR_TXE (1u << 7)
#define CR1_RE (1u << 2)
#define CR1_TE (1u << 3)
#define CR1_UE (1u << 13)

void port_init(void)
{
    stm32_prepare_uart();
    USART_BRR = (PORT_UART_CLOCK_HZ + PORT_BAUD / 2u) / PORT_BAUD;
    USART_CR1 = CR1_UE | CR1_TE | CR1_RE;
}

uint8_t port_read_byte(void)
{
    while ((USART_SR & SR_RXNE) == 0u) {
    }
    return (uint8_t)USART_DR;
}

void port_write_byte(uint8_t byte)
{
    while ((USART_SR & SR_TXE) == 0u) {
    }
    USART_DR = byte;
}
