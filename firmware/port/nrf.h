/* What the UARTs of nRF51, nRF52 and nRF53 share: clocks, pins, rate.
 * Registers: nRF51 Series Reference Manual, chapters UART and GPIO; nRF52840 and nRF5340 Product
 * Specifications, sections UART, UARTE and GPIO. */
#ifndef EDGECOMP_NRF_H
#define EDGECOMP_NRF_H

#include "board_config.h"
#include "registers.h"

#define NRF_UART_ENABLE REGISTER(PORT_UART_BASE + 0x500u)
#define NRF_UART_SELECT_RTS REGISTER(PORT_UART_BASE + 0x508u)
#define NRF_UART_SELECT_TX REGISTER(PORT_UART_BASE + 0x50cu)
#define NRF_UART_SELECT_CTS REGISTER(PORT_UART_BASE + 0x510u)
#define NRF_UART_SELECT_RX REGISTER(PORT_UART_BASE + 0x514u)
#define NRF_UART_BAUDRATE REGISTER(PORT_UART_BASE + 0x524u)
#define NRF_UART_CONFIG REGISTER(PORT_UART_BASE + 0x56cu)

#define NRF_GPIO_OUT_SET 0x508u
#define NRF_GPIO_DIR_SET 0x518u

#define NRF_NOT_CONNECTED 0xffffffffu
#define NRF_SECOND_GPIO_PORT 0x300u /* P1 lies this far behind P0 */

/* The number by which the UART knows a pin: 32 for each whole GPIO port below it. */
#define NRF_PIN_SELECT(gpio, pin) (((gpio)&NRF_SECOND_GPIO_PORT) != 0u ? 32u + (pin) : (pin))

/* BAUDRATE is a fraction of the 16 MHz clock in units of 2^-32, of which the UART uses the upper
 * 20 bits: 0x01d7e000 for 115200 in all manuals. 281474977 is 2^52 / 16000000. */
static inline uint32_t nrf_uart_rate(uint32_t baud)
{
    return ((uint32_t)(((uint64_t)baud * 281474977u) >> 20) + 0x800u) & 0xfffff000u;
}

/* Everything but switching the UART on, whose code differs. */
static inline void nrf_uart_prepare(void)
{
#ifdef PORT_ENABLES
    static const struct register_bits enables[] = PORT_ENABLES;

    registers_set(enables, sizeof enables / sizeof enables[0]);
#endif
    /* The transmit line idles high before the UART takes it over. */
    REGISTER(PORT_TX_GPIO + NRF_GPIO_OUT_SET) = 1u << PORT_TX_PIN;
    REGISTER(PORT_TX_GPIO + NRF_GPIO_DIR_SET) = 1u << PORT_TX_PIN;

    NRF_UART_SELECT_TX = NRF_PIN_SELECT(PORT_TX_GPIO, PORT_TX_PIN);
    NRF_UART_SELECT_RX = NRF_PIN_SELECT(PORT_RX_GPIO, PORT_RX_PIN);
    NRF_UART_SELECT_RTS = NRF_NOT_CONNECTED;
    NRF_UART_SELECT_CTS = NRF_NOT_CONNECTED;
    NRF_UART_BAUDRATE = nrf_uart_rate(PORT_BAUD);
    NRF_UART_CONFIG = 0u;
}

#endif
