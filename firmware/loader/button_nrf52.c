/* A pin of the nRF52 series. Registers: nRF52840 Product Specification, section GPIO. */
#include "button.h"

#include "loader_config.h"
#include "memory.h"

#define GPIO_IN 0x510u
#define GPIO_PIN_CNF(pin) (0x700u + 4u * (pin))

#define CNF_INPUT 0u /* with its buffer connected, which after reset it is not */
#define CNF_PULL_DOWN (1u << 2)
#define CNF_PULL_UP (3u << 2)

void button_prepare(void)
{
    memory_write(LOADER_BUTTON_GPIO + GPIO_PIN_CNF(LOADER_BUTTON_PIN),
                 CNF_INPUT | (LOADER_BUTTON_LEVEL != 0u ? CNF_PULL_DOWN : CNF_PULL_UP));
}

uint32_t button_is_pressed(void)
{
    const uint32_t levels = memory_read(LOADER_BUTTON_GPIO + GPIO_IN);
    return (levels >> LOADER_BUTTON_PIN & 1u) == LOADER_BUTTON_LEVEL ? 1u : 0u;
}
