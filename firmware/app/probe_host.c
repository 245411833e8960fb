/* A host measures neither stack nor cycles. */
#include "platform.h"

void stack_paint(void)
{
}

uint32_t stack_high_water(void)
{
    return 0u;
}

uint32_t stack_bytes(void)
{
    return 0u;
}

uint32_t counter_kind(void)
{
    return COUNTER_NONE;
}
