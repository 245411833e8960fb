/* Each command is a byte and its complement; what follows ends with the XOR of its bytes. The
 * answer to each part is ACK or NACK. A part whose rest does not come in time is refused, so that a
 * host that died in the middle of a command does not block the next one. Before a refusal the line
 * is read until it is silent: a host may send the parts of a command without waiting between them,
 * and what follows a refused part must not be taken for commands. */
#include "commands.h"

#include "flash.h"
#include "image.h"
#include "line.h"
#include "loader_config.h"
#include "memory.h"

#define ACK 0x79u
#define NACK 0x1fu
#define PROTOCOL_VERSION 0x31u
#define PART_LIMIT_MS 1000u
#define SILENCE_MS 20u
#define LARGEST_BLOCK 256u
#define ERASE_ALL 0xffffu
#define MOST_SECTORS 127u /* in one command */

enum {
    COMMAND_GET = 0x00,
    COMMAND_GET_VERSION = 0x01,
    COMMAND_GET_ID = 0x02,
    COMMAND_READ = 0x11,
    COMMAND_GO = 0x21,
    COMMAND_WRITE = 0x31,
    COMMAND_EXTENDED_ERASE = 0x44,
    COMMAND_CHECKSUM = 0xa1
};

static const uint8_t commands[] = {
    COMMAND_GET,   COMMAND_GET_VERSION,    COMMAND_GET_ID,   COMMAND_READ, COMMAND_GO,
    COMMAND_WRITE, COMMAND_EXTENDED_ERASE, COMMAND_CHECKSUM,
};

/* A length byte, a block of data and its check byte; or a list of sectors. */
static uint8_t buffer[2u + LARGEST_BLOCK];

static void refuse(void)
{
    uint8_t byte;
    while (line_read(&byte, SILENCE_MS) != 0u) {
    }
    line_write(NACK);
}

static void answer(uint32_t good)
{
    if (good != 0u) {
        line_write(ACK);
    } else {
        refuse();
    }
}

static void send_word(uint32_t word)
{
    uint8_t check = 0u;
    for (uint32_t i = 0u; i < 4u; i++) {
        const uint8_t byte = (uint8_t)(word >> (24u - 8u * i));
        check = (uint8_t)(check ^ byte);
        line_write(byte);
    }
    line_write(check);
}

/* Receives `bytes` bytes; returns 0 where they do not come in time. */
static uint32_t receive(uint8_t *to, uint32_t bytes)
{
    for (uint32_t i = 0u; i < bytes; i++) {
        if (line_read(&to[i], PART_LIMIT_MS) == 0u) {
            return 0u;
        }
    }
    return 1u;
}

/* The XOR of `bytes` bytes: 0 for a part that ends with its own check byte. */
static uint8_t xor_of(const uint8_t *data, uint32_t bytes)
{
    uint8_t sum = 0u;
    for (uint32_t i = 0u; i < bytes; i++) {
        sum = (uint8_t)(sum ^ data[i]);
    }
    return sum;
}

/* Receives a number of four bytes, the highest first, and its check byte. */
static uint32_t receive_word(uint32_t *word)
{
    uint8_t part[5];
    if (receive(part, sizeof part) == 0u || xor_of(part, sizeof part) != 0u) {
        return 0u;
    }
    *word = (uint32_t)part[0] << 24 | (uint32_t)part[1] << 16 | (uint32_t)part[2] << 8 | part[3];
    return 1u;
}

/* Whether `bytes` bytes from `address` on lie between `from` and `end`. */
static uint32_t lies_within(uint32_t address, uint32_t bytes, uint32_t from, uint32_t end)
{
    return address >= from && address <= end && bytes <= end - address ? 1u : 0u;
}

static uint32_t is_readable(uint32_t address, uint32_t bytes)
{
    return lies_within(address, bytes, LOADER_FLASH_ORIGIN, LOADER_FLASH_END);
}

/* Receives an address of the protocol and makes it one of this processor. */
static uint32_t receive_address(uint32_t *address)
{
    if (receive_word(address) == 0u) {
        return 0u;
    }
    *address -= LOADER_PROTOCOL_BASE - LOADER_FLASH_ORIGIN;
    return is_readable(*address, 1u);
}

static void get(void)
{
    line_write(ACK);
    line_write((uint8_t)sizeof commands);
    line_write(PROTOCOL_VERSION);
    for (uint32_t i = 0u; i < sizeof commands; i++) {
        line_write(commands[i]);
    }
    line_write(ACK);
}

static void get_version(void)
{
    line_write(ACK);
    line_write(PROTOCOL_VERSION);
    line_write(0u);
    line_write(0u);
    line_write(ACK);
}

static void get_id(void)
{
    line_write(ACK);
    line_write(1u);
    line_write((uint8_t)(LOADER_PRODUCT_ID >> 8));
    line_write((uint8_t)(LOADER_PRODUCT_ID & 0xffu));
    line_write(ACK);
}

static uint32_t read_memory(void)
{
    uint32_t address;
    uint8_t part[2];

    line_write(ACK);
    if (receive_address(&address) == 0u) {
        return 0u;
    }
    line_write(ACK);
    if (receive(part, sizeof part) == 0u || (part[0] ^ part[1]) != 0xff ||
        is_readable(address, part[0] + 1u) == 0u) {
        return 0u;
    }
    line_write(ACK);
    for (uint32_t i = 0u; i <= part[0]; i++) {
        line_write(memory_read_byte(address + i));
    }
    return 1u;
}

/* Writes the block in the buffer and compares what is there then. */
static uint32_t program(uint32_t address, uint32_t bytes)
{
    uint8_t *data = buffer + 1;
    const uint32_t whole = (bytes + LOADER_WRITE_BYTES - 1u) & ~(LOADER_WRITE_BYTES - 1u);

    if ((address & (LOADER_WRITE_BYTES - 1u)) != 0u ||
        lies_within(address, whole, LOADER_APP_ORIGIN, LOADER_FLASH_END) == 0u) {
        return 0u;
    }
    for (uint32_t i = bytes; i < whole; i++) {
        data[i] = 0xffu;
    }
    if (flash_write(address, data, whole) == 0u) {
        return 0u;
    }
    for (uint32_t i = 0u; i < whole; i += 4u) {
        if (memory_read(address + i) != memory_word(data + i)) {
            return 0u;
        }
    }
    return 1u;
}

static uint32_t write_memory(void)
{
    uint32_t address;

    line_write(ACK);
    if (receive_address(&address) == 0u) {
        return 0u;
    }
    line_write(ACK);
    if (receive(buffer, 1u) == 0u) {
        return 0u;
    }
    const uint32_t bytes = buffer[0] + 1u;
    if (receive(buffer + 1, bytes + 1u) == 0u || xor_of(buffer, bytes + 2u) != 0u) {
        return 0u;
    }
    return program(address, bytes);
}

static uint32_t is_blank(uint32_t address, uint32_t bytes)
{
    for (uint32_t i = 0u; i < bytes; i += 4u) {
        if (memory_read(address + i) != 0xffffffffu) {
            return 0u;
        }
    }
    return 1u;
}

/* Finds sector number `sector`. Returns 0 where there is none, or where the loader lies in it. */
static uint32_t find_sector(uint32_t sector, uint32_t *address, uint32_t *bytes)
{
    static const struct {
        uint32_t count;
        uint32_t bytes;
    } runs[] = LOADER_SECTORS;
    uint32_t at = LOADER_FLASH_ORIGIN;

    for (uint32_t i = 0u; i < sizeof runs / sizeof runs[0]; i++) {
        if (sector < runs[i].count) {
            *address = at + sector * runs[i].bytes;
            *bytes = runs[i].bytes;
            return *address >= LOADER_APP_ORIGIN ? 1u : 0u;
        }
        sector -= runs[i].count;
        at += runs[i].count * runs[i].bytes;
    }
    return 0u;
}

static uint32_t erase_sector(uint32_t sector)
{
    uint32_t address;
    uint32_t bytes;

    if (find_sector(sector, &address, &bytes) == 0u) {
        return 0u;
    }
    if (is_blank(address, bytes) != 0u) {
        return 1u;
    }
    return flash_erase(sector, address, bytes) != 0u ? is_blank(address, bytes) : 0u;
}

/* Erases all behind the loader, from the sector on that holds the seal. */
static uint32_t erase_all(void)
{
    uint32_t good = 1u;
    for (uint32_t sector = 0u; sector < LOADER_SECTOR_COUNT; sector++) {
        uint32_t address;
        uint32_t bytes;
        if (find_sector(sector, &address, &bytes) != 0u) {
            good &= erase_sector(sector);
        }
    }
    return good;
}

static uint32_t extended_erase(void)
{
    uint32_t address;
    uint32_t bytes;

    line_write(ACK);
    if (receive(buffer, 2u) == 0u) {
        return 0u;
    }
    const uint32_t last = (uint32_t)buffer[0] << 8 | buffer[1];
    if (last == ERASE_ALL) {
        return receive(buffer + 2, 1u) != 0u && xor_of(buffer, 3u) == 0u ? erase_all() : 0u;
    }
    if (last >= MOST_SECTORS) {
        return 0u;
    }
    const uint32_t list = 2u * (last + 1u);
    if (receive(buffer + 2, list + 1u) == 0u || xor_of(buffer, list + 3u) != 0u) {
        return 0u;
    }
    for (uint32_t i = 2u; i < list + 2u; i += 2u) {
        if (find_sector((uint32_t)buffer[i] << 8 | buffer[i + 1u], &address, &bytes) == 0u) {
            return 0u; /* nothing is erased unless everything may be */
        }
    }
    for (uint32_t i = 2u; i < list + 2u; i += 2u) {
        if (erase_sector((uint32_t)buffer[i] << 8 | buffer[i + 1u]) == 0u) {
            return 0u;
        }
    }
    return 1u;
}

static uint32_t checksum(void)
{
    uint32_t address;
    uint32_t words;
    uint32_t polynomial;
    uint32_t crc;

    line_write(ACK);
    if (receive_address(&address) == 0u || (address & 3u) != 0u) {
        return 0u;
    }
    line_write(ACK);
    if (receive_word(&words) == 0u || words > (LOADER_FLASH_END - address) / 4u) {
        return 0u;
    }
    line_write(ACK);
    if (receive_word(&polynomial) == 0u || polynomial != CRC_POLYNOMIAL) {
        return 0u;
    }
    line_write(ACK);
    if (receive_word(&crc) == 0u) {
        return 0u;
    }
    crc = image_crc(crc, address, words);
    line_write(ACK);
    send_word(crc);
    return 1u;
}

/* Where the application is to be started: only a whole one and at its beginning; 0 if not. */
static uint32_t go(void)
{
    uint32_t address;

    line_write(ACK);
    if (receive_address(&address) == 0u ||
        (address != LOADER_APP_ORIGIN && address != LOADER_SECOND_ORIGIN)) {
        return 0u;
    }
    return image_is_valid(address) != 0u ? address : 0u;
}

void commands_greet(void)
{
    line_write(ACK);
}

/* Serves one command; returns where the application begins that is to be started, or 0. */
static uint32_t serve_one(uint8_t command)
{
    switch (command) {
    case COMMAND_GET:
        get();
        return 0u;
    case COMMAND_GET_VERSION:
        get_version();
        return 0u;
    case COMMAND_GET_ID:
        get_id();
        return 0u;
    case COMMAND_READ:
        if (read_memory() == 0u) {
            refuse();
        }
        return 0u;
    case COMMAND_CHECKSUM:
        if (checksum() == 0u) {
            refuse();
        }
        return 0u;
    case COMMAND_WRITE:
        answer(write_memory());
        return 0u;
    case COMMAND_EXTENDED_ERASE:
        answer(extended_erase());
        return 0u;
    case COMMAND_GO: {
        const uint32_t origin = go();
        answer(origin);
        return origin;
    }
    default:
        refuse();
        return 0u;
    }
}

uint32_t commands_serve(uint32_t patience_ms)
{
    for (;;) {
        uint32_t origin = 0u;
        uint8_t part[2];
        if (line_read(&part[0], patience_ms) == 0u) {
            origin = image_find();
            if (origin != 0u) {
                return origin;
            }
            continue;
        }
        if (part[0] == COMMANDS_KNOCK) {
            commands_greet();
        } else if (receive(part + 1, 1u) == 0u || (part[0] ^ part[1]) != 0xff) {
            refuse();
        } else {
            origin = serve_one(part[0]);
            if (origin != 0u) {
                return origin;
            }
        }
    }
}
