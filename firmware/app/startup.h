/* What startup code, fault handlers and linker script know of each other. */
#ifndef EDGECOMP_STARTUP_H
#define EDGECOMP_STARTUP_H

#include <stdint.h>

#include "attributes.h"

/* From the linker script. The stack lies at the bottom of its RAM, so that overflow faults. */
extern uint32_t link_stack_limit[];
extern uint32_t link_stack_top[];
extern uint32_t link_data_load[];
extern uint32_t link_data_start[];
extern uint32_t link_data_end[];
extern uint32_t link_bss_start[];
extern uint32_t link_bss_end[];

void Reset_Handler(void);

/* Entered for every exception but SysTick's; from fault_halt.c or fault_capture.c. */
void Fault_Handler(void);

/* Only of an image that counts time; no other enables it. It may not use the stack. */
void SysTick_Handler(void) APP_WEAK;

int main(void);

#endif
