/* What the harness of the check image needs from the place where it runs: a byte stream each way
 * and two probes. The files io_*.c and probe_*.c provide it. */
#ifndef EDGECOMP_PLATFORM_H
#define EDGECOMP_PLATFORM_H

#include <stdint.h>

#include "attributes.h"

/* How a run can end; the exit code of the process where there is one. 90 and up are faults. */
enum {
    STATUS_DONE = 0,
    STATUS_BAD_REQUEST = 64,
    STATUS_WRONG_BUILD = 65,
    STATUS_RUN_FAILED = 66,
    STATUS_IO_FAILED = 67
};

/* Opens both streams. */
void io_open(void);

/* Reads exactly `bytes` bytes, or ends the run with STATUS_IO_FAILED. */
void io_read(void *to, uint32_t bytes);

/* Writes exactly `bytes` bytes, or ends the run with STATUS_IO_FAILED. */
void io_write(const void *from, uint32_t bytes);

/* Closes the streams and ends the run. */
APP_NORETURN void io_finish(int status);

/* Fills the unused part of the stack, so that stack_high_water can see what was used later. */
void stack_paint(void);

/* The bytes of stack used since stack_paint, from the top; 0 where it is not measured. */
uint32_t stack_high_water(void);

/* The bytes of stack that there are; 0 where it is not known. */
uint32_t stack_bytes(void);

enum { COUNTER_NONE = 0, COUNTER_DWT = 1, COUNTER_SYSTICK = 2 };

/* The best cycle counter that works here. */
uint32_t counter_kind(void);

#endif
