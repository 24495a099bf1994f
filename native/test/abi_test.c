/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of what polyshm.h says in numbers, which every language must agree with: constants, the
 * element types' bytes, and of the structs each field's place. "abi_test FILE write" makes it anew.
 * That nothing is missing, the tests of Java and Python say: they have it from the header itself.
 *
 *     constant NAME VALUE
 *     type NUMBER BYTES
 *     struct NAME BYTES
 *     field STRUCT NAME OFFSET BYTES COUNT    COUNT elements of BYTES, 0 if it is no array
 */
#include "check.h"

#include <stdarg.h>

#define CONSTANTS(X)           \
    X(PSHM_NAME_MAX)           \
    X(PSHM_PARTICIPANTS_MAX)   \
    X(PSHM_INTERRUPT_WORDS)    \
    X(PSHM_WAIT_WORDS)         \
    X(PSHM_SCRATCH_PATH_BYTES) \
    X(PSHM_BARRIER_ACTION)     \
    X(PSHM_BOOLEAN)            \
    X(PSHM_INT8)               \
    X(PSHM_INT16)              \
    X(PSHM_CHAR16)             \
    X(PSHM_INT32)              \
    X(PSHM_INT64)              \
    X(PSHM_FLOAT32)            \
    X(PSHM_FLOAT64)            \
    X(PSHM_ARRAY)              \
    X(PSHM_VALUE)              \
    X(PSHM_LOCK)               \
    X(PSHM_SEMAPHORE)          \
    X(PSHM_EVENT)              \
    X(PSHM_LATCH)              \
    X(PSHM_BARRIER)            \
    X(PSHM_RWLOCK)             \
    X(PSHM_CONDITION)          \
    X(PSHM_PERSISTENT)         \
    X(PSHM_LAST_OUT)           \
    X(PSHM_BREAK_NONE)         \
    X(PSHM_BREAK_DEATH)        \
    X(PSHM_BREAK_TIMEOUT)      \
    X(PSHM_BREAK_INTERRUPT)    \
    X(PSHM_BREAK_ABORT)        \
    X(PSHM_BREAK_RESET)        \
    X(PSHM_BREAK_CLOSE)        \
    X(PSHM_BREAK_ACTION)       \
    X(PSHM_READ)               \
    X(PSHM_WRITE)              \
    X(PSHM_REPAIR)

/* FIELD for one, ARRAY for one that is an array. */
#define STRUCTS(STRUCT, FIELD, ARRAY)        \
    STRUCT(pshm_options)                     \
    FIELD(pshm_options, permissions)         \
    FIELD(pshm_options, lifetime)            \
    FIELD(pshm_options, allow_other_owner)   \
    STRUCT(pshm_object_info)                 \
    ARRAY(pshm_object_info, name)            \
    FIELD(pshm_object_info, kind)            \
    FIELD(pshm_object_info, type)            \
    FIELD(pshm_object_info, length)          \
    FIELD(pshm_object_info, bytes)           \
    STRUCT(pshm_participant_info)            \
    FIELD(pshm_participant_info, pid)        \
    FIELD(pshm_participant_info, slot)       \
    FIELD(pshm_participant_info, start_time) \
    FIELD(pshm_participant_info, since_ns)   \
    FIELD(pshm_participant_info, started_ns) \
    ARRAY(pshm_participant_info, segment_id) \
    ARRAY(pshm_participant_info, command)    \
    STRUCT(pshm_holder)                      \
    FIELD(pshm_holder, pid)                  \
    FIELD(pshm_holder, tid)                  \
    FIELD(pshm_holder, start_time)           \
    FIELD(pshm_holder, since_ns)             \
    ARRAY(pshm_holder, thread_name)          \
    STRUCT(pshm_lock_info)                   \
    FIELD(pshm_lock_info, holder)            \
    FIELD(pshm_lock_info, dead)              \
    FIELD(pshm_lock_info, deaths)            \
    FIELD(pshm_lock_info, contentions)       \
    FIELD(pshm_lock_info, abandoned)         \
    STRUCT(pshm_interrupt)                   \
    ARRAY(pshm_interrupt, opaque)            \
    STRUCT(pshm_wait)                        \
    ARRAY(pshm_wait, opaque)                 \
    STRUCT(pshm_semaphore_info)              \
    FIELD(pshm_semaphore_info, available)    \
    FIELD(pshm_semaphore_info, held_here)    \
    FIELD(pshm_semaphore_info, total)        \
    STRUCT(pshm_barrier_info)                \
    FIELD(pshm_barrier_info, parties)        \
    FIELD(pshm_barrier_info, waiting)        \
    FIELD(pshm_barrier_info, broken)         \
    FIELD(pshm_barrier_info, cause)          \
    FIELD(pshm_barrier_info, pid)            \
    STRUCT(pshm_rwlock_info)                 \
    FIELD(pshm_rwlock_info, writer)          \
    FIELD(pshm_rwlock_info, dead)            \
    FIELD(pshm_rwlock_info, deaths)          \
    FIELD(pshm_rwlock_info, readers)         \
    FIELD(pshm_rwlock_info, depth)           \
    FIELD(pshm_rwlock_info, abandoned)

static char table[1 << 14];

__attribute__((format(printf, 1, 2))) static void line(const char *format, ...) {
    size_t length = strlen(table);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(table + length, sizeof(table) - length, format, arguments);
    va_end(arguments);
    CHECK(strlen(table) < sizeof(table) - 1);
}

static void make_table(void) {
#define CONSTANT(name) line("constant " #name " %d\n", (int)name);
#define ERROR(name, number, text) CONSTANT(name)
    PSHM_ERRORS(ERROR)
    CONSTANTS(CONSTANT)
    for (int type = PSHM_BOOLEAN; type <= PSHM_FLOAT64; type++) {
        const int64_t cache_lines = 1 << 10;
        int64_t bytes = pshm_object_bytes(PSHM_ARRAY, type, 64 * cache_lines + 1) -
                        pshm_object_bytes(PSHM_ARRAY, type, 1);
        line("type %d %d\n", type, (int)(bytes / 64 / cache_lines));
    }
#define SIZE(type, name) sizeof(((type *)NULL)->name)
#define STRUCT(type) line("struct " #type " %zu\n", sizeof(type));
#define FIELD(type, name) \
    line("field " #type " " #name " %zu %zu 0\n", offsetof(type, name), SIZE(type, name));
#define ARRAY(type, name)                                                                      \
    line("field " #type " " #name " %zu %zu %zu\n", offsetof(type, name), SIZE(type, name[0]), \
         SIZE(type, name) / SIZE(type, name[0]));
    STRUCTS(STRUCT, FIELD, ARRAY)
}

static void write_table(const char *path) {
    FILE *file = fopen(path, "we");
    CHECK(file != NULL);
    CHECK(fputs(table, file) >= 0);
    CHECK_EQ(fclose(file), 0);
}

static void expect_table(const char *path) {
    static char kept[sizeof(table)];
    FILE *file = fopen(path, "re");
    if (file == NULL)
        CHECK_FAIL("%s: %s", path, strerror(errno));
    size_t bytes = fread(kept, 1, sizeof(kept) - 1, file);
    fclose(file);
    kept[bytes] = '\0';
    char *made_rest = table, *kept_rest = kept, *made, *expected;
    do {
        made = strsep(&made_rest, "\n");
        expected = strsep(&kept_rest, "\n");
        CHECK_STR(made == NULL ? "the end" : made, expected == NULL ? "the end" : expected);
    } while (made != NULL);
}

int main(int argc, char **argv) {
    check_begin(60);
    CHECK(argc >= 2);
    make_table();
    if (argc > 2 && strcmp(argv[2], "write") == 0)
        write_table(argv[1]);
    expect_table(argv[1]);
    return check_end();
}
