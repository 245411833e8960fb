/* The compiler's attributes that the application uses, in one place. */
#ifndef EDGECOMP_APP_ATTRIBUTES_H
#define EDGECOMP_APP_ATTRIBUTES_H

#define APP_ALIGNED(bytes) __attribute__((aligned(bytes)))
#define APP_NORETURN __attribute__((noreturn))
#define APP_NAKED __attribute__((naked))
#define APP_USED __attribute__((used))
#define APP_WEAK __attribute__((weak))

/* The linker script gives the arena a region of its own; a host has no such thing. */
#if defined(__arm__)
#define APP_SECTION(name) __attribute__((section(name)))
#else
#define APP_SECTION(name)
#endif

#endif
