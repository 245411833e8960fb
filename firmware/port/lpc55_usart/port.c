/* A Flexcomm of the LPC55 as a USART, clocked by the 12 MHz oscillator. Registers: UM11126,
 * 4.5 (SYSCON), 15.4 (IOCON), 33.7 (Flexcomm) and 34.6 (USART). */
#include "port.h"

#include "board_config.h"
#include "registers.h"

#define FRO_12_MHZ 2u
#define SYSCON_PRESETCTRLCLR1 REGISTER(0x40000144u)
#define SYSCON_AHBCLKCTRLSET0 REGISTER(0x40000220u)
#define SYSCON_AHBCLKCTRLSET1 REGISTER(0x40000224u)
#define SYSCON_FCCLKSEL(n) REGISTER(0x400002b0u + 4u * (n))
#define CLOCK_IOCON (1u << 13)
#define CLOCK_FLEXCOMM0 11u /* bit number; the others follow */

#define FLEXCOMM_PSELID REGISTER(PORT_UART_BASE + 0xff8u)
#define FLEXCOMM_USART 1u

#define USART_CFG REGISTER(PORT_UART_BASE + 0x000u)
#define USART_STAT REGISTER(PORT_UART_BASE + 0x008u)
#define USART_BRG REGISTER(PORT_UART_BASE + 0x020u)
#define USART_OSR REGISTER(PORT_UART_BASE + 0x028u)
#define USART_FIFOCFG REGISTER(PORT_UART_BASE + 0xe00u)
#define USART_FIFOSTAT REGISTER(PORT_UART_BASE + 0xe04u)
#define USART_FIFOWR REGISTER(PORT_UART_BASE + 0xe20u)
#define USART_FIFORD REGISTER(PORT_UART_BASE + 0xe30u)

#define CFG_ENABLE (1u << 0)
#define CFG_8_BITS (1u << 2)
#define STAT_TX_IDLE (1u << 3)
#define FIFOCFG_ENABLE_BOTH 3u
#define FIFOCFG_EMPTY_BOTH (3u << 16)
#define FIFOSTAT_RX_ERROR (1u << 1)
#define FIFOSTAT_TX_EMPTY (1u << 4)
#define FIFOSTAT_TX_NOT_FULL (1u << 5)
#define FIFOSTAT_RX_NOT_EMPTY (1u << 6)

#define OVERSAMPLING_LEAST 5u
#define OVERSAMPLING_MOST 16u
#define IOCON_DIGITAL (1u << 8)

/* The rate is the clock by OSR + 1 samples per bit by BRG + 1: the pair that comes nearest. */
static void set_divisor(uint32_t baud)
{
    uint32_t least_error = 0xffffffffu;
    for (uint32_t samples = OVERSAMPLING_MOST; samples >= OVERSAMPLING_LEAST; samples--) {
        const uint32_t step = samples * baud;
        const uint32_t count = (PORT_UART_CLOCK_HZ + step / 2u) / step;
        const uint32_t made = count * step;
        const uint32_t error =
            made > PORT_UART_CLOCK_HZ ? made - PORT_UART_CLOCK_HZ : PORT_UART_CLOCK_HZ - made;
        if (count != 0u && error < least_error) {
            least_error = error;
            USART_OSR = samples - 1u;
            USART_BRG = count - 1u;
        }
    }
}

void port_init(void)
{
    SYSCON_AHBCLKCTRLSET0 = CLOCK_IOCON;
    SYSCON_AHBCLKCTRLSET1 = 1u << (CLOCK_FLEXCOMM0 + PORT_FLEXCOMM);
    SYSCON_PRESETCTRLCLR1 = 1u << (CLOCK_FLEXCOMM0 + PORT_FLEXCOMM);
    SYSCON_FCCLKSEL(PORT_FLEXCOMM) = FRO_12_MHZ;
    REGISTER(PORT_TX_GPIO + 4u * PORT_TX_PIN) = PORT_TX_FUNCTION | IOCON_DIGITAL;
    REGISTER(PORT_RX_GPIO + 4u * PORT_RX_PIN) = PORT_RX_FUNCTION | IOCON_DIGITAL;
    FLEXCOMM_PSELID = FLEXCOMM_USART;
    USART_CFG = CFG_8_BITS;
    set_divisor(PORT_BAUD);
    USART_FIFOCFG = FIFOCFG_ENABLE_BOTH | FIFOCFG_EMPTY_BOTH;
    USART_CFG = CFG_8_BITS | CFG_ENABLE;
}

uint32_t port_try_read(uint8_t *byte)
{
    if ((USART_FIFOSTAT & FIFOSTAT_RX_NOT_EMPTY) == 0u) {
        return 0u;
    }
    *byte = (uint8_t)USART_FIFORD;
    USART_FIFOSTAT = FIFOSTAT_RX_ERROR; /* cleared by a one */
    return 1u;
}

void port_write_byte(uint8_t byte)
{
    while ((USART_FIFOSTAT & FIFOSTAT_TX_NOT_FULL) == 0u) {
    }
    USART_FIFOWR = byte;
}

void port_set_baud(uint32_t baud)
{
    while ((USART_FIFOSTAT & FIFOSTAT_TX_EMPTY) == 0u || (USART_STAT & STAT_TX_IDLE) == 0u) {
    }
    USART_CFG = CFG_8_BITS;
    set_divisor(baud);
    USART_CFG = CFG_8_BITS | CFG_ENABLE;
}
