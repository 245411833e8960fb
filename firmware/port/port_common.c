/* What is the same on every microcontroller. */
#include "port.h"

#include "registers.h"

/* Armv6-M and Armv7-M Architecture Reference Manuals, B3.2.6. */
#define AIRCR REGISTER(0xe000ed0cu)
#define AIRCR_KEY (0x05fau << 16)
#define AIRCR_PRIORITY_GROUPS (7u << 8)
#define AIRCR_RESET_REQUEST (1u << 2)

uint8_t port_read_byte(void)
{
    uint8_t byte = 0u;
    while (port_try_read(&byte) == 0u) {
    }
    return byte;
}

void port_reset(void)
{
    const uint32_t kept = AIRCR & AIRCR_PRIORITY_GROUPS;
    __asm__ volatile("dsb" : : : "memory"); /* every write arrives before the reset */
    AIRCR = AIRCR_KEY | kept | AIRCR_RESET_REQUEST;
    __asm__ volatile("dsb" : : : "memory");
    for (;;) {
    }
}
