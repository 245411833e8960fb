/* The UART of Ambiq's Apollo4, a PL011 with a clock selection of its own. Registers: Apollo4 Plus
 * SoC Datasheet, chapters "GPIO", "UART" and "Power Control"; each pad has a word of its own. */
#include "port.h"

#include "pl011.h"

#define PAD_KEY REGISTER(PORT_TX_GPIO + 0x400u)
#define PAD_KEY_OPEN 0x73u
#define PAD_INPUT (1u << 4)
#define PAD_PUSH_PULL (1u << 8)

#define CR_CLOCK_ENABLE (1u << 3)
#define CR_CLOCK_24_MHZ (1u << 4)

void port_init(void)
{
    static const struct register_bits enables[] = PORT_ENABLES;

    registers_set(enables, sizeof enables / sizeof enables[0]);
    PAD_KEY = PAD_KEY_OPEN;
    REGISTER(PORT_TX_GPIO + 4u * PORT_TX_PIN) = PORT_TX_FUNCTION | PAD_PUSH_PULL;
    REGISTER(PORT_RX_GPIO + 4u * PORT_RX_PIN) = PORT_RX_FUNCTION | PAD_INPUT;
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
