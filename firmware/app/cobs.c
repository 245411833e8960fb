/* Consistent Overhead Byte Stuffing over the port; see cobs.h. */
#include "cobs.h"

#include "port.h"

#define LONGEST_GROUP 254u

static void append(struct cobs_reader *reader, uint8_t *buffer, uint32_t room, uint8_t byte)
{
    if (reader->length < room) {
        buffer[reader->length] = byte;
        reader->length++;
    } else {
        reader->is_long = 1u;
    }
}

void cobs_take(struct cobs_reader *reader, uint8_t *buffer, uint32_t room, uint8_t byte)
{
    if (reader->left != 0u) {
        append(reader, buffer, room, byte);
        reader->left--;
        return;
    }
    /* A group shorter than the longest stands for a zero behind it, unless it is the last. */
    if (reader->code != 0u && reader->code <= LONGEST_GROUP) {
        append(reader, buffer, room, 0u);
    }
    reader->code = byte;
    reader->left = (uint32_t)byte - 1u;
}

uint32_t cobs_is_whole(const struct cobs_reader *reader)
{
    return reader->code != 0u && reader->left == 0u && reader->is_long == 0u;
}

void cobs_send(const uint8_t *data, uint32_t length)
{
    uint32_t at = 0u;
    port_write_byte(0u);
    for (;;) {
        uint32_t run = 0u;
        while (at + run < length && run < LONGEST_GROUP && data[at + run] != 0u) {
            run++;
        }
        port_write_byte((uint8_t)(run + 1u));
        for (uint32_t i = 0u; i < run; i++) {
            port_write_byte(data[at + i]);
        }
        at += run;
        if (at == length) {
            break;
        }
        at += run < LONGEST_GROUP ? 1u : 0u; /* the zero that ended the group */
    }
    port_write_byte(0u);
}
