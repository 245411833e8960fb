/* The UART of Kinetis K. Registers: K64 Sub-Family Reference Manual, 52.3 (UART), 12.2 (SIM) and
 * 11.5 (PORT). */
#include "port.h"

#include "board_config.h"
#include "registers.h"

#define UART_BDH REGISTER8(PORT_UART_BASE + 0x0u)
#define UART_BDL REGISTER8(PORT_UART_BASE + 0x1u)
#define UART_C1 REGISTER8(PORT_UART_BASE + 0x2u)
#define UART_C2 REGISTER8(PORT_UART_BASE + 0x3u)
#define UART_S1 REGISTER8(PORT_UART_BASE + 0x4u)
#define UART_D REGISTER8(PORT_UART_BASE + 0x7u)
#define UART_C4 REGISTER8(PORT_UART_BASE + 0xau)

#define C2_RX_ENABLE (1u << 2)
#define C2_TX_ENABLE (1u << 3)
#define S1_OVERRUN (1u << 3)
#define S1_RX_FULL (1u << 5)
#define S1_TX_COMPLETE (1u << 6)
#define S1_TX_EMPTY (1u << 7)
#define PCR_MUX(function) ((function) << 8)

/* The divisor of 16 times the rate has 13 whole bits, in BDH and BDL, and 5 of fraction, in C4. */
static void set_divisor(uint32_t baud)
{
    const uint32_t divisor = (PORT_UART_CLOCK_HZ * 2u + baud / 2u) / baud;
    UART_BDH = (uint8_t)(divisor >> 13); /* counts only once BDL is written */
    UART_BDL = (uint8_t)(divisor >> 5);
    UART_C4 = (uint8_t)(divisor & 31u);
}

void port_init(void)
{
    static const struct register_bits enables[] = PORT_ENABLES;

    registers_set(enables, sizeof enables / sizeof enables[0]);
    REGISTER(PORT_TX_GPIO + 4u * PORT_TX_PIN) = PCR_MUX(PORT_TX_FUNCTION);
    REGISTER(PORT_RX_GPIO + 4u * PORT_RX_PIN) = PCR_MUX(PORT_RX_FUNCTION);
    UART_C2 = 0u;
    UART_C1 = 0u;
    set_divisor(PORT_BAUD);
    UART_C2 = C2_TX_ENABLE | C2_RX_ENABLE;
}

uint32_t port_try_read(uint8_t *byte)
{
    const uint32_t status = UART_S1;
    if ((status & (S1_RX_FULL | S1_OVERRUN)) == 0u) {
        return 0u;
    }
    *byte = UART_D; /* reading S1, then D, clears both flags */
    return (status & S1_RX_FULL) != 0u ? 1u : 0u;
}

void port_write_byte(uint8_t byte)
{
    while ((UART_S1 & S1_TX_EMPTY) == 0u) {
    }
    UART_D = byte;
}

void port_set_baud(uint32_t baud)
{
    while ((UART_S1 & S1_TX_COMPLETE) == 0u) {
    }
    UART_C2 = 0u;
    set_divisor(baud);
    UART_C2 = C2_TX_ENABLE | C2_RX_ENABLE;
}
