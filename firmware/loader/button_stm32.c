/* A pin of an STM32. Registers: RM0090, section 8.4; the same in the F7 (RM0385, 6.4), the L4
 * (RM0351, 8.5) and the G0 (RM0444, 7.4), of which the last two begin with analog pins. */
#include "button.h"

#include "loader_config.h"
#include "memory.h"
#include "registers.h"

#define GPIO_MODER 0x00u
#define GPIO_PUPDR 0x0cu
#define GPIO_IDR 0x10u

#define MODE_INPUT 0u
#define PULL_UP 1u
#define PULL_DOWN 2u

/* Replaces the two bits of the pin. */
static void set_pair(uint32_t address, uint32_t value)
{
    const uint32_t low = LOADER_BUTTON_PIN * 2u;
    memory_write(address, (memory_read(address) & ~(3u << low)) | value << low);
}

void button_prepare(void)
{
    static const struct register_bits enables[] = LOADER_BUTTON_ENABLES;

    for (uint32_t i = 0u; i < sizeof enables / sizeof enables[0]; i++) {
        memory_write(enables[i].address, memory_read(enables[i].address) | enables[i].mask);
        (void)memory_read(enables[i].address); /* a clock runs two cycles after the write */
    }
    set_pair(LOADER_BUTTON_GPIO + GPIO_PUPDR, LOADER_BUTTON_LEVEL != 0u ? PULL_DOWN : PULL_UP);
    set_pair(LOADER_BUTTON_GPIO + GPIO_MODER, MODE_INPUT);
}

uint32_t button_is_pressed(void)
{
    const uint32_t levels = memory_read(LOADER_BUTTON_GPIO + GPIO_IDR);
    return (levels >> LOADER_BUTTON_PIN & 1u) == LOADER_BUTTON_LEVEL ? 1u : 0u;
}
