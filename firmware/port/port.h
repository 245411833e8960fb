/* What the firmware needs of its microcontroller: one UART and a reset.
 *
 * A port drives the UART, 8 data bits, no parity, one stop bit, by polling, with the clocks that
 * reset leaves. Addresses and divisors come from board_config.h, which is generated. A family of
 * microcontrollers provides port_init, port_try_read, port_write_byte and port_set_baud;
 * port_common.c has the other two. */
#ifndef EDGECOMP_PORT_H
#define EDGECOMP_PORT_H

#include <stdint.h>

/* Makes the UART ready; called once, before all others. */
void port_init(void);

/* Returns 1 and the next byte where one has arrived, 0 otherwise. Clears an overrun, which would
 * stop reception on some families; the bytes that it cost are lost. */
uint32_t port_try_read(uint8_t *byte);

/* Waits for a byte and returns it. */
uint8_t port_read_byte(void);

/* Waits until the UART can take a byte and gives it `byte`. */
void port_write_byte(uint8_t byte);

/* Waits until every written byte has left the line, then changes the rate to `baud` bits/s. */
void port_set_baud(uint32_t baud);

/* Resets the microcontroller; does not return. Bytes still in the UART may be lost. */
void port_reset(void);

#endif
