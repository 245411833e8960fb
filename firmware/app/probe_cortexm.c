/* Stack paint and cycle counters of a Cortex-M. */
#include "platform.h"
#include "registers.h"
#include "startup.h"

#define PAINT 0x5ca1ab1eu

/* Armv7-M Architecture Reference Manual, C1.6.5 (DEMCR) and C1.8.7 (DWT). */
#define DEMCR REGISTER(0xe000edfcu)
#define DEMCR_TRACE_ENABLE (1u << 24)
#define DWT_CTRL REGISTER(0xe0001000u)
#define DWT_CTRL_COUNT (1u << 0)
#define DWT_CYCCNT REGISTER(0xe0001004u)

/* Armv6-M Architecture Reference Manual, B3.3. */
#define SYST_CSR REGISTER(0xe000e010u)
#define SYST_CSR_COUNT 5u /* counting, without its interrupt, from the processor's clock */
#define SYST_RVR REGISTER(0xe000e014u)
#define SYST_CVR REGISTER(0xe000e018u)
#define SYST_LAST 0xffffffu
#define SYST_PATIENCE 100000u /* reads: silicon needs two, a busy emulator many */

static uintptr_t stack_pointer(void)
{
    uintptr_t pointer;
    __asm__ volatile("mov %0, sp" : "=r"(pointer));
    return pointer;
}

void stack_paint(void)
{
    const uintptr_t end = stack_pointer();
    for (uintptr_t at = (uintptr_t)link_stack_limit; at < end; at += 4u) {
        REGISTER(at) = PAINT;
    }
}

uint32_t stack_high_water(void)
{
    uintptr_t at = (uintptr_t)link_stack_limit;
    while (at < (uintptr_t)link_stack_top && REGISTER(at) == PAINT) {
        at += 4u;
    }
    return (uint32_t)((uintptr_t)link_stack_top - at);
}

uint32_t stack_bytes(void)
{
    return (uint32_t)((uintptr_t)link_stack_top - (uintptr_t)link_stack_limit);
}

/* The nRF51 leaves SysTick out, as an Armv6-M may. */
static uint32_t systick_counts(void)
{
    SYST_RVR = SYST_LAST;
    SYST_CVR = 0u; /* loads RVR at the next clock */
    SYST_CSR = SYST_CSR_COUNT;
    uint32_t counts = 0u;
    for (uint32_t i = 0u; i < SYST_PATIENCE && counts == 0u; i++) {
        counts = SYST_CVR;
    }
    SYST_CSR = 0u;
    return counts;
}

/* QEMU and Armv6-M have no cycle counter: there it does not advance, or is not there at all. */
uint32_t counter_kind(void)
{
#if !defined(__ARM_ARCH_6M__)
    DEMCR |= DEMCR_TRACE_ENABLE;
    DWT_CTRL |= DWT_CTRL_COUNT;
    const uint32_t before = DWT_CYCCNT;
    if (DWT_CYCCNT != before) {
        return COUNTER_DWT;
    }
#endif
    return systick_counts() != 0u ? COUNTER_SYSTICK : COUNTER_NONE;
}
