/* What all STM32 UART ports share: clock enables from the board's list, and the pins. */
#ifndef EDGECOMP_STM32_H
#define EDGECOMP_STM32_H

#include "board_config.h"
#include "registers.h"

#if defined(PORT_STM32F1)
/* The F1 has no alternate function numbers: `function` is CNF and MODE (RM0041, 7.2.1). */
static inline void stm32_connect_pin(uint32_t gpio, uint32_t pin, uint32_t function)
{
    register_set_field(gpio + (pin / 8u) * 4u, (pin % 8u) * 4u, 4u, function);
}
#else
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
#endif

/* Switches on the clocks of the UART and of its GPIO block, then connects both pins. */
static inline void stm32_prepare_uart(void)
{
    static const struct register_bits enables[] = PORT_ENABLES;

    registers_set(enables, sizeof enables / sizeof enables[0]);
    stm32_connect_pin(PORT_TX_GPIO, PORT_TX_PIN, PORT_TX_FUNCTION);
    stm32_connect_pin(PORT_RX_GPIO, PORT_RX_PIN, PORT_RX_FUNCTION);
}

#endif
