/* The RP2040's UART, a PL011, clocked by the crystal. Base addresses: RP2040 datasheet, 2.2; reset bits: 2.14.3. */
#include "port.h"

#include "pl011.h"
#include "rp2.h"

#define CLOCKS 0x40008000u
#define XOSC 0x40024000u
#define RESETS 0x4000c000u
#define PADS_BANK0 0x4001c000u

#define RESET_IO_BANK0 (1u << 5)
#define RESET_PADS_BANK0 (1u << 8)
#define RESET_UART0 (1u << 22)

void port_init(void)
{
    rp2_use_crystal(CLOCKS, XOSC);
    rp2_release(RESETS, RESET_IO_BANK0 | RESET_PADS_BANK0 | RESET_UART0);
    rp2_connect_pin(PORT_TX_GPIO, PADS_BANK0, PORT_TX_PIN, PORT_TX_FUNCTION);
    rp2_connect_pin(PORT_RX_GPIO, PADS_BANK0, PORT_RX_PIN, PORT_RX_FUNCTION);
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
