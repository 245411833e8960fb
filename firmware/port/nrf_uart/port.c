/* The UART of the nRF51 series and the nRF52 series' UART without DMA (the same registers).
 * Registers: nRF51 Series Reference Manual, chapter UART; nRF52840 Product Specification,
 * section UART. */
#include "port.h"

#include "nrf.h"

#define UART_START_RX REGISTER(PORT_UART_BASE + 0x000u)
#define UART_START_TX REGISTER(PORT_UART_BASE + 0x008u)
#define UART_RX_READY REGISTER(PORT_UART_BASE + 0x108u)
#define UART_TX_READY REGISTER(PORT_UART_BASE + 0x11cu)
#define UART_RX REGISTER(PORT_UART_BASE + 0x518u)
#define UART_TX REGISTER(PORT_UART_BASE + 0x51cu)

#define ENABLED 4u

void port_init(void)
{
    nrf_uart_prepare();
    NRF_UART_ENABLE = ENABLED;
    UART_RX_READY = 0u;
    UART_START_RX = 1u;
    UART_START_TX = 1u;
}

uint32_t port_try_read(uint8_t *byte)
{
    if (UART_RX_READY == 0u) {
        return 0u;
    }
    UART_RX_READY = 0u; /* before the read: the next byte may arrive at once from the FIFO */
    *byte = (uint8_t)UART_RX;
    return 1u;
}

void port_write_byte(uint8_t byte)
{
    UART_TX_READY = 0u;
    UART_TX = byte;
    while (UART_TX_READY == 0u) {
    }
}

void port_set_baud(uint32_t baud)
{
    NRF_UART_BAUDRATE = nrf_uart_rate(baud); /* nothing is on its way: a write waits for its byte */
}
