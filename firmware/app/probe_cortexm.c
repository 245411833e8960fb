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
#define SYST_RVR REGISTER(0xe000e014u)
#define SYST_LAST 0xffffffu

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

/* The nRF51 leaves SysTick out, as an Armv6-M may: its reload register then holds nothing. Whether
 * it counts is not waited for: a busy emulator may let no time pass for as long as one looks. */
static uint32_t has_systick(void)
{
    SYST_RVR = SYST_LAST;
    return SYST_RVR == SYST_LAST ? 1u : 0u;
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
    return has_systick() != 0u ? COUNTER_SYSTICK : COUNTER_NONE;
}
