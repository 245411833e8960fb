/* An application for the loader's tests: says its name, and resets into the loader when told to. */
#include "board_config.h"
#include "mailbox.h"
#include "port.h"
#include "startup.h"

void Fault_Handler(void)
{
    for (;;) {
    }
}

int main(void)
{
    port_init();
    for (;;) {
        const uint8_t asked = port_read_byte();
        if (asked == (uint8_t)'?') {
            port_write_byte((uint8_t)APPLICATION_NAME);
        } else if (asked == (uint8_t)'L') {
            mailbox_call(BOARD_MAILBOX);
            port_reset();
        }
    }
}
