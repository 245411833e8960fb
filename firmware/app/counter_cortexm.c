/* The cycle counter of the DWT where it lives, else SysTick with its wraps counted. */
#include "counter.h"

#include "board_config.h"
#include "platform.h"
#include "registers.h"
#include "startup.h"

/* Armv7-M Architecture Reference Manual, C1.8.8 (DWT) and B3.3 (SysTick). */
#define DWT_CYCCNT REGISTER(0xe0001004u)
#define SYST_CSR REGISTER(0xe000e010u)
#define SYST_RVR REGISTER(0xe000e014u)
#define SYST_CVR REGISTER(0xe000e018u)
#define CSR_ENABLE 7u /* counting, with its interrupt, from the processor's clock */
#define SYST_LAST 0xffffffu
#define SYST_BITS 24u

/* Rounds of a waiting loop in a second are not known: taken for a call without a counter. */
#define TICKS_PER_CALL 64u

static uint32_t kind;
static volatile uint32_t wraps;

/* Entered by hardware; uses no stack, which the stack bound relies upon. */
void SysTick_Handler(void)
{
    wraps++;
}

uint32_t counter_start(void)
{
    kind = counter_kind();
    if (kind == COUNTER_SYSTICK) {
        SYST_RVR = SYST_LAST;
        SYST_CVR = 0u; /* loads RVR at the next clock */
        SYST_CSR = CSR_ENABLE;
    }
    return kind;
}

uint32_t counter_now(void)
{
    if (kind == COUNTER_DWT) {
        return DWT_CYCCNT;
    }
    if (kind == COUNTER_NONE) {
        wraps++;
        return wraps * TICKS_PER_CALL;
    }
    for (;;) { /* again if it wrapped between the two reads */
        const uint32_t before = wraps;
        const uint32_t passed = (SYST_LAST + 1u - SYST_CVR) & SYST_LAST;
        if (before == wraps) {
            return (before << SYST_BITS) + passed;
        }
    }
}

uint32_t counter_hz(void)
{
    return BOARD_CLOCK_HZ;
}
