/* The UART of Ambiq's Apollo3, a PL011 with a clock selection of its own. Registers: Apollo3 Blue
 * SoC Datasheet, chapters "GPIO and Pad Configuration", "UART" and "Power Control". */
#include "port.h"

#include "pl011.h"

#define PAD_KEY REGISTER(PORT_TX_GPIO + 0x60u)
#define PAD_KEY_OPEN 0x73u
#define PAD_INPUT (1u << 1)
#define PAD_STRONG (1u << 2)
#define CFG_A 0x40u             /* four bits for each pad, eight pads per register */
#define CFG_PUSH_PULL (1u << 1) /* OUTCFG */

#define CR_CLOCK_ENABLE (1u << 3)
#define CR_CLOCK_24_MHZ (1u << 4)

/* PADREG A, B, ... have eight bits for each of four pads: the function lies in bits 5 to 3. */
static void connect_pad(uint32_t gpio, uint32_t pad, uint32_t function, uint32_t bits)
{
    const uint32_t shift = (pad % 4u) * 8u;
    register_set_field(gpio + (pad / 4u) * 4u, shift, 8u, (function << 3) | bits);
}

void port_init(void)
{
    static const struct register_bits enables[] = PORT_ENABLES;

    registers_set(enables, sizeof enables / sizeof enables[0]);
    PAD_KEY = PAD_KEY_OPEN;
    connect_pad(PORT_TX_GPIO, PORT_TX_PIN, PORT_TX_FUNCTION, PAD_STRONG);
    connect_pad(PORT_RX_GPIO, PORT_RX_PIN, PORT_RX_FUNCTION, PAD_INPUT);
    register_set_field(PORT_TX_GPIO + CFG_A + (PORT_TX_PIN / 8u) * 4u, (PORT_TX_PIN % 8u) * 4u, 4u,
                       CFG_PUSH_PULL);
    PAD_KEY = 0u;
    PL011_CR = CR_CLOCK_ENABLE;
    pl011_start(CR_CLOCK_ENABLE | CR_CLOCK_24_MHZ);
}

uint32_t port_try_read(uint8_t *byte)
{
    return pl011_try_read(byte);
}

void port_write_byte(uint8_t byte)
{
    pl011_write(byte);
}

void port_set_baud(uint32_t baud)
{
    pl011_set_baud(baud);
}
