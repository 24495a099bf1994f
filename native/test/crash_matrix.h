/* SPDX-License-Identifier: Apache-2.0
 *
 * The processes of the crash matrix: what the victim does, up to the step at which it is killed,
 * and what the second process does. crash_matrix_test.c includes it once, and tells the rest.
 */
#ifndef PSHM_TEST_CRASH_MATRIX_H
#define PSHM_TEST_CRASH_MATRIX_H

#include "check.h"

#include "internal.h"

enum {
    ROOM = 8192,    /* bytes for objects */
    STEPS_MAX = 128 /* of one scenario */
};

typedef struct step {
    const pshm__kill_point *point;
    uint64_t at;
} step;

/* What the processes of a cell tell each other. The victim's part is final once it has stopped. */
typedef struct page {
    int stop_at; /* the number of the step before which the victim stops */
    int rest_at; /* of an earlier one, before which it lets the second process begin; or -1 */
    int count;   /* steps of the victim, the one it stopped before included */
    step steps[STEPS_MAX];
    enum { OUTSIDE, CHANGING, INSIDE } phase; /* of the victim's section, as its caller knows */
    bool inside;    /* the same, as LAYOUT.md defines it: from the thread word to its clearing */
    bool abandoned; /* LAYOUT.md's flag */
    bool counting;  /* a death has been counted, and its holder not been cleared */
    bool published; /* the victim's object */
    int64_t cells[2];
    pid_t victim, companion; /* the victim's child */
    uint32_t number;         /* of the victim, as a participant */
    int code;                /* of the second process's operation */
    uint8_t attached_to[16]; /* the segment that it has open after that */
    bool attached, waited;
} page;

typedef enum operation {
    OPEN,
    OPEN_OR_CREATE,
    CREATE,
    UNLINK,
    REAP,
    CLOSE,
    OBJECT,
    ACQUIRE,
    TRY,
    TIMED,
    AWAITED,
    RELEASE,
    REPAIR,
    OPERATIONS
} operation;

static const char *const operation_names[OPERATIONS] = {
    "open", "open-or-create", "create", "unlink",  "reap",  "close", "object", "acquire",
    "try",  "timed",          "await",  "release", "repair"};

typedef struct scenario {
    const char *name;
    uint32_t lifetime;
    enum { ABSENT, DEAD, ALONE, OBSERVED } state; /* DEAD: all that had it open were killed */
    enum {
        NONE,
        JOINED,
        HOLDING,
        ADDING,
        WITHIN
    } corpse;       /* somebody was killed before, doing this; WITHIN the short section */
    bool contended; /* what it wants is held when the victim comes, and given to it */
    void (*prepare)(void);
    void (*run)(void);
    enum { NOTHING, SEMAPHORE, EVENT, LATCH, BARRIER, RWLOCK, CONDITION } about; /* synchronizer */
    void (*hold)(void); /* the cell, before the victim comes */
    void (*help)(void); /* the cell, when the victim waits */
} scenario;

static page *shared;
static const scenario *current;
static operation second_does;
static enum { AFTER, AT_WORK, WAITING } way; /* when the second process comes: see the test */
static enum { CELL, VICTIM, SECOND, CORPSE } role;
static int to_cell[2], to_second[2], to_victim[2];
static pshm_segment *segment; /* as this process has it open */

/* ---- between the processes ---- */

static void tell(int pipe, char what) { CHECK_EQ(write(pipe, &what, 1), 1); }

static char hear(int pipe) {
    char what;
    CHECK_EQ(read(pipe, &what, 1), 1);
    return what;
}

static pid_t spawn(void (*body)(void)) {
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (segment != NULL) /* it takes part by what it opens itself */
            CHECK_OK(pshm_segment_close(segment));
        segment = NULL;
        body();
        _exit(0);
    }
    return pid;
}

/* Sleeping in the kernel: as it has nothing else to wait for, for what it has announced. */
static bool is_asleep(pid_t pid) {
    char path[32], line[256];
    snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    CHECK(fd >= 0);
    ssize_t count = read(fd, line, sizeof(line) - 1);
    CHECK(count > 0);
    close(fd);
    line[count] = '\0';
    return strrchr(line, ')')[2] == 'S';
}

/* ---- at a kill point ---- */

static bool is(const pshm__kill_point *point, const char *function, const char *what) {
    return strcmp(point->function, function) == 0 && strcmp(point->step, what) == 0;
}

/* The victim has made this step: what does it mean to the others? */
static void account(const step *made) {
    const pshm__kill_point *point = made->point;
    if (is(point, "set_holder", "&shared->holder") && made->at == 0)
        shared->inside = true;
    else if (is(point, "clear_holder", "shared->holder.thread"))
        shared->inside = shared->counting = false;
    else if (is(point, "record_death", "shared->abandoned"))
        shared->abandoned = true;
    else if (is(point, "record_death", "shared->deaths"))
        shared->counting = true;
    else if (is(point, "pshm_lock_mark_good", "lock->shared->abandoned"))
        shared->abandoned = false;
    else if (is(point, "add", "directory->heap_used"))
        shared->published = true;
}

static bool armed, announced;

static void victim_at(const pshm__kill_point *point, uint64_t at) {
    if (gettid() != shared->victim || !armed) /* not its children, not other threads */
        return;
    if (shared->count > 0)
        account(&shared->steps[shared->count - 1]);
    CHECK(shared->count < STEPS_MAX);
    shared->steps[shared->count++] = (step){point, at};
    if (shared->count - 1 == shared->stop_at || is(point, "finish", "end")) {
        tell(to_cell[1], 'v');
        for (;;)
            pause();
    }
    if (shared->count - 1 == shared->rest_at) {
        tell(to_cell[1], 's');
        hear(to_victim[0]);
    }
    if (is(point, "await_mutex", "mark") || is(point, "pshm_wait_sleep", "events->waiters += 1"))
        tell(to_cell[1], 'b');
}

static void second_at(const pshm__kill_point *point, uint64_t at) {
    static int entries;
    if (gettid() != getpid())
        return;
    bool enters = is(point, "pshm__os_file_lock", "fcntl") && at == 0 && ++entries > 1;
    bool waits = is(point, "pshm_wait_sleep", "events->waiters += 1");
    if (armed && !announced && (enters || waits || is(point, "await_mutex", "mark"))) {
        announced = true;
        tell(to_cell[1], 'w');
    }
}

void pshm__at_kill_point(const pshm__kill_point *point, uint64_t at) {
    if (role == VICTIM)
        victim_at(point, at);
    else if (role == SECOND)
        second_at(point, at);
    else if (role == CORPSE && (is(point, "add", "directory->heap_used") ||
                                (armed && is(point, "pshm__monitor_leave", "unlock"))))
        raise(SIGKILL);
}

/* ---- what every process has ---- */

static const char *victims_name(void) { return name_of("s"); }

static pshm_options options(void) { return (pshm_options){.lifetime = current->lifetime}; }

static pshm_array *array_of(pshm_segment *in) {
    pshm_array *array;
    CHECK_OK(pshm_array_open(in, "a", PSHM_INT64, 2, &array));
    return array;
}

static pshm_lock *lock_of(pshm_segment *in) { return pshm_array_lock(array_of(in)); }

static void put(int cell, int64_t value) {
    int64_t *cells = pshm_array_data(array_of(segment));
    PSHM__KILL_POINT("data", (uint64_t)cell);
    cells[cell] = value;
    shared->cells[cell] = value;
}

/* ---- scenarios: what the victim does ---- */

static void attach(void) {
    CHECK_OK(pshm_segment_open(victims_name(), NULL, &segment));
    array_of(segment);
}

static void create(void) {
    const pshm_options with = options();
    CHECK_OK(pshm_segment_create(victims_name(), ROOM, &with, &segment));
}

static void open_or_create(void) {
    const pshm_options with = options();
    CHECK_CODE(pshm_segment_open_or_create(victims_name(), ROOM, &with, &segment), 1);
}

static void create_too_large(void) {
    CHECK_CODE(pshm_segment_create(victims_name(), INT64_C(1) << 52, NULL, &segment), PSHM_EFULL);
}

/* An unlink that has waited for us may come between our look for what the dead have left and our
 * opening of the file. */
static void open_alive(void) {
    const int code = pshm_segment_open(victims_name(), NULL, &segment);
    const bool overtaken = way == WAITING && second_does == UNLINK && code == PSHM_ENOENT;
    CHECK_CODE(code, overtaken ? PSHM_ENOENT : 0);
}

static void open_dead(void) {
    CHECK_CODE(pshm_segment_open(victims_name(), NULL, &segment), PSHM_ENOENT);
}

static void add_array(void) {
    pshm_array *array;
    CHECK_OK(pshm_array_open(segment, "n", PSHM_INT64, 4, &array));
}

static void add_value(void) {
    pshm_value *value;
    CHECK_OK(pshm_value_open(segment, "v", PSHM_INT8, &value));
}

static void add_lock(void) {
    pshm_lock *lock;
    CHECK_OK(pshm_lock_open(segment, "l", &lock));
}

static int entering(int code) {
    shared->phase = code == 0 ? INSIDE : OUTSIDE;
    return code;
}

#define ENTER(call) (shared->phase = CHANGING, entering(call))

static void leave_section(void) {
    shared->phase = CHANGING;
    CHECK_OK(pshm_lock_release(lock_of(segment)));
    shared->phase = OUTSIDE;
}

static void write_and_leave(void) {
    put(0, 11);
    put(1, 12);
    leave_section();
}

static void acquire(void) {
    CHECK_OK(ENTER(pshm_lock_acquire(lock_of(segment))));
    write_and_leave();
}

static void try_acquire(void) {
    CHECK_OK(ENTER(pshm_lock_try_acquire(lock_of(segment))));
    write_and_leave();
}

static void timed_acquire(void) {
    CHECK_OK(ENTER(pshm_lock_timed_acquire(lock_of(segment), 60000000000)));
    write_and_leave();
}

static void await_lock(void) {
    CHECK_OK(ENTER(pshm_lock_await(lock_of(segment), -1, NULL)));
    write_and_leave();
}

static void acquire_nested(void) {
    CHECK_OK(ENTER(pshm_lock_acquire(lock_of(segment))));
    CHECK_OK(pshm_lock_acquire(lock_of(segment)));
    put(0, 11);
    CHECK_OK(pshm_lock_release(lock_of(segment)));
    put(1, 12);
    leave_section();
}

static void acquire_and_be_told(void) {
    CHECK_CODE(ENTER(pshm_lock_acquire(lock_of(segment))), PSHM_EOWNERDIED);
}

static void repair(void) {
    CHECK_OK(ENTER(pshm_lock_acquire_abandoned(lock_of(segment))));
    put(0, 21);
    put(1, 21);
    CHECK_OK(pshm_lock_mark_good(lock_of(segment)));
    leave_section();
}

static void await_repair(void) {
    CHECK_OK(ENTER(pshm_lock_await_abandoned(lock_of(segment), -1, NULL)));
    put(0, 21);
    put(1, 21);
    CHECK_OK(pshm_lock_mark_good(lock_of(segment)));
    leave_section();
}

static void give_up_repair(void) {
    CHECK_OK(ENTER(pshm_lock_acquire_abandoned(lock_of(segment))));
    put(0, 21);
    leave_section();
}

static void repair_what_is_good(void) {
    CHECK_CODE(ENTER(pshm_lock_acquire_abandoned(lock_of(segment))), PSHM_EGOOD);
}

static void attach_and_acquire(void) {
    attach();
    CHECK_OK(pshm_lock_acquire(lock_of(segment)));
    shared->inside = true;
    shared->phase = INSIDE;
}

static void close_holding(void) { CHECK_CODE(pshm_segment_close(segment), PSHM_EHELD); }

static void *die_as_thread(void *unused) {
    attach_and_acquire();
    return unused;
}

/* The death of a thread is told as well, also while its process lives. */
static void attach_and_lose_a_thread(void) {
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, die_as_thread, NULL), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    shared->phase = OUTSIDE;
    shared->inside = false;
    shared->abandoned = true;
}

static void fork_child(void) {
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, 0); /* it outlives the victim; the cell ends it */
        shared->companion = getpid();
        for (;;)
            pause();
    }
    AWAIT(*(volatile pid_t *)&shared->companion == child);
}

static void attach_and_fork(void) {
    attach();
    fork_child();
}

static void close_segment(void) { CHECK_OK(pshm_segment_close(segment)); }
static void end_in_order(void) { exit(0); }
static void unlink_segment(void) { CHECK_OK(pshm_segment_unlink(victims_name())); }
static void reap(void) { CHECK(pshm_reap() >= 1); }

/* What the cell does. */

static void hold_lock(void) {
    CHECK_CODE(pshm_lock_acquire_any(lock_of(segment)), shared->abandoned ? PSHM_EOWNERDIED : 0);
}

static void release_lock(void) { CHECK_OK(pshm_lock_release(lock_of(segment))); }

static void *directory_mutex(void) { return (void *)(uintptr_t)pshm__directory_of(segment)->mutex; }

static void hold_directory(void) { CHECK_OK(pshm__os_mutex_try(directory_mutex())); }
static void release_directory(void) { CHECK_OK(pshm__os_mutex_unlock(directory_mutex())); }

static const scenario segment_scenarios[] = {
    {"create", PSHM_PERSISTENT, ABSENT, NONE, false, NULL, .run = create},
    {"create, last out", PSHM_LAST_OUT, ABSENT, NONE, false, NULL, .run = create},
    {"create after a death", PSHM_LAST_OUT, DEAD, NONE, false, NULL, .run = create},
    {"create without room", PSHM_PERSISTENT, ABSENT, NONE, false, NULL, .run = create_too_large},
    {"open-or-create", PSHM_PERSISTENT, ABSENT, NONE, false, NULL, .run = open_or_create},
    {"open", PSHM_PERSISTENT, OBSERVED, JOINED, false, NULL, .run = open_alive},
    {"open after a death", PSHM_LAST_OUT, DEAD, NONE, false, NULL, .run = open_dead},
    {"new array", PSHM_LAST_OUT, OBSERVED, NONE, false, attach, .run = add_array},
    {"new array, waiting", PSHM_LAST_OUT, OBSERVED, NONE, true, attach, add_array, NOTHING,
     hold_directory, release_directory},
    {"new array after a death", PSHM_LAST_OUT, OBSERVED, ADDING, false, attach, .run = add_array},
    {"new value", PSHM_LAST_OUT, OBSERVED, NONE, false, attach, .run = add_value},
    {"new lock", PSHM_PERSISTENT, OBSERVED, NONE, false, attach, .run = add_lock},
    {"acquire", PSHM_LAST_OUT, OBSERVED, NONE, false, attach, .run = acquire},
    {"acquire, waiting", PSHM_LAST_OUT, OBSERVED, NONE, true, attach, acquire, NOTHING, hold_lock,
     release_lock},
    {"acquire, nested", PSHM_LAST_OUT, OBSERVED, NONE, false, attach, .run = acquire_nested},
    {"acquire, told", PSHM_LAST_OUT, OBSERVED, HOLDING, false, attach, .run = acquire_and_be_told},
    {"acquire, forked", PSHM_LAST_OUT, OBSERVED, NONE, false, attach_and_fork, .run = acquire},
    {"fork", PSHM_LAST_OUT, OBSERVED, NONE, false, attach, .run = fork_child},
    {"try", PSHM_LAST_OUT, OBSERVED, NONE, false, attach, .run = try_acquire},
    {"timed", PSHM_LAST_OUT, OBSERVED, NONE, false, attach, .run = timed_acquire},
    {"timed, waiting", PSHM_LAST_OUT, OBSERVED, NONE, true, attach, timed_acquire, NOTHING,
     hold_lock, release_lock},
    {"await, waiting", PSHM_LAST_OUT, OBSERVED, NONE, true, attach, await_lock, NOTHING, hold_lock,
     release_lock},
    {"repair", PSHM_LAST_OUT, OBSERVED, HOLDING, false, attach, .run = repair},
    {"await repair, waiting", PSHM_LAST_OUT, OBSERVED, HOLDING, true, attach, await_repair, NOTHING,
     hold_lock, release_lock},
    {"repair given up", PSHM_LAST_OUT, OBSERVED, HOLDING, false, attach, .run = give_up_repair},
    {"repair what is good", PSHM_LAST_OUT, OBSERVED, NONE, false, attach,
     .run = repair_what_is_good},
    {"close", PSHM_LAST_OUT, OBSERVED, NONE, false, attach, .run = close_segment},
    {"close as the last", PSHM_LAST_OUT, ALONE, NONE, false, attach, .run = close_segment},
    {"close, persistent", PSHM_PERSISTENT, ALONE, NONE, false, attach, .run = close_segment},
    {"close, held", PSHM_LAST_OUT, OBSERVED, NONE, false, attach_and_acquire, .run = close_holding},
    {"close, dead thread", PSHM_LAST_OUT, OBSERVED, NONE, false, attach_and_lose_a_thread,
     .run = close_segment},
    {"exit as the last", PSHM_LAST_OUT, ALONE, NONE, false, attach, .run = end_in_order},
    {"unlink", PSHM_PERSISTENT, ALONE, NONE, false, attach, .run = unlink_segment},
    {"reap", PSHM_LAST_OUT, DEAD, NONE, false, NULL, .run = reap},
};

static void finish(void) { PSHM__KILL_POINT("end", 0); }

static void finish_at_exit(void) {
    if (role == VICTIM)
        finish();
}

static void be_victim(void) {
    role = VICTIM;
    shared->victim = getpid();
    pshm_thread_set_name("victim");
    if (current->prepare != NULL)
        current->prepare();
    tell(to_cell[1], 'r');
    hear(to_victim[0]);
    armed = true;
    current->run();
    finish();
}

/* ---- what the second process does ---- */

static bool attaches_before(void) {
    return second_does >= CLOSE && current->state >= ALONE &&
           (way != AFTER || second_does == CLOSE || second_does == RELEASE);
}

static pshm_lock *other_lock(void) {
    pshm_lock *lock;
    CHECK_OK(pshm_lock_open(segment, "m", &lock));
    return lock;
}

/* Having got it, see that nobody else is inside, and go. */
static int enter_and_leave(int code) {
    pshm_lock_info info;
    if (code == 0) {
        pshm_lock *lock = lock_of(segment);
        CHECK_OK(pshm_lock_inspect(lock, &info));
        CHECK_EQ(info.holder.pid, getpid());
        CHECK_EQ(pshm_lock_depth(lock), 1);
        CHECK_OK(pshm_lock_release(lock));
    }
    return code;
}

static int mend(int code) {
    if (code == 0) {
        put(0, 31);
        put(1, 31);
        CHECK_OK(pshm_lock_mark_good(lock_of(segment)));
    }
    return enter_and_leave(code);
}

static int operate(void) {
    const pshm_options with = options();
    const char *name = victims_name();
    pshm_array *array;
    switch (second_does) {
    case OPEN: return pshm_segment_open(name, NULL, &segment);
    case OPEN_OR_CREATE: return pshm_segment_open_or_create(name, ROOM, &with, &segment);
    case CREATE: return pshm_segment_create(name, ROOM, &with, &segment);
    case UNLINK: return pshm_segment_unlink(name);
    case REAP: return pshm_reap();
    default: break;
    }
    if (segment == NULL) {
        int code = pshm_segment_open(name, NULL, &segment);
        if (code != 0)
            return code;
        if (second_does == RELEASE)
            CHECK_OK(pshm_lock_acquire(other_lock()));
    }
    pshm_segment *mine = segment;
    switch (second_does) {
    case CLOSE: segment = NULL; return pshm_segment_close(mine);
    case OBJECT: return pshm_array_open(segment, "n", PSHM_INT64, 4, &array);
    case ACQUIRE: return enter_and_leave(pshm_lock_acquire(lock_of(segment)));
    case TRY: return enter_and_leave(pshm_lock_try_acquire(lock_of(segment)));
    case TIMED: return enter_and_leave(pshm_lock_timed_acquire(lock_of(segment), 60000000000));
    case AWAITED: return enter_and_leave(pshm_lock_await(lock_of(segment), -1, NULL));
    case RELEASE: return pshm_lock_release(other_lock());
    default: return mend(pshm_lock_acquire_abandoned(lock_of(segment)));
    }
}

static void be_second(void) {
    role = SECOND;
    if (attaches_before()) {
        attach();
        if (second_does == RELEASE)
            CHECK_OK(pshm_lock_acquire(other_lock()));
    }
    tell(to_cell[1], 'p');
    hear(to_second[0]);
    armed = true;
    shared->code = operate();
    shared->attached = segment != NULL;
    if (shared->attached)
        memcpy(shared->attached_to, pshm_segment_id(segment), sizeof(shared->attached_to));
    tell(to_cell[1], 'd');
    hear(to_second[0]);
    if (segment != NULL)
        CHECK_OK(pshm_segment_close(segment));
}

/* ---- corpses ---- */

static void be_corpse(void) {
    role = CORPSE;
    if (current->state == DEAD) {
        create();
    } else {
        attach();
        if (current->corpse == HOLDING) {
            CHECK_OK(pshm_lock_acquire(lock_of(segment)));
            put(0, 1);
        } else if (current->corpse == ADDING) {
            add_array();
        }
    }
    raise(SIGKILL);
}

static void be_later_corpse(void) {
    role = CORPSE;
    attach();
    pshm_lock *lock;
    CHECK_OK(pshm_lock_acquire(lock_of(segment)));
    pshm_lock_open(segment, "later", &lock); /* dies with the directory's mutex as well */
}

static void make_corpse(void (*body)(void)) { CHECK_EQ(wait_for(spawn(body)), SIGKILL); }

#endif
