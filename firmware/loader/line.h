/* The serial line, with time limits. */
#ifndef EDGECOMP_LOADER_LINE_H
#define EDGECOMP_LOADER_LINE_H

#include <stdint.h>

#define LINE_FOREVER 0xffffffffu

/* Opens the line and starts the clock. */
void line_open(void);

/* Returns 1 and the next byte, or 0 where none came within `limit_ms`. */
uint32_t line_read(uint8_t *byte, uint32_t limit_ms);

/* The same for several bytes that share a limit: takes from `left_ms` what it waits. */
uint32_t line_read_within(uint8_t *byte, uint32_t *left_ms);

/* Sends a byte. */
void line_write(uint8_t byte);

/* Waits until everything has been sent and stops the clock. */
void line_close(void);

#endif
