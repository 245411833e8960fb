/* The three functions that a new family of microcontrollers has to provide.
 *
 * A port drives one UART, 8 data bits, no parity, one stop bit, by polling, with the clocks that
 * reset leaves. Addresses and divisors come from board_config.h, which is generated. */
#ifndef EDGECOMP_PORT_H
#define EDGECOMP_PORT_H

#include <stdint.h>

/* Makes the UART ready; called once, before the other two. */
void port_init(void);

/* Waits for a byte and returns it. */
uint8_t port_read_byte(void);

/* Waits until the UART can take a byte and gives it `byte`. */
void port_write_byte(uint8_t byte);

#endif
