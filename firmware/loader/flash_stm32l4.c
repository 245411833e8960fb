/* The flash controller of STM32L4 and G0: pages, writes of one double word, which must be erased.
 * Registers: RM0351, section 3.7; RM0444, section 3.7, where KEYR, SR and CR lie and read alike
 * (the busy flags of its second bank and of its configuration included in SR_BUSY below). */
#include "flash.h"

#include "loader_config.h"
#include "memory.h"

#define FLASH_ACR 0x40022000u
#define FLASH_KEYR 0x40022008u
#define FLASH_SR 0x40022010u
#define FLASH_CR 0x40022014u

#define KEY_1 0x45670123u
#define KEY_2 0xcdef89abu
#define ACR_DCEN (1u << 10) /* reserved on the G0, which has no data cache */
#define SR_ERRORS 0x0000c3fau
#define SR_BUSY (7u << 16)
#define CR_PG (1u << 0)
#define CR_PER (1u << 1)
#define CR_PNB(page) ((page) << 3)
#define CR_BKER (1u << 11)
#define CR_STRT (1u << 16)
#define CR_LOCK (1u << 31)

static void wait(void)
{
    while ((memory_read(FLASH_SR) & SR_BUSY) != 0u) {
    }
}

static uint32_t finish(void)
{
    wait();
    memory_write(FLASH_CR, CR_LOCK);
    return (memory_read(FLASH_SR) & SR_ERRORS) == 0u ? 1u : 0u;
}

static void unlock(void)
{
    if ((memory_read(FLASH_CR) & CR_LOCK) != 0u) {
        memory_write(FLASH_KEYR, KEY_1);
        memory_write(FLASH_KEYR, KEY_2);
    }
    memory_write(FLASH_SR, SR_ERRORS); /* cleared by writing ones */
}

/* What is read back must come from the flash, not from the data cache. */
void flash_prepare(void)
{
    memory_write(FLASH_ACR, memory_read(FLASH_ACR) & ~ACR_DCEN);
}

uint32_t flash_erase(uint32_t sector, uint32_t address, uint32_t bytes)
{
    const uint32_t page = sector % LOADER_BANK_SECTORS;
    const uint32_t select = CR_PER | CR_PNB(page) | (sector == page ? 0u : CR_BKER);

    (void)address;
    (void)bytes;
    unlock();
    memory_write(FLASH_CR, select);
    memory_write(FLASH_CR, select | CR_STRT);
    return finish();
}

uint32_t flash_write(uint32_t address, const uint8_t *data, uint32_t bytes)
{
    unlock();
    memory_write(FLASH_CR, CR_PG);
    for (uint32_t i = 0u; i < bytes; i += 8u) {
        memory_write(address + i, memory_word(data + i));
        memory_write(address + i + 4u, memory_word(data + i + 4u));
        wait();
    }
    return finish();
}
