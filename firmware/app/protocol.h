/* The device's side of the protocol in docs/protocol.md: a host gives inputs, has the model run
 * and takes its outputs, over a line that may lose, alter, repeat and delay bytes. */
#ifndef EDGECOMP_PROTOCOL_H
#define EDGECOMP_PROTOCOL_H

#include <stdint.h>

/* Prepares memory and clock; called once, when the port is ready. */
void protocol_start(void);

/* Takes a byte from the line; a byte that completes a request has it answered. */
void protocol_receive(uint8_t byte);

/* Called while nothing arrives: goes back to the default rate where the host cannot be heard. */
void protocol_idle(void);

#endif
