/* What all STM32 UART ports share: clock enables from the board's list, and the pins. */
#ifndef EDGECOMP_STM32_H
#define EDGECOMP_STM32_H

#include "board_config.h"
#include "registers.h"

/* GPIO registers: the same in every family since the F2 (for example RM0090, section 8.4). */
#define GPIO_MODER 0x00u
#define GPIO_AFRL 0x20u
#define GPIO_MODE_ALTERNATE 2u

/* Gives pin `pin` of the GPIO block at `gpio` its alternate function `function`. */
static inline void stm32_connect_pin(uint32_t gpio, uint32_t pin, uint32_t function)
{
    register_set_field(gpio + GPIO_AFRL + (pin / 8u) * 4u, (pin % 8u) * 4u, 4u, function);
    register_set_field(gpio + GPIO_MODER, pin * 2u, 2u, GPIO_MODE_ALTERNATE);
}

/* Switches on the clocks of the UART and of its GPIO block, then connects both pins. */
static inline void stm32_prepare_uart(void)
{
    static const struct {
        uint32_t address;
        uint32_t mask;
    } enables[] = PORT_ENABLES;

    for (uint32_t i = 0u; i < sizeof enables / sizeof enables[0]; i++) {
        REGISTER(enables[i].address) |= enables[i].mask;
        (void)REGISTER(enables[i].address); /* the clock runs two cycles after the write */
    }
    stm32_connect_pin(PORT_TX_GPIO, PORT_TX_PIN, PORT_TX_FUNCTION);
    stm32_connect_pin(PORT_RX_GPIO, PORT_RX_PIN, PORT_RX_FUNCTION);
}

#endif
