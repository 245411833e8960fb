/* What the loader decides after a reset, and how it reads the button's pin, as a program of the
 * host: time, line, flash and GPIO are models.
 *
 * Arguments: whether the application called, whether one is whole, from when to when the button is
 * pressed, when a host knocks (all in ms, -1 for never). Prints what the loader does, and when. */
#include <stdio.h>
#include <stdlib.h>

#include "boot.h"
#include "button.h"
#include "commands.h"
#include "flash.h"
#include "image.h"
#include "line.h"
#include "loader_config.h"
#include "memory.h"

#define APPLICATION 0x08004000u

static int now_ms, is_whole, pressed_from, pressed_until, knock_at;
static int is_open, is_prepared, is_greeted;

void line_open(void)
{
    is_open = 1;
}

uint32_t line_read_within(uint8_t *byte, uint32_t *left_ms)
{
    if (is_open == 0) {
        exit(2);
    }
    for (; *left_ms > 0u; (*left_ms)--, now_ms++) {
        if (now_ms == knock_at) {
            *byte = COMMANDS_KNOCK;
            return 1u;
        }
    }
    return 0u;
}

void flash_prepare(void)
{
    is_prepared = 1;
}

uint32_t image_find(void)
{
    return is_whole != 0 ? APPLICATION : 0u;
}

void commands_greet(void)
{
    is_greeted = 1;
}

uint32_t commands_serve(uint32_t patience_ms)
{
    if (is_prepared == 0) {
        exit(2);
    }
    printf("%s%s at %d\n", patience_ms == LINE_FOREVER ? "waits" : "serves",
           is_greeted != 0 ? ", greeted," : "", now_ms);
    exit(0);
}

#if defined(LOADER_BUTTON_GPIO)

static uint32_t clocks, modes = 0xffffffffu, pulls, pin_cnf = 2u;

static uint32_t level(uint32_t pull_up)
{
    const int is_pressed = now_ms >= pressed_from && now_ms < pressed_until;
    return is_pressed != 0 ? LOADER_BUTTON_LEVEL : pull_up;
}

#if defined(LOADER_BUTTON_ENABLES) /* an STM32, whose pins begin as analog ones */
#define PAIR(word) ((word) >> 2u * LOADER_BUTTON_PIN & 3u)
static const struct {
    uint32_t address, mask;
} enables[] = LOADER_BUTTON_ENABLES;

uint32_t memory_read(uint32_t address)
{
    switch (address - LOADER_BUTTON_GPIO) {
    case 0x00u:
        return modes;
    case 0x0cu:
        return pulls;
    case 0x10u: /* reads as pressed while it is not a clocked input with the right pull */
        if (clocks != enables[0].mask || PAIR(modes) != 0u) {
            return LOADER_BUTTON_LEVEL << LOADER_BUTTON_PIN;
        }
        return level(PAIR(pulls) == 1u ? 1u : 0u) << LOADER_BUTTON_PIN;
    default:
        if (address != enables[0].address) {
            exit(3);
        }
        return clocks;
    }
}

void memory_write(uint32_t address, uint32_t word)
{
    if (address == enables[0].address) {
        clocks = word;
    } else if (address == LOADER_BUTTON_GPIO && clocks != 0u) {
        modes = word;
    } else if (address == LOADER_BUTTON_GPIO + 0x0cu && clocks != 0u) {
        pulls = word;
    } else {
        exit(3);
    }
}

#else /* an nRF52, whose pins begin with their input buffer disconnected */

uint32_t memory_read(uint32_t address)
{
    if (address != LOADER_BUTTON_GPIO + 0x510u) {
        exit(3);
    }
    if ((pin_cnf & 3u) != 0u) {
        return LOADER_BUTTON_LEVEL << LOADER_BUTTON_PIN;
    }
    return level((pin_cnf >> 2 & 3u) == 3u ? 1u : 0u) << LOADER_BUTTON_PIN;
}

void memory_write(uint32_t address, uint32_t word)
{
    if (address != LOADER_BUTTON_GPIO + 0x700u + 4u * LOADER_BUTTON_PIN) {
        exit(3);
    }
    pin_cnf = word;
}

#endif
#endif

int main(int count, char **arguments)
{
    if (count != 6) {
        return 2;
    }
    is_whole = atoi(arguments[2]);
    pressed_from = atoi(arguments[3]);
    pressed_until = atoi(arguments[4]);
    knock_at = atoi(arguments[5]);
    const uint32_t origin = boot(atoi(arguments[1]) != 0 ? 1u : 0u);
    printf("starts %#x at %d\n", (unsigned)origin, now_ms);
    return 0;
}
