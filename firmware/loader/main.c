/* The resident loader: it lies in the first sectors of the flash, takes an application over the
 * console's UART, and starts it whenever it is whole. It never writes to its own sectors.
 *
 * It waits for a host instead where the application is not whole, where the mailbox says so, or
 * where a host knocks within the first moments after reset. */
#include "board_config.h"
#include "commands.h"
#include "flash.h"
#include "image.h"
#include "line.h"
#include "loader_config.h"
#include "mailbox.h"
#include "memory.h"
#include "port.h"
#include "startup.h"

#define VTOR 0xe000ed08u
#define KNOCK_WINDOW_MS 100u
#define PATIENCE_MS 5000u

/* Whether a host knocks while there is time for it. */
static uint32_t is_knocked(void)
{
    uint32_t left_ms = KNOCK_WINDOW_MS;
    uint8_t byte;

    while (line_read_within(&byte, &left_ms) != 0u) {
        if (byte == COMMANDS_KNOCK) {
            commands_greet();
            return 1u;
        }
    }
    return 0u;
}

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
    const uint32_t called = mailbox_take(BOARD_MAILBOX);

    line_open();
    flash_prepare();
    uint32_t origin = image_find();
    if (called != 0u || origin == 0u) {
        origin = commands_serve(LINE_FOREVER);
    } else if (is_knocked() != 0u) {
        origin = commands_serve(PATIENCE_MS);
    }
    start(origin);
    return 0;
}
