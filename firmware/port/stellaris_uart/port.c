/* The UART of Stellaris LM3S, a PL011. Registers: LM3S6965 data sheet, chapters "System Control",
 * "GPIO" and "UART". */
#include "port.h"

#include "pl011.h"

#define GPIO_ALTERNATE 0x420u
#define GPIO_DIGITAL 0x51cu

void port_init(void)
{
    static const struct register_bits enables[] = PORT_ENABLES;

    registers_set(enables, sizeof enables / sizeof enables[0]);
    const uint32_t pins = (1u << PORT_TX_PIN) | (1u << PORT_RX_PIN);
    REGISTER(PORT_TX_GPIO + GPIO_ALTERNATE) |= pins;
    REGISTER(PORT_TX_GPIO + GPIO_DIGITAL) |= pins;
    pl011_start(0u);
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
