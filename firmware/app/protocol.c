/* The device's side of the protocol; docs/protocol.md describes every byte.
 *
 * Requests are answered in order, one at a time. The last answer is kept: a host that did not
 * receive it asks again with the same bytes and gets it again, and nothing is done twice. */
#include "protocol.h"

#include "app_model.h"
#include "app_stages.h"
#include "attributes.h"
#include "board_config.h"
#include "cobs.h"
#include "counter.h"
#include "crc32.h"
#include "fault.h"
#include "mailbox.h"
#include "paint.h"
#include "platform.h"
#include "port.h"

#define VERSION 1u
#define MAX_FRAME 252u /* before encoding: 255 bytes on the line with both zeros */
#define LINE_FRAME (MAX_FRAME + 3u)
#define HEAD_BYTES 4u
#define CRC_BYTES 4u
#define LONGEST_DATA (MAX_FRAME - CRC_BYTES)

/* With the weights, as it changes with them: what remains of the image is the code alone. Volatile,
 * so that it is read from there. */
static const volatile uint32_t build_id APP_SECTION(".rodata.ec_weights.build") = MODEL_BUILD_ID;

#define RESET_INTO_LOADER 1u /* the data byte of a RESET that asks for the resident loader */

enum { HELLO = 1, TENSOR = 2, PUT = 3, RUN = 4, GET = 5, BAUD = 6, RESET = 7 };
enum { ANSWER = 0x80, KEEPALIVE = 0xa0, LAYER = 0xa1, ERROR = 0xff };
enum {
    ERROR_FRAME = 1,
    ERROR_VERSION = 2,
    ERROR_TYPE = 3,
    ERROR_ARGUMENT = 4,
    ERROR_BUILD = 5,
    ERROR_INPUT = 6,
    ERROR_RUN = 7,
    ERROR_NOTHING = 8,
    ERROR_ORDER = 9
};
enum { RUN_LAYERS = 1 };
enum { GET_OUTPUTS = 0, GET_STAGE = 1 };
enum { HAS_NOTHING = 0, HAS_OUTPUTS = 1, HAS_STAGE = 2 };

#define LOWEST_BAUD 1200u

static uint8_t arena[MODEL_ARENA_BYTES] APP_ALIGNED(MODEL_ARENA_ALIGN) APP_SECTION(".bss.arena");

static struct cobs_reader reader;
static uint8_t request[MAX_FRAME];
static uint8_t reply[MAX_FRAME];
static uint32_t reply_length;
static uint32_t answered; /* the CRC of the request that `reply` answers */
static uint32_t has_answered;

static uint32_t counter;
static uint32_t nonce; /* 0 until the first HELLO after a reset */
static uint32_t held;  /* what the arena holds: HAS_* */
static uint32_t held_stage;
static uint32_t baud;
static uint32_t heard_at;     /* when the last good request came */
static uint32_t is_baud_test; /* the new rate is not confirmed yet */

/* --- Bytes of a frame: little-endian, at any alignment --- */

static uint32_t get16(const uint8_t *from)
{
    return (uint32_t)from[0] | (uint32_t)from[1] << 8;
}

static uint32_t get32(const uint8_t *from)
{
    return get16(from) | get16(from + 2) << 16;
}

static void add(uint32_t value, uint32_t bytes)
{
    for (uint32_t i = 0u; i < bytes; i++) {
        reply[reply_length] = (uint8_t)value;
        reply_length++;
        value >>= 8;
    }
}

static void add_bytes(const uint8_t *from, uint32_t bytes)
{
    for (uint32_t i = 0u; i < bytes; i++) {
        add(from[i], 1u);
    }
}

static void begin(uint32_t type)
{
    reply_length = 0u;
    add(VERSION, 1u);
    add(type, 1u);
    add_bytes(request + 2, 2u); /* the sequence number */
}

static void send(void)
{
    add(crc32(reply, reply_length), CRC_BYTES);
    cobs_send(reply, reply_length);
}

static void fail(uint32_t code, uint32_t detail)
{
    begin(ERROR);
    add(code, 1u);
    add(detail, 4u);
}

/* --- Time --- */

/* Ticks since `start`; 0 where the clock seems to run backwards, as emulators' may. */
static uint32_t ticks_since(uint32_t start)
{
    const uint32_t passed = counter_now() - start;
    return passed > 0x7fffffffu ? 0u : passed;
}

static uint32_t half_second(void)
{
    return counter_hz() / 2u;
}

/* --- The model --- */

static uint32_t arena_high_water(void)
{
    uint32_t used = MODEL_ARENA_BYTES;
    while (used > 0u && arena[used - 1u] == paint(used - 1u)) {
        used--;
    }
    return used;
}

static uint32_t input_crc(void)
{
    uint32_t crc = 0u;
    for (int i = 0; i < MODEL_INPUTS; i++) {
        crc = crc32_more(crc, (const uint8_t *)model_input(arena, i), model_input_bytes[i]);
    }
    return crc;
}

static uint32_t output_bytes(void)
{
    uint32_t bytes = 0u;
    for (int i = 0; i < MODEL_OUTPUTS; i++) {
        bytes += model_output_bytes[i];
    }
    return bytes;
}

static uint32_t output_crc(void)
{
    uint32_t crc = 0u;
    for (int i = 0; i < MODEL_OUTPUTS; i++) {
        crc = crc32_more(crc, (const uint8_t *)model_output(arena, i), model_output_bytes[i]);
    }
    return crc;
}

/* Adds what fits of the outputs, one behind the other, from byte `offset` on; `count` at most. */
static void add_outputs(uint32_t offset, uint32_t count)
{
    for (int i = 0; i < MODEL_OUTPUTS; i++) {
        const uint8_t *output = (const uint8_t *)model_output(arena, i);
        for (uint32_t at = 0u; at < model_output_bytes[i]; at++) {
            if (offset > 0u) {
                offset--;
            } else if (count > 0u && reply_length < LONGEST_DATA) {
                add(output[at], 1u);
                count--;
            }
        }
    }
}

static void report_layer(uint32_t sample, int stage, uint32_t ticks)
{
    begin(LAYER);
    add(sample, 4u);
    add((uint32_t)stage, 2u);
    add(ticks, 4u);
    add(crc32(model_stage_codes(arena, stage), model_stage_output[stage].bytes), 4u);
    send();
}

static void keep_alive(uint32_t sample, int stage)
{
    begin(KEEPALIVE);
    add(sample, 4u);
    add((uint32_t)stage, 2u);
    send();
}

#ifdef MODEL_STATE_BYTES
/* What the model kept before the last run, so that this run can be done again, and which one may
 * come next. */
static uint8_t kept_before[MODEL_STATE_BYTES];
static uint32_t next_sample;

static void copy_bytes(uint8_t *to, const uint8_t *from, uint32_t bytes)
{
    for (uint32_t i = 0u; i < bytes; i++) {
        to[i] = from[i];
    }
}

/* Brings back what the model knew before a sample; returns 0 where that is not known. */
static uint32_t remember(uint32_t sample)
{
    if (sample == 0u) {
        model_forget();
    } else if (sample + 1u == next_sample) {
        copy_bytes(app_state, kept_before, MODEL_STATE_BYTES);
    } else if (sample != next_sample) {
        return 0u;
    }
    copy_bytes(kept_before, app_state, MODEL_STATE_BYTES);
    next_sample = sample + 1u;
    return 1u;
}
#endif

/* --- Requests: each leaves its answer in `reply`, or an ERROR --- */

static void answer_hello(const uint8_t *data)
{
    if (nonce == 0u) {
        nonce = (get32(data) ^ counter_now()) | 1u;
    }
    is_baud_test = 0u;
    begin(ANSWER | HELLO);
    add(build_id, 4u);
    add(nonce, 4u);
    add(MAX_FRAME, 2u);
    add(LINE_FRAME, 2u); /* the receive window: one frame, for the UART is polled */
    add((uint32_t)MODEL_INPUTS, 1u);
    add((uint32_t)MODEL_OUTPUTS, 1u);
    add((uint32_t)MODEL_STAGES, 2u);
    add(MODEL_ARENA_BYTES, 4u);
    add(stack_bytes(), 4u);
    add(counter, 1u);
    add(counter_hz(), 4u);
    add(PORT_BAUD, 4u);
    if (fault_record[0] == FAULT_MAGIC) {
        for (uint32_t i = 0u; i < FAULT_WORDS; i++) {
            add(fault_record[i], 4u);
        }
    }
}

static void answer_tensor(const uint8_t *data)
{
    const int is_output = data[0] != 0u;
    const int index = data[1];
    if (index >= (is_output ? MODEL_OUTPUTS : MODEL_INPUTS)) {
        fail(ERROR_ARGUMENT, data[1]);
        return;
    }
    const int32_t *shape = is_output ? model_output_info[index].shape : model_input_info[index].shape;
    const int32_t rank = is_output ? model_output_info[index].rank : model_input_info[index].rank;
    const int32_t zero_point =
        is_output ? model_output_info[index].zero_point : model_input_info[index].zero_point;
    const float *scale = is_output ? &model_output_info[index].scale : &model_input_info[index].scale;
    begin(ANSWER | TENSOR);
    add_bytes(data, 2u);
    add(is_output ? model_output_bytes[index] : model_input_bytes[index], 4u);
    add_bytes((const uint8_t *)scale, 4u); /* as IEEE 754 has it */
    add((uint32_t)zero_point, 4u);
    add((uint32_t)rank, 1u);
    for (int32_t axis = 0; axis < rank; axis++) {
        add((uint32_t)shape[axis], 4u);
    }
}

static void answer_put(const uint8_t *data, uint32_t length)
{
    const uint32_t number = data[0];
    const uint32_t offset = get32(data + 1);
    const uint32_t count = length - 5u;
    if (number >= MODEL_INPUTS || offset > model_input_bytes[number] ||
        count > model_input_bytes[number] - offset) {
        fail(ERROR_ARGUMENT, offset);
        return;
    }
    uint8_t *input = (uint8_t *)model_input(arena, (int)number) + offset;
    for (uint32_t i = 0u; i < count; i++) {
        input[i] = data[5u + i];
    }
    held = HAS_NOTHING;
    begin(ANSWER | PUT);
    add(offset, 4u);
}

static void answer_run(const uint8_t *data)
{
    const uint32_t sample = get32(data + 4);
    const uint32_t flags = data[12];
    const int stop = (int)get16(data + 13);
    const int stages = stop < MODEL_STAGES ? stop + 1 : MODEL_STAGES;
    const uint32_t crc = input_crc();
    if (get32(data) != build_id) {
        fail(ERROR_BUILD, build_id);
        return;
    }
    if (get32(data + 8) != crc) {
        fail(ERROR_INPUT, crc);
        return;
    }
#ifdef MODEL_STATE_BYTES
    if (remember(sample) == 0u) {
        fail(ERROR_ORDER, next_sample);
        return;
    }
#endif
    held = HAS_NOTHING; /* the run may overwrite the input */
    uint64_t ticks = 0u;
    keep_alive(sample, 0);
    uint32_t alive_at = counter_now();
    for (int stage = 0; stage < stages; stage++) {
        const uint32_t start = counter_now();
        if (model_run_stage(arena, stage) != 0) {
            fail(ERROR_RUN, (uint32_t)stage);
            return;
        }
        const uint32_t took = counter_now() - start;
        ticks += took;
        if ((flags & RUN_LAYERS) != 0u) {
            report_layer(sample, stage, took);
        } else if (counter == COUNTER_NONE || ticks_since(alive_at) > half_second()) {
            keep_alive(sample, stage + 1);
            alive_at = counter_now();
        }
    }
    const uint32_t is_whole = stages == MODEL_STAGES;
    held = is_whole ? HAS_OUTPUTS : HAS_STAGE;
    held_stage = (uint32_t)stages - 1u;
    begin(ANSWER | RUN);
    add(sample, 4u);
    add(crc, 4u);
    add(nonce, 4u);
    add((uint32_t)ticks, 4u);
    add((uint32_t)(ticks >> 32), 4u);
    add(arena_high_water(), 4u);
    add(stack_high_water(), 4u);
    add(is_whole ? output_bytes() : 0u, 4u);
    add(is_whole ? output_crc() : 0u, 4u);
    if (is_whole) {
        add_outputs(0u, LONGEST_DATA);
    }
}

static void answer_get(const uint8_t *data)
{
    const uint32_t stage = get16(data + 1);
    const uint32_t offset = get32(data + 3);
    uint32_t count = get16(data + 7);
    const uint32_t is_there = data[0] == GET_STAGE
                                  ? held != HAS_NOTHING && held_stage == stage
                                  : data[0] == GET_OUTPUTS && held == HAS_OUTPUTS;
    if (!is_there) {
        fail(ERROR_NOTHING, data[0]);
        return;
    }
    begin(ANSWER | GET);
    add_bytes(data, 7u);
    if (data[0] == GET_OUTPUTS) {
        add_outputs(offset, count);
        return;
    }
    const uint32_t bytes = model_stage_output[stage].bytes;
    for (uint32_t at = offset; at < bytes && count > 0u && reply_length < LONGEST_DATA; at++) {
        add(model_stage_codes(arena, (int)stage)[at], 1u);
        count--;
    }
}

static void answer_baud(const uint8_t *data)
{
    const uint32_t wanted = get32(data);
    if (wanted < LOWEST_BAUD || wanted > PORT_UART_CLOCK_HZ / 16u) {
        fail(ERROR_ARGUMENT, wanted);
        return;
    }
    begin(ANSWER | BAUD);
    add(wanted, 4u);
    send();
    baud = wanted;
    is_baud_test = 1u;
    port_set_baud(baud);
}

static void answer_reset(const uint8_t *data, uint32_t length)
{
    begin(ANSWER | RESET);
    send();
    port_set_baud(baud); /* waits until the answer has left */
#if defined(BOARD_MAILBOX)
    if (length > 0u && data[0] == RESET_INTO_LOADER) {
        mailbox_call(BOARD_MAILBOX);
    }
#else
    (void)data;
    (void)length;
#endif
    port_reset();
}

/* The bytes of data that a request has, at least; the most are left to the request itself. */
static uint32_t least_data(uint32_t type)
{
    static const uint8_t least[] = {0, 4, 2, 5, 15, 9, 4, 0};
    return least[type];
}

/* Answers the request; returns whether the answer is still to be sent. */
static uint32_t answer(uint32_t type, const uint8_t *data, uint32_t length)
{
    if (type < HELLO || type > RESET) {
        fail(ERROR_TYPE, type);
        return 1u;
    }
    if (length < least_data(type)) {
        fail(ERROR_ARGUMENT, length);
        return 1u;
    }
    switch (type) {
    case HELLO:
        answer_hello(data);
        return 1u;
    case TENSOR:
        answer_tensor(data);
        return 1u;
    case PUT:
        answer_put(data, length);
        return 1u;
    case RUN:
        answer_run(data);
        return 1u;
    case GET:
        answer_get(data);
        return 1u;
    case BAUD:
        answer_baud(data);
        return reply[1] == ERROR;
    default:
        answer_reset(data, length);
        return 0u;
    }
}

/* Says that a frame came damaged, so that the host need not wait; leaves the kept answer alone. */
static void complain(void)
{
    uint8_t frame[] = {VERSION, ERROR, 0u, 0u, ERROR_FRAME, 0u, 0u, 0u, 0u, 0u, 0u, 0u, 0u};
    uint32_t crc = crc32(frame, sizeof frame - CRC_BYTES);
    for (uint32_t i = sizeof frame - CRC_BYTES; i < sizeof frame; i++) {
        frame[i] = (uint8_t)crc;
        crc >>= 8;
    }
    cobs_send(frame, sizeof frame);
}

/* A frame has ended, in `request`. */
static void take_frame(void)
{
    const uint32_t length = reader.length;
    if (!cobs_is_whole(&reader) || length < HEAD_BYTES + CRC_BYTES) {
        complain();
        return;
    }
    const uint32_t crc = get32(request + length - CRC_BYTES);
    if (crc != crc32(request, length - CRC_BYTES)) {
        complain();
        return;
    }
    if (has_answered != 0u && crc == answered) {
        cobs_send(reply, reply_length);
    } else {
        uint32_t is_pending = 1u;
        if (request[0] != VERSION) {
            fail(ERROR_VERSION, VERSION);
        } else {
            is_pending = answer(request[1], request + HEAD_BYTES, length - HEAD_BYTES - CRC_BYTES);
        }
        if (is_pending != 0u) {
            send();
        }
        answered = crc;
        has_answered = 1u;
    }
    heard_at = counter_now();
}

void protocol_start(void)
{
    for (uint32_t i = 0u; i < MODEL_ARENA_BYTES; i++) {
        arena[i] = paint(i);
    }
#ifdef MODEL_BOOT_BYTES
    model_init();
#endif
    counter = counter_start();
    baud = PORT_BAUD;
    complain(); /* a host that was waiting when the reset came asks again at once */
}

void protocol_receive(uint8_t byte)
{
    static const struct cobs_reader fresh;
    if (byte != 0u) {
        cobs_take(&reader, request, MAX_FRAME, byte);
    } else if (reader.code != 0u) {
        take_frame();
        reader = fresh;
    }
}

void protocol_idle(void)
{
    if (baud == PORT_BAUD) {
        return;
    }
    /* A new rate must be confirmed within half a second; later, silence means a lost host. */
    const uint32_t silence = counter_hz() > 0x7fffffffu / 5u ? 0x7fffffffu : counter_hz() * 5u;
    if (ticks_since(heard_at) > (is_baud_test != 0u ? half_second() : silence)) {
        baud = PORT_BAUD;
        is_baud_test = 0u;
        port_set_baud(baud);
    }
}
