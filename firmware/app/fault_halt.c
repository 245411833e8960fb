/* Exceptions of a shipped image: stop, using no stack, so that a debugger finds everything. */
#include "startup.h"

void Fault_Handler(void)
{
    for (;;) {
    }
}
