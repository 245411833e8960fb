/* What RP2040 and RP2350 share: the crystal as the clock of everything, and the pins.
 * Registers: RP2040 datasheet, 2.15.7 (clocks), 2.16.7 (XOSC), 2.14.3 (resets) and 2.19.6 (pins);
 * RP2350 datasheet, 8.1.7, 8.2.8, 7.5.3 and 9.11. Offsets are alike, base addresses are not. */
#ifndef EDGECOMP_RP2_H
#define EDGECOMP_RP2_H

#include "board_config.h"
#include "registers.h"

#define CLK_REF_CTRL 0x30u
#define CLK_REF_SELECTED 0x38u
#define CLK_SYS_CTRL 0x3cu
#define CLK_SYS_SELECTED 0x44u
#define CLK_PERI_CTRL 0x48u
#define CLK_REF_FROM_XOSC 2u
#define CLK_SYS_FROM_REF 0u
#define CLK_PERI_FROM_XOSC (4u << 5)
#define CLK_PERI_ENABLE (1u << 11)

#define XOSC_CTRL 0x00u
#define XOSC_STATUS 0x04u
#define XOSC_STARTUP 0x0cu
#define XOSC_1_TO_15_MHZ 0xaa0u
#define XOSC_ENABLE (0xfabu << 12)
#define XOSC_STABLE (1u << 31)
#define XOSC_1_MS 47u /* in units of 256 periods of 12 MHz */

#define RESETS_RESET 0x0u
#define RESETS_DONE 0x8u

#define PAD_INPUT_ENABLE (1u << 6)
#define PAD_OUTPUT_DISABLE (1u << 7)
#define PAD_ISOLATION (1u << 8) /* RP2350 only, and set after reset */

/* Runs the processor and the UART from the 12 MHz crystal: the ring oscillator that the boot ROM
 * leaves on differs by a factor of two between chips. */
static inline void rp2_use_crystal(uint32_t clocks, uint32_t xosc)
{
    REGISTER(xosc + XOSC_STARTUP) = XOSC_1_MS;
    REGISTER(xosc + XOSC_CTRL) = XOSC_ENABLE | XOSC_1_TO_15_MHZ;
    while ((REGISTER(xosc + XOSC_STATUS) & XOSC_STABLE) == 0u) {
    }
    REGISTER(clocks + CLK_REF_CTRL) = CLK_REF_FROM_XOSC;
    while ((REGISTER(clocks + CLK_REF_SELECTED) & (1u << CLK_REF_FROM_XOSC)) == 0u) {
    }
    REGISTER(clocks + CLK_SYS_CTRL) &= ~1u; /* CLK_SYS_FROM_REF */
    while ((REGISTER(clocks + CLK_SYS_SELECTED) & (1u << CLK_SYS_FROM_REF)) == 0u) {
    }
    REGISTER(clocks + CLK_PERI_CTRL) = CLK_PERI_FROM_XOSC | CLK_PERI_ENABLE;
}

/* Takes the blocks of `mask` out of reset. */
static inline void rp2_release(uint32_t resets, uint32_t mask)
{
    REGISTER(resets + RESETS_RESET) &= ~mask;
    while ((REGISTER(resets + RESETS_DONE) & mask) != mask) {
    }
}

/* Connects a pin: `gpio` is IO_BANK0, `pads` PADS_BANK0. */
static inline void rp2_connect_pin(uint32_t gpio, uint32_t pads, uint32_t pin, uint32_t function)
{
    const uint32_t pad = pads + 4u + 4u * pin;
    REGISTER(pad) = (REGISTER(pad) | PAD_INPUT_ENABLE) & ~PAD_OUTPUT_DISABLE;
    REGISTER(gpio + 4u + 8u * pin) = function;
    REGISTER(pad) &= ~PAD_ISOLATION;
}

#endif
