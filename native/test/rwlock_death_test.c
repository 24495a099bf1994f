/* SPDX-License-Identifier: Apache-2.0
 *
 * Read-write locks whose users are killed: before each step, and in a storm.
 */
#include "rwlock.h"

enum { STORM_KILLS = CHECK_TSAN ? 60 : 200 };

/* ---- killed before each step ---- */

#ifdef PSHM_KILL_POINTS
static _Thread_local long steps_left; /* zero: it lives */

void pshm__at_kill_point(const pshm__kill_point *point, uint64_t at) {
    (void)point;
    (void)at;
    if (steps_left > 0 && --steps_left == 0)
        raise(SIGKILL);
}

/* How far the victim has come: from INSIDE to LEAVING its death is to be told. */
enum { COMING, INSIDE, LEAVING, OUTSIDE };

static void write_once(void) {
    CHECK_OK(take(PSHM_WRITE));
    shared->at = INSIDE;
    shared->at = LEAVING;
    CHECK_OK(give(PSHM_WRITE));
    shared->at = OUTSIDE;
}

static void write_and_read(void) {
    CHECK_OK(take(PSHM_WRITE));
    shared->at = INSIDE;
    CHECK_OK(try(PSHM_WRITE));
    CHECK_OK(try(PSHM_READ));
    CHECK_OK(give(PSHM_WRITE));
    shared->at = LEAVING;
    CHECK_OK(give(PSHM_WRITE));
    shared->at = OUTSIDE;
    CHECK_OK(give(PSHM_READ));
}

static void read_twice(void) {
    CHECK_OK(try(PSHM_READ));
    CHECK_OK(try(PSHM_READ));
    CHECK_OK(give(PSHM_READ));
    CHECK_OK(give(PSHM_READ));
}

static void write_in_vain(void) { CHECK_CODE(try(PSHM_WRITE), PSHM_ETIMEDOUT); }

static void be_told_at_once(void) {
    CHECK_CODE(try(PSHM_READ), PSHM_EOWNERDIED);
    CHECK_CODE(try(PSHM_WRITE), PSHM_EOWNERDIED);
}

static void look_around(void) { inspect(); }

static void repair_once(void) {
    CHECK_OK(try(PSHM_REPAIR));
    shared->at = INSIDE;
    CHECK_OK(pshm_rwlock_mark_good(lock, 0));
    shared->at = LEAVING;
    CHECK_OK(give(PSHM_REPAIR));
    shared->at = OUTSIDE;
}

static void repair_in_part(void) {
    CHECK_OK(try(PSHM_REPAIR));
    shared->at = INSIDE;
    shared->at = LEAVING;
    CHECK_OK(give(PSHM_REPAIR));
    shared->at = OUTSIDE;
}

/* What there is before the victim comes. */
enum { NOTHING, A_READER, A_DEAD_READER, A_DEAD_WAITER, A_DEAD_WRITER, DEAD_IN_ITS_SLOT };

typedef struct scenario {
    const char *name;
    void (*victim)(void);
    int before;
    bool repairs; /* marks it good, if it comes so far */
} scenario;

static const scenario scenarios[] = {
    {"write", write_once, NOTHING, false},
    {"write again, read, go on reading", write_and_read, NOTHING, false},
    {"read", read_twice, NOTHING, false},
    {"write and give up", write_in_vain, A_READER, false},
    {"take a dead reader's share", write_once, A_DEAD_READER, false},
    {"take a dead reader's slot", read_twice, DEAD_IN_ITS_SLOT, false},
    {"read past a dead waiting writer", read_twice, A_DEAD_WAITER, false},
    {"record a death", be_told_at_once, A_DEAD_WRITER, false},
    {"record a death and look", look_around, A_DEAD_WRITER, false},
    {"repair", repair_once, A_DEAD_WRITER, true},
    {"repair in part", repair_in_part, A_DEAD_WRITER, false},
};

typedef struct trial {
    const scenario *scenario;
    long step;
} trial;

static void be_victim(void *argument) {
    const trial *this = argument;
    steps_left = this->step;
    this->scenario->victim();
    steps_left = 0;
}

/* Waits for both modes, and must be told of whatever happens. */
static void stand_by(void *unused) {
    (void)unused;
    for (unsigned i = 0; !shared->stop; i++) {
        const int mode = i % 2 == 0 ? PSHM_READ : PSHM_WRITE;
        int code = take(mode);
        if (code == 0) {
            CHECK_OK(give(mode));
        } else {
            CHECK_CODE(code, PSHM_EOWNERDIED);
            sleep_ms(1);
        }
        shared->rounds++;
    }
}

/* False if the victim has come to its end. */
static bool try_step(const scenario *of, long step, bool with_bystander) {
    trial this = {of, step};
    begin();
    pid_t dead = 0;
    pid_t filler = 0;
    if (of->before >= A_DEAD_READER && of->before != DEAD_IN_ITS_SLOT) {
        shared->go = 0;
        filler = start_and_have(be_reading); /* so that the victim has another slot */
    }
    switch (of->before) {
    case A_READER: CHECK_OK(try(PSHM_READ)); break;
    case A_DEAD_READER:
    case DEAD_IN_ITS_SLOT: kill_child(start_and_have(be_reading)); break;
    case A_DEAD_WAITER: kill_child(start_and_sleep(be_writing, NULL)); break;
    default: break;
    }
    if (filler != 0) {
        shared->go = 1;
        CHECK_JOIN(filler);
        shared->go = 0;
    }
    if (of->before == A_DEAD_WRITER) {
        dead = start_and_have(be_writing);
        kill_child(dead);
    }
    pid_t bystander = with_bystander ? start(stand_by, NULL) : 0;
    shared->at = COMING;
    pid_t victim = start(be_victim, &this);
    const int status = wait_for(victim);
    const int at = shared->at;
    if (status != 0)
        CHECK_EQ(status, SIGKILL);
    if (of->before == A_READER)
        CHECK_OK(give(PSHM_READ));
    if (with_bystander) {
        const long before = shared->rounds;
        AWAIT(shared->rounds > before + 2);
        shared->stop = 1;
        CHECK_JOIN(bystander);
    }

    const pshm_rwlock_info info = inspect();
    const uint64_t deaths_before = dead != 0;
    const bool told = info.deaths == deaths_before + 1;
    CHECK(told || info.deaths == deaths_before);
    CHECK_EQ(info.dead.pid, told ? victim : dead);
    if (status == 0 || at == OUTSIDE)
        CHECK(!told);
    if (status != 0 && at == INSIDE)
        CHECK(told);
    if (of->before != A_DEAD_WRITER || told)
        CHECK_EQ(info.abandoned, told);
    else if (at < INSIDE || !of->repairs)
        CHECK_EQ(info.abandoned, 1);
    else
        CHECK_EQ(info.abandoned, 0);
    CHECK_EQ(info.writer.pid, 0);
    CHECK_EQ(info.readers, 0);
    if (info.abandoned) {
        expect_abandoned(info.dead.pid, info.deaths);
        repair();
    }
    expect_free();
    end();
    return status != 0;
}

/* Those in a child of ours are not counted by check.h. */
static void sweep(void *argument) {
    const scenario *this = argument;
    const int ways = CHECK_TSAN ? 1 : 2; /* it sleeps at the end of each process with threads */
    for (int with_bystander = 0; with_bystander < ways; with_bystander++) {
        /* Who would see to what the victim is to find, or have it wait for itself. */
        if (with_bystander && (this->victim == read_twice ||
                               (this->before != NOTHING && this->before != A_DEAD_WRITER)))
            break;
        long step = 1;
        while (try_step(this, step, with_bystander != 0))
            step++;
        CHECK(step > 1);
        printf("    %s%s: %ld steps\n", this->name, with_bystander ? ", watched" : "", step - 1);
    }
}

static void shouldLeaveNothingWhereverItIsKilled(void) {
    for (size_t i = 0; i < sizeof(scenarios) / sizeof(scenarios[0]); i++)
        CHECK_JOIN(start(sweep, (void *)(uintptr_t)&scenarios[i]));
}
#endif

/* ---- a storm ---- */

enum { STORM_PROCESSES = 6 };

static void move(void) {
    const int64_t value = cells[0] + 1;
    cells[0] = value;
    if (value % 8 == 0)
        sched_yield();
    cells[1] = value;
}

static void weather(void *seed_of) {
    uint64_t seed = *(const uint64_t *)seed_of;
    while (!shared->stop) {
        const int mode = random_next(&seed) % 3 == 0 ? PSHM_WRITE : PSHM_READ;
        const int64_t timeout = random_next(&seed) % 4 == 0 ? 100000 : WITHOUT_END;
        int code = pshm_rwlock_acquire(lock, mode, timeout, NULL);
        if (code == PSHM_ETIMEDOUT)
            continue;
        if (code == PSHM_EOWNERDIED) {
            code = take(PSHM_REPAIR);
            if (code == PSHM_EGOOD)
                continue;
            CHECK_OK(code);
            cells[1] = cells[0];
            CHECK_OK(pshm_rwlock_mark_good(lock, 0));
            shared->told++;
            CHECK_OK(give(PSHM_REPAIR));
            continue;
        }
        CHECK_OK(code);
        CHECK_EQ(cells[0], cells[1]);
        if (mode == PSHM_WRITE) {
            move();
            if (random_next(&seed) % 4 == 0) { /* and read on */
                CHECK_OK(take(PSHM_READ));
                CHECK_OK(give(PSHM_WRITE));
                CHECK_OK(give(PSHM_READ));
                continue;
            }
        }
        CHECK_OK(give(mode));
        shared->rounds++;
    }
}

static void storm(void *argument) {
    uint64_t seed = *(const uint64_t *)argument;
    pid_t processes[STORM_PROCESSES];
    for (int i = 0; i < STORM_PROCESSES; i++, random_next(&seed))
        processes[i] = start(weather, &seed);
    for (int kills = 0; kills < STORM_KILLS; kills++) {
        const int i = (int)(random_next(&seed) % STORM_PROCESSES);
        const long before = shared->rounds;
        AWAIT(shared->rounds > before); /* somebody always goes on */
        usleep((useconds_t)(random_next(&seed) % 2000));
        kill_child(processes[i]);
        processes[i] = start(weather, &seed);
    }
    shared->stop = 1;
    for (int i = 0; i < STORM_PROCESSES; i++)
        CHECK_JOIN(processes[i]);
}

static void shouldOutlastAStorm(void) {
    uint64_t seed = (uint64_t)now_ns();
    const char *given = getenv("PSHM_TEST_SEED");
    if (given != NULL)
        seed = strtoull(given, NULL, 10);
    printf("    PSHM_TEST_SEED=%" PRIu64 "\n", seed);
    begin();
    CHECK_JOIN(start(storm, &seed));
    const pshm_rwlock_info info = inspect();
    printf("    %ld rounds, %" PRIu64 " deaths of writers, %d repairs\n", shared->rounds,
           info.deaths, shared->told);
    CHECK(info.deaths <= STORM_KILLS);
    CHECK((uint64_t)shared->told <= info.deaths);
    if (info.abandoned)
        repair();
    else
        CHECK_EQ(cells[0], cells[1]);
    expect_free();
    end();
}

int main(void) {
    check_begin(SECONDS);
    shared = shared_zeroes(sizeof(*shared));
#ifdef PSHM_KILL_POINTS
    RUN(shouldLeaveNothingWhereverItIsKilled);
#endif
    RUN(shouldOutlastAStorm);
    return check_end();
}
