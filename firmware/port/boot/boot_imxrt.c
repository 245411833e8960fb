/* What the i.MX RT's boot ROM reads from a serial flash before it starts the image there:
 * i.MX RT1060 Processor Reference Manual, 9.6.3 (flash configuration) and 9.7.1 (vector table). */
#include <stdint.h>

#include "attributes.h"
#include "board_config.h"

/* A line of the sequence table: two instructions of a code, the number of pads and an operand. */
#define LUT_PADS_1 0u
#define LUT_PADS_4 2u
#define LUT(code, pads, operand) (((uint32_t)(code) << 10) | ((uint32_t)(pads) << 8) | (operand))
#define LUT_PAIR(first, second) ((first) | ((second) << 16))
enum { LUT_COMMAND = 1, LUT_ADDRESS = 2, LUT_MODE = 7, LUT_READ = 9, LUT_DUMMY = 12, LUT_JUMP = 31 };

#define CONFIG_TAG 0x42464346u     /* "FCFB" */
#define CONFIG_VERSION 0x56010000u /* "V", 1.0.0 */
#define IVT_HEADER 0x432000d1u     /* tag, 32 bytes, version 4.3 */

struct boot_header {
    uint32_t tag;
    uint32_t version;
    uint32_t reserved0;
    uint8_t sample_clock; /* 1: the data strobe is looped back inside */
    uint8_t hold_time;
    uint8_t setup_time;
    uint8_t column_bits;
    uint32_t reserved1[13];
    uint8_t device_type; /* 1: serial NOR */
    uint8_t pads;
    uint8_t clock; /* 8: 133 MHz in this manual's list */
    uint8_t own_sequences;
    uint32_t reserved2[2];
    uint32_t flash_bytes;
    uint32_t reserved3[11];
    uint32_t sequences[64];
    uint32_t reserved4[16];
    uint32_t page_bytes;
    uint32_t sector_bytes;
    uint32_t command_clock;
    uint32_t reserved5;
    uint32_t block_bytes;
    uint32_t reserved6[11];
    uint32_t gap[896];
    uint32_t ivt_header;
    const void *entry; /* the table of vectors, not the first instruction */
    uint32_t reserved7;
    const void *device_configuration;
    const void *boot_data;
    const void *self;
    const void *command_sequence;
    uint32_t reserved8;
    uint32_t image_start;
    const void *image_bytes; /* an address only for the linker */
    uint32_t plugin;
    uint32_t reserved9;
};

extern const uint8_t link_image_bytes[];
extern const uint8_t vectors[];

extern const struct boot_header boot_header;
const struct boot_header boot_header __attribute__((section(".boot_header"))) APP_USED = {
    .tag = CONFIG_TAG,
    .version = CONFIG_VERSION,
    .sample_clock = 1u,
    .hold_time = 3u,
    .setup_time = 3u,
    .device_type = 1u,
    .pads = 4u,
    .clock = 8u,
    .flash_bytes = BOARD_FLASH_BYTES,
    .sequences =
        {
            /* Fast read, four lines wide: EBh, 24 bits of address, mode 20h, four idle clocks. */
            LUT_PAIR(LUT(LUT_COMMAND, LUT_PADS_1, 0xebu), LUT(LUT_ADDRESS, LUT_PADS_4, 24u)),
            LUT_PAIR(LUT(LUT_MODE, LUT_PADS_4, 0x20u), LUT(LUT_DUMMY, LUT_PADS_4, 4u)),
            LUT_PAIR(LUT(LUT_READ, LUT_PADS_4, 4u), LUT(LUT_JUMP, LUT_PADS_1, 1u)),
        },
    .page_bytes = 256u,
    .sector_bytes = 4096u,
    .command_clock = 1u,
    .block_bytes = 65536u,
    .ivt_header = IVT_HEADER,
    .entry = vectors,
    .boot_data = &boot_header.image_start,
    .self = &boot_header.ivt_header,
    .image_start = BOARD_FLASH_ORIGIN,
    .image_bytes = link_image_bytes,
};
