#include "fake.h"

enum { SIDE = 8, INNER = 6, CHANNELS = 4, KERNEL = 3 };
enum { INPUT_OFFSET = 0, TABLE_OFFSET = 64, CONV_OFFSET = 128, OUTPUT_OFFSET = 0 };

#ifndef FAKE_FAULT
#define FAKE_FAULT 0
#endif

static const int8_t table[16] = {-8, -7, -6, -5, -4, -3, -2, -1, 0, 2, 4, 6, 8, 10, 12, 14};

static const int8_t weights[CHANNELS * KERNEL * KERNEL]
    __attribute__((section(".rodata.ec_weights.fake"))) = {
        1, 0, -1, 2, 0, -2, 1, 0, -1, /* vertical edges */
        1, 2, 1, 0, 0, 0, -1, -2, -1, /* horizontal edges */
        1, 1, 1, 1, 1, 1, 1, 1, 1,    /* blur */
        0, -1, 0, -1, 4, -1, 0, -1, 0 /* Laplace */
};

static int8_t saturate(int32_t value)
{
    return (int8_t)(value < -128 ? -128 : value > 127 ? 127 : value);
}

static void look_up(const int8_t *restrict input, int8_t *restrict output)
{
    for (int i = 0; i < SIDE * SIDE; i++) {
        output[i] = table[(uint8_t)input[i] >> 4];
    }
}

static void convolve(const int8_t *restrict input, int8_t *restrict output)
{
    for (int y = 0; y < INNER; y++) {
        for (int x = 0; x < INNER; x++) {
            for (int channel = 0; channel < CHANNELS; channel++) {
                int32_t acc = 0;
                for (int ky = 0; ky < KERNEL; ky++) {
                    for (int kx = 0; kx < KERNEL; kx++) {
                        acc += input[(y + ky) * SIDE + x + kx] *
                               weights[(channel * KERNEL + ky) * KERNEL + kx];
                    }
                }
                output[(y * INNER + x) * CHANNELS + channel] = saturate(acc);
            }
        }
    }
}

static void sum_up(const int8_t *restrict input, int8_t *restrict output)
{
    for (int channel = 0; channel < CHANNELS; channel++) {
        int32_t acc = 0;
        for (int i = 0; i < INNER * INNER; i++) {
            acc += input[i * CHANNELS + channel];
        }
        output[channel] = saturate(acc / 3);
    }
}

/* Each of these ends a run in its own way; 0 is a model without a fault. */
static void misbehave(void *arena)
{
#if FAKE_FAULT == 1
    *(volatile uint32_t *)(uintptr_t)0xf1000000u = 1u; /* nothing is mapped there, */
    *(volatile uint32_t *)(uintptr_t)0xa0000000u = 1u; /* and here nothing on the microbit */
#elif FAKE_FAULT == 2
    for (volatile int spin = 1; spin != 0;) {
    }
#elif FAKE_FAULT == 3
    (void)*(volatile uint32_t *)(void *)((uint8_t *)arena + 1);
#elif FAKE_FAULT == 4
    ((volatile uint8_t *)arena)[FAKE_ARENA_BYTES] ^= 1u;
#elif FAKE_FAULT == 5
    __asm__ volatile(".inst.n 0xde00"); /* permanently undefined */
#endif
    (void)arena;
}

const fake_tensor fake_input_info[1] = {{0.5f, -3, 64, 4, {1, 8, 8, 1}}};
const fake_tensor fake_output_info[1] = {{0.0078125f, 7, 4, 2, {1, 4}}};

int8_t *fake_input(void *arena, int i)
{
    (void)i;
    return (int8_t *)arena + INPUT_OFFSET;
}

const int8_t *fake_output(const void *arena, int i)
{
    (void)i;
    return (const int8_t *)arena + OUTPUT_OFFSET;
}

int fake_run_stage(void *arena, int stage)
{
    int8_t *memory = arena;
    switch (stage) {
    case 0:
        look_up(memory + INPUT_OFFSET, memory + TABLE_OFFSET);
        return 0;
    case 1:
        misbehave(arena);
        convolve(memory + TABLE_OFFSET, memory + CONV_OFFSET);
        return 0;
    case 2:
        sum_up(memory + CONV_OFFSET, memory + OUTPUT_OFFSET);
        return 0;
    default:
        return -1;
    }
}

int fake_run(void *arena)
{
    int8_t *memory = arena;
    look_up(memory + INPUT_OFFSET, memory + TABLE_OFFSET);
    misbehave(arena);
    convolve(memory + TABLE_OFFSET, memory + CONV_OFFSET);
    sum_up(memory + CONV_OFFSET, memory + OUTPUT_OFFSET);
    return 0;
}
