/* The harness's streams as standard input and output of a host program. */
#include <stdio.h>
#include <stdlib.h>

#include "platform.h"

void io_open(void)
{
}

void io_read(void *to, uint32_t bytes)
{
    if (fread(to, 1u, bytes, stdin) != bytes) {
        io_finish(STATUS_IO_FAILED);
    }
}

void io_write(const void *from, uint32_t bytes)
{
    if (fwrite(from, 1u, bytes, stdout) != bytes) {
        io_finish(STATUS_IO_FAILED);
    }
}

void io_finish(int status)
{
    if (fflush(stdout) != 0 && status == STATUS_DONE) {
        status = STATUS_IO_FAILED;
    }
    exit(status);
}
