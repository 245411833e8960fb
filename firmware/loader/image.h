/* The applications behind the loader, and the seal by which the loader knows that one is whole.
 *
 * The seal lies in three words of the vector table that no Cortex-M uses (exceptions 8 to 10):
 * a magic number with a version, the image's length in bytes, and the CRC of the image.
 *
 * Version 0 is for an image that may fill all of the flash behind the loader. Others lie in one of
 * two slots, each linked for its own; of two whole ones the later is started. */
#ifndef EDGECOMP_LOADER_IMAGE_H
#define EDGECOMP_LOADER_IMAGE_H

#include <stdint.h>

#define IMAGE_MAGIC_AT 0x20u
#define IMAGE_LENGTH_AT 0x24u
#define IMAGE_CRC_AT 0x28u
#define IMAGE_MAGIC 0x4345u     /* "EC" in the lower half of its word, the version in the upper */
#define IMAGE_SMALLEST 0x40u    /* a vector table */

#define CRC_POLYNOMIAL 0x04c11db7u
#define CRC_START 0xffffffffu

/* The CRC of `words` words from `address` on, as the CRC unit of STM32 computes it: most
 * significant bit first, nothing inverted. Begins with `crc`, so that pieces can be joined. */
uint32_t image_crc(uint32_t crc, uint32_t address, uint32_t words);

/* Whether a whole application lies in the slot that begins at `origin`. */
uint32_t image_is_valid(uint32_t origin);

/* Where the application begins that is to be started; 0 where none is whole. */
uint32_t image_find(void);

#endif
