/* The UART of the nRF51 series and the nRF52 series' UART without DMA (the same registers).
 * Registers: nRF51 Series Reference Manual, chapters UART and GPIO; nRF52840 Product
 * Specification, section UART. */
#include "port.h"

#include "board_config.h"
#include "registers.h"

#define UART_START_RX REGISTER(PORT_UART_BASE + 0x000u)
#define UART_START_TX REGISTER(PORT_UART_BASE + 0x008u)
#define UART_RX_READY REGISTER(PORT_UART_BASE + 0x108u)
#define UART_TX_READY REGISTER(PORT_UART_BASE + 0x11cu)
#define UART_ENABLE REGISTER(PORT_UART_BASE + 0x500u)
#define UART_SELECT_RTS REGISTER(PORT_UART_BASE + 0x508u)
#define UART_SELECT_TX REGISTER(PORT_UART_BASE + 0x50cu)
#define UART_SELECT_CTS REGISTER(PORT_UART_BASE + 0x510u)
#define UART_SELECT_RX REGISTER(PORT_UART_BASE + 0x514u)
#define UART_RX REGISTER(PORT_UART_BASE + 0x518u)
#define UART_TX REGISTER(PORT_UART_BASE + 0x51cu)
#define UART_BAUDRATE REGISTER(PORT_UART_BASE + 0x524u)
#define UART_CONFIG REGISTER(PORT_UART_BASE + 0x56cu)

#define GPIO_OUT_SET 0x508u
#define GPIO_DIR_SET 0x518u

#define ENABLED 4u
#define NOT_CONNECTED 0xffffffffu
#define SECOND_GPIO_PORT 0x300u /* P1 lies this far behind P0 */

/* The number by which the UART knows a pin: 32 for each whole GPIO port below it. */
#define PIN_SELECT(gpio, pin) (((gpio) & SECOND_GPIO_PORT) != 0u ? 32u + (pin) : (pin))

/* BAUDRATE is a fraction of the 16 MHz clock in units of 2^-32, of which the UART uses the upper
 * 20 bits: 0x01d7e000 for 115200 in both manuals. 281474977 is 2^52 / 16000000. */
static uint32_t rate(uint32_t baud)
{
    return ((uint32_t)(((uint64_t)baud * 281474977u) >> 20) + 0x800u) & 0xfffff000u;
}

void port_init(void)
{
    /* The transmit line idles high before the UART takes it over. */
    REGISTER(PORT_TX_GPIO + GPIO_OUT_SET) = 1u << PORT_TX_PIN;
    REGISTER(PORT_TX_GPIO + GPIO_DIR_SET) = 1u << PORT_TX_PIN;

    UART_SELECT_TX = PIN_SELECT(PORT_TX_GPIO, PORT_TX_PIN);
    UART_SELECT_RX = PIN_SELECT(PORT_RX_GPIO, PORT_RX_PIN);
    UART_SELECT_RTS = NOT_CONNECTED;
    UART_SELECT_CTS = NOT_CONNECTED;
    UART_BAUDRATE = rate(PORT_BAUD);
    UART_CONFIG = 0u;
    UART_ENABLE = ENABLED;
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
    UART_BAUDRATE = rate(baud); /* nothing is on its way: a write waits until its byte has left */
}
