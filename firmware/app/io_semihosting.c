/* The harness's streams as the files check_in.bin and check_out.bin of the emulator's folder. */
#include "platform.h"
#include "semihosting.h"

#define NO_HANDLE 0xffffffffu

static uint32_t input;
static uint32_t output;

void io_open(void)
{
    static const char input_name[] = "check_in.bin";
    static const char output_name[] = "check_out.bin";
    input = semihosting_open(input_name, sizeof input_name - 1u, OPEN_READ_BINARY);
    output = semihosting_open(output_name, sizeof output_name - 1u, OPEN_WRITE_BINARY);
    if (input == NO_HANDLE || output == NO_HANDLE) {
        io_finish(STATUS_IO_FAILED);
    }
}

void io_read(void *to, uint32_t bytes)
{
    if (semihosting_transfer(SYS_READ, input, to, bytes) != 0u) {
        io_finish(STATUS_IO_FAILED);
    }
}

void io_write(const void *from, uint32_t bytes)
{
    if (semihosting_transfer(SYS_WRITE, output, from, bytes) != 0u) {
        io_finish(STATUS_IO_FAILED);
    }
}

void io_finish(int status)
{
    (void)semihosting(SYS_CLOSE, &output);
    semihosting_exit((uint32_t)status);
}
