/* The SCI of Renesas RA8, clocked by the 8 MHz oscillator that reset selects. Registers: RA8M1
 * Group User's Manual: Hardware, chapters "SCI", "I/O Ports" and "Low Power Modes". */
#include "port.h"

#include "board_config.h"
#include "registers.h"

#define SCI_RDR REGISTER(PORT_UART_BASE + 0x00u)
#define SCI_TDR REGISTER(PORT_UART_BASE + 0x04u)
#define SCI_CCR0 REGISTER(PORT_UART_BASE + 0x08u)
#define SCI_CCR1 REGISTER(PORT_UART_BASE + 0x0cu)
#define SCI_CCR2 REGISTER(PORT_UART_BASE + 0x10u)
#define SCI_CCR3 REGISTER(PORT_UART_BASE + 0x14u)
#define SCI_CSR REGISTER(PORT_UART_BASE + 0x48u)
#define SCI_CFCLR REGISTER(PORT_UART_BASE + 0x68u)

#define CCR0_RX_ENABLE (1u << 0)
#define CCR0_TX_ENABLE (1u << 4)
#define CCR2_8_CLOCKS_PER_BIT ((1u << 4) | (1u << 5)) /* BGDM and ABCS */
#define CCR2_MODULATION (1u << 16)
#define CCR3_8_BITS_LSB_FIRST 0x1203u /* as after reset: asynchronous, one stop bit */
#define CSR_OVERRUN (1u << 24)
#define CSR_TX_EMPTY (1u << 29)
#define CSR_TX_END (1u << 30)
#define CSR_RX_FULL (1u << 31)
#define CFCLR_ALL 0x9d070010u

#define MSTPCRB REGISTER(0x40203004u)
#define MSTPCRB_SCI0 31u /* bit number; the others count down from here */
#define PWPRS REGISTER8(0x40400d14u)
#define PWPRS_PFS_WRITABLE (1u << 6)
#define PFS_PERIPHERAL (1u << 16)
#define PFS_FUNCTION(function) ((function) << 24)

/* The rate is the clock by 8 by N + 1, times MDDR / 256 where modulation is on. */
static void set_divisor(uint32_t baud)
{
    const uint32_t whole = PORT_UART_CLOCK_HZ / (8u * baud);
    const uint32_t count = whole == 0u ? 1u : whole;
    const uint32_t part =
        (256u * 8u * count * baud + PORT_UART_CLOCK_HZ / 2u) / PORT_UART_CLOCK_HZ;
    const uint32_t modulation = part < 256u ? (part << 24) | CCR2_MODULATION : 255u << 24;
    SCI_CCR2 = modulation | ((count - 1u) << 8) | CCR2_8_CLOCKS_PER_BIT;
}

void port_init(void)
{
    MSTPCRB &= ~(1u << (MSTPCRB_SCI0 - PORT_SCI));
    (void)MSTPCRB;
    PWPRS = 0u;
    PWPRS = PWPRS_PFS_WRITABLE;
    REGISTER(PORT_TX_GPIO + 4u * PORT_TX_PIN) = PFS_FUNCTION(PORT_TX_FUNCTION);
    REGISTER(PORT_RX_GPIO + 4u * PORT_RX_PIN) = PFS_FUNCTION(PORT_RX_FUNCTION);
    REGISTER(PORT_TX_GPIO + 4u * PORT_TX_PIN) |= PFS_PERIPHERAL;
    REGISTER(PORT_RX_GPIO + 4u * PORT_RX_PIN) |= PFS_PERIPHERAL;
    SCI_CCR0 = 0u;
    SCI_CCR1 = 0u;
    SCI_CCR3 = CCR3_8_BITS_LSB_FIRST;
    set_divisor(PORT_BAUD);
    SCI_CFCLR = CFCLR_ALL;
    SCI_CCR0 = CCR0_TX_ENABLE | CCR0_RX_ENABLE;
}

uint32_t port_try_read(uint8_t *byte)
{
    const uint32_t status = SCI_CSR;
    if ((status & CSR_OVERRUN) != 0u) {
        SCI_CFCLR = CSR_OVERRUN; /* stops reception until it is cleared */
    }
    if ((status & CSR_RX_FULL) == 0u) {
        return 0u;
    }
    *byte = (uint8_t)SCI_RDR;
    return 1u;
}

void port_write_byte(uint8_t byte)
{
    while ((SCI_CSR & CSR_TX_EMPTY) == 0u) {
    }
    SCI_TDR = byte;
}

void port_set_baud(uint32_t baud)
{
    while ((SCI_CSR & CSR_TX_END) == 0u) {
    }
    SCI_CCR0 = 0u;
    set_divisor(baud);
    SCI_CCR0 = CCR0_TX_ENABLE | CCR0_RX_ENABLE;
}
