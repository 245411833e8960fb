/* Arm's PL011 UART, which several vendors built in. Registers: Arm DDI 0183, chapter 3. */
#ifndef EDGECOMP_PL011_H
#define EDGECOMP_PL011_H

#include "board_config.h"
#include "registers.h"

#define PL011_DR REGISTER(PORT_UART_BASE + 0x00u)
#define PL011_ECR REGISTER(PORT_UART_BASE + 0x04u)
#define PL011_FR REGISTER(PORT_UART_BASE + 0x18u)
#define PL011_IBRD REGISTER(PORT_UART_BASE + 0x24u)
#define PL011_FBRD REGISTER(PORT_UART_BASE + 0x28u)
#define PL011_LCR_H REGISTER(PORT_UART_BASE + 0x2cu)
#define PL011_CR REGISTER(PORT_UART_BASE + 0x30u)

#define PL011_FR_BUSY (1u << 3)
#define PL011_FR_RX_EMPTY (1u << 4)
#define PL011_FR_TX_FULL (1u << 5)
#define PL011_LCR_H_FIFOS (1u << 4)
#define PL011_LCR_H_8_BITS (3u << 5)
#define PL011_CR_UART (1u << 0)
#define PL011_CR_TX (1u << 8)
#define PL011_CR_RX (1u << 9)

/* The divisor has 16 whole bits and 6 of fraction; writing LCR_H makes it count. */
static inline void pl011_set_divisor(uint32_t baud)
{
    const uint32_t divisor = (PORT_UART_CLOCK_HZ * 4u + baud / 2u) / baud;
    PL011_IBRD = divisor >> 6;
    PL011_FBRD = divisor & 63u;
    PL011_LCR_H = PL011_LCR_H_8_BITS | PL011_LCR_H_FIFOS;
}

/* `control` are the bits of CR that a vendor added. */
static inline void pl011_start(uint32_t control)
{
    PL011_CR = control;
    pl011_set_divisor(PORT_BAUD);
    PL011_CR = control | PL011_CR_UART | PL011_CR_TX | PL011_CR_RX;
}

static inline uint32_t pl011_try_read(uint8_t *byte)
{
    if ((PL011_FR & PL011_FR_RX_EMPTY) != 0u) {
        return 0u;
    }
    *byte = (uint8_t)PL011_DR;
    PL011_ECR = 0u; /* any write clears an overrun */
    return 1u;
}

static inline void pl011_write(uint8_t byte)
{
    while ((PL011_FR & PL011_FR_TX_FULL) != 0u) {
    }
    PL011_DR = byte;
}

static inline void pl011_set_baud(uint32_t baud)
{
    while ((PL011_FR & PL011_FR_BUSY) != 0u) {
    }
    const uint32_t control = PL011_CR;
    PL011_CR = control & ~PL011_CR_UART;
    pl011_set_divisor(baud);
    PL011_CR = control;
}

#endif
