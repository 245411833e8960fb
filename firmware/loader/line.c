#include "line.h"

#include "board_config.h"
#include "idle.h"
#include "loader_config.h"
#include "port.h"
#include "registers.h"

/* SysTick: Armv6-M and Armv7-M Architecture Reference Manuals, B3.3. */
#define SYST_CSR REGISTER(0xe000e010u)
#define SYST_RVR REGISTER(0xe000e014u)
#define SYST_CVR REGISTER(0xe000e018u)
#define CSR_ENABLE (1u << 0)
#define CSR_CORE_CLOCK (1u << 2)
#define CSR_COUNTED (1u << 16) /* a millisecond has passed; reading it clears it */

void line_open(void)
{
    port_init();
    SYST_RVR = LOADER_CLOCK_HZ / 1000u - 1u;
    SYST_CVR = 0u;
    SYST_CSR = CSR_ENABLE | CSR_CORE_CLOCK;
    idle_prepare();
}

uint32_t line_read_within(uint8_t *byte, uint32_t *left_ms)
{
    while (port_try_read(byte) == 0u) {
        if ((SYST_CSR & CSR_COUNTED) != 0u && *left_ms != LINE_FOREVER) {
            if (*left_ms == 0u) {
                return 0u;
            }
            (*left_ms)--;
        }
        idle_wait();
    }
    return 1u;
}

uint32_t line_read(uint8_t *byte, uint32_t limit_ms)
{
    return line_read_within(byte, &limit_ms);
}

void line_write(uint8_t byte)
{
    port_write_byte(byte);
}

void line_close(void)
{
    port_set_baud(PORT_BAUD); /* waits for the last byte */
    idle_end();
    SYST_CSR = 0u;
}
