/* What the MLPerf Tiny commands need of the model and the board, under the names that the
 * benchmark gives to the submitter's functions. mlperf.c has the commands, mlperf_th.c these. */
#ifndef EDGECOMP_MLPERF_H
#define EDGECOMP_MLPERF_H

#include <stdint.h>

#include "app_mlperf.h"

/* The bytes that `db` commands loaded: MLPERF_INPUT_BYTES of them make a sample. Aligned, since
 * they may be floats. */
extern uint8_t mlperf_buffer[];

/* Makes console and clock ready. */
void th_serialport_initialize(void);
void th_timestamp_initialize(void);

/* Gives the model what lies in the buffer; the input then survives every inference. */
void th_load_tensor(void);

/* Performs one inference. */
void th_infer(void);

/* Prints the outputs of the last inference: one line "m-results-[...]". */
void th_results(void);

/* Prints "m-lap-us-N": microseconds since the start, modulo 2^32. */
void th_timestamp(void);

/* Waits for a character of the console and returns it. */
char th_getchar(void);

/* Prints text, without a new line. */
void th_print(const char *text);

/* Prints a number in decimal. */
void th_print_number(uint32_t number);

#endif
