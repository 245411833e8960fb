/* Two inputs and two outputs, longer than a frame; outputs lie where inputs were. */
#ifndef APP_MODEL_H
#define APP_MODEL_H

#include <stdint.h>

#define MODEL_ARENA_BYTES 1216
#define MODEL_ARENA_ALIGN 16
#define MODEL_INPUTS 2
#define MODEL_OUTPUTS 2
#define MODEL_STAGES 3
#ifndef MODEL_BUILD_ID
#define MODEL_BUILD_ID 0x77bb0011u
#endif

typedef struct {
    float scale;
    int32_t zero_point;
    int32_t elements;
    int32_t rank;
    int32_t shape[2];
} wide_tensor;

extern const wide_tensor model_input_info[MODEL_INPUTS];
extern const wide_tensor model_output_info[MODEL_OUTPUTS];

int8_t *model_input(void *arena, int i);
const int8_t *model_output(const void *arena, int i);
int model_run_stage(void *arena, int stage);

static const uint32_t model_input_bytes[] = {700, 60};
static const uint32_t model_output_bytes[] = {300, 500};

#endif
