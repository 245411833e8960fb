/* Any bytes at all arrive: nothing may be read or written out of place, and every answer is a
 * whole frame of the protocol. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "cobs.h"
#include "counter.h"
#include "crc32.h"
#include "fault.h"
#include "platform.h"
#include "port.h"
#include "protocol.h"
#include "slow.h"

enum { ROOM = 252 };

uint32_t fault_record[FAULT_WORDS];

static uint8_t answer[ROOM];
static struct cobs_reader reader;
static uint32_t now;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int condition)
{
    if (!condition) {
        abort();
    }
}

void port_write_byte(uint8_t byte)
{
    static const struct cobs_reader fresh;
    if (byte != 0u) {
        cobs_take(&reader, answer, sizeof answer, byte);
        return;
    }
    if (reader.code != 0u) {
        require(cobs_is_whole(&reader) != 0u && reader.length >= 8u);
        const uint8_t *crc = answer + reader.length - 4u;
        require(crc32(answer, reader.length - 4u) == ((uint32_t)crc[0] | (uint32_t)crc[1] << 8 |
                                                      (uint32_t)crc[2] << 16 | (uint32_t)crc[3] << 24));
    }
    reader = fresh;
}

uint32_t port_try_read(uint8_t *byte)
{
    (void)byte;
    return 0u;
}

void port_set_baud(uint32_t baud)
{
    require(baud >= 1200u);
}

void port_reset(void)
{
}

uint32_t counter_start(void)
{
    return COUNTER_SYSTICK;
}

uint32_t counter_now(void)
{
    now += 50000u; /* time flies, so that keepalives and fallbacks happen */
    return now;
}

uint32_t counter_hz(void)
{
    return 1000000u;
}

void be_slow(void)
{
}

/* The first byte says how the rest is given: 0 as it is; else as the bodies of frames, each with a
 * length byte before it, to which the CRC and the encoding are added here. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int is_started;
    if (!is_started) {
        protocol_start();
        is_started = 1;
    }
    if (size == 0u) {
        return 0;
    }
    if (data[0] == 0u) {
        for (size_t i = 1u; i < size; i++) {
            protocol_receive(data[i]);
        }
        protocol_receive(0u);
        protocol_idle();
        return 0;
    }
    for (size_t at = 1u; at < size;) {
        uint8_t body[256];
        size_t length = data[at++];
        length = length > 248u ? 248u : length;
        length = length > size - at ? size - at : length;
        for (size_t i = 0u; i < length; i++) {
            body[i] = data[at + i];
        }
        at += length;
        const uint32_t crc = crc32(body, (uint32_t)length);
        for (size_t i = 0u; i < 4u; i++) {
            body[length + i] = (uint8_t)(crc >> (8u * i));
        }
        length += 4u;
        protocol_receive(0u);
        for (size_t start = 0u;;) {
            size_t run = 0u;
            while (start + run < length && run < 254u && body[start + run] != 0u) {
                run++;
            }
            protocol_receive((uint8_t)(run + 1u));
            for (size_t i = 0u; i < run; i++) {
                protocol_receive(body[start + i]);
            }
            start += run;
            if (start == length) {
                break;
            }
            start += run < 254u;
        }
        protocol_receive(0u);
        protocol_idle();
    }
    return 0;
}
