/* edgecomp.h - what the generated code of every model needs: a few macros and the fixed-point
 * arithmetic of docs/numerics.md.  C99, no library.
 *
 * SPDX-License-Identifier: Apache-2.0
 * A copy that edgecomp places beside generated code belongs to its user without conditions.
 */
#ifndef EDGECOMP_H
#define EDGECOMP_H

#include <stdint.h>

/* The generated code checks this number, so that it never meets the wrong copy of this file. */
#define EDGECOMP_RUNTIME 1

/* Weights lie in sections of their own, so that their bytes can be told from code. */
#if defined(__ELF__)
#define EC_WEIGHTS(name) __attribute__((section(".rodata.ec_weights." #name), aligned(4)))
#define EC_ALIGNED __attribute__((aligned(4)))
#define EC_WIDE __attribute__((aligned(8))) /* beside one of these: elements of 64 bits */
#else
#define EC_WEIGHTS(name)
#define EC_ALIGNED
#define EC_WIDE
#endif

/* A stage stays a function of its own: it is called from two places, and profilers see it. */
#if defined(__GNUC__)
#define EC_STAGE __attribute__((noinline))
#else
#define EC_STAGE
#endif

static inline int32_t ec_clamp(int32_t value, int32_t low, int32_t high)
{
    return value < low ? low : (value > high ? high : value);
}

/* acc times the real factor multiplier * 2^(shift - 32), rounded half up.
 * The generator has proved that acc * 2^shift fits 32 bits. */
static inline int32_t ec_rescale(int32_t acc, int32_t multiplier, int shift)
{
    const int64_t product = (int64_t)(acc * (int32_t)(UINT32_C(1) << shift)) * multiplier;
    return (int32_t)((product + (INT64_C(1) << 31)) >> 32);
}

/* An accumulator becomes an output code. */
static inline int8_t ec_requantize(int32_t acc, int32_t multiplier, int shift, int32_t zero_point,
                                   int32_t low, int32_t high)
{
    return (int8_t)ec_clamp(ec_rescale(acc, multiplier, shift) + zero_point, low, high);
}

/* The integer square root, rounded down. */
static inline uint32_t ec_square_root(uint64_t value)
{
    uint32_t root = 0;
    for (uint32_t bit = UINT32_C(1) << 31; bit != 0; bit >>= 1) {
        const uint64_t trial = root | bit;
        if (trial * trial <= value) {
            root = (uint32_t)trial;
        }
    }
    return root;
}

/* 2^61 / root, rounded down, for a root of at least 2^31: at most 2^30. */
static inline int32_t ec_inverse(uint32_t root)
{
    uint64_t rest = UINT64_C(1) << 61;
    uint64_t part = (uint64_t)root << 30;
    uint32_t quotient = 0;
    for (int bit = 30; bit >= 0; bit--) {
        quotient <<= 1;
        if (part <= rest) {
            rest -= part;
            quotient |= 1u;
        }
        part >>= 1;
    }
    return (int32_t)quotient;
}

/* TensorFlow Lite's arithmetic.  a times b / 2^31, rounded to nearest. */
static inline int32_t ec_high_multiply(int32_t a, int32_t b)
{
    const int64_t product = (int64_t)a * b;
    const int64_t nudge = product >= 0 ? INT64_C(1) << 30 : 1 - (INT64_C(1) << 30);
    return (int32_t)((product + nudge) / (INT64_C(1) << 31));
}

/* x / 2^bits, rounded to nearest, ties away from zero. */
static inline int32_t ec_divide_by_power_of_two(int32_t x, int bits)
{
    const int32_t mask = (int32_t)((UINT32_C(1) << bits) - 1);
    const int32_t threshold = (mask >> 1) + (x < 0);
    return (x >> bits) + ((x & mask) > threshold);
}

/* An accumulator becomes an output code by two roundings.  shift is left where positive. */
static inline int8_t ec_requantize_tflite(int32_t acc, int32_t multiplier, int shift,
                                          int32_t zero_point, int32_t low, int32_t high)
{
    const int left = shift > 0 ? shift : 0;
    const int right = shift > 0 ? 0 : -shift;
    const int32_t doubled =
        ec_high_multiply(acc * (int32_t)(UINT32_C(1) << left), multiplier);
    return (int8_t)ec_clamp(ec_divide_by_power_of_two(doubled, right) + zero_point, low, high);
}

#endif
