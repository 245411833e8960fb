/* RAM that behaves like flash: the code memory of the MPS2 and MPS3 boards. A write can only clear
 * bits, and only erasing a whole sector sets them again. */
#include "flash.h"

#include "memory.h"

void flash_prepare(void)
{
}

uint32_t flash_erase(uint32_t sector, uint32_t address, uint32_t bytes)
{
    (void)sector;
    for (uint32_t i = 0u; i < bytes; i += 4u) {
        memory_write(address + i, 0xffffffffu);
    }
    return 1u;
}

uint32_t flash_write(uint32_t address, const uint8_t *data, uint32_t bytes)
{
    for (uint32_t i = 0u; i < bytes; i += 4u) {
        memory_write(address + i, memory_read(address + i) & memory_word(data + i));
    }
    return 1u;
}
