/* Any bytes on the line: no undefined behaviour, no read outside the flash, no attempt on the
 * loader's own sectors (model.c ends the program), and an end. */
#include <setjmp.h>
#include <stddef.h>

#include "commands.h"
#include "flash.h"
#include "line.h"
#include "model.h"

static const uint8_t *input;
static size_t input_bytes;
static jmp_buf ended;

/* A byte 0xa5 before another makes the host silent for once, so that time limits are met too. */
uint32_t line_read(uint8_t *byte, uint32_t limit_ms)
{
    if (input_bytes == 0u) {
        longjmp(ended, 1);
    }
    *byte = *input++;
    input_bytes--;
    return *byte != 0xa5u || limit_ms == LINE_FOREVER ? 1u : 0u;
}

void line_write(uint8_t byte)
{
    (void)byte;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    input = data;
    input_bytes = bytes;
    model_reset();
    if (setjmp(ended) == 0) {
        flash_prepare();
        (void)commands_serve(LINE_FOREVER);
    }
    return 0;
}
