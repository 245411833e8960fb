/* Arm semihosting: requests to the emulator or debugger ("Semihosting for AArch32 and AArch64",
 * version 2.0). Without one of them the instruction faults, so only emulated boards use it. */
#ifndef EDGECOMP_SEMIHOSTING_H
#define EDGECOMP_SEMIHOSTING_H

#include <stdint.h>

#include "attributes.h"

#define SYS_OPEN 0x01u
#define SYS_CLOSE 0x02u
#define SYS_WRITE 0x05u
#define SYS_READ 0x06u
#define SYS_EXIT_EXTENDED 0x20u
#define OPEN_READ_BINARY 1u
#define OPEN_WRITE_BINARY 5u
#define REASON_APPLICATION_EXIT 0x20026u

/* Performs `operation` on the block of arguments and returns its result. */
static inline uint32_t semihosting(uint32_t operation, const uint32_t *arguments)
{
    register uint32_t r0 __asm__("r0") = operation;
    register const uint32_t *r1 __asm__("r1") = arguments;
    __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

/* Opens the file `name`, of `length` characters, and returns its handle. */
static inline uint32_t semihosting_open(const char *name, uint32_t length, uint32_t mode)
{
    const uint32_t arguments[] = {(uint32_t)(uintptr_t)name, mode, length};
    return semihosting(SYS_OPEN, arguments);
}

/* Reads or writes; returns how many of the `bytes` were not transferred. */
static inline uint32_t semihosting_transfer(uint32_t operation, uint32_t handle,
                                            const void *buffer, uint32_t bytes)
{
    const uint32_t arguments[] = {handle, (uint32_t)(uintptr_t)buffer, bytes};
    return semihosting(operation, arguments);
}

/* Ends the emulator with `status` as its exit code. */
static inline APP_NORETURN void semihosting_exit(uint32_t status)
{
    const uint32_t arguments[] = {REASON_APPLICATION_EXIT, status};
    for (;;) {
        (void)semihosting(SYS_EXIT_EXTENDED, arguments);
    }
}

#endif
