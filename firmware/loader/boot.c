#include "boot.h"

#include "button.h"
#include "commands.h"
#include "flash.h"
#include "image.h"
#include "line.h"

#define KNOCK_WINDOW_MS 100u
#define PATIENCE_MS 5000u
#define HELD_MS 20u /* the capacitor beside a button charges in less, and a contact bounces less */

/* Reads for `limit_ms`; returns 1 as soon as a host knocks. */
static uint32_t is_knocked(uint32_t limit_ms)
{
    uint8_t byte;

    while (line_read_within(&byte, &limit_ms) != 0u) {
        if (byte == COMMANDS_KNOCK) {
            commands_greet();
            return 1u;
        }
    }
    return 0u;
}

uint32_t boot(uint32_t is_called)
{
    line_open();
    flash_prepare();
    button_prepare();
    const uint32_t origin = image_find();
    if (is_called != 0u || origin == 0u) {
        return commands_serve(LINE_FOREVER);
    }
    if (button_is_pressed() != 0u) {
        if (is_knocked(HELD_MS) != 0u) {
            return commands_serve(PATIENCE_MS);
        }
        if (button_is_pressed() != 0u) {
            return commands_serve(LINE_FOREVER);
        }
    }
    return is_knocked(KNOCK_WINDOW_MS) != 0u ? commands_serve(PATIENCE_MS) : origin;
}
