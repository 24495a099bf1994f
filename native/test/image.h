/* SPDX-License-Identifier: Apache-2.0
 *
 * One arbitrary image: a file that holds it is opened, walked, used and closed as if it were a
 * segment. image_fuzz.c calls this with what libFuzzer thinks up, image_test.c with what is kept of
 * that in the corpus.
 *
 * An input is an image without its dull parts, so that small ones reach far:
 *
 *     0  flags, below
 *     1  bytes that the file has more than the image, or less: signed, 16 bits
 *     3  the header (128), `heap used` (8), participants 0 and 1 (128), the heap; cut off anywhere
 *
 * A mutex of arbitrary bytes is another matter: it can stop or end any thread that locks it, so
 * peers are trusted with those. Each one is put right before it is used.
 */
#ifndef PSHM_TEST_IMAGE_H
#define PSHM_TEST_IMAGE_H

#include "check.h"

#include "internal.h"
#include "reseal.h"

enum {
    IMAGE_HERE = 1,   /* the fingerprint becomes that of this process */
    IMAGE_SIZED = 2,  /* `total bytes` becomes the size of the file */
    IMAGE_SEALED = 4, /* the checksum becomes right */
    IMAGE_IN_USE = 8  /* participant 1 lives */
};

/* Where what stands in an input. */
enum {
    IMAGE_HEADER_AT = 3,
    IMAGE_USED_AT = IMAGE_HEADER_AT + sizeof(pshm__header),
    IMAGE_PARTICIPANTS_AT = IMAGE_USED_AT + sizeof(uint64_t),
    IMAGE_HEAP_AT = IMAGE_PARTICIPANTS_AT + 2 * sizeof(pshm__participant)
};

#define IMAGE_HEAP 16384u /* bytes at most */

/* libFuzzer keeps an input that ends so. */
#define IMAGE_CHECK(condition)                                                               \
    do {                                                                                     \
        if (!(condition)) {                                                                  \
            fprintf(stderr, "%s:%d: not %s; the last failure was: %s\n", __FILE__, __LINE__, \
                    #condition, pshm_error_detail());                                        \
            abort();                                                                         \
        }                                                                                    \
    } while (0)

/* Bytes from..to of the input, as many as there are. */
static size_t image_copy(void *out, const uint8_t *input, size_t bytes, size_t from, size_t to) {
    to = to < bytes ? to : bytes;
    if (from < to)
        memcpy(out, input + from, to - from);
    return from < to ? to - from : 0;
}

static void image_write(int fd, const void *from, size_t bytes, uint64_t offset) {
    IMAGE_CHECK(pwrite(fd, from, bytes, (off_t)offset) == (ssize_t)bytes);
}

static void image_repair(pshm__header *header, int flags, uint64_t file_bytes) {
    if (flags & IMAGE_HERE)
        pshm__os_fingerprint(header);
    if (flags & IMAGE_SIZED)
        header->total_bytes = file_bytes;
    if (flags & IMAGE_SEALED)
        reseal(header);
}

/* Make the file; its size. */
static uint64_t image_make(int fd, const uint8_t *input, size_t bytes) {
    static uint8_t image[PSHM_HEAP_OFFSET + IMAGE_HEAP];
    uint8_t flags = 0;
    int16_t delta = 0;
    memset(image, 0, sizeof(image));
    image_copy(&flags, input, bytes, 0, 1);
    image_copy(&delta, input, bytes, 1, IMAGE_HEADER_AT);
    image_copy(image, input, bytes, IMAGE_HEADER_AT, IMAGE_USED_AT);
    image_copy(image + PSHM_DIRECTORY_OFFSET, input, bytes, IMAGE_USED_AT, IMAGE_PARTICIPANTS_AT);
    image_copy(image + PSHM_PARTICIPANT_OFFSET, input, bytes, IMAGE_PARTICIPANTS_AT, IMAGE_HEAP_AT);
    int64_t image_bytes = PSHM_HEAP_OFFSET;
    image_bytes += (int64_t)image_copy(image + PSHM_HEAP_OFFSET, input, bytes, IMAGE_HEAP_AT,
                                       IMAGE_HEAP_AT + IMAGE_HEAP);
    int64_t file_bytes = image_bytes + delta < 0 ? 0 : image_bytes + delta;
    image_repair((pshm__header *)(void *)image, flags, (uint64_t)file_bytes);
    image_write(fd, image, (size_t)(file_bytes < image_bytes ? file_bytes : image_bytes), 0);
    IMAGE_CHECK(ftruncate(fd, file_bytes) == 0);
    if (flags & IMAGE_IN_USE)
        IMAGE_CHECK(pshm__os_file_lock(fd, PSHM_PARTICIPANT_OFFSET + sizeof(pshm__participant)) ==
                    0);
    return (uint64_t)file_bytes;
}

static void image_lock(pshm_lock *lock) {
    pshm_lock_info info;
    pshm__locks_held = 0; /* a wrong depth may have stayed in the count */
    int code = pshm_lock_try_acquire(lock);
    if (code == PSHM_EOWNERDIED)
        code = pshm_lock_acquire_abandoned(lock);
    IMAGE_CHECK(code == 0);
    IMAGE_CHECK(pshm_lock_inspect(lock, &info) == 0);
    IMAGE_CHECK(memchr(info.holder.thread_name, 0, sizeof(info.holder.thread_name)) != NULL);
    IMAGE_CHECK(memchr(info.dead.thread_name, 0, sizeof(info.dead.thread_name)) != NULL);
    IMAGE_CHECK(pshm_lock_mark_good(lock) == 0);
    IMAGE_CHECK(pshm_lock_release(lock) == 0);
}

/* Nothing of it waits. What its state says is the peer's; that we keep within it is what counts. */
static int image_use_synchronizer(pshm_segment *segment, const pshm_object_info *info) {
    pshm_semaphore *semaphore;
    pshm_semaphore_info permits;
    pshm_event *event;
    pshm_latch *latch;
    pshm_barrier *barrier;
    pshm_barrier_info parties;
    pshm_rwlock *rwlock;
    pshm_rwlock_info holders;
    pshm_wait wait;
    int64_t number = 0;
    int code;
    switch (info->kind) {
    case PSHM_SEMAPHORE:
        code =
            pshm_semaphore_open(segment, info->name, (int64_t)info->length, info->type, &semaphore);
        if (code == 0) {
            pshm_semaphore_try_acquire(semaphore, 1);
            pshm_semaphore_release(semaphore, 2);
            pshm_semaphore_drain(semaphore, &number);
            pshm_semaphore_reduce(semaphore, 1);
            IMAGE_CHECK(pshm_semaphore_inspect(semaphore, &permits) == 0);
        }
        return code;
    case PSHM_EVENT:
        code = pshm_event_open(segment, info->name, &event);
        if (code == 0) {
            IMAGE_CHECK(pshm_event_set(event) == 0 && pshm_event_await(event, 0, NULL) == 0);
            IMAGE_CHECK(pshm_event_clear(event) == 0 && pshm_event_is_set(event) == 0);
        }
        return code;
    case PSHM_LATCH:
        code = pshm_latch_open(segment, info->name, (int64_t)info->length, &latch);
        if (code == 0) {
            IMAGE_CHECK(pshm_latch_count_down(latch, INT64_MAX) == 0);
            pshm_latch_await(latch, 0, NULL);
        }
        return code;
    case PSHM_BARRIER:
        code = pshm_barrier_open(segment, info->name, (int64_t)info->length, &barrier);
        if (code == 0) {
            IMAGE_CHECK(pshm_barrier_prepare(barrier, 1, &wait) == 0);
            if ((code = pshm_wait_poll(&wait)) == PSHM_BARRIER_ACTION)
                pshm_barrier_trip(&wait);
            else if (code == PSHM_EBUSY)
                pshm_wait_cancel(&wait, PSHM_ETIMEDOUT);
            pshm_barrier_await(barrier, 0, NULL, NULL, NULL);
            IMAGE_CHECK(pshm_barrier_inspect(barrier, &parties) == 0);
            IMAGE_CHECK(pshm_barrier_abort(barrier) == 0 && pshm_barrier_reset(barrier) == 0);
        }
        return code >= 0 || code == PSHM_EBUSY || code == PSHM_EBROKEN ? 0 : code;
    case PSHM_RWLOCK:
        code = pshm_rwlock_open(segment, info->name, &rwlock);
        for (int mode = PSHM_READ; code == 0 && mode <= PSHM_REPAIR; mode++) {
            if (pshm_rwlock_acquire(rwlock, mode, 0, NULL) == 0)
                pshm_rwlock_release(rwlock, mode, 0);
            IMAGE_CHECK(pshm_rwlock_inspect(rwlock, &holders) == 0);
        }
        return code;
    default: return 0; /* a condition is found by its lock */
    }
}

/* A condition of that name, of this lock perhaps. */
static void image_use_condition(pshm_lock *lock, const char *name) {
    pshm_condition *condition;
    if (pshm_condition_open(lock, name, &condition) != 0 || pshm_lock_try_acquire(lock) != 0)
        return;
    IMAGE_CHECK(pshm_condition_waiting(condition) >= 0);
    IMAGE_CHECK(pshm_condition_signal(condition, 3) >= 0);
    pshm_condition_wait(condition, 0, NULL);
    IMAGE_CHECK(pshm_lock_release(lock) == 0);
}

static void image_use_object(pshm_segment *segment, const pshm_object_info *info) {
    pshm_array *array = NULL;
    pshm_value *value = NULL;
    pshm_lock *lock = NULL;
    int code;
    switch (info->kind) {
    case PSHM_ARRAY:
        code = pshm_array_open(segment, info->name, info->type, (int64_t)info->length, &array);
        if (code == 0) {
            size_t bytes = (size_t)(info->bytes - sizeof(pshm__object));
            IMAGE_CHECK(pshm_array_length(array) == (int64_t)info->length);
            memset(pshm_array_data(array), 0x55, bytes);
            lock = pshm_array_lock(array);
        }
        break;
    case PSHM_VALUE:
        code = pshm_value_open(segment, info->name, info->type, &value);
        if (code == 0) {
            memset(pshm_value_data(value), 0x55, sizeof(uint64_t));
            lock = pshm_value_lock(value);
        }
        break;
    case PSHM_LOCK: code = pshm_lock_open(segment, info->name, &lock); break;
    default: code = image_use_synchronizer(segment, info);
    }
    /* Of two objects of one name the first is found; a name of 96 bytes is cut, and is another. */
    IMAGE_CHECK(code == 0 || code == PSHM_ENAME || code == PSHM_ETYPE || code == PSHM_ENOSPACE ||
                code == PSHM_ELAYOUT);
    if (code == 0 && lock != NULL) {
        image_lock(lock);
        image_use_condition(lock, "c");
    }
}

static void image_use(pshm_segment *segment, int fd, uint64_t file_bytes) {
    uint8_t mutex[PSHM_MUTEX_BYTES] = {0};
    IMAGE_CHECK(pshm__os_mutex_init(mutex) == 0);
    image_write(fd, mutex, sizeof(mutex), PSHM_DIRECTORY_OFFSET + offsetof(pshm__directory, mutex));

    const int64_t size_bytes = pshm_segment_size_bytes(segment);
    const int64_t free_bytes = pshm_segment_free_bytes(segment);
    IMAGE_CHECK(size_bytes == (int64_t)(file_bytes - PSHM_HEAP_OFFSET));
    IMAGE_CHECK(free_bytes >= 0 && free_bytes <= size_bytes);
    IMAGE_CHECK(pshm_segment_lifetime(segment) == PSHM_PERSISTENT ||
                pshm_segment_lifetime(segment) == PSHM_LAST_OUT);

    uint64_t cursor = 0;
    int code, count = 0;
    pshm_participant_info participant;
    while ((code = pshm_segment_next_participant(segment, &cursor, &participant)) == 1) {
        IMAGE_CHECK(memchr(participant.command, 0, sizeof(participant.command)) != NULL);
        count++;
    }
    IMAGE_CHECK(code == 0 && count >= 1 && count <= 2);

    uint64_t offset = cursor = 0;
    pshm_object_info object;
    while ((code = pshm_segment_next_object(segment, &cursor, &object)) == 1) {
        IMAGE_CHECK(memchr(object.name, 0, sizeof(object.name)) != NULL);
        IMAGE_CHECK(object.bytes == cursor - offset && cursor <= (uint64_t)size_bytes);
        image_write(fd, mutex, sizeof(mutex),
                    PSHM_HEAP_OFFSET + offset + offsetof(pshm__object, lock));
        image_use_object(segment, &object);
        offset = cursor;
    }
    IMAGE_CHECK(code == 0 || code == PSHM_ELAYOUT);

    pshm_lock *lock;
    pshm_array *array;
    code = pshm_array_open(segment, "new", PSHM_INT8, 100, &array);
    IMAGE_CHECK(code == 0 || code == PSHM_ENOSPACE || code == PSHM_ETYPE || code == PSHM_ELAYOUT);
    if (code == 0)
        memset(pshm_array_data(array), 1, 100);
    code = pshm_lock_open(segment, "new-lock", &lock);
    IMAGE_CHECK(code == 0 || code == PSHM_ENOSPACE || code == PSHM_ETYPE || code == PSHM_ELAYOUT);
}

/* True if it was a segment that could be used. */
static bool image_try(const uint8_t *input, size_t bytes) {
    const char *name = name_of("image");
    pshm_segment *segment;
    int fd = open(path_of_name(name), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    IMAGE_CHECK(fd >= 0);
    uint64_t file_bytes = image_make(fd, input, bytes);
    int code = pshm_segment_open(name, NULL, &segment);
    IMAGE_CHECK(code == 0 || code == PSHM_ELAYOUT || code == PSHM_ENOENT);
    if (code == 0) {
        image_use(segment, fd, file_bytes);
        code = pshm_segment_close(segment);
        if (code == PSHM_EHELD) { /* says the peer, of a read-write lock */
            image_write(fd, &(uint64_t){0}, sizeof(uint64_t), PSHM_DIRECTORY_OFFSET);
            code = pshm_segment_close(segment);
        }
        IMAGE_CHECK(code == 0);
        code = 0;
    }
    IMAGE_CHECK(pshm_reap() >= 0);
    close(fd);
    unlink(path_of_name(name));
    return code == 0;
}

#endif
