/* A board as a process: its UART is standard input and output.
 *
 * What it sends is tagged, so that the other end knows at which rate: 'd' and a byte, or 'b' and
 * the new rate (32 bits). With OVERRUN set it loses what arrives while it is busy, as a UART
 * without a buffer does; QEMU never shows that. SIGUSR1 is the reset button. */
#define _POSIX_C_SOURCE 200809L
#include "port.h"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "board_config.h"
#include "counter.h"
#include "fault.h"
#include "platform.h"
#include "slow.h"

enum { FLUSH_US = 50000, IDLE_MS = 1 };

uint32_t fault_record[FAULT_WORDS];

static uint8_t output[65536];
static size_t output_length;
static uint32_t output_since;
static uint8_t input[4096];
static size_t input_length;
static size_t input_at;
static int is_busy;

static uint32_t microseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint32_t)((uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000u);
}

static void flush(void)
{
    size_t at = 0;
    while (at < output_length) {
        const ssize_t written = write(1, output + at, output_length - at);
        if (written <= 0) {
            _exit(0);
        }
        at += (size_t)written;
    }
    output_length = 0;
}

static void emit(const void *bytes, size_t count)
{
    if (output_length + count > sizeof output) {
        flush();
    }
    if (output_length == 0u) {
        output_since = microseconds();
    }
    memcpy(output + output_length, bytes, count);
    output_length += count;
}

static void emit_baud(uint32_t baud)
{
    emit("b", 1);
    emit(&baud, sizeof baud);
}

static int fill(int wait_ms)
{
    struct pollfd line = {0, POLLIN, 0};
    if (poll(&line, 1, wait_ms) <= 0) {
        return 0;
    }
    const ssize_t got = read(0, input, sizeof input);
    if (got <= 0) {
        _exit(0);
    }
    input_at = 0;
    input_length = (size_t)got;
    return 1;
}

void port_reset(void)
{
    flush();
    execl("/proc/self/exe", "device", (char *)0);
    _exit(1);
}

static void on_reset(int number)
{
    (void)number;
    execl("/proc/self/exe", "device", (char *)0);
    _exit(1);
}

void port_init(void)
{
    struct sigaction button;
    memset(&button, 0, sizeof button);
    button.sa_handler = on_reset;
    sigaction(SIGUSR1, &button, 0);
    sigset_t only;
    sigemptyset(&only);
    sigaddset(&only, SIGUSR1);
    sigprocmask(SIG_UNBLOCK, &only, 0); /* a reset begins with it blocked: in its handler */
    emit_baud(PORT_BAUD);
    flush();
}

uint32_t port_try_read(uint8_t *byte)
{
    if (is_busy) {
        is_busy = 0;
        while (getenv("OVERRUN") != 0 && (input_at < input_length || fill(0))) {
            input_at = input_length;
        }
        flush();
    }
    if (input_at == input_length && !fill(IDLE_MS)) {
        return 0u;
    }
    *byte = input[input_at];
    input_at++;
    return 1u;
}

void port_write_byte(uint8_t byte)
{
    is_busy = 1;
    emit("d", 1);
    emit(&byte, 1);
}

void port_set_baud(uint32_t baud)
{
    emit_baud(baud);
    flush();
}

uint32_t counter_start(void)
{
    return COUNTER_DWT;
}

uint32_t counter_now(void)
{
    const uint32_t now = microseconds();
    if (output_length > 0u && now - output_since > FLUSH_US) {
        flush();
    }
    return now;
}

uint32_t counter_hz(void)
{
    return BOARD_CLOCK_HZ;
}

void be_slow(void)
{
    const char *text = getenv("SLOW_MS");
    const long ms = text != 0 ? strtol(text, 0, 10) : 0;
    const struct timespec pause = {ms / 1000, (ms % 1000) * 1000000};
    if (ms > 0) {
        flush();
        nanosleep(&pause, 0);
    }
}
