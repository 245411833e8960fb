/* The UART of Alif's Ensemble, a Synopsys 16550. Registers: Synopsys DW_apb_uart databook,
 * chapter 5; clock and pins: Alif's open device files, as the board's entry says. */
#include "port.h"

#include "board_config.h"
#include "registers.h"

#define UART_DATA REGISTER(PORT_UART_BASE + 0x00u)
#define UART_DIVISOR_LOW REGISTER(PORT_UART_BASE + 0x00u)
#define UART_DIVISOR_HIGH REGISTER(PORT_UART_BASE + 0x04u)
#define UART_FIFO REGISTER(PORT_UART_BASE + 0x08u)
#define UART_LINE_CONTROL REGISTER(PORT_UART_BASE + 0x0cu)
#define UART_LINE_STATUS REGISTER(PORT_UART_BASE + 0x14u)

#define FIFO_ENABLE_AND_CLEAR 7u
#define LINE_8_BITS 3u
#define LINE_DIVISOR (1u << 7) /* the first two registers are the divisor */
#define STATUS_RX_READY (1u << 0)
#define STATUS_TX_EMPTY (1u << 5)
#define STATUS_TX_IDLE (1u << 6)
#define PAD_READ_ENABLE (1u << 16)

static void set_divisor(uint32_t baud)
{
    const uint32_t divisor = (PORT_UART_CLOCK_HZ / 16u + baud / 2u) / baud;
    UART_LINE_CONTROL = LINE_8_BITS | LINE_DIVISOR;
    UART_DIVISOR_LOW = divisor & 255u;
    UART_DIVISOR_HIGH = divisor >> 8;
    UART_LINE_CONTROL = LINE_8_BITS;
}

void port_init(void)
{
    static const struct register_bits enables[] = PORT_ENABLES;

    registers_set(enables, sizeof enables / sizeof enables[0]);
    REGISTER(PORT_TX_GPIO + 4u * PORT_TX_PIN) = PORT_TX_FUNCTION;
    REGISTER(PORT_RX_GPIO + 4u * PORT_RX_PIN) = PORT_RX_FUNCTION | PAD_READ_ENABLE;
    set_divisor(PORT_BAUD);
    UART_FIFO = FIFO_ENABLE_AND_CLEAR;
}

uint32_t port_try_read(uint8_t *byte)
{
    if ((UART_LINE_STATUS & STATUS_RX_READY) == 0u) { /* reading it clears an overrun */
        return 0u;
    }
    *byte = (uint8_t)UART_DATA;
    return 1u;
}

void port_write_byte(uint8_t byte)
{
    while ((UART_LINE_STATUS & STATUS_TX_EMPTY) == 0u) {
    }
    UART_DATA = byte;
}

void port_set_baud(uint32_t baud)
{
    while ((UART_LINE_STATUS & STATUS_TX_IDLE) == 0u) {
    }
    set_divisor(baud);
}
