/* The board that is a process of this host. */
#ifndef EDGECOMP_BOARD_CONFIG_H
#define EDGECOMP_BOARD_CONFIG_H

#define BOARD_CLOCK_HZ 1000000u
#define PORT_UART_CLOCK_HZ 16000000u
#define PORT_BAUD 115200u

#endif
