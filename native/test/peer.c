/* SPDX-License-Identifier: Apache-2.0
 *
 * peer: does what each line of its input says, and answers with a line. The tests across languages
 * start one of each language; the commands stand in python/tests/cross/peers.py.
 */
#define _GNU_SOURCE
#include <inttypes.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "polyshm.h"

enum { MOST = 64, WORDS = 8, HANDLE = 2 * PSHM_NAME_MAX + 2 };

typedef struct opened {
    char name[HANDLE]; /* of a segment, or the handle of an object that has opened it for itself */
    pshm_segment *segment;
} opened;

typedef struct object {
    char handle[HANDLE];
    int type;
    uint64_t length;
    void *native;
    void *data;      /* of an array or value, */
    pshm_lock *lock; /* and of these and of a lock */
} object;

static opened segments[MOST];
static object objects[MOST];
static char *word[WORDS];
static char answer[1 << 20];
static size_t answered;

static const char *const kinds[] = {"?",     "array", "value",   "lock",   "semaphore",
                                    "event", "latch", "barrier", "rwlock", "condition"};
static const struct {
    const char *name;
    size_t bytes;
} types[] = {{"-", 0},     {"boolean", 1}, {"int8", 1},    {"int16", 2},  {"char16", 2},
             {"int32", 4}, {"int64", 8},   {"float32", 4}, {"float64", 8}};
static const char *const causes[] = {"NONE",  "DEATH", "TIMEOUT", "INTERRUPT",
                                     "ABORT", "RESET", "CLOSE",   "ACTION"};

static _Noreturn void quit(const char *why) {
    fprintf(stderr, "peer: %s: %s %s\n", why, word[0], word[1] == NULL ? "" : word[1]);
    exit(2);
}

__attribute__((format(printf, 1, 2))) static int say(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    answered += (size_t)vsnprintf(answer + answered, sizeof(answer) - answered, format, arguments);
    va_end(arguments);
    if (answered >= sizeof(answer))
        quit("the answer is too long");
    return 0;
}

/* 1 for had, 0 for not: what every language has a value for, not an error. */
static int say_whether(int code) {
    if (code == PSHM_EBUSY || code == PSHM_ETIMEDOUT || code == PSHM_EGOOD)
        return say("0");
    return code < 0 ? code : say("1");
}

static int64_t number(int index) { return strtoll(word[index], NULL, 10); }
static int64_t time_ns(int index) { return number(index) < 0 ? -1 : number(index) * 1000000; }

static int type_of(const char *name) {
    for (int type = 1; type <= PSHM_FLOAT64; type++) {
        if (strcmp(types[type].name, name) == 0)
            return type;
    }
    quit("no such type");
}

/* ---- segments ---- */

static pshm_segment *segment_named(const char *name, size_t characters) {
    for (int i = 0; i < MOST; i++) {
        if (segments[i].segment != NULL && strlen(segments[i].name) == characters &&
            strncmp(segments[i].name, name, characters) == 0)
            return segments[i].segment;
    }
    quit("no such segment");
}

static pshm_segment *segment_of(int index) {
    return segment_named(word[index], strlen(word[index]));
}

/* It stays mapped until the reset, so that it can be asked after its close. */
static int keep(const char *name, pshm_segment *segment) {
    for (int i = 0; i < MOST; i++) {
        if (segments[i].segment == NULL) {
            snprintf(segments[i].name, sizeof(segments[i].name), "%s", name);
            segments[i].segment = segment;
            pshm_segment_pin(segment);
            return 0;
        }
    }
    quit("too many segments");
}

static int keep_if(int code, pshm_segment *const *segment) {
    return code < 0 ? code : keep(word[1], *segment);
}

static int segment_create(void) {
    pshm_segment *segment;
    return keep_if(pshm_segment_create(word[1], number(2), NULL, &segment), &segment);
}

static int segment_open(void) {
    pshm_segment *segment;
    return keep_if(pshm_segment_open(word[1], NULL, &segment), &segment);
}

static int segment_open_or_create(void) {
    pshm_segment *segment;
    return keep_if(pshm_segment_open_or_create(word[1], number(2), NULL, &segment), &segment);
}

static int segment_anonymous(void) {
    pshm_segment *segment;
    int code = pshm_segment_create(NULL, number(1), NULL, &segment);
    if (code < 0)
        return code;
    keep(pshm_segment_name(segment), segment);
    return say("%s", pshm_segment_name(segment));
}

static int segment_close(void) { return pshm_segment_close(segment_of(1)); }
static int segment_unlink(void) { return pshm_segment_unlink(word[1]); }

static int segment_objects(void) {
    pshm_object_info info;
    uint64_t cursor = 0;
    int code;
    while ((code = pshm_segment_next_object(segment_of(1), &cursor, &info)) == 1) {
        bool typed = info.kind == PSHM_ARRAY || info.kind == PSHM_VALUE;
        say("%s:%s:%s:%" PRIu64 ":%" PRIu64 " ", info.name, kinds[info.kind],
            types[typed ? info.type : 0].name, info.length, info.bytes);
    }
    return code;
}

static int segment_participants(void) {
    pshm_participant_info info;
    uint64_t cursor = 0;
    int code;
    while ((code = pshm_segment_next_participant(segment_of(1), &cursor, &info)) == 1)
        say("%d ", info.pid);
    return code;
}

static int reset(void) {
    memset(objects, 0, sizeof(objects));
    for (int i = 0; i < MOST; i++) {
        if (segments[i].segment == NULL)
            continue;
        int code = pshm_segment_close(segments[i].segment);
        if (code < 0 && code != PSHM_ECLOSED)
            return code;
        pshm_segment_unpin(segments[i].segment);
        segments[i].segment = NULL;
    }
    return 0;
}

/* ---- objects ---- */

static object *object_of(int index) {
    for (int i = 0; i < MOST; i++) {
        if (strcmp(objects[i].handle, word[index]) == 0)
            return &objects[i];
    }
    quit("no such object");
}

/* A place for what the handle word[1] names; one that has that handle already gives its own. */
static object *place(void) {
    for (int i = 0; i < MOST; i++) {
        if (objects[i].native == NULL || strcmp(objects[i].handle, word[1]) == 0)
            return &objects[i];
    }
    quit("too many objects");
}

static const char *slash(void) {
    const char *found = strchr(word[1], '/');
    if (found == NULL)
        quit("no handle");
    return found;
}

/* What there is of each kind: `type` is 1 for a bounded semaphore. */
static int open_object(pshm_segment *segment, int kind, int type, int64_t length) {
    object made = {.type = type, .length = (uint64_t)length};
    const char *name = slash() + 1;
    snprintf(made.handle, sizeof(made.handle), "%s", word[1]);
    pshm_array *array;
    pshm_value *value;
    pshm_semaphore *semaphore;
    pshm_event *event;
    pshm_latch *latch;
    pshm_barrier *barrier;
    pshm_rwlock *rwlock;
    int code;
    switch (kind) {
    case PSHM_ARRAY:
        if ((code = pshm_array_open(segment, name, type, length, &array)) == 0) {
            made.native = array;
            made.data = pshm_array_data(array);
            made.lock = pshm_array_lock(array);
        }
        break;
    case PSHM_VALUE:
        if ((code = pshm_value_open(segment, name, type, &value)) == 0) {
            made.native = value;
            made.data = pshm_value_data(value);
            made.lock = pshm_value_lock(value);
        }
        break;
    case PSHM_LOCK:
        if ((code = pshm_lock_open(segment, name, &made.lock)) == 0)
            made.native = made.lock;
        break;
    case PSHM_SEMAPHORE:
        if ((code = pshm_semaphore_open(segment, name, length, type, &semaphore)) == 0)
            made.native = semaphore;
        break;
    case PSHM_EVENT:
        if ((code = pshm_event_open(segment, name, &event)) == 0)
            made.native = event;
        break;
    case PSHM_LATCH:
        if ((code = pshm_latch_open(segment, name, length, &latch)) == 0)
            made.native = latch;
        break;
    case PSHM_BARRIER:
        if ((code = pshm_barrier_open(segment, name, length, &barrier)) == 0)
            made.native = barrier;
        break;
    default:
        if ((code = pshm_rwlock_open(segment, name, &rwlock)) == 0)
            made.native = rwlock;
    }
    if (code >= 0)
        *place() = made;
    return code;
}

static int open_here(int kind, int type, int64_t length) {
    return open_object(segment_named(word[1], (size_t)(slash() - word[1])), kind, type, length);
}

static int array_open(void) { return open_here(PSHM_ARRAY, type_of(word[2]), number(3)); }
static int value_open(void) { return open_here(PSHM_VALUE, type_of(word[2]), 1); }
static int lock_open(void) { return open_here(PSHM_LOCK, 0, 0); }
static int semaphore_open(void) { return open_here(PSHM_SEMAPHORE, (int)number(3), number(2)); }
static int event_open(void) { return open_here(PSHM_EVENT, 0, 0); }
static int latch_open(void) { return open_here(PSHM_LATCH, 0, number(2)); }
static int barrier_open(void) { return open_here(PSHM_BARRIER, 0, number(2)); }
static int rwlock_open(void) { return open_here(PSHM_RWLOCK, 0, 0); }

static int condition_open(void) {
    pshm_condition *condition;
    int code = pshm_condition_open(object_of(2)->lock, slash() + 1, &condition);
    if (code >= 0) {
        object *made = place();
        memset(made, 0, sizeof(*made));
        snprintf(made->handle, sizeof(made->handle), "%s", word[1]);
        made->native = condition;
    }
    return code;
}

/* By its handle alone, as what it is said to be. */
static int attach(void) {
    char name[HANDLE];
    pshm_segment *segment;
    pshm_object_info info;
    int kind = PSHM_ARRAY;
    while (kind < PSHM_CONDITION && strcmp(kinds[kind], word[2]) != 0)
        kind++;
    snprintf(name, sizeof(name), "%.*s", (int)(slash() - word[1]), word[1]);
    int code = pshm_segment_open(name, NULL, &segment);
    if (code < 0)
        return code;
    keep(word[1], segment);
    code = pshm_segment_find_object(segment, slash() + 1, &info);
    if (code < 0)
        return code;
    if (kind == PSHM_ARRAY && info.kind != PSHM_ARRAY)
        info.length = 1; /* let the library say that it is none */
    bool typed = kind == PSHM_ARRAY || kind == PSHM_VALUE;
    return open_object(segment, kind, typed ? type_of(word[3]) : info.type, (int64_t)info.length);
}

/* ---- elements: their bits, in hexadecimal ---- */

static size_t bytes_of(const object *of) { return types[of->type].bytes; }

static void *at(const object *of, int64_t index) {
    return (char *)of->data + (size_t)index * bytes_of(of);
}

static void say_element(const object *of, int64_t index) {
    uint64_t bits = 0;
    memcpy(&bits, at(of, index), bytes_of(of));
    say("%0*" PRIx64, (int)(2 * bytes_of(of)), bits);
}

static void put(const object *of, int64_t index, const char *text) {
    uint64_t bits = strtoull(text, NULL, 16);
    memcpy(at(of, index), &bits, bytes_of(of));
}

static int get(void) {
    say_element(object_of(1), number(2));
    return 0;
}

static int set(void) {
    put(object_of(1), number(2), word[3]);
    return 0;
}

static int fill(void) {
    const object *of = object_of(1);
    uint64_t bits = strtoull(word[2], NULL, 16);
    for (size_t bytes = bytes_of(of); bytes < 8; bytes *= 2)
        bits |= bits << 8 * bytes;
    pshm_fill(of->data, of->length * bytes_of(of), bits);
    return 0;
}

static int read_all(void) {
    const object *of = object_of(1);
    for (uint64_t i = 0; i < of->length; i++)
        say_element(of, (int64_t)i);
    return 0;
}

static int write_all(void) {
    const object *of = object_of(1);
    char digits[17];
    for (uint64_t i = 0; i < of->length; i++) {
        snprintf(digits, sizeof(digits), "%.*s", (int)(2 * bytes_of(of)),
                 word[2] + 2 * i * bytes_of(of));
        put(of, (int64_t)i, digits);
    }
    return 0;
}

static int atomic_add(void) {
    const object *of = object_of(1);
    for (int64_t i = 0; i < number(3); i++) {
        if (of->type == PSHM_INT32)
            atomic_fetch_add((_Atomic int32_t *)at(of, number(2)), 1);
        else if (of->type == PSHM_INT64)
            atomic_fetch_add((_Atomic int64_t *)at(of, number(2)), 1);
        else
            quit("not atomic");
    }
    return 0;
}

/* ---- locks ---- */

static int lock_acquire(void) { return pshm_lock_acquire(object_of(1)->lock); }
static int lock_try(void) { return say_whether(pshm_lock_try_acquire(object_of(1)->lock)); }
static int lock_release(void) { return pshm_lock_release(object_of(1)->lock); }

static int lock_timed(void) {
    return say_whether(pshm_lock_timed_acquire(object_of(1)->lock, time_ns(2)));
}

static int lock_repair(void) {
    pshm_lock *lock = object_of(1)->lock;
    pshm_lock_info info;
    int code = pshm_lock_acquire_abandoned(lock);
    if (code < 0)
        return say_whether(code);
    if ((code = pshm_lock_inspect(lock, &info)) < 0 || (code = pshm_lock_mark_good(lock)) < 0 ||
        (code = pshm_lock_release(lock)) < 0)
        return code;
    return say("%d", info.dead.pid);
}

static int lock_info(void) {
    pshm_lock_info info;
    int code = pshm_lock_inspect(object_of(1)->lock, &info);
    return code < 0 ? code
                    : say("owner=%d abandoned=%d dead=%d deaths=%" PRIu64, info.holder.pid,
                          info.abandoned, info.dead.pid, info.deaths);
}

static int lock_add(void) {
    const object *of = object_of(1);
    int code = 0;
    for (int64_t i = 0; i < number(3) && code == 0; i++) {
        if ((code = pshm_lock_acquire(of->lock)) < 0)
            break;
        if (of->type == PSHM_INT32)
            ++*(int32_t *)at(of, number(2));
        else if (of->type == PSHM_INT64)
            ++*(int64_t *)at(of, number(2));
        else
            quit("not a number");
        code = pshm_lock_release(of->lock);
    }
    return code;
}

/* ---- synchronizers ---- */

static int semaphore_acquire(void) {
    return say_whether(pshm_semaphore_acquire(object_of(1)->native, number(2), time_ns(3), NULL));
}

static int semaphore_release(void) {
    return pshm_semaphore_release(object_of(1)->native, number(2));
}

static int semaphore_available(void) {
    pshm_semaphore_info info;
    int code = pshm_semaphore_inspect(object_of(1)->native, &info);
    return code < 0 ? code : say("%" PRId64, info.available);
}

static int event_set(void) { return pshm_event_set(object_of(1)->native); }
static int event_clear(void) { return pshm_event_clear(object_of(1)->native); }

static int event_is_set(void) {
    int code = pshm_event_is_set(object_of(1)->native);
    return code < 0 ? code : say("%d", code);
}

static int event_wait(void) {
    return say_whether(pshm_event_await(object_of(1)->native, time_ns(2), NULL));
}

static int latch_count_down(void) { return pshm_latch_count_down(object_of(1)->native, number(2)); }

static int latch_count(void) {
    int64_t count;
    int code = pshm_latch_count(object_of(1)->native, &count);
    return code < 0 ? code : say("%" PRId64, count);
}

static int latch_wait(void) {
    return say_whether(pshm_latch_await(object_of(1)->native, time_ns(2), NULL));
}

static int barrier_wait(void) {
    int code = pshm_barrier_await(object_of(1)->native, time_ns(2), NULL, NULL, NULL);
    return code < 0 ? code : say("%d", code);
}

static int barrier_abort(void) { return pshm_barrier_abort(object_of(1)->native); }
static int barrier_reset(void) { return pshm_barrier_reset(object_of(1)->native); }

static int barrier_info(void) {
    pshm_barrier_info info;
    int code = pshm_barrier_inspect(object_of(1)->native, &info);
    return code < 0 ? code
                    : say("waiting=%" PRId64 " broken=%d cause=%s pid=%d", info.waiting,
                          info.broken, causes[info.cause], info.pid);
}

static int mode(void) { return strcmp(word[2], "read") == 0 ? PSHM_READ : PSHM_WRITE; }

static int rwlock_acquire(void) {
    return say_whether(pshm_rwlock_acquire(object_of(1)->native, mode(), time_ns(3), NULL));
}

static int rwlock_release(void) { return pshm_rwlock_release(object_of(1)->native, mode(), 0); }

static int rwlock_repair(void) {
    pshm_rwlock *lock = object_of(1)->native;
    pshm_rwlock_info info;
    int code = pshm_rwlock_acquire(lock, PSHM_REPAIR, -1, NULL);
    if (code < 0)
        return say_whether(code);
    if ((code = pshm_rwlock_inspect(lock, &info)) < 0 ||
        (code = pshm_rwlock_mark_good(lock, 0)) < 0 ||
        (code = pshm_rwlock_release(lock, PSHM_REPAIR, 0)) < 0)
        return code;
    return say("%d", info.dead.pid);
}

static int rwlock_info(void) {
    pshm_rwlock_info info;
    int code = pshm_rwlock_inspect(object_of(1)->native, &info);
    return code < 0
               ? code
               : say("writer=%d readers=%" PRId64 " abandoned=%d dead=%d deaths=%" PRIu64,
                     info.writer.pid, info.readers, info.abandoned, info.dead.pid, info.deaths);
}

static int condition_wait(void) {
    return say_whether(pshm_condition_wait(object_of(1)->native, time_ns(2), NULL));
}

static int condition_signal(void) {
    int code = pshm_condition_signal(object_of(1)->native, number(2));
    return code < 0 ? code : say("%d", code);
}

static int condition_waiting(void) {
    int code = pshm_condition_waiting(object_of(1)->native);
    return code < 0 ? code : say("%d", code);
}

/* ---- commands ---- */

static const struct {
    const char *name;
    int (*run)(void); /* 0 and above: done */
} commands[] = {{"segment.create", segment_create},
                {"segment.open", segment_open},
                {"segment.openOrCreate", segment_open_or_create},
                {"segment.anonymous", segment_anonymous},
                {"segment.close", segment_close},
                {"segment.unlink", segment_unlink},
                {"segment.objects", segment_objects},
                {"segment.participants", segment_participants},
                {"reset", reset},
                {"attach", attach},
                {"array.open", array_open},
                {"value.open", value_open},
                {"get", get},
                {"set", set},
                {"fill", fill},
                {"read", read_all},
                {"write", write_all},
                {"atomic.add", atomic_add},
                {"lock.open", lock_open},
                {"lock.acquire", lock_acquire},
                {"lock.try", lock_try},
                {"lock.timed", lock_timed},
                {"lock.release", lock_release},
                {"lock.repair", lock_repair},
                {"lock.info", lock_info},
                {"lock.add", lock_add},
                {"semaphore.open", semaphore_open},
                {"semaphore.acquire", semaphore_acquire},
                {"semaphore.release", semaphore_release},
                {"semaphore.available", semaphore_available},
                {"event.open", event_open},
                {"event.set", event_set},
                {"event.clear", event_clear},
                {"event.isSet", event_is_set},
                {"event.wait", event_wait},
                {"latch.open", latch_open},
                {"latch.countDown", latch_count_down},
                {"latch.count", latch_count},
                {"latch.wait", latch_wait},
                {"barrier.open", barrier_open},
                {"barrier.wait", barrier_wait},
                {"barrier.abort", barrier_abort},
                {"barrier.reset", barrier_reset},
                {"barrier.info", barrier_info},
                {"rwlock.open", rwlock_open},
                {"rwlock.acquire", rwlock_acquire},
                {"rwlock.release", rwlock_release},
                {"rwlock.repair", rwlock_repair},
                {"rwlock.info", rwlock_info},
                {"condition.open", condition_open},
                {"condition.wait", condition_wait},
                {"condition.signal", condition_signal},
                {"condition.waiting", condition_waiting}};

static int run(void) {
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        if (strcmp(commands[i].name, word[0]) == 0)
            return commands[i].run();
    }
    quit("no such command");
}

static void print_error(int code) {
    if (code == PSHM_EOWNERDIED) {
        pshm_lock_info told;
        pshm_lock_told(&told);
        printf("error PSHM_EOWNERDIED - pid=%d deaths=%" PRIu64 "\n", told.dead.pid, told.deaths);
    } else {
        printf("error %s - %s\n", pshm_error_name(code), pshm_error_detail());
    }
}

int main(void) {
    char *line = NULL;
    size_t room = 0;
    while (getline(&line, &room, stdin) > 0) {
        char *rest = line;
        for (int i = 0; i < WORDS; i++)
            word[i] = strtok_r(rest, " \n", &rest);
        answered = 0;
        answer[0] = '\0';
        int code = run();
        if (code < 0)
            print_error(code);
        else
            printf("ok %s\n", answer);
        fflush(stdout);
    }
    free(line);
    return 0;
}
