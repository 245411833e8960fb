/* The end of the firmware image: a reset, after which it tells the host of the exception. */
#include "fault.h"
#include "port.h"

void fault_end(uint32_t code)
{
    (void)code; /* it is in the record */
    for (;;) {
        port_reset();
    }
}
