/* The RP2350's UART, a PL011, clocked by the crystal. Base addresses: RP2350 datasheet, 2.2; reset bits: 7.5.3. */
#include "port.h"

#include "pl011.h"
#include "rp2.h"

#define CLOCKS 0x40010000u
#define XOSC 0x40048000u
#define RESETS 0x40020000u
#define PADS_BANK0 0x40038000u

#define RESET_IO_BANK0 (1u << 6)
#define RESET_PADS_BANK0 (1u << 9)
#define RESET_UART0 (1u << 26)

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
