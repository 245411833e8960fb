/* Consistent Overhead Byte Stuffing: frames without a zero byte, so that a zero can end them.
 * S. Cheshire and M. Baker, IEEE/ACM Transactions on Networking 7(2), 1999. */
#ifndef EDGECOMP_COBS_H
#define EDGECOMP_COBS_H

#include <stdint.h>

/* A frame that arrives byte by byte. All zero is the state before its first byte. */
struct cobs_reader {
    uint32_t length;  /* bytes decoded so far */
    uint32_t left;    /* bytes of the current group that are still to come */
    uint32_t code;    /* what began the current group; 0 before the first */
    uint32_t is_long; /* more came than there is room for */
};

/* Takes a byte that is not zero; writes what it decodes to into `buffer` of `room` bytes. */
void cobs_take(struct cobs_reader *reader, uint8_t *buffer, uint32_t room, uint8_t byte);

/* Whether the bytes taken are a whole frame. */
uint32_t cobs_is_whole(const struct cobs_reader *reader);

/* Sends `length` bytes over the port, encoded, between two zeros. */
void cobs_send(const uint8_t *data, uint32_t length);

#endif
