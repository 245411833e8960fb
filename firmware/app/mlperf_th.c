/* What the MLPerf Tiny commands need, of the model and of the board. */
#include "app_model.h"
#include "attributes.h"
#include "board_config.h"
#include "counter.h"
#include "mlperf.h"
#include "port.h"

/* Microseconds of a tick, in units of 2^-32. */
#define US_PER_TICK (uint32_t)((UINT64_C(1000000) << 32) / BOARD_CLOCK_HZ)
#define DECIMAL_DIGITS 10u
#define THOUSAND 1000.0f

uint8_t mlperf_buffer[MLPERF_INPUT_BYTES] APP_ALIGNED(4);

static uint8_t arena[MODEL_ARENA_BYTES] APP_ALIGNED(MODEL_ARENA_ALIGN) APP_SECTION(".bss.arena");
static uint64_t clock_us_q32;
static uint32_t last_ticks;

/* Adds the ticks since the last call; to be called before the counter comes round. */
static void advance_clock(void)
{
    const uint32_t ticks = counter_now();
    clock_us_q32 += (uint64_t)(ticks - last_ticks) * US_PER_TICK;
    last_ticks = ticks;
}

void th_serialport_initialize(void)
{
#ifdef MODEL_BOOT_BYTES
    model_init();
#endif
    port_init();
}

void th_timestamp_initialize(void)
{
    (void)counter_start();
    last_ticks = counter_now();
    th_print("m-timestamp-mode-performance\r\n");
    th_timestamp();
}

void th_load_tensor(void)
{
#if MLPERF_INPUT_KIND == MLPERF_CODES
    int8_t *const input = model_input(arena, 0);
    for (uint32_t i = 0u; i < MLPERF_INPUT_BYTES; i++) {
        input[i] = mlperf_codes[mlperf_buffer[i]];
    }
#elif MLPERF_INPUT_KIND == MLPERF_PIXELS
    model_quantize_input_u8(arena, 0, mlperf_buffer);
#else
    model_quantize_input_f32(arena, 0, (const float *)(const void *)mlperf_buffer);
#endif
}

void th_infer(void)
{
    (void)model_run(arena); /* fails for a misaligned arena alone */
    advance_clock();
}

void th_timestamp(void)
{
    advance_clock();
    th_print("m-lap-us-");
    th_print_number((uint32_t)(clock_us_q32 >> 32));
    th_print("\r\n");
}

/* Prints a value with three digits behind the point, halves rounded away from zero. */
static void print_real(float value)
{
    if (value < 0.0f) {
        th_print("-");
        value = -value;
    }
    const uint32_t thousandths = (uint32_t)(value * THOUSAND + 0.5f);
    const uint32_t fraction = thousandths % 1000u;
    const char text[] = {'.', (char)('0' + fraction / 100u), (char)('0' + fraction / 10u % 10u),
                         (char)('0' + fraction % 10u), '\0'};
    th_print_number(thousandths / 1000u);
    th_print(text);
}

void th_results(void)
{
    th_print("m-results-[");
#if MLPERF_RESULT_IS_ERROR
    /* The mean of the squared differences between the output and what it should reproduce. */
    const float *const given = (const float *)(const void *)mlperf_buffer;
    float sum = 0.0f;
    for (int i = 0; i < MLPERF_OUTPUTS; i++) {
        const float difference = model_dequantize_output(arena, 0, i) - given[i];
        sum += difference * difference;
    }
    print_real(sum / (float)MLPERF_OUTPUTS);
#else
    for (int i = 0; i < MLPERF_OUTPUTS; i++) {
        if (i != 0) {
            th_print(",");
        }
        print_real(model_dequantize_output(arena, 0, i));
    }
#endif
    th_print("]\r\n");
}

char th_getchar(void)
{
    uint8_t byte = 0u;
    while (port_try_read(&byte) == 0u) {
        advance_clock();
    }
    return (char)byte;
}

void th_print(const char *text)
{
    for (; *text != '\0'; text++) {
        port_write_byte((uint8_t)*text);
    }
}

void th_print_number(uint32_t number)
{
    char digits[DECIMAL_DIGITS + 1u];
    uint32_t at = DECIMAL_DIGITS;

    digits[at] = '\0';
    do {
        digits[--at] = (char)('0' + number % 10u);
        number /= 10u;
    } while (number != 0u);
    th_print(&digits[at]);
}
