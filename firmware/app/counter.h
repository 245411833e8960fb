/* The clock of the firmware image: ticks of the processor's own counter. */
#ifndef EDGECOMP_COUNTER_H
#define EDGECOMP_COUNTER_H

#include <stdint.h>

/* Starts the counter and returns its kind, as COUNTER_* of platform.h. */
uint32_t counter_start(void);

/* Ticks so far, modulo 2^32. Without a counter it advances with every call. */
uint32_t counter_now(void);

/* Ticks in a second; rough where there is no counter. */
uint32_t counter_hz(void);

#endif
