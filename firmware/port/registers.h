/* Access to memory-mapped registers. */
#ifndef EDGECOMP_REGISTERS_H
#define EDGECOMP_REGISTERS_H

#include <stdint.h>

/* The 32-bit register at `address`. */
#define REGISTER(address) (*(volatile uint32_t *)(uintptr_t)(address))

/* Replaces the `width` bits of a register that start at bit `low` by `value`. */
static inline void register_set_field(uint32_t address, uint32_t low, uint32_t width, uint32_t value)
{
    const uint32_t mask = ((1u << width) - 1u) << low;
    REGISTER(address) = (REGISTER(address) & ~mask) | (value << low);
}

#endif
