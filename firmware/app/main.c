/* The firmware image: reads the inputs from the console, runs the model, writes its outputs. */
#include <stdint.h>

#include "app_model.h"
#include "attributes.h"
#include "port.h"

static uint8_t arena[MODEL_ARENA_BYTES] APP_ALIGNED(MODEL_ARENA_ALIGN) APP_SECTION(".bss.arena");

static void read_bytes(int8_t *to, uint32_t bytes)
{
    for (uint32_t i = 0u; i < bytes; i++) {
        to[i] = (int8_t)port_read_byte();
    }
}

static void write_bytes(const int8_t *from, uint32_t bytes)
{
    for (uint32_t i = 0u; i < bytes; i++) {
        port_write_byte((uint8_t)from[i]);
    }
}

int main(void)
{
    port_init();
    for (;;) {
        for (int i = 0; i < MODEL_INPUTS; i++) {
            read_bytes(model_input(arena, i), model_input_bytes[i]);
        }
        if (model_run(arena) != 0) {
            continue; /* no output for this input */
        }
        for (int i = 0; i < MODEL_OUTPUTS; i++) {
            write_bytes(model_output(arena, i), model_output_bytes[i]);
        }
    }
}
