/* Access to memory-mapped registers. */
#ifndef EDGECOMP_REGISTERS_H
#define EDGECOMP_REGISTERS_H

#include <stdint.h>

/* The 32-bit register at `address`. */
#define REGISTER(address) (*(volatile uint32_t *)(uintptr_t)(address))

/* The same, 16 and 8 bits wide. */
#define REGISTER16(address) (*(volatile uint16_t *)(uintptr_t)(address))
#define REGISTER8(address) (*(volatile uint8_t *)(uintptr_t)(address))

/* A register and the bits to set in it. */
struct register_bits {
    uint32_t address;
    uint32_t mask;
};

/* Sets the bits of a whole table, in its order. */
static inline void registers_set(const struct register_bits *table, uint32_t count)
{
    for (uint32_t i = 0u; i < count; i++) {
        REGISTER(table[i].address) |= table[i].mask;
        (void)REGISTER(table[i].address); /* a clock runs two cycles after the write */
    }
}

/* Replaces the `width` bits of a register that start at bit `low` by `value`. */
static inline void register_set_field(uint32_t address, uint32_t low, uint32_t width, uint32_t value)
{
    const uint32_t mask = ((1u << width) - 1u) << low;
    REGISTER(address) = (REGISTER(address) & ~mask) | (value << low);
}

#endif
