/* Exceptions: write down what happened, then end as the image does. */
#include "attributes.h"
#include "fault.h"
#include "registers.h"
#include "startup.h"

#define FRAME_WORDS 8u

enum { CODE_HARD = 90, CODE_BUS = 91, CODE_USAGE = 92, CODE_MEMORY = 93, CODE_STACK = 94 };
enum { EXCEPTION_MEMORY = 4, EXCEPTION_BUS = 5, EXCEPTION_USAGE = 6 };

/* Armv7-M Architecture Reference Manual, B3.2; zero on an Armv6-M. */
#define CFSR REGISTER(0xe000ed28u)
#define HFSR REGISTER(0xe000ed2cu)
#define MMFAR REGISTER(0xe000ed34u)
#define BFAR REGISTER(0xe000ed38u)
#define CFSR_STACK_OVERFLOW (1u << 20) /* UFSR.STKOF, Armv8-M */

#define FAULT_STACK_WORDS 16u
APP_USED uint32_t fault_stack[FAULT_STACK_WORDS] APP_ALIGNED(8);

uint32_t fault_record[FAULT_WORDS] APP_SECTION(".noinit");

APP_NORETURN void fault_report(uintptr_t stack, uint32_t exception_return);

/* The fault may be the stack's: nothing is pushed before the stack pointer is at a spare one. */
APP_NAKED void Fault_Handler(void)
{
    __asm__ volatile(
        "mov r0, sp\n\t"
        "mov r1, lr\n\t"
        "ldr r2, 1f\n\t"
        "mov sp, r2\n\t"
        "bl fault_report\n\t"
        ".balign 4\n"
        "1: .word fault_stack + 4 * 16\n");
}

static uint32_t exit_code(uint32_t exception, uintptr_t stack)
{
    if (stack < (uintptr_t)link_stack_limit || (CFSR & CFSR_STACK_OVERFLOW) != 0u) {
        return CODE_STACK;
    }
    switch (exception) {
    case EXCEPTION_MEMORY:
        return CODE_MEMORY;
    case EXCEPTION_BUS:
        return CODE_BUS;
    case EXCEPTION_USAGE:
        return CODE_USAGE;
    default:
        return CODE_HARD;
    }
}

void fault_report(uintptr_t stack, uint32_t exception_return)
{
    uint32_t exception;
    __asm__ volatile("mrs %0, ipsr" : "=r"(exception));

    const uint32_t code = exit_code(exception, stack);
    const uint32_t frame_is_whole = stack >= (uintptr_t)link_stack_limit &&
                                    stack + FRAME_WORDS * 4u <= (uintptr_t)link_stack_top;
    uint32_t *const record = fault_record;
    record[0] = FAULT_MAGIC;
    record[1] = code;
    record[2] = exception;
    record[3] = (uint32_t)stack;
    record[4] = exception_return;
    record[5] = CFSR;
    record[6] = HFSR;
    record[7] = MMFAR;
    record[8] = BFAR;
    record[9] = frame_is_whole;
    for (uint32_t i = 0u; frame_is_whole != 0u && i < FRAME_WORDS; i++) {
        record[10u + i] = ((const uint32_t *)stack)[i];
    }
    fault_end(code);
}
