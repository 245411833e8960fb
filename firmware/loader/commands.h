/* The commands of ST's application note AN3155, as far as they make sense here. */
#ifndef EDGECOMP_LOADER_COMMANDS_H
#define EDGECOMP_LOADER_COMMANDS_H

#include <stdint.h>

#define COMMANDS_KNOCK 0x7fu /* the byte that opens a session */

/* Acknowledges a knock. */
void commands_greet(void);

/* Serves a host until it starts an application; returns where that begins. Where an application is
 * whole and the host is silent for `patience_ms`, returns that one. */
uint32_t commands_serve(uint32_t patience_ms);

#endif
