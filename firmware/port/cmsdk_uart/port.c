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

void port_init(void)
{
    UART_BAUDDIV = (PORT_UART_CLOCK_HZ + PORT_BAUD / 2u) / PORT_BAUD;
    UART_CTRL = CTRL_TX_ENABLE | CTRL_RX_ENABLE;
}

uint8_t port_read_byte(void)
{
    while ((UART_STATE & STATE_RX_FULL) == 0u) {
    }
    return (uint8_t)UART_DATA;
}

void port_write_byte(uint8_t byte)
{
    while ((UART_STATE & STATE_TX_FULL) != 0u) {
    }
    UART_DATA = byte;
}
