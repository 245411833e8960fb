/* Access to flash and registers by words. On a host, where the loader is tested against models of
 * flash controllers, the test provides both functions. */
#ifndef EDGECOMP_LOADER_MEMORY_H
#define EDGECOMP_LOADER_MEMORY_H

#include <stdint.h>

#if defined(__arm__)

#include "registers.h"

static inline uint32_t memory_read(uint32_t address)
{
    return REGISTER(address);
}

static inline void memory_write(uint32_t address, uint32_t word)
{
    REGISTER(address) = word;
}

#else

uint32_t memory_read(uint32_t address);
void memory_write(uint32_t address, uint32_t word);

#endif

/* The byte at `address`, read with its word. */
static inline uint8_t memory_read_byte(uint32_t address)
{
    return (uint8_t)(memory_read(address & ~3u) >> (8u * (address & 3u)));
}

/* Four bytes as a little-endian word. */
static inline uint32_t memory_word(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 |
           (uint32_t)bytes[3] << 24;
}

#endif
