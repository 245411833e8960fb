/* The UART of Arm's Cortex-M System Design Kit, found in the MPS2 and MPS3 FPGA images.
 * Registers: Arm DDI 0479, "APB UART". */
#include "port.h"

#include "board_config.h"
#include "registers.h"

#define UART_DATA REGISTER(PORT_UART_BASE + 0x00u)
#define UART_STATE REGISTER(PORT_UART_BASE + 0x04u)
#define UART_CTRL REGISTER(PORT_UART_BASE + 0x08u)
#define UART_BAUDDIV REGISTER(PORT_UART_BASE + 0x10u)

#define STATE_TX_FULL (1u << 0)
#define STATE_RX_FULL (1u << 1)
#define CTRL_TX_ENABLE (1u << 0)
#define CTRL_RX_ENABLE (1u << 1)

static uint32_t divisor(uint32_t baud)
{
    return (PORT_UART_CLOCK_HZ + baud / 2u) / baud;
}

void port_init(void)
{
    UART_BAUDDIV = divisor(PORT_BAUD);
    UART_CTRL = CTRL_TX_ENABLE | CTRL_RX_ENABLE;
}

uint32_t port_try_read(uint8_t *byte)
{
    if ((UART_STATE & STATE_RX_FULL) == 0u) {
        return 0u;
    }
    *byte = (uint8_t)UART_DATA;
    return 1u;
}

void port_write_byte(uint8_t byte)
{
    while ((UART_STATE & STATE_TX_FULL) != 0u) {
    }
    UART_DATA = byte;
}

void port_set_baud(uint32_t baud)
{
    while ((UART_STATE & STATE_TX_FULL) != 0u) {
    }
    /* The shift register has no flag: ten bits take this many clocks, and so many rounds at least. */
    for (uint32_t clocks = 10u * UART_BAUDDIV; clocks != 0u; clocks--) {
        __asm__ volatile("");
    }
    UART_BAUDDIV = divisor(baud);
}
