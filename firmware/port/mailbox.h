/* How an application calls the loader: two words at the end of its RAM that survive a reset.
 *
 * The application needs to reserve nothing: it writes them as the last thing before the reset. */
#ifndef EDGECOMP_MAILBOX_H
#define EDGECOMP_MAILBOX_H

#include <stdint.h>

#include "registers.h"

#define MAILBOX_CALL 0x4c4f4144u /* "LOAD" */

/* Asks for the loader after the next reset; `address` is BOARD_MAILBOX of board_config.h. */
static inline void mailbox_call(uint32_t address)
{
    REGISTER(address) = MAILBOX_CALL;
    REGISTER(address + 4u) = ~MAILBOX_CALL;
}

/* Returns whether the loader was asked for, and forgets it. */
static inline uint32_t mailbox_take(uint32_t address)
{
    const uint32_t called =
        REGISTER(address) == MAILBOX_CALL && REGISTER(address + 4u) == ~MAILBOX_CALL ? 1u : 0u;

    REGISTER(address) = 0u;
    REGISTER(address + 4u) = 0u;
    return called;
}

#endif
