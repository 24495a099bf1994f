/* SPDX-License-Identifier: Apache-2.0
 *
 * The golden image: every kind of object, as words of 8 bytes in hexadecimal with their offsets; a
 * word that is not there is 0. It is what the library writes, but for what is another each time,
 * and what every language reads. "golden_test FILE write" makes it anew when the layout has
 * changed. "golden_test FILE compare IMAGE" looks whether a segment's file is the same: what other
 * languages have written.
 *
 * To read it: write the words to a file, put the fingerprint and the checksum right, open it.
 */
#include "check.h"

#include "internal.h"
#include "reseal.h"

enum { HEAP = 32768 };

static const char *golden;
static bool writes;

typedef struct image {
    uint64_t words[(PSHM_HEAP_OFFSET + HEAP) / sizeof(uint64_t)];
} image;

static image made, kept;

static void make_objects(pshm_segment *segment) {
    pshm_array *array;
    pshm_value *value;
    pshm_lock *lock;
    pshm_semaphore *semaphore;
    pshm_event *event;
    pshm_latch *latch;
    pshm_barrier *barrier;
    pshm_rwlock *rwlock;
    pshm_condition *condition;
    static const int32_t ints[] = {1, -2, INT32_MAX};
    CHECK_OK(pshm_array_open(segment, "ints", PSHM_INT32, 3, &array));
    memcpy(pshm_array_data(array), ints, sizeof(ints));
    CHECK_OK(pshm_value_open(segment, "pi", PSHM_FLOAT64, &value));
    *(double *)pshm_value_data(value) = 3.25;
    CHECK_OK(pshm_lock_open(segment, "lock", &lock));
    CHECK_OK(pshm_semaphore_open(segment, "permits", 3, 0, &semaphore));
    CHECK_OK(pshm_semaphore_release(semaphore, 2));
    CHECK_OK(pshm_semaphore_open(segment, "bounded", 2, 1, &semaphore));
    CHECK_OK(pshm_event_open(segment, "event", &event));
    CHECK_OK(pshm_event_set(event));
    CHECK_OK(pshm_latch_open(segment, "latch", 5, &latch));
    CHECK_OK(pshm_latch_count_down(latch, 1));
    CHECK_OK(pshm_barrier_open(segment, "barrier", 1, &barrier));
    CHECK_OK(pshm_barrier_await(barrier, -1, NULL, NULL, NULL));
    CHECK_OK(pshm_rwlock_open(segment, "rwlock", &rwlock));
    CHECK_OK(pshm_condition_open(lock, "condition", &condition));
}

/* What the objects say through the library. */
static void expect_objects(pshm_segment *segment) {
    pshm_array *array;
    pshm_value *value;
    pshm_lock *lock;
    pshm_semaphore *semaphore;
    pshm_event *event;
    pshm_latch *latch;
    pshm_barrier *barrier;
    pshm_rwlock *rwlock;
    pshm_condition *condition;
    pshm_semaphore_info permits;
    int64_t count;
    CHECK_OK(pshm_array_open(segment, "ints", PSHM_INT32, 3, &array));
    const int32_t *ints = pshm_array_data(array);
    CHECK(ints[0] == 1 && ints[1] == -2 && ints[2] == INT32_MAX);
    CHECK_OK(pshm_value_open(segment, "pi", PSHM_FLOAT64, &value));
    CHECK(*(const double *)pshm_value_data(value) == 3.25);
    CHECK_OK(pshm_lock_open(segment, "lock", &lock));
    CHECK_OK(pshm_lock_try_acquire(lock));
    CHECK_OK(pshm_condition_open(lock, "condition", &condition));
    CHECK_EQ(pshm_condition_signal(condition, -1), 0);
    CHECK_CODE(pshm_condition_wait(condition, 0, NULL), PSHM_ETIMEDOUT);
    CHECK_OK(pshm_lock_release(lock));
    CHECK_OK(pshm_semaphore_open(segment, "permits", 3, 0, &semaphore));
    CHECK_OK(pshm_semaphore_inspect(semaphore, &permits));
    CHECK(permits.available == 5 && permits.total == 5);
    CHECK_OK(pshm_semaphore_open(segment, "bounded", 2, 1, &semaphore));
    CHECK_CODE(pshm_semaphore_release(semaphore, 1), PSHM_EOVERFLOW);
    CHECK_OK(pshm_event_open(segment, "event", &event));
    CHECK_EQ(pshm_event_is_set(event), 1);
    CHECK_OK(pshm_latch_open(segment, "latch", 5, &latch));
    CHECK_OK(pshm_latch_count(latch, &count));
    CHECK_EQ(count, 4);
    CHECK_OK(pshm_barrier_open(segment, "barrier", 1, &barrier));
    CHECK_OK(pshm_barrier_await(barrier, -1, NULL, NULL, NULL));
    CHECK_OK(pshm_rwlock_open(segment, "rwlock", &rwlock));
    CHECK_OK(pshm_rwlock_acquire(rwlock, PSHM_WRITE, 0, NULL));
    CHECK_OK(pshm_rwlock_release(rwlock, PSHM_WRITE, 0));
}

/* ---- files ---- */

static uint64_t *word_at(image *of, uint64_t offset) { return &of->words[offset / 8]; }

static void clear(image *of, uint64_t offset, uint64_t bytes) {
    memset(word_at(of, offset), 0, bytes);
}

/* Away with what is another each time, or on each machine. */
static void normalise(image *of) {
    clear(of, offsetof(pshm__header, pid_namespace), 8);
    clear(of, offsetof(pshm__header, id), 16);
    clear(of, offsetof(pshm__header, created_ns), 8);
    clear(of, offsetof(pshm__header, creator_pid), 8);
    clear(of, offsetof(pshm__header, checksum), 8);
    clear(of, PSHM_PARTICIPANT_OFFSET, PSHM_HEAP_OFFSET - PSHM_PARTICIPANT_OFFSET);
    const uint64_t used = *word_at(of, PSHM_DIRECTORY_OFFSET);
    for (uint64_t offset = 0; offset < used;) {
        const uint64_t at = PSHM_HEAP_OFFSET + offset;
        const pshm__object *object = (const pshm__object *)(const void *)word_at(of, at);
        if (object->kind == PSHM_BARRIER)
            clear(of, at + sizeof(*object) + offsetof(pshm__barrier, pids),
                  sizeof(((pshm__barrier *)NULL)->pids));
        offset += object->bytes;
    }
}

static void load_golden(image *out) {
    uint64_t offset, word;
    FILE *file = fopen(golden, "re");
    if (file == NULL)
        CHECK_FAIL("%s: %s", golden, strerror(errno));
    memset(out, 0, sizeof(*out));
    while (fscanf(file, "%" SCNx64 " %" SCNx64 "\n", &offset, &word) == 2) {
        CHECK(offset % 8 == 0 && offset < sizeof(*out));
        *word_at(out, offset) = word;
    }
    CHECK(feof(file));
    fclose(file);
}

static void write_golden(const image *from) {
    FILE *file = fopen(golden, "we");
    CHECK(file != NULL);
    for (size_t i = 0; i < sizeof(*from) / 8; i++) {
        if (from->words[i] != 0)
            fprintf(file, "%06zx %016" PRIx64 "\n", i * 8, from->words[i]);
    }
    CHECK_EQ(fclose(file), 0);
}

static void expect_golden(const char *path) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        CHECK_FAIL("%s: %s", path, strerror(errno));
    CHECK_EQ(read(fd, &made, sizeof(made)), sizeof(made));
    close(fd);
    normalise(&made);
    if (writes)
        write_golden(&made);
    load_golden(&kept);
    for (uint64_t offset = 0; offset < sizeof(made); offset += 8) {
        if (*word_at(&made, offset) != *word_at(&kept, offset))
            CHECK_FAIL("at offset %06" PRIx64 ": written=%016" PRIx64 ", golden=%016" PRIx64
                       "; if the layout is to change, say so in LAYOUT.md and make it anew",
                       offset, *word_at(&made, offset), *word_at(&kept, offset));
    }
}

static void shouldWriteTheGoldenImage(void) {
    const pshm_options persistent = {.lifetime = PSHM_PERSISTENT};
    pshm_segment *segment;
    const char *name = name_of("golden");
    CHECK_OK(pshm_segment_create(name, HEAP, &persistent, &segment));
    make_objects(segment);
    CHECK_OK(pshm_segment_close(segment));
    expect_golden(path_of_name(name));
    CHECK_OK(pshm_segment_unlink(name));
}

static void shouldReadTheGoldenImage(void) {
    pshm_segment *segment;
    const char *name = name_of("golden");
    load_golden(&kept);
    pshm__header *header = (pshm__header *)(void *)&kept;
    pshm__os_fingerprint(header);
    reseal(header);
    int fd = open(path_of_name(name), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    CHECK_EQ(write(fd, &kept, sizeof(kept)), sizeof(kept));
    close(fd);
    CHECK_OK(pshm_segment_open(name, NULL, &segment));
    expect_objects(segment);
    CHECK_OK(pshm_segment_close(segment));
    CHECK_OK(pshm_segment_unlink(name));
}

int main(int argc, char **argv) {
    CHECK(argc >= 2);
    golden = argv[1];
    if (argc > 3 && strcmp(argv[2], "compare") == 0) { /* in the folder that its caller sees */
        expect_golden(argv[3]);
        return puts("equal") < 0;
    }
    check_begin(60);
    writes = argc > 2 && strcmp(argv[2], "write") == 0;
    RUN(shouldWriteTheGoldenImage);
    RUN(shouldReadTheGoldenImage);
    return check_end();
}
