/* The loader as a program of the host. `serve FILE`: its flash is FILE, its line is standard input
 * and output; ends when the application would be started. `cut OLD NEW STREAM`: repeats a session,
 * the bytes of which are STREAM, on a flash that holds OLD, with a power cut at each step; ends
 * with 0 if what starts after each cut is OLD, NEW or the loader. */
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "commands.h"
#include "flash.h"
#include "image.h"
#include "line.h"
#include "model.h"

static uint8_t *stream;
static size_t stream_bytes;
static size_t stream_at;
static jmp_buf ended;

uint32_t line_read(uint8_t *byte, uint32_t limit_ms)
{
    if (stream != NULL) {
        if (stream_at == stream_bytes) {
            longjmp(ended, 1);
        }
        *byte = stream[stream_at++];
        return 1u;
    }
    struct pollfd input = {.fd = 0, .events = POLLIN, .revents = 0};
    if (poll(&input, 1, limit_ms == LINE_FOREVER ? -1 : (int)limit_ms) == 0) {
        return 0u;
    }
    if (read(0, byte, 1) != 1) {
        exit(0);
    }
    return 1u;
}

void line_write(uint8_t byte)
{
    if (stream == NULL && write(1, &byte, 1) != 1) {
        exit(0);
    }
}

static uint8_t *load(const char *name, size_t *bytes)
{
    FILE *file = fopen(name, "rb");
    if (file == NULL) {
        perror(name);
        exit(2);
    }
    uint8_t *content = malloc(FLASH_BYTES * 4u);
    *bytes = fread(content, 1, FLASH_BYTES * 4u, file);
    fclose(file);
    return content;
}

static void cut(void)
{
    longjmp(ended, 2);
}

static int every_cut(const char *old_name, const char *new_name, const char *stream_name)
{
    static volatile uint32_t last, starts_old, starts_new, starts_loader;
    static uint8_t *old_flash, *new_flash;
    size_t bytes;

    old_flash = load(old_name, &bytes);
    new_flash = load(new_name, &bytes);
    stream = load(stream_name, &stream_bytes);
    memcpy(model_flash, old_flash, FLASH_BYTES);
    const uint32_t old_origin = image_find();
    memcpy(model_flash, new_flash, FLASH_BYTES);
    const uint32_t new_origin = image_find();
    model_power_cut = cut;
    for (last = 0u;; last++) {
        memcpy(model_flash, old_flash, FLASH_BYTES);
        model_reset();
        model_steps = 0u;
        model_last_step = last;
        stream_at = 0u;
        const int how = setjmp(ended);
        if (how == 0) {
            flash_prepare();
            (void)commands_serve(LINE_FOREVER);
        }
        model_last_step = 0xffffffffu;
        model_reset();
        const uint32_t origin = image_find();
        if (origin == 0u) {
            starts_loader++;
        } else {
            const size_t offset = origin - LOADER_FLASH_ORIGIN;
            const uint8_t *app = model_flash + offset;
            uint32_t length;
            memcpy(&length, app + IMAGE_LENGTH_AT, 4);
            if (origin == old_origin && memcmp(app, old_flash + offset, length) == 0) {
                starts_old++;
            } else if (origin == new_origin && memcmp(app, new_flash + offset, length) == 0) {
                starts_new++;
            } else {
                fprintf(stderr, "a mix starts after a cut at step %u\n", (unsigned)last);
                return 1;
            }
        }
        if (how != 2) {
            printf("%u %u %u %u\n", (unsigned)last, (unsigned)starts_old, (unsigned)starts_new,
                   (unsigned)starts_loader);
            return 0;
        }
    }
}

int main(int count, char **arguments)
{
    model_reset();
    if (count == 5 && strcmp(arguments[1], "cut") == 0) {
        return every_cut(arguments[2], arguments[3], arguments[4]);
    }
    const int file = open(arguments[2], O_RDWR);
    void *mapped = mmap(NULL, FLASH_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (count != 3 || file < 0 || mapped == MAP_FAILED) {
        return 2;
    }
    model_flash = mapped;
    flash_prepare();
    (void)commands_serve(LINE_FOREVER);
    return 42;
}
