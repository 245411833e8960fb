/* CRC-32 as zlib computes it (polynomial 0x04c11db7, reflected). */
#ifndef EDGECOMP_CRC32_H
#define EDGECOMP_CRC32_H

#include <stdint.h>

/* The CRC of what had the CRC `crc` (0: nothing yet) with `bytes` more bytes behind it. Four bits
 * at a time: a table of 64 bytes, not of 1024. */
static inline uint32_t crc32_more(uint32_t crc, const uint8_t *data, uint32_t bytes)
{
    static const uint32_t table[16] = {
        0x00000000u, 0x1db71064u, 0x3b6e20c8u, 0x26d930acu, 0x76dc4190u, 0x6b6b51f4u,
        0x4db26158u, 0x5005713cu, 0xedb88320u, 0xf00f9344u, 0xd6d6a3e8u, 0xcb61b38cu,
        0x9b64c2b0u, 0x86d3d2d4u, 0xa00ae278u, 0xbdbdf21cu,
    };
    crc = ~crc;
    for (uint32_t i = 0u; i < bytes; i++) {
        crc ^= data[i];
        crc = (crc >> 4) ^ table[crc & 15u];
        crc = (crc >> 4) ^ table[crc & 15u];
    }
    return ~crc;
}

/* The CRC of `bytes` bytes. */
static inline uint32_t crc32(const uint8_t *data, uint32_t bytes)
{
    return crc32_more(0u, data, bytes);
}

#endif
