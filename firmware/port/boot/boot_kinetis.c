/* The flash configuration field, which the flash controller reads at every reset: K64 Sub-Family
 * Reference Manual, 29.3.1. A wrong FSEC can lock the chip for good; this is an erased one but for
 * FSEC = 0xfe: not secured, mass erase allowed, no back door. */
#include <stdint.h>

#include "attributes.h"

extern const uint8_t boot_header[16];
const uint8_t boot_header[16] __attribute__((section(".boot_header"))) APP_USED = {
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, /* back door key */
    0xff, 0xff, 0xff, 0xff,                         /* FPROT: no sector is protected */
    0xfe,                                           /* FSEC */
    0xff, 0xff, 0xff,                               /* FOPT, FEPROT, FDPROT */
};
