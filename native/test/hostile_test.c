/* SPDX-License-Identifier: Apache-2.0
 *
 * A segment that another process rewrites all the time, at random, while this one opens, walks,
 * fills, grows and closes it: no crash, no hang, no access outside the mapping, which has guard
 * pages around it here. The mutexes are left alone: peers are trusted with those.
 */
#include "check.h"

#include <sys/ptrace.h>

#include "internal.h"

#define HEAP 16384u
#define SEED 4711
#define OBJECTS 7 /* that there are at first */
#define TOTAL (PSHM_HEAP_OFFSET + HEAP)

typedef struct turns {
    atomic_bool begin, stop, stopped;
    _Atomic uint64_t scribbles;
} turns;

/* Word `word` of the segment is, or may become, a part of a mutex that is locked. */
static bool is_mutex(size_t word) {
    size_t at = word * 8;
    if (at < PSHM_HEAP_OFFSET)
        return at / 64 == (PSHM_DIRECTORY_OFFSET + offsetof(pshm__directory, mutex)) / 64;
    return at / 64 == (PSHM_HEAP_OFFSET + offsetof(pshm__object, lock)) / 64; /* the first lock's */
}

static uint64_t any_value(uint64_t *seed) {
    static const uint64_t special[] = {0,
                                       1,
                                       2,
                                       3,
                                       8,
                                       63,
                                       64,
                                       65,
                                       320,
                                       384,
                                       448,
                                       4096,
                                       HEAP - 384,
                                       HEAP - 320,
                                       HEAP - 64,
                                       HEAP - 1,
                                       HEAP,
                                       HEAP + 1,
                                       HEAP + 64,
                                       TOTAL,
                                       INT64_MAX,
                                       UINT64_MAX,
                                       UINT64_MAX - 63,
                                       (uint64_t)1 << 63,
                                       (uint64_t)1 << 61,
                                       (uint64_t)1 << 32,
                                       ((uint64_t)5 << 32) | 1,
                                       ((uint64_t)5 << 32) | 2};
    uint64_t chance = random_next(seed);
    return chance % 8 == 0 ? random_next(seed)
                           : special[(chance >> 8) % (sizeof(special) / sizeof(special[0]))];
}

/* A word at random, to and fro between what it was when all was well and something else: what reads
 * it twice gets both. Most are left as they were, or little would be reached. */
static void scribble(void *argument) {
    static uint64_t good[TOTAL / 8];
    turns *shared = argument;
    size_t heads[OBJECTS], head = PSHM_HEAP_OFFSET;
    uint64_t seed = SEED;
    int fd = open(path_of_name(name_of("hostile")), O_RDWR | O_CLOEXEC);
    CHECK(fd >= 0);
    CHECK_EQ(pread(fd, good, TOTAL, 0), TOTAL);
    _Atomic uint64_t *words = mmap(NULL, TOTAL, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(words != MAP_FAILED);
    for (int i = 0; i < OBJECTS; i++) {
        heads[i] = head / 8;
        head += good[head / 8 + offsetof(pshm__object, bytes) / 8];
    }
    shared->begin = true;
    while (!shared->stop) {
        uint64_t chance = random_next(&seed), value = any_value(&seed);
        size_t word = chance >> 8;
        switch (chance % 8) {
        case 0: word = word % (TOTAL / 8); break;
        case 1: word = word % (sizeof(pshm__header) / 8); break;
        case 2: word = PSHM_DIRECTORY_OFFSET / 8; break; /* heap_used */
        case 3: word = PSHM_PARTICIPANT_OFFSET / 8 + word % 32; break;
        default: word = heads[word % OBJECTS] + (word >> 8) % 4; /* kind to bytes */
        }
        if (is_mutex(word))
            continue;
        for (int i = 0; i < 500; i++)
            words[word] = i % 2 == 0 ? value : good[word];
        if ((chance >> 40) % 32 == 0)
            words[word] = value;
        shared->scribbles++;
    }
    for (size_t word = 0; word < TOTAL / 8; word++) {
        if (!is_mutex(word))
            words[word] = good[word];
    }
}

/* ---- what is done to it meanwhile ---- */

static int code_of(int code) {
    CHECK(code == 0 || code == PSHM_ELAYOUT || code == PSHM_ENOSPACE || code == PSHM_ETYPE ||
          (fprintf(stderr, "%s\n", pshm_error_detail()), false));
    return code;
}

static size_t walk(pshm_segment *segment) {
    uint64_t cursor = 0;
    pshm_participant_info participant;
    pshm_object_info object;
    size_t filled = 0;
    int count = 0;
    while (pshm_segment_next_participant(segment, &cursor, &participant) == 1)
        CHECK(memchr(participant.command, 0, sizeof(participant.command)) != NULL);
    int64_t free_bytes = pshm_segment_free_bytes(segment);
    CHECK(free_bytes >= 0 && free_bytes <= HEAP);
    cursor = 0;
    while (pshm_segment_next_object(segment, &cursor, &object) == 1) {
        pshm_array *array;
        CHECK(++count <= (int)(HEAP / sizeof(pshm__object)));
        CHECK(memchr(object.name, 0, sizeof(object.name)) != NULL);
        if (object.kind == PSHM_ARRAY && pshm_array_open(segment, object.name, object.type,
                                                         (int64_t)object.length, &array) == 0) {
            int64_t bytes = pshm_object_bytes(PSHM_ARRAY, object.type, pshm_array_length(array));
            memset(pshm_array_data(array), 0x55, (size_t)bytes - sizeof(pshm__object));
            filled++;
        }
    }
    return filled;
}

static void grow(pshm_segment *segment, uint64_t *seed) {
    char name[8];
    pshm_array *array;
    pshm_lock *lock;
    uint64_t chance = random_next(seed);
    int64_t length = 1 + (int64_t)((chance >> 8) % 200);
    snprintf(name, sizeof(name), "g%u", (unsigned)(chance % 1000));
    if (code_of(pshm_array_open(segment, name, PSHM_INT64, length, &array)) == 0)
        memset(pshm_array_data(array), 0x55, (size_t)length * sizeof(int64_t));
    snprintf(name, sizeof(name), "l%u", (unsigned)(chance % 1000));
    code_of(pshm_lock_open(segment, name, &lock));
}

/* Any outcome is right, but for a thread that waits, and what is not ours is not given back. */
static void take(pshm_lock *lock) {
    pshm_lock_info info;
    pshm__locks_held = 0; /* that a wrong depth lets grow */
    int code = pshm_lock_try_acquire(lock);
    CHECK(code == 0 || code == PSHM_EOWNERDIED);
    if (code == PSHM_EOWNERDIED) {
        code = pshm_lock_acquire_abandoned(lock);
        CHECK(code == 0 || code == PSHM_EGOOD);
    }
    CHECK_OK(pshm_lock_inspect(lock, &info));
    if (code == 0) {
        CHECK_OK(pshm_lock_mark_good(lock));
        CHECK_OK(pshm_lock_release(lock));
    }
    CHECK_CODE(pshm_lock_release(lock), PSHM_ENOTOWNER);
}

static void shouldStayInsideWhatItHasMapped(void) {
    const char *name = name_of("hostile");
    turns *shared = shared_zeroes(sizeof(*shared));
    uint64_t seed = SEED, rounds = 0, opened = 0, filled = 0;
    pshm_segment *kept, *segment;
    pshm_lock *lock;
    pshm_array *array;
    CHECK_OK(pshm_segment_create(name, HEAP, NULL, &kept));
    CHECK_OK(pshm_lock_open(kept, "lock", &lock)); /* the first, see is_mutex */
    for (int i = 1; i < OBJECTS; i++) {
        char of[8];
        snprintf(of, sizeof(of), "a%d", i);
        CHECK_OK(pshm_array_open(kept, of, PSHM_BOOLEAN + i, i * 40, &array));
    }
    pid_t child = start(scribble, shared);
    AWAIT(shared->begin);
    for (const int64_t end = now_ns() + 4000000000; now_ns() < end; rounds++) {
        filled += walk(kept);
        grow(kept, &seed);
        take(lock);
        int code = pshm_segment_open(name, NULL, &segment);
        if (code_of(code) != 0)
            continue;
        CHECK_EQ(pshm_segment_size_bytes(segment), HEAP);
        filled += walk(segment);
        grow(segment, &seed);
        CHECK_OK(pshm_segment_close(segment));
        opened++;
    }
    shared->stop = true;
    CHECK_JOIN(child);
    printf("    seed=%d, scribbles=%" PRIu64 ", rounds=%" PRIu64 ", opened=%" PRIu64
           ", arrays filled=%" PRIu64 "\n",
           SEED, (uint64_t)shared->scribbles, rounds, opened, filled);
    CHECK(opened > 10 && opened < rounds && filled > 10);
    /* It was not taken for a dead one in all this. */
    CHECK_OK(pshm_segment_open(name, NULL, &segment));
    CHECK_OK(pshm_lock_acquire(lock));
    CHECK_OK(pshm_lock_release(lock));
    CHECK_OK(pshm_segment_close(segment));
    CHECK_OK(pshm_segment_close(kept));
    CHECK_OK(pshm_segment_unlink(name));
}

/* ---- at every instruction ---- */

static void open_and_fill(const char *name) {
    pshm_segment *segment;
    pshm_array *array;
    pshm_object_info info = {.length = 64};
    uint64_t cursor = 0;
    CHECK_OK(pshm_segment_open(name, NULL, &segment));
    CHECK_EQ(ptrace(PTRACE_TRACEME, 0, NULL, NULL), 0);
    raise(SIGSTOP);
    pshm_segment_next_object(segment, &cursor, &info); /* what it is told, it asks for */
    if (pshm_array_open(segment, "a", PSHM_INT8, (int64_t)info.length, &array) == 0)
        memset(pshm_array_data(array), 0x55, (size_t)pshm_array_length(array));
    _exit(0);
}

/* Run it instruction by instruction; chance decides after each one what the word is. */
static long step_through(const char *name, _Atomic uint64_t *word, uint64_t value, uint64_t *seed) {
    const uint64_t good = *word;
    long steps = 0;
    int status = 0, signal = 0;
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        open_and_fill(name);
    }
    CHECK_EQ(waitpid(child, &status, WUNTRACED), child);
    CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
    while (WIFSTOPPED(status)) {
        *word = random_next(seed) % 2 == 0 ? good : value;
        CHECK_EQ(ptrace(PTRACE_SINGLESTEP, child, NULL, signal), 0);
        CHECK_EQ(waitpid(child, &status, 0), child);
        signal = WSTOPSIG(status) == SIGTRAP ? 0 : WSTOPSIG(status);
        steps++;
    }
    if (status != 0)
        CHECK_FAIL("status=%d after %ld instructions, value=%" PRIu64, status, steps, value);
    *word = good;
    return steps;
}

static void shouldReadNothingTwice(void) {
    enum { ROUNDS = 200 };
    static const uint64_t values[] = {HEAP * 8, (uint64_t)1 << 40};
    const char *names[] = {name_of("empty"), name_of("full")};
    const int64_t end = now_ns() + 8000000000;
    uint64_t seed = SEED;
    pshm_segment *segments[2];
    pshm_array *array;
    long steps = 0;
    int rounds = 0;
    for (int i = 0; i < 2; i++)
        CHECK_OK(pshm_segment_create(names[i], HEAP, NULL, &segments[i]));
    CHECK_OK(pshm_array_open(segments[1], "a", PSHM_INT8, 64, &array));
    for (; rounds < ROUNDS && now_ns() < end; rounds++) {
        /* Of the empty one, where it makes the array, heap_used; of the other the length. */
        bool full = rounds % 2 != 0;
        uint64_t *words = (void *)segments[full]->base;
        size_t word = full ? PSHM_HEAP_OFFSET / 8 + 1 : PSHM_DIRECTORY_OFFSET / 8;
        uint64_t value = values[random_next(&seed) % 2];
        steps += step_through(names[full], (_Atomic uint64_t *)&words[word], value, &seed);
    }
    printf("    seed=%d, rounds=%d, instructions=%ld\n", SEED, rounds, steps);
    for (int i = 0; i < 2; i++) {
        CHECK_OK(pshm_segment_close(segments[i]));
        CHECK_OK(pshm_segment_unlink(names[i]));
    }
}

/* Who holds a lock is asked of its mutex, and not of what a peer can write beside it. */
static void shouldCloseWhateverIsWrittenOfTheHolder(void) {
    const char *name = name_of("holder");
    pshm_segment *segment;
    pshm_lock *lock;
    CHECK_OK(pshm_segment_create(name, HEAP, NULL, &segment));
    CHECK_OK(pshm_lock_open(segment, "lock", &lock));
    CHECK_OK(pshm_lock_acquire(lock));
    ((pshm__lock *)lock->shared)->depth = 7;
    CHECK_CODE(pshm_segment_close(segment), PSHM_EHELD);
    CHECK_OK(pshm_lock_release(lock)); /* the holder's identity stays */
    CHECK_CODE(pshm_lock_release(lock), PSHM_ENOTOWNER);
    CHECK_OK(pshm_segment_close(segment));
    CHECK_OK(pshm_segment_unlink(name));
}

int main(void) {
    check_begin(110);
    RUN(shouldStayInsideWhatItHasMapped);
    RUN(shouldReadNothingTwice);
    RUN(shouldCloseWhateverIsWrittenOfTheHolder);
    return check_end();
}
