/* The LPUART of the i.MX RT, clocked by the 24 MHz crystal. Registers: i.MX RT1060 Processor
 * Reference Manual, 49.4 (LPUART), 14.7 (CCM) and 11.6 (IOMUXC). */
#include "port.h"

#include "board_config.h"
#include "registers.h"

#define CCM_CSCDR1 REGISTER(0x400fc024u)
#define CSCDR1_UART_DIVIDER 63u
#define CSCDR1_UART_FROM_CRYSTAL (1u << 6)

#define LPUART_BAUD REGISTER(PORT_UART_BASE + 0x10u)
#define LPUART_STAT REGISTER(PORT_UART_BASE + 0x14u)
#define LPUART_CTRL REGISTER(PORT_UART_BASE + 0x18u)
#define LPUART_DATA REGISTER(PORT_UART_BASE + 0x1cu)

#define BAUD_SAMPLES(count) (((count)-1u) << 24)
#define BAUD_BOTH_EDGES (1u << 17) /* needed for 4 to 7 samples per bit */
#define STAT_OVERRUN (1u << 19)
#define STAT_RX_FULL (1u << 21)
#define STAT_TX_COMPLETE (1u << 22)
#define STAT_TX_EMPTY (1u << 23)
#define CTRL_RX_ENABLE (1u << 18)
#define CTRL_TX_ENABLE (1u << 19)

/* The rate is the clock by 4 to 32 samples per bit by a divisor: the pair that comes nearest. */
static void set_divisor(uint32_t baud)
{
    uint32_t least_error = 0xffffffffu;
    uint32_t best = 0u;
    for (uint32_t samples = 32u; samples >= 4u; samples--) {
        const uint32_t step = samples * baud;
        const uint32_t count = (PORT_UART_CLOCK_HZ + step / 2u) / step;
        const uint32_t made = count * step;
        const uint32_t error =
            made > PORT_UART_CLOCK_HZ ? made - PORT_UART_CLOCK_HZ : PORT_UART_CLOCK_HZ - made;
        if (count != 0u && error < least_error) {
            least_error = error;
            best = BAUD_SAMPLES(samples) | (samples < 8u ? BAUD_BOTH_EDGES : 0u) | count;
        }
    }
    LPUART_BAUD = best;
}

void port_init(void)
{
    static const struct register_bits enables[] = PORT_ENABLES;

    registers_set(enables, sizeof enables / sizeof enables[0]);
    CCM_CSCDR1 = (CCM_CSCDR1 & ~CSCDR1_UART_DIVIDER) | CSCDR1_UART_FROM_CRYSTAL;
    REGISTER(PORT_TX_GPIO) = PORT_TX_FUNCTION; /* each pad has a register of its own */
    REGISTER(PORT_RX_GPIO) = PORT_RX_FUNCTION;
    LPUART_CTRL = 0u;
    set_divisor(PORT_BAUD);
    LPUART_CTRL = CTRL_TX_ENABLE | CTRL_RX_ENABLE;
}

uint32_t port_try_read(uint8_t *byte)
{
    const uint32_t status = LPUART_STAT;
    if ((status & STAT_OVERRUN) != 0u) {
        LPUART_STAT = STAT_OVERRUN; /* cleared by a one; stops reception until then */
    }
    if ((status & STAT_RX_FULL) == 0u) {
        return 0u;
    }
    *byte = (uint8_t)LPUART_DATA;
    return 1u;
}

void port_write_byte(uint8_t byte)
{
    while ((LPUART_STAT & STAT_TX_EMPTY) == 0u) {
    }
    LPUART_DATA = byte;
}

void port_set_baud(uint32_t baud)
{
    while ((LPUART_STAT & STAT_TX_COMPLETE) == 0u) {
    }
    LPUART_CTRL = 0u;
    set_divisor(baud);
    LPUART_CTRL = CTRL_TX_ENABLE | CTRL_RX_ENABLE;
}
