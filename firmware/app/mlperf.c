/* The firmware image with the commands of MLPerf Tiny's performance and accuracy modes.
 *
 * A command is text that ends in '%'; its answer is some lines, of which the last is "m-ready".
 * docs/mlperf.md lists them. */
#include "mlperf.h"

#define COMMAND_BYTES 80u
#define TERMINATOR '%'
#define DEFAULT_INFERENCES 1u
#define DEFAULT_WARMUPS 10u
#define PRINTED_IN_LINE 8u

static char command[COMMAND_BYTES + 1u];
static uint32_t expected_bytes;
static uint32_t loaded_bytes;

/* Separates the next word of the command and returns it, or an empty one. */
static char *next_word(char **rest)
{
    char *at = *rest;
    while (*at == ' ') {
        at++;
    }
    char *const word = at;
    while (*at != ' ' && *at != '\0') {
        at++;
    }
    if (*at == ' ') {
        *at++ = '\0';
    }
    *rest = at;
    return word;
}

static int is_word(const char *word, const char *expected)
{
    while (*word != '\0' && *word == *expected) {
        word++;
        expected++;
    }
    return *word == *expected;
}

/* The value of a decimal number, or `otherwise` where the word is none. */
static uint32_t number_of(const char *word, uint32_t otherwise)
{
    if (*word == '\0') {
        return otherwise;
    }
    uint32_t value = 0u;
    for (; *word >= '0' && *word <= '9'; word++) {
        value = value * 10u + (uint32_t)(*word - '0');
    }
    return *word == '\0' ? value : otherwise;
}

/* The value of a hexadecimal digit; 16 where it is none. */
static uint32_t digit_of(char digit)
{
    if (digit >= '0' && digit <= '9') {
        return (uint32_t)(digit - '0');
    }
    const char letter = (char)(digit | 0x20);
    return letter >= 'a' && letter <= 'f' ? (uint32_t)(letter - 'a') + 10u : 16u;
}

static void print_byte(uint32_t value)
{
    static const char digits[] = "0123456789abcdef";
    const char text[] = {digits[value >> 4], digits[value & 15u], '\0'};
    th_print(text);
}

static void db_load(const char *bytes)
{
    const uint32_t asked = number_of(bytes, 0u);
    if (asked == 0u) {
        th_print("e-[Command 'db load' must be >0 bytes]\r\n");
    } else if (asked > MLPERF_INPUT_BYTES) {
        th_print("e-[Supplied buffer size exceeds maximum of ");
        th_print_number(MLPERF_INPUT_BYTES);
        th_print("]\r\n");
    } else {
        expected_bytes = asked;
        loaded_bytes = 0u;
        th_print("m-[Expecting ");
        th_print_number(asked);
        th_print(" bytes]\r\n");
    }
}

static void db_print(void)
{
    for (uint32_t i = 0u; i < loaded_bytes; i++) {
        th_print(i % PRINTED_IN_LINE == 0u ? "m-buffer-" : "-");
        print_byte(mlperf_buffer[i]);
        if ((i + 1u) % PRINTED_IN_LINE == 0u || i + 1u == loaded_bytes) {
            th_print("\r\n");
        }
    }
}

static void db_hex(const char *digits)
{
    uint32_t count = 0u;
    while (digits[count] != '\0') {
        if (digit_of(digits[count]) > 15u) {
            th_print("e-[Invalid hex digit]\r\n");
            return;
        }
        count++;
    }
    if (count % 2u != 0u) {
        th_print("e-[Insufficent number of hex digits]\r\n"); /* spelt as the benchmark does */
        return;
    }
    if (loaded_bytes == expected_bytes) {
        th_print("e-[No bytes are expected]\r\n");
        return;
    }
    for (uint32_t i = 0u; i < count && loaded_bytes < expected_bytes; i += 2u) {
        mlperf_buffer[loaded_bytes++] =
            (uint8_t)(digit_of(digits[i]) << 4 | digit_of(digits[i + 1u]));
    }
    if (loaded_bytes == expected_bytes) {
        th_print("m-load-done\r\n");
    }
}

static void db(char *rest)
{
    const char *const word = next_word(&rest);
    if (*word == '\0') {
        th_print("e-[Command 'db' requires a subcommand]\r\n");
    } else if (is_word(word, "load")) {
        db_load(next_word(&rest));
    } else if (is_word(word, "print")) {
        db_print();
    } else {
        db_hex(word);
    }
}

static void infer(char *rest)
{
    const uint32_t inferences = number_of(next_word(&rest), DEFAULT_INFERENCES);
    uint32_t warmups = number_of(next_word(&rest), DEFAULT_WARMUPS);
    if (inferences == 0u) {
        th_print("e-[Inference iterations must be >0]\r\n");
        return;
    }
    if (loaded_bytes != MLPERF_INPUT_BYTES) {
        th_print("e-[Input has ");
        th_print_number(loaded_bytes);
        th_print(" bytes, expected ");
        th_print_number(MLPERF_INPUT_BYTES);
        th_print("]\r\n");
        return;
    }
    th_load_tensor();
    th_print("m-warmup-start-");
    th_print_number(warmups);
    th_print("\r\n");
    for (; warmups != 0u; warmups--) {
        th_infer();
    }
    th_print("m-warmup-done\r\nm-infer-start-");
    th_print_number(inferences);
    th_print("\r\n");
    th_timestamp();
    for (uint32_t i = 0u; i < inferences; i++) {
        th_infer();
    }
    th_timestamp();
    th_print("m-infer-done\r\n");
    th_results();
}

static void help(void)
{
    th_print(MLPERF_FIRMWARE "\r\n\r\n"
             "name, profile, timestamp, results\r\n"
             "db load N      : expect N bytes\r\n"
             "db HH[HH]*     : bytes in hex, until there are N\r\n"
             "db print       : the bytes\r\n"
             "infer N [W=10] : W warm-ups, then N inferences\r\n");
}

static void perform(char *rest)
{
    const char *const word = next_word(&rest);
    if (*word == '\0') {
        /* a terminator alone asks whether anybody is there */
    } else if (is_word(word, "name")) {
        th_print("m-name-dut-[edgecomp]\r\n");
    } else if (is_word(word, "profile")) {
        th_print("m-profile-[" MLPERF_FIRMWARE "]\r\nm-model-[" MLPERF_MODEL "]\r\n");
    } else if (is_word(word, "timestamp")) {
        th_timestamp();
    } else if (is_word(word, "db")) {
        db(rest);
    } else if (is_word(word, "infer")) {
        infer(rest);
    } else if (is_word(word, "results")) {
        th_results();
    } else if (is_word(word, "help")) {
        help();
    } else {
        th_print("e-[Unknown command: ");
        th_print(word);
        th_print("]\r\n");
    }
    th_print("m-ready\r\n");
}

int main(void)
{
    uint32_t length = 0u;

    th_serialport_initialize();
    th_timestamp_initialize();
    th_print("m-init-done\r\nm-ready\r\n");
    for (;;) {
        const char character = th_getchar();
        if (character == TERMINATOR) {
            command[length] = '\0';
            length = 0u;
            perform(command);
        } else if (character != '\r' && character != '\n' && length < COMMAND_BYTES) {
            command[length++] = character;
        }
    }
}
