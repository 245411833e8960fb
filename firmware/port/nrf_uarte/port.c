/* The UART with DMA of the nRF53 series, which has no other; one byte at a time.
 * Registers: nRF5340 Product Specification, section UARTE. */
#include "port.h"

#include "nrf.h"

#define UARTE_START_RX REGISTER(PORT_UART_BASE + 0x000u)
#define UARTE_START_TX REGISTER(PORT_UART_BASE + 0x008u)
#define UARTE_END_RX REGISTER(PORT_UART_BASE + 0x110u)
#define UARTE_END_TX REGISTER(PORT_UART_BASE + 0x120u)
#define UARTE_ERROR_SOURCE REGISTER(PORT_UART_BASE + 0x480u)
#define UARTE_RX_POINTER REGISTER(PORT_UART_BASE + 0x534u)
#define UARTE_RX_COUNT REGISTER(PORT_UART_BASE + 0x538u)
#define UARTE_TX_POINTER REGISTER(PORT_UART_BASE + 0x544u)
#define UARTE_TX_COUNT REGISTER(PORT_UART_BASE + 0x548u)

#define ENABLED 8u

static volatile uint8_t received;
static volatile uint8_t to_send;

void port_init(void)
{
    nrf_uart_prepare();
    UARTE_RX_POINTER = (uint32_t)(uintptr_t)&received;
    UARTE_RX_COUNT = 1u;
    UARTE_TX_POINTER = (uint32_t)(uintptr_t)&to_send;
    UARTE_TX_COUNT = 1u;
    NRF_UART_ENABLE = ENABLED;
    UARTE_END_RX = 0u;
    UARTE_START_RX = 1u;
}

uint32_t port_try_read(uint8_t *byte)
{
    if (UARTE_END_RX == 0u) {
        return 0u;
    }
    *byte = received;
    UARTE_END_RX = 0u;
    UARTE_ERROR_SOURCE = UARTE_ERROR_SOURCE; /* cleared by ones */
    UARTE_START_RX = 1u; /* meanwhile a FIFO of six bytes takes what arrives */
    return 1u;
}

void port_write_byte(uint8_t byte)
{
    to_send = byte;
    UARTE_END_TX = 0u;
    UARTE_START_TX = 1u;
    while (UARTE_END_TX == 0u) {
    }
}

void port_set_baud(uint32_t baud)
{
    NRF_UART_BAUDRATE = nrf_uart_rate(baud); /* nothing is on its way: a write waits for its byte */
}
