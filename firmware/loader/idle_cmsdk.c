/* Sleeps until the CMSDK UART has a byte. An emulator that is always asked whether there is one
 * has no time to receive it: asleep, it takes three times as many per second.
 *
 * Interrupts stay masked: a pending one wakes the processor and is taken back.
 * Registers: Arm DDI 0479, "APB UART"; Armv7-M Architecture Reference Manual, B3.2 and B3.4. */
#include "idle.h"

#include "board_config.h"
#include "registers.h"

#define UART_CTRL REGISTER(PORT_UART_BASE + 0x08u)
#define UART_INTERRUPT_CLEAR REGISTER(PORT_UART_BASE + 0x0cu)
#define CTRL_RX_INTERRUPT (1u << 3)
#define RX_INTERRUPT (1u << 1)

#define SYST_CSR REGISTER(0xe000e010u)
#define SYST_INTERRUPT (1u << 1)
#define ICSR REGISTER(0xe000ed04u)
#define ICSR_CLEAR_SYSTICK (1u << 25)
#define NVIC_ISER(i) REGISTER(0xe000e100u + 4u * (i))
#define NVIC_ICER(i) REGISTER(0xe000e180u + 4u * (i))
#define NVIC_ICPR(i) REGISTER(0xe000e280u + 4u * (i))
#define NVIC_WORDS 3u /* every UART of these boards is among the first 96 interrupts */

static void forget(void)
{
    UART_INTERRUPT_CLEAR = RX_INTERRUPT;
    ICSR = ICSR_CLEAR_SYSTICK;
    for (uint32_t i = 0u; i < NVIC_WORDS; i++) {
        NVIC_ICPR(i) = 0xffffffffu;
    }
}

void idle_prepare(void)
{
    __asm__ volatile("cpsid i" : : : "memory");
    UART_CTRL |= CTRL_RX_INTERRUPT;
    SYST_CSR |= SYST_INTERRUPT;
    for (uint32_t i = 0u; i < NVIC_WORDS; i++) {
        NVIC_ISER(i) = 0xffffffffu;
    }
}

/* A byte that comes before the processor sleeps leaves its interrupt pending, and it wakes. */
void idle_wait(void)
{
    __asm__ volatile("wfi" : : : "memory");
    forget();
}

void idle_end(void)
{
    UART_CTRL &= ~CTRL_RX_INTERRUPT;
    SYST_CSR = 0u;
    for (uint32_t i = 0u; i < NVIC_WORDS; i++) {
        NVIC_ICER(i) = 0xffffffffu;
    }
    forget();
    __asm__ volatile("cpsie i" : : : "memory");
}
