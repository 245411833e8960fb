/* The flash controller (NVMC) of the nRF52 series: pages of 4 KiB, writes of one word.
 * Registers: nRF52840 Product Specification, section NVMC. The processor halts while the flash is
 * busy; READY is waited for all the same. */
#include "flash.h"

#include "memory.h"

#define NVMC_READY 0x4001e400u
#define NVMC_CONFIG 0x4001e504u
#define NVMC_ERASEPAGE 0x4001e508u

#define CONFIG_READ 0u
#define CONFIG_WRITE 1u
#define CONFIG_ERASE 2u

static void wait(void)
{
    while ((memory_read(NVMC_READY) & 1u) == 0u) {
    }
}

static void configure(uint32_t mode)
{
    memory_write(NVMC_CONFIG, mode);
    wait();
}

void flash_prepare(void)
{
}

/* The controller has no error flags: the caller's read-back is the check. */
uint32_t flash_erase(uint32_t sector, uint32_t address, uint32_t bytes)
{
    (void)sector;
    (void)bytes;
    configure(CONFIG_ERASE);
    memory_write(NVMC_ERASEPAGE, address);
    wait();
    configure(CONFIG_READ);
    return 1u;
}

uint32_t flash_write(uint32_t address, const uint8_t *data, uint32_t bytes)
{
    configure(CONFIG_WRITE);
    for (uint32_t i = 0u; i < bytes; i += 4u) {
        memory_write(address + i, memory_word(data + i));
        wait();
    }
    configure(CONFIG_READ);
    return 1u;
}
