/* The second stage that the RP2040's boot ROM copies from the flash's first 256 bytes into RAM and
 * runs. It lets the flash be read through the cache by the plain read command 03h, which every
 * serial flash has, and starts the image behind it. RP2040 datasheet, 2.8.1.3.1 (the CRC) and
 * 4.10.13 (SSI registers). */
    .syntax unified
    .cpu cortex-m0plus
    .thumb
    .section .boot_header, "a"

    .set SSI, 0x18000000
    .set CTRLR0, 0x00
    .set CTRLR1, 0x04
    .set SSIENR, 0x08
    .set BAUDR, 0x14
    .set SPI_CTRLR0, 0xf4
    .set VTOR, 0xe000ed08
    .set VECTORS, 0x10000100

start:
    ldr r3, =SSI
    movs r0, #0
    str r0, [r3, #SSIENR]
    movs r1, #4                 /* a quarter of the system clock, at most 133 MHz */
    str r1, [r3, #BAUDR]
    ldr r1, =0x001f0300         /* frames of 32 bits, read after a command */
    str r1, [r3, #CTRLR0]
    str r0, [r3, #CTRLR1]       /* one frame for each read */
    ldr r1, =0x03000218         /* command 03h, 8 bits of it, 24 bits of address */
    ldr r2, =(SSI + SPI_CTRLR0)
    str r1, [r2]
    movs r0, #1
    str r0, [r3, #SSIENR]

    ldr r0, =VECTORS
    ldr r1, =VTOR
    str r0, [r1]
    ldm r0!, {r1, r2}
    msr msp, r1
    bx r2
    .ltorg

    .org start + 252
    .word 0x1812a82c            /* CRC-32 of the 252 bytes, not reflected: 04c11db7, start ffffffff */
