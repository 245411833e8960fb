/* The end of an emulated check image: fault.bin, and an exit code that names the exception. */
#include "fault.h"
#include "semihosting.h"

void fault_end(uint32_t code)
{
    static const char name[] = "fault.bin";
    const uint32_t file = semihosting_open(name, sizeof name - 1u, OPEN_WRITE_BINARY);
    (void)semihosting_transfer(SYS_WRITE, file, fault_record, sizeof fault_record);
    (void)semihosting(SYS_CLOSE, &file);
    semihosting_exit(code);
}
