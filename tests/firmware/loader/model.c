#include "model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "memory.h"

static uint8_t own_flash[FLASH_BYTES];
uint8_t *model_flash = own_flash;
uint32_t model_steps;
uint32_t model_last_step = 0xffffffffu;
void (*model_power_cut)(void);

static uint32_t control;
static uint32_t status;
static uint32_t keys;
static uint32_t busy_reads;
static uint32_t access_control;
static uint32_t latched_address;
static uint32_t latched_word;

static void fail(const char *what, uint32_t address)
{
    fprintf(stderr, "model: %s at %#x\n", what, (unsigned)address);
    abort();
}

static uint32_t get(uint32_t address)
{
    uint32_t word;
    memcpy(&word, model_flash + (address - LOADER_FLASH_ORIGIN), 4);
    return word;
}

/* Clears bits only, as flash does. */
static void clear_bits(uint32_t address, uint32_t word)
{
    word &= get(address);
    memcpy(model_flash + (address - LOADER_FLASH_ORIGIN), &word, 4);
}

/* One step of work on the flash: the power may fail instead of it. */
static void step(uint32_t address)
{
    if (address - LOADER_FLASH_ORIGIN < LOADER_APP_ORIGIN - LOADER_FLASH_ORIGIN) {
        fail("attempt on the loader itself", address);
    }
    if (model_steps++ == model_last_step) {
        model_power_cut();
    }
}

/* An erasure is two steps: a power cut may leave a sector half erased. */
static void erase(uint32_t address, uint32_t bytes)
{
    uint8_t *sector = model_flash + (address - LOADER_FLASH_ORIGIN);
    step(address);
    for (uint32_t i = 0u; i < bytes; i += 3u) {
        sector[i] = 0xffu;
    }
    step(address);
    memset(sector, 0xff, bytes);
}

static void erase_number(uint32_t number)
{
    static const struct {
        uint32_t count;
        uint32_t bytes;
    } runs[] = LOADER_SECTORS;
    uint32_t at = LOADER_FLASH_ORIGIN;

    for (uint32_t i = 0u; i < sizeof runs / sizeof runs[0]; i++) {
        if (number < runs[i].count) {
            erase(at + number * runs[i].bytes, runs[i].bytes);
            return;
        }
        number -= runs[i].count;
        at += runs[i].count * runs[i].bytes;
    }
    fail("erasure of a sector that is not there", number);
}

static int is_flash(uint32_t address)
{
    return address - LOADER_FLASH_ORIGIN < FLASH_BYTES && (address & 3u) == 0u;
}

void model_reset(void)
{
    control = 1u << 31;
    status = 0u;
    keys = 0u;
    busy_reads = 0u;
    access_control = 0x600u;
    latched_address = 0u;
}

#if defined(MODEL_RAM)

uint32_t memory_read(uint32_t address)
{
    if (!is_flash(address)) {
        fail("read", address);
    }
    return get(address);
}

void memory_write(uint32_t address, uint32_t word)
{
    if (!is_flash(address)) {
        fail("write", address);
    }
    step(address);
    memcpy(model_flash + (address - LOADER_FLASH_ORIGIN), &word, 4);
}

#elif defined(MODEL_NRF52)

static uint32_t is_ready(void)
{
    if (busy_reads > 0u) {
        busy_reads--;
        return 0u;
    }
    return 1u;
}

uint32_t memory_read(uint32_t address)
{
    if (address == 0x4001e400u) {
        return is_ready();
    }
    if (!is_flash(address) || busy_reads > 0u) {
        fail("read", address);
    }
    return get(address);
}

void memory_write(uint32_t address, uint32_t word)
{
    if (busy_reads > 0u) {
        fail("write while busy", address);
    }
    if (address == 0x4001e504u) {
        control = word;
    } else if (address == 0x4001e508u) {
        if (control != 2u || word % 4096u != 0u || !is_flash(word)) {
            fail("erasure that is not enabled", word);
        }
        erase(word, 4096u);
        busy_reads = 3u;
    } else if (is_flash(address) && control == 1u) {
        step(address);
        clear_bits(address, word);
        busy_reads = 3u;
    } else {
        fail("write", address);
    }
}

#else /* the controllers of STM32, which differ in where things lie */

#if defined(MODEL_STM32F4)
#define BASE 0x40023c00u
#define AT_KEYS 0x04u
#define AT_STATUS 0x0cu
#define AT_CONTROL 0x10u
#else
#define BASE 0x40022000u
#define AT_KEYS 0x08u
#define AT_STATUS 0x10u
#define AT_CONTROL 0x14u
#endif
#define LOCK (1u << 31)
#define START (1u << 16)
#define PROGRAM 1u
#define ERASE 2u

uint32_t memory_read(uint32_t address)
{
    if (address == BASE) {
        return access_control;
    }
    if (address == BASE + AT_STATUS) {
        if (busy_reads > 0u) {
            busy_reads--;
            return status | 1u << 16;
        }
        return status;
    }
    if (address == BASE + AT_CONTROL) {
        return control;
    }
    if (!is_flash(address) || busy_reads > 0u) {
        fail("read", address);
    }
    return get(address);
}

static void unlock(uint32_t key)
{
    static const uint32_t expected[] = {0x45670123u, 0xcdef89abu};
    if (keys > 1u || key != expected[keys]) {
        fail("wrong key, locked until reset", key);
    }
    keys++;
    if (keys == 2u) {
        keys = 0u;
        control &= ~LOCK;
    }
}

static void write_control(uint32_t word)
{
    if ((control & LOCK) != 0u) {
        fail("write to the locked control register", word);
    }
    control = word & ~START;
    if ((word & START) == 0u) {
        return;
    }
    if ((word & ERASE) == 0u || (word & PROGRAM) != 0u) {
        fail("start of nothing", word);
    }
#if defined(MODEL_STM32F4)
    if ((word >> 8 & 3u) != 2u) {
        fail("erasure not by words", word);
    }
    erase_number(word >> 3 & 0x1fu);
#else
    erase_number((word >> 3 & 0xffu) + ((word >> 11 & 1u) != 0u ? LOADER_BANK_SECTORS : 0u));
#endif
    busy_reads = 3u;
}

static void write_flash(uint32_t address, uint32_t word)
{
    if ((control & LOCK) != 0u || (control & PROGRAM) == 0u) {
        fail("write that is not enabled", address);
    }
#if defined(MODEL_STM32F4)
    if ((control >> 8 & 3u) != 2u) {
        fail("write not by words", address);
    }
    step(address);
    clear_bits(address, word);
#else
    if ((address & 4u) == 0u) {
        latched_address = address;
        latched_word = word;
        return;
    }
    if (latched_address != address - 4u) {
        fail("half of a double word", address);
    }
    if (get(address - 4u) != 0xffffffffu || get(address) != 0xffffffffu) {
        status |= 1u << 3; /* PROGERR: not erased */
        return;
    }
    step(address);
    clear_bits(address - 4u, latched_word);
    clear_bits(address, word);
    latched_address = 0u;
#endif
    busy_reads = 3u;
}

void memory_write(uint32_t address, uint32_t word)
{
    if (busy_reads > 0u) {
        fail("write while busy", address);
    }
    if (address == BASE) {
        access_control = word;
    } else if (address == BASE + AT_KEYS) {
        unlock(word);
    } else if (address == BASE + AT_STATUS) {
        status &= ~word;
    } else if (address == BASE + AT_CONTROL) {
        write_control(word);
    } else if (is_flash(address)) {
        write_flash(address, word);
    } else {
        fail("write", address);
    }
}

#endif
