/* Looks again at once. */
#include "idle.h"

void idle_prepare(void)
{
}

void idle_wait(void)
{
}

void idle_end(void)
{
}
