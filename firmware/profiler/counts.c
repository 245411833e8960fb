/* A plugin of QEMU that counts how often each block of guest code runs, and how often it was left
 * by a jump.
 *
 * Arguments: out=FILE, enter=ADDR, leave=ADDR and any number of mark=ADDR. Blocks count from one
 * that begins at `enter` until one that begins at `leave`; a mark, which must be the target of a
 * jump, ends one section of the counts and begins the next.
 *
 * FILE has a line `begin` as soon as the plugin is loaded. Each section ends with `end`, preceded
 * by a line for every block that ran in it: its address, the address behind it, the number of
 * its instructions, how often it ran, and how often the next block was not the one behind it
 * (addresses in hexadecimal, counts in decimal). */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* QEMU's plugin interface, as far as it is used here: Debian's package brings no header. From
 * "QEMU TCG Plugins" in its developer manual; alike in every version of the interface since 1. */
#ifndef PLUGIN_VERSION
#define PLUGIN_VERSION 1
#endif

typedef uint64_t qemu_plugin_id_t;
typedef struct qemu_info_t qemu_info_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
enum qemu_plugin_cb_flags { QEMU_PLUGIN_CB_NO_REGS };

typedef void translated_fn(qemu_plugin_id_t id, struct qemu_plugin_tb *tb);
typedef void executed_fn(unsigned int vcpu, void *data);

void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id, translated_fn *fn);
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *tb, executed_fn *fn,
                                          enum qemu_plugin_cb_flags flags, void *data);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t i);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *insn);

#define EXPORT __attribute__((visibility("default")))

EXPORT extern int qemu_plugin_version;
EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv);

int qemu_plugin_version = PLUGIN_VERSION;

enum role { ROLE_NONE, ROLE_ENTER, ROLE_MARK, ROLE_LEAVE };

/* A block as QEMU translated it; the same code may be translated more than once. */
struct block {
    struct block *next;
    uint64_t start;
    uint64_t end;
    size_t instructions;
    uint64_t executions;
    uint64_t jumps;
    enum role role;
};

struct marker {
    uint64_t addr;
    enum role role;
};

static FILE *out;
static struct marker *markers;
static size_t marker_count;
static struct block *blocks;
static struct block *previous; /* the block that ran last, NULL while nothing counts */
static bool counting;

/* Writes the counts since the last section and sets them back. */
static void end_section(void)
{
    for (struct block *block = blocks; block != NULL; block = block->next) {
        if (block->executions != 0) {
            (void)fprintf(out, "%llx %llx %zu %llu %llu\n", (unsigned long long)block->start,
                          (unsigned long long)block->end, block->instructions,
                          (unsigned long long)block->executions, (unsigned long long)block->jumps);
        }
        block->executions = 0;
        block->jumps = 0;
    }
    (void)fputs("end\n", out);
    (void)fflush(out);
}

static void executed(unsigned int vcpu, void *data)
{
    struct block *const block = data;
    (void)vcpu;

    if (previous != NULL && previous->end != block->start) {
        previous->jumps++;
    }
    previous = block;
    if (block->role != ROLE_NONE) {
        if (counting) {
            end_section();
        }
        counting = block->role == ROLE_ENTER || (counting && block->role == ROLE_MARK);
    }
    if (!counting) {
        previous = NULL;
        return;
    }
    block->executions++;
}

static enum role role_of(uint64_t addr)
{
    for (size_t i = 0; i < marker_count; i++) {
        if (markers[i].addr == addr) {
            return markers[i].role;
        }
    }
    return ROLE_NONE;
}

/* Bytes of an instruction of Thumb, by its first half. What QEMU gives as the size of a block's last
 * one may count half of the next, which it looks at where a page ends. */
static uint64_t size_of(const struct qemu_plugin_insn *insn)
{
    const unsigned char *const bytes = qemu_plugin_insn_data(insn);
    return bytes[1] >= 0xE8 ? 4 : 2;
}

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
    (void)id;
    struct block *const block = calloc(1, sizeof *block);
    if (block == NULL) {
        abort();
    }
    block->start = qemu_plugin_tb_vaddr(tb);
    block->instructions = qemu_plugin_tb_n_insns(tb);
    const struct qemu_plugin_insn *const last =
        qemu_plugin_tb_get_insn(tb, block->instructions - 1);
    block->end = qemu_plugin_insn_vaddr(last) + size_of(last);
    block->role = role_of(block->start);
    block->next = blocks;
    blocks = block;
    qemu_plugin_register_vcpu_tb_exec_cb(tb, executed, QEMU_PLUGIN_CB_NO_REGS, block);
}

static bool read_argument(const char *argument)
{
    static const struct {
        const char *name;
        enum role role;
    } roles[] = {{"enter=", ROLE_ENTER}, {"mark=", ROLE_MARK}, {"leave=", ROLE_LEAVE}};

    if (strncmp(argument, "out=", 4) == 0) {
        out = fopen(argument + 4, "w");
        return out != NULL;
    }
    for (size_t i = 0; i < sizeof roles / sizeof roles[0]; i++) {
        const size_t length = strlen(roles[i].name);
        if (strncmp(argument, roles[i].name, length) == 0) {
            const uint64_t addr = strtoull(argument + length, NULL, 16);
            markers[marker_count++] = (struct marker){addr, roles[i].role};
            return true;
        }
    }
    return false;
}

int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv)
{
    (void)info;
    markers = calloc((size_t)argc + 1, sizeof *markers);
    if (markers == NULL) {
        return -1;
    }
    for (int i = 0; i < argc; i++) {
        if (!read_argument(argv[i])) {
            (void)fprintf(stderr, "profiler: cannot use %s\n", argv[i]);
            return -1;
        }
    }
    if (out == NULL) {
        return -1;
    }
    (void)fputs("begin\n", out);
    (void)fflush(out);
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    return 0;
}
