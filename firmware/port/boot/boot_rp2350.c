/* The block by which the RP2350's boot ROM knows an image: RP2350 datasheet, 5.9.5.1. */
#include <stdint.h>

#include "attributes.h"

extern const uint32_t boot_header[5];
const uint32_t boot_header[5] __attribute__((section(".boot_header"))) APP_USED = {
    0xffffded3u, /* start of a block */
    0x10210142u, /* image type: executable, Arm, secure, RP2350 */
    0x000001ffu, /* last item, after one word */
    0x00000000u, /* the next block is this one */
    0xab123579u, /* end of the block */
};
