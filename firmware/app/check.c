/* The check image: runs the model on a stream of samples and reports every bit of it.
 *
 * All numbers are 32-bit and little-endian.
 * Request: 'ECK1', build id (0 = any), flags, samples; then the inputs of each sample.
 * Reply:   'ECK1', build id, stages, arena bytes;
 *          for each sample, for each stage [its CRC-32] [its output tensor], then the outputs;
 *          'DONE', samples, stack high water, arena high water, guard ok, counter kind.
 * A model that keeps something between runs forgets it before the first sample.
 * CRCs and tensors are taken as each stage ends, before the next one may overwrite them. */
#include <stdint.h>

#include "app_model.h"
#include "app_stages.h"
#include "attributes.h"
#include "crc32.h"
#include "paint.h"
#include "platform.h"

#define MAGIC_CHECK 0x314b4345u /* "ECK1" */
#define MAGIC_DONE 0x454e4f44u  /* "DONE" */
#define FLAG_CRC 1u
#define FLAG_DUMP 2u
#define GUARD_BYTES 64u

#if MODEL_ARENA_ALIGN > 64
#error "the guard band keeps 64 bytes of alignment"
#endif

/* Guard band, arena, guard band. */
static uint8_t memory[GUARD_BYTES + MODEL_ARENA_BYTES + GUARD_BYTES] APP_ALIGNED(64)
    APP_SECTION(".bss.arena");
static uint8_t *const arena = memory + GUARD_BYTES;

static void paint_memory(void)
{
    for (uint32_t i = 0u; i < sizeof memory; i++) {
        memory[i] = paint(i);
    }
}

static uint32_t guard_ok(void)
{
    for (uint32_t i = 0u; i < GUARD_BYTES; i++) {
        const uint32_t behind = GUARD_BYTES + MODEL_ARENA_BYTES + i;
        if (memory[i] != paint(i) || memory[behind] != paint(behind)) {
            return 0u;
        }
    }
    return 1u;
}

static uint32_t arena_high_water(void)
{
    uint32_t used = MODEL_ARENA_BYTES;
    while (used > 0u && arena[used - 1u] == paint(GUARD_BYTES + used - 1u)) {
        used--;
    }
    return used;
}

static void run_stages(uint32_t flags)
{
    for (int stage = 0; stage < MODEL_STAGES; stage++) {
        if (model_run_stage(arena, stage) != 0) {
            io_finish(STATUS_RUN_FAILED);
        }
        const uint8_t *output = model_stage_codes(arena, stage);
        const uint32_t bytes = model_stage_output[stage].bytes;
        if ((flags & FLAG_CRC) != 0u) {
            const uint32_t crc = crc32(output, bytes);
            io_write(&crc, sizeof crc);
        }
        if ((flags & FLAG_DUMP) != 0u) {
            io_write(output, bytes);
        }
    }
}

static void run_sample(uint32_t flags)
{
    for (int i = 0; i < MODEL_INPUTS; i++) {
        io_read(model_input(arena, i), model_input_bytes[i]);
    }
    if (flags != 0u) {
        run_stages(flags);
    } else if (model_run(arena) != 0) {
        io_finish(STATUS_RUN_FAILED);
    }
    for (int i = 0; i < MODEL_OUTPUTS; i++) {
        io_write(model_output(arena, i), model_output_bytes[i]);
    }
}

int main(void)
{
    struct {
        uint32_t magic, build_id, flags, samples;
    } request = {0u, 0u, 0u, 0u};

    stack_paint();
    io_open();
    io_read(&request, sizeof request);
    if (request.magic != MAGIC_CHECK) {
        io_finish(STATUS_BAD_REQUEST);
    }
    const uint32_t header[] = {MAGIC_CHECK, MODEL_BUILD_ID, MODEL_STAGES, MODEL_ARENA_BYTES};
    io_write(header, sizeof header);
    if (request.build_id != 0u && request.build_id != MODEL_BUILD_ID) {
        io_finish(STATUS_WRONG_BUILD);
    }

    paint_memory();
#ifdef MODEL_BOOT_BYTES
    model_init();
#endif
#ifdef MODEL_STATE_BYTES
    model_forget();
#endif
    for (uint32_t sample = 0u; sample < request.samples; sample++) {
        run_sample(request.flags);
    }

    const uint32_t trailer[] = {MAGIC_DONE,         request.samples, stack_high_water(),
                                arena_high_water(), guard_ok(),      counter_kind()};
    io_write(trailer, sizeof trailer);
    io_finish(STATUS_DONE);
}
