/* The USART of STM32F1, F2 and F4. Registers: RM0090, section 30.6; RM0041, section 23.6. */
#include "port.h"

#include "stm32.h"

#define USART_SR REGISTER(PORT_UART_BASE + 0x00u)
#define USART_DR REGISTER(PORT_UART_BASE + 0x04u)
#define USART_BRR REGISTER(PORT_UART_BASE + 0x08u)
#define USART_CR1 REGISTER(PORT_UART_BASE + 0x0cu)

#define SR_RXNE (1u << 5)
#define SR_TC (1u << 6)
#define SR_TXE (1u << 7)
#define CR1_RE (1u << 2)
#define CR1_TE (1u << 3)
#define CR1_UE (1u << 13)

static uint32_t divisor(uint32_t baud)
{
    return (PORT_UART_CLOCK_HZ + baud / 2u) / baud;
}

void port_init(void)
{
    stm32_prepare_uart();
    USART_BRR = divisor(PORT_BAUD);
    USART_CR1 = CR1_UE | CR1_TE | CR1_RE;
}

uint32_t port_try_read(uint8_t *byte)
{
    if ((USART_SR & SR_RXNE) == 0u) {
        return 0u;
    }
    *byte = (uint8_t)USART_DR; /* reading SR, then DR, clears an overrun as well */
    return 1u;
}

void port_write_byte(uint8_t byte)
{
    while ((USART_SR & SR_TXE) == 0u) {
    }
    USART_DR = byte;
}

void port_set_baud(uint32_t baud)
{
    while ((USART_SR & SR_TC) == 0u) {
    }
    USART_BRR = divisor(baud);
}
