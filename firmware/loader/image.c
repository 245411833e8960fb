#include "image.h"

#include "loader_config.h"
#include "memory.h"

/* Four bits at a time: a table of 64 bytes. */
static uint32_t crc_word(uint32_t crc, uint32_t word)
{
    static const uint32_t table[16] = {
        0x00000000u, 0x04c11db7u, 0x09823b6eu, 0x0d4326d9u, 0x130476dcu, 0x17c56b6bu,
        0x1a864db2u, 0x1e475005u, 0x2608edb8u, 0x22c9f00fu, 0x2f8ad6d6u, 0x2b4bcb61u,
        0x350c9b64u, 0x31cd86d3u, 0x3c8ea00au, 0x384fbdbdu,
    };

    crc ^= word;
    for (uint32_t nibble = 0u; nibble < 8u; nibble++) {
        crc = (crc << 4) ^ table[crc >> 28];
    }
    return crc;
}

uint32_t image_crc(uint32_t crc, uint32_t address, uint32_t words)
{
    for (uint32_t i = 0u; i < words; i++) {
        crc = crc_word(crc, memory_read(address + 4u * i));
    }
    return crc;
}

static uint32_t version_of(uint32_t origin)
{
    return memory_read(origin + IMAGE_MAGIC_AT) >> 16;
}

/* The end of the slot that begins at `origin`, for the version that lies there; 0: no slot. */
static uint32_t end_of(uint32_t origin)
{
    if (origin == LOADER_APP_ORIGIN) {
        return version_of(origin) == 0u ? LOADER_FLASH_END : LOADER_SECOND_ORIGIN;
    }
    return origin == LOADER_SECOND_ORIGIN && version_of(origin) != 0u ? LOADER_FLASH_END : 0u;
}

uint32_t image_is_valid(uint32_t origin)
{
    const uint32_t length = memory_read(origin + IMAGE_LENGTH_AT);
    const uint32_t entry = memory_read(origin + 4u) - origin;
    const uint32_t behind = IMAGE_CRC_AT + 4u;

    if ((memory_read(origin + IMAGE_MAGIC_AT) & 0xffffu) != IMAGE_MAGIC ||
        length < IMAGE_SMALLEST || (length & 3u) != 0u || end_of(origin) == 0u ||
        length > end_of(origin) - origin || entry >= length) {
        return 0u;
    }
    uint32_t crc = image_crc(CRC_START, origin, IMAGE_CRC_AT / 4u);
    crc = crc_word(crc, 0xffffffffu); /* the place of the CRC itself */
    crc = image_crc(crc, origin + behind, (length - behind) / 4u);
    return crc == memory_read(origin + IMAGE_CRC_AT) ? 1u : 0u;
}

uint32_t image_find(void)
{
    const uint32_t has_first = image_is_valid(LOADER_APP_ORIGIN);
    const uint32_t first = version_of(LOADER_APP_ORIGIN);

    /* An image that may fill the flash has overwritten the second slot, or has left it behind. */
    if (has_first != 0u && first == 0u) {
        return LOADER_APP_ORIGIN;
    }
    if (image_is_valid(LOADER_SECOND_ORIGIN) == 0u) {
        return has_first != 0u ? LOADER_APP_ORIGIN : 0u;
    }
    /* Versions wrap: the later is ahead by less than half of them. */
    const uint32_t ahead = (version_of(LOADER_SECOND_ORIGIN) - first) & 0xffffu;
    return has_first != 0u && ahead >= 0x8000u ? LOADER_APP_ORIGIN : LOADER_SECOND_ORIGIN;
}
