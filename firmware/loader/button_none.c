/* No button is known on this board. */
#include "button.h"

void button_prepare(void)
{
}

uint32_t button_is_pressed(void)
{
    return 0u;
}
