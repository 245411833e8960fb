/* The harness's streams over the board's UART. */
#include "platform.h"
#include "port.h"

void io_open(void)
{
    port_init();
}

void io_read(void *to, uint32_t bytes)
{
    uint8_t *out = to;
    for (uint32_t i = 0u; i < bytes; i++) {
        out[i] = port_read_byte();
    }
}

void io_write(const void *from, uint32_t bytes)
{
    const uint8_t *in = from;
    for (uint32_t i = 0u; i < bytes; i++) {
        port_write_byte(in[i]);
    }
}

void io_finish(int status)
{
    (void)status; /* the host sees where the reply ends */
    for (;;) {
    }
}
