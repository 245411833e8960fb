/* The flash controller of STM32F2, F4 and F7: sectors, writes of one word (2.7 V and more).
 * Registers: RM0090, section 3.9; the same bits in RM0385, section 3.7. The processor waits while
 * it fetches from a flash that is being erased, so the loader need not run from RAM. */
#include "flash.h"

#include "memory.h"

#define FLASH_KEYR 0x40023c04u
#define FLASH_SR 0x40023c0cu
#define FLASH_CR 0x40023c10u

#define KEY_1 0x45670123u
#define KEY_2 0xcdef89abu
#define SR_ERRORS 0x000001f2u /* OPERR, WRPERR, PGAERR, PGPERR, PGSERR or ERSERR, RDERR */
#define SR_BSY (1u << 16)
#define CR_PG (1u << 0)
#define CR_SER (1u << 1)
#define CR_SNB(sector) ((sector) << 3)
#define CR_PSIZE_WORD (2u << 8)
#define CR_STRT (1u << 16)
#define CR_LOCK (1u << 31)

/* Waits for the end of an operation, locks the controller; returns whether it went well. */
static uint32_t finish(void)
{
    while ((memory_read(FLASH_SR) & SR_BSY) != 0u) {
    }
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

void flash_prepare(void)
{
}

uint32_t flash_erase(uint32_t sector, uint32_t address, uint32_t bytes)
{
    (void)address;
    (void)bytes;
    unlock();
    memory_write(FLASH_CR, CR_PSIZE_WORD | CR_SER | CR_SNB(sector));
    memory_write(FLASH_CR, CR_PSIZE_WORD | CR_SER | CR_SNB(sector) | CR_STRT);
    return finish();
}

uint32_t flash_write(uint32_t address, const uint8_t *data, uint32_t bytes)
{
    unlock();
    memory_write(FLASH_CR, CR_PSIZE_WORD | CR_PG);
    for (uint32_t i = 0u; i < bytes; i += 4u) {
        memory_write(address + i, memory_word(data + i));
        while ((memory_read(FLASH_SR) & SR_BSY) != 0u) {
        }
    }
    return finish();
}
