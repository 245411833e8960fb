/* A SERCOM of the SAM D5x, clocked by the internal 48 MHz oscillator whatever a bootloader left.
 * Registers: SAM D5x/E5x data sheet, 14.8 (GCLK) and 15.8 (MCLK). */
#include "port.h"

#include "sercom.h"

#define GCLK_SYNCBUSY REGISTER(0x40001c04u)
#define GCLK_GENCTRL0 REGISTER(0x40001c20u)
#define GCLK_PCHCTRL(id) REGISTER(0x40001c80u + 4u * (id))
#define GENCTRL_DFLL 6u
#define GENCTRL_ENABLE (1u << 8)
#define GENCTRL_NOT_DIVIDED (1u << 16)
#define PCHCTRL_ENABLE (1u << 6)

#define MCLK_APBDMASK REGISTER(0x40000820u)
#define MCLK_SERCOM4 0u        /* bit number; 5, 6 and 7 follow */
#define GCLK_SERCOM4_CORE 34u  /* clock id; 5, 6 and 7 follow */

static uint32_t written;

void port_init(void)
{
    GCLK_GENCTRL0 = GENCTRL_DFLL | GENCTRL_ENABLE | GENCTRL_NOT_DIVIDED;
    while (GCLK_SYNCBUSY != 0u) {
    }
    MCLK_APBDMASK |= 1u << (MCLK_SERCOM4 + PORT_SERCOM - 4u);
    GCLK_PCHCTRL(GCLK_SERCOM4_CORE + PORT_SERCOM - 4u) = PCHCTRL_ENABLE; /* generator 0 */
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
