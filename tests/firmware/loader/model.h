/* Models of flash controllers, behind the two functions of memory.h. Whatever a controller would
 * punish (a write while it is locked or busy, a bit that cannot be set) ends the program, and so
 * does any attempt on the loader's own sectors. */
#ifndef LOADER_MODEL_H
#define LOADER_MODEL_H

#include <stdint.h>

#include "loader_config.h"

#define FLASH_BYTES (LOADER_FLASH_END - LOADER_FLASH_ORIGIN)

/* The contents of the flash; may be pointed elsewhere. */
extern uint8_t *model_flash;

/* Writes and erasures so far, and the number of the one that the power does not survive. */
extern uint32_t model_steps;
extern uint32_t model_last_step;

/* Called instead of that step; does not return. */
extern void (*model_power_cut)(void);

/* Puts the controller into its state after reset. */
void model_reset(void);

#endif
