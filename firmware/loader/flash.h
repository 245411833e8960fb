/* What the loader needs of a flash controller: one of the files flash_*.c.
 *
 * The callers in commands.c have checked that an address lies behind the loader; they read back
 * what was erased or written, so that a driver only has to report what the controller reports. */
#ifndef EDGECOMP_LOADER_FLASH_H
#define EDGECOMP_LOADER_FLASH_H

#include <stdint.h>

/* Called once, before the other two. */
void flash_prepare(void);

/* Erases the sector with number `sector`, which starts at `address` and has `bytes` bytes.
 * Returns 0 where the controller reports an error. */
uint32_t flash_erase(uint32_t sector, uint32_t address, uint32_t bytes);

/* Writes `bytes` bytes, a multiple of LOADER_WRITE_BYTES, to erased flash at `address`, which is
 * aligned to that. Returns 0 where the controller reports an error. */
uint32_t flash_write(uint32_t address, const uint8_t *data, uint32_t bytes);

#endif
