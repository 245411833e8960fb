/* A model written by hand, small enough to check on paper: a table, a convolution, a sum.
 *
 * input 8x8 codes -> stage 0: table -> 8x8 -> stage 1: 3x3 convolution, 4 channels -> 6x6x4
 * -> stage 2: sums per channel, halved and saturated -> 4 codes. */
#ifndef FAKE_H
#define FAKE_H

#include <stdint.h>

#define FAKE_ARENA_BYTES 272
#define FAKE_ARENA_ALIGN 16
#define FAKE_STAGES 3

typedef struct {
    float scale;
    int32_t zero_point;
    int32_t elements;
    int32_t rank;
    int32_t shape[4];
} fake_tensor;

extern const fake_tensor fake_input_info[1];
extern const fake_tensor fake_output_info[1];

int8_t *fake_input(void *arena, int i);
int fake_run(void *arena);
const int8_t *fake_output(const void *arena, int i);
int fake_run_stage(void *arena, int stage);

#endif
