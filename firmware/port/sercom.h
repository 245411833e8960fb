/* A SERCOM of Microchip's SAM D as a UART, and the pins. Registers: SAM D21 data sheet, 27.8
 * (SERCOM USART) and 23.8 (PORT); SAM D5x data sheet, 34.8 and 32.8. */
#ifndef EDGECOMP_SERCOM_H
#define EDGECOMP_SERCOM_H

#include "board_config.h"
#include "registers.h"

#define SERCOM_CTRLA REGISTER(PORT_UART_BASE + 0x00u)
#define SERCOM_CTRLB REGISTER(PORT_UART_BASE + 0x04u)
#define SERCOM_BAUD REGISTER16(PORT_UART_BASE + 0x0cu)
#define SERCOM_INTFLAG REGISTER8(PORT_UART_BASE + 0x18u)
#define SERCOM_STATUS REGISTER16(PORT_UART_BASE + 0x1au)
#define SERCOM_SYNCBUSY REGISTER(PORT_UART_BASE + 0x1cu)
#define SERCOM_DATA REGISTER16(PORT_UART_BASE + 0x28u)

#define CTRLA_RESET (1u << 0)
#define CTRLA_ENABLE (1u << 1)
#define CTRLA_INTERNAL_CLOCK (1u << 2)
#define CTRLA_TX_PAD(code) ((code) << 16)
#define CTRLA_RX_PAD(code) ((code) << 20)
#define CTRLA_LSB_FIRST (1u << 30)
#define CTRLB_TX_ENABLE (1u << 16)
#define CTRLB_RX_ENABLE (1u << 17)
#define INTFLAG_DATA_EMPTY (1u << 0)
#define INTFLAG_TX_COMPLETE (1u << 1)
#define INTFLAG_RX_COMPLETE (1u << 2)
#define STATUS_OVERFLOW (1u << 2)

#define PORT_GROUP_PMUX 0x30u
#define PORT_GROUP_PINCFG 0x40u
#define PINCFG_PERIPHERAL 1u

static inline void sercom_wait(void)
{
    while (SERCOM_SYNCBUSY != 0u) {
    }
}

/* BAUD = 65536 * (1 - 16 * baud / clock), the arithmetic mode with 16 samples per bit; the quotient
 * bit by bit, since no division of 64 bits is at hand. */
static inline void sercom_set_divisor(uint32_t baud)
{
    uint32_t quotient = 0u;
    uint32_t rest = baud;
    for (uint32_t bit = 0u; bit < 20u; bit++) { /* 16 * 65536 */
        rest *= 2u;
        quotient *= 2u;
        if (rest >= PORT_UART_CLOCK_HZ) {
            rest -= PORT_UART_CLOCK_HZ;
            quotient += 1u;
        }
    }
    SERCOM_BAUD = (uint16_t)(65536u - quotient);
}

/* Two pins share a byte of PMUX: the even one has the lower half. */
static inline void sercom_connect_pin(uint32_t group, uint32_t pin, uint32_t function)
{
    const uint32_t address = group + PORT_GROUP_PMUX + pin / 2u;
    const uint32_t shift = (pin % 2u) * 4u;
    REGISTER8(address) = (uint8_t)((REGISTER8(address) & ~(15u << shift)) | (function << shift));
    REGISTER8(group + PORT_GROUP_PINCFG + pin) = PINCFG_PERIPHERAL;
}

static inline void sercom_start(void)
{
    sercom_connect_pin(PORT_TX_GPIO, PORT_TX_PIN, PORT_TX_FUNCTION);
    sercom_connect_pin(PORT_RX_GPIO, PORT_RX_PIN, PORT_RX_FUNCTION);
    SERCOM_CTRLA = CTRLA_RESET;
    sercom_wait();
    const uint32_t mode = CTRLA_INTERNAL_CLOCK | CTRLA_LSB_FIRST |
                          CTRLA_TX_PAD(PORT_SERCOM_TXPO) | CTRLA_RX_PAD(PORT_SERCOM_RXPO);
    SERCOM_CTRLA = mode;
    SERCOM_CTRLB = CTRLB_TX_ENABLE | CTRLB_RX_ENABLE;
    sercom_wait();
    sercom_set_divisor(PORT_BAUD);
    SERCOM_CTRLA = mode | CTRLA_ENABLE;
    sercom_wait();
}

static inline uint32_t sercom_try_read(uint8_t *byte)
{
    if ((SERCOM_INTFLAG & INTFLAG_RX_COMPLETE) == 0u) {
        return 0u;
    }
    SERCOM_STATUS = STATUS_OVERFLOW; /* cleared by a one */
    *byte = (uint8_t)SERCOM_DATA;
    return 1u;
}

static inline void sercom_write(uint8_t byte)
{
    while ((SERCOM_INTFLAG & INTFLAG_DATA_EMPTY) == 0u) {
    }
    SERCOM_INTFLAG = INTFLAG_TX_COMPLETE; /* cleared by a one; set again when this byte has left */
    SERCOM_DATA = byte;
}

/* BAUD may be written only while the SERCOM is off. `written` is 0 before the first byte. */
static inline void sercom_set_baud(uint32_t baud, uint32_t written)
{
    while (written != 0u && (SERCOM_INTFLAG & INTFLAG_TX_COMPLETE) == 0u) {
    }
    SERCOM_CTRLA &= ~CTRLA_ENABLE;
    sercom_wait();
    sercom_set_divisor(baud);
    SERCOM_CTRLA |= CTRLA_ENABLE;
    sercom_wait();
}

#endif
