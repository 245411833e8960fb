/* The firmware image: answers a host's requests over the console. */
#include "platform.h"
#include "port.h"
#include "protocol.h"

int main(void)
{
    stack_paint();
    port_init();
    protocol_start();
    for (;;) {
        uint8_t byte = 0u;
        if (port_try_read(&byte) != 0u) {
            protocol_receive(byte);
        } else {
            protocol_idle();
        }
    }
}
