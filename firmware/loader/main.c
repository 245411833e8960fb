/* The resident loader: it lies in the first sectors of the flash, takes an application over the
 * console's UART, and starts it whenever it is whole. It never writes to its own sectors.
 *
 * It waits for a host instead where the application is not whole, where the mailbox says so, where
 * the board's button is held, or where a host knocks within the first moments after reset. */
#include "board_config.h"
#include "boot.h"
#include "line.h"
#include "mailbox.h"
#include "memory.h"
#include "port.h"
#include "startup.h"

#define VTOR 0xe000ed08u

static void start(uint32_t origin)
{
    const uint32_t stack = memory_read(origin);
    const uint32_t entry = memory_read(origin + 4u);

    line_close();
    memory_write(VTOR, origin);
    __asm__ volatile("dsb\n\tisb\n\tmsr msp, %0\n\tbx %1" : : "r"(stack), "r"(entry) : "memory");
}

/* What goes wrong here is better tried again than looked at. */
void Fault_Handler(void)
{
    port_reset();
}

int main(void)
{
    start(boot(mailbox_take(BOARD_MAILBOX)));
    return 0;
}
