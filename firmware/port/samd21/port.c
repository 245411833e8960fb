/* A SERCOM of the SAM D21, clocked by the internal 8 MHz oscillator whatever a bootloader left.
 * Registers: SAM D21 data sheet, 15.8 (GCLK), 16.8 (PM) and 17.8 (SYSCTRL). */
#include "port.h"

#include "sercom.h"

#define OSC8M REGISTER(0x40000820u)
#define OSC8M_ENABLE (1u << 1)
#define OSC8M_PRESCALER (3u << 8)

#define GCLK_STATUS REGISTER8(0x40000c01u)
#define GCLK_CLKCTRL REGISTER16(0x40000c02u)
#define GCLK_GENCTRL REGISTER(0x40000c04u)
#define GCLK_GENDIV REGISTER(0x40000c08u)
#define GCLK_SYNC_BUSY 0x80u
#define GENCTRL_OSC8M (6u << 8)
#define GENCTRL_ENABLE (1u << 16)
#define CLKCTRL_ENABLE (1u << 14)

#define PM_APBCMASK REGISTER(0x40000420u)
#define PM_SERCOM0 2u         /* bit number; the others follow */
#define GCLK_SERCOM0_CORE 20u /* clock id; the others follow */

static uint32_t written;

static void wait_for_clocks(void)
{
    while ((GCLK_STATUS & GCLK_SYNC_BUSY) != 0u) {
    }
}

void port_init(void)
{
    OSC8M = (OSC8M & ~OSC8M_PRESCALER) | OSC8M_ENABLE;
    GCLK_GENDIV = 1u << 8; /* generator 0, not divided */
    wait_for_clocks();
    GCLK_GENCTRL = GENCTRL_OSC8M | GENCTRL_ENABLE; /* generator 0 */
    wait_for_clocks();
    PM_APBCMASK |= 1u << (PM_SERCOM0 + PORT_SERCOM);
    GCLK_CLKCTRL = (uint16_t)(CLKCTRL_ENABLE | (GCLK_SERCOM0_CORE + PORT_SERCOM));
    wait_for_clocks();
    sercom_start();
}

uint32_t port_try_read(uint8_t *byte)
{
    return sercom_try_read(byte);
}

void port_write_byte(uint8_t byte)
{
    sercom_write(byte);
    written = 1u;
}

void port_set_baud(uint32_t baud)
{
    sercom_set_baud(baud, written);
}
