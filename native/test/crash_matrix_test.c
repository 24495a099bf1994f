/* SPDX-License-Identifier: Apache-2.0
 *
 * The crash matrix: a process is killed at each step of each scenario, and another operates on the
 * same segment, after the death or waiting for the victim already; then all that must hold is
 * looked at. The steps are the kill points of the library (store.h), which come out of the code:
 * one that no scenario passes is a failure.
 *
 * The second process comes after the death; or is at work before it, when the victim has stopped;
 * or waits for the victim since an earlier step. Each cell is a process of its own, with the victim
 * and the second process as its children:
 *
 *   cell:    set up; second: prepare; victim: prepare, run, stop before the step
 *   AFTER:   kill the victim; second: operate
 *   AT_WORK: second: operate until done or asleep; kill the victim; await the second
 *   WAITING: as AT_WORK, but that the second begins at the step that first makes it wait
 *   cell:    compare the outcome with what LAYOUT.md says, look at everything, clear away
 */
#include "check.h"

#include <poll.h>

#include "crash_matrix.h"

enum {
    CELL_SECONDS = 20,   /* a cell that takes longer hangs */
    TOTAL_SECONDS = 590, /* below CTest's limit, so that what is left is cleared away */
    FAILED_MAX = 20,     /* then it gives up */
    SHARE = CHECK_TSAN   ? 6
            : CHECK_ASAN ? 4
                         : 1 /* of so many operations one, in turn */
};

/* ---- the cell ---- */

/* The file under the name, by the bytes and kernel locks that LAYOUT.md names. */
typedef struct state {
    bool present, ready, entered, in_use;
} state;

static bool locked(int fd, off_t offset, off_t bytes) {
    struct flock lock = {
        .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = offset, .l_len = bytes};
    CHECK_EQ(fcntl(fd, F_OFD_GETLK, &lock), 0);
    return lock.l_type != F_UNLCK;
}

static state look(void) {
    state result = {0};
    uint32_t ready = 0;
    int fd = open(path_of_name(victims_name()), O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return result;
    result.present = true;
    result.ready = pread(fd, &ready, 4, 8) == 4 && ready == PSHM_READY;
    result.entered = locked(fd, 0, 1);
    result.in_use = locked(fd, PSHM_PARTICIPANT_OFFSET, PSHM_HEAP_OFFSET - PSHM_PARTICIPANT_OFFSET);
    close(fd);
    return result;
}

static bool is_usable(state file, bool in_use) {
    return file.present && file.ready && (current->lifetime == PSHM_PERSISTENT || in_use);
}

static int heard[256];
static int outcomes[2]; /* of the cells before this: AFTER and AT_WORK */
static pid_t victim, second;

/* Until one of these has been heard. */
static void await(const char *what) {
    while (heard[(int)what[0]] + (what[1] != '\0' ? heard[(int)what[1]] : 0) == 0) {
        struct pollfd from = {.fd = to_cell[0], .events = POLLIN};
        if (poll(&from, 1, 100) == 1)
            heard[(int)hear(to_cell[0])]++;
        else /* a check of theirs has failed? */
            CHECK_EQ(waitpid(-1, NULL, WNOHANG), 0);
    }
}

static bool hears(char what) {
    struct pollfd from = {.fd = to_cell[0], .events = POLLIN};
    while (poll(&from, 1, 0) == 1)
        heard[(int)hear(to_cell[0])]++;
    return heard[(int)what] > 0;
}

static void set_up(void) {
    pshm_lock *other;
    if (current->state >= ALONE) {
        create();
        array_of(segment);
        CHECK_OK(pshm_lock_open(segment, "m", &other));
    }
    if (current->state == DEAD || current->corpse != NONE)
        make_corpse(be_corpse);
    shared->abandoned = current->corpse == HOLDING;
}

/* The second process operates, until it is done or waits. */
static void start_second(void) {
    tell(to_second[1], 'g');
    await("dw");
}

static bool is_done_before_it_sleeps(void) {
    const struct timespec nap = {.tv_nsec = 20000};
    while (!hears('d') && !is_asleep(second))
        nanosleep(&nap, NULL);
    return hears('d');
}

/* The victim runs, and stops at its step. Where it waits, we give it what it waits for. */
static void run_victim(void) {
    victim = spawn(be_victim);
    await("r");
    if (current->contended)
        current->hold();
    if (current->state == ALONE) {
        CHECK_OK(pshm_segment_close(segment));
        segment = NULL;
    }
    tell(to_victim[1], 'g');
    if (current->contended) {
        await("bv");
        AWAIT(is_asleep(victim));
        current->help();
    }
    if (way == WAITING) {
        await("s");
        start_second();
        CHECK(!is_done_before_it_sleeps());
        tell(to_victim[1], 'g');
    }
    await("v");
    if (shared->phase != CHANGING)
        CHECK_EQ(shared->inside, shared->phase == INSIDE);
}

/* The participants are exactly those of us who have it open. */
static void expect_participants(pshm_segment *in, int ours, bool with_second, bool with_victim) {
    uint64_t cursor = 0;
    pshm_participant_info info;
    int code, mine = 0, theirs = 0, childs = 0;
    while ((code = pshm_segment_next_participant(in, &cursor, &info)) == 1) {
        if (info.pid == getpid())
            mine++;
        else if (info.pid == second && with_second)
            theirs++;
        else if (info.pid == shared->companion)
            childs++;
        else if (info.pid != victim || !with_victim)
            CHECK_FAIL("participant pid=%d, victim=%d, second=%d", info.pid, victim, second);
    }
    CHECK_OK(code);
    CHECK_EQ(mine, ours);
    CHECK_EQ(theirs, with_second);
    const bool first =
        segment != NULL && memcmp(pshm_segment_id(in), pshm_segment_id(segment), 16) == 0;
    CHECK_EQ(childs, first && shared->companion != 0);
}

static int expected(state file, bool usable, bool abandoned, bool owned) {
    const bool open = usable || attaches_before();
    switch (second_does) {
    case OPEN: return usable ? 0 : PSHM_ENOENT;
    case OPEN_OR_CREATE: return usable ? 0 : 1;
    case CREATE: return usable ? PSHM_EEXIST : 0;
    case UNLINK: return file.present ? 0 : PSHM_ENOENT;
    case REAP: return file.present && !usable && !file.entered;
    case TRY:
        if (owned)
            return PSHM_EBUSY;
        break;
    case ACQUIRE:
    case TIMED:
    case AWAITED: break;
    case REPAIR: return !open ? PSHM_ENOENT : abandoned ? 0 : PSHM_EGOOD;
    default: return open ? 0 : PSHM_ENOENT;
    }
    return !open ? PSHM_ENOENT : abandoned ? PSHM_EOWNERDIED : 0;
}

/* The operation, before or after the victim's death. */
static void run_second(void) {
    state file = look();
    const bool observed = segment != NULL;
    bool owned = false, done = false;
    if (observed && way != WAITING) {
        owned = pshm__os_mutex_is_mine(lock_of(segment)->shared->mutex, (uint32_t)victim);
        expect_participants(segment, 1, attaches_before(), true);
    }
    if (way == AT_WORK)
        start_second();
    if (way != AFTER) {
        done = is_done_before_it_sleeps();
        shared->waited = !done;
    }
    kill_child(victim);
    if (way == AFTER)
        tell(to_second[1], 'g');
    await("d");

    int code;
    if (way == WAITING) { /* as if it had come just before the death, or just after */
        code = shared->code == outcomes[AFTER] ? outcomes[AFTER] : outcomes[AT_WORK];
    } else if (done) {
        code = expected(file, is_usable(file, file.in_use), shared->abandoned, owned);
        /* It has not passed by what it had to wait for. */
        CHECK(!owned || second_does < ACQUIRE || second_does == TRY || second_does == RELEASE);
        CHECK(!file.present || !file.entered || second_does > UNLINK);
    } else {
        file.entered = false;
        code = expected(file, is_usable(file, observed || attaches_before()),
                        shared->abandoned || shared->inside, false);
    }
    if (second_does == REAP && shared->code > code)
        shared->code = code; /* without a folder of our own it may find more */
    CHECK_CODE(shared->code, code);
    if (second_does == UNLINK || (second_does == REAP && code == 1) ||
        (second_does == CLOSE && !done && way != WAITING && !observed &&
         current->lifetime == PSHM_LAST_OUT))
        CHECK(!exists(victims_name()));
    if (second_does == REAP && code == 0)
        CHECK_EQ(exists(victims_name()), file.present);
}

static void expect_good(pshm_lock *lock) {
    CHECK_OK(pshm_lock_timed_acquire(lock, 5000000000));
    CHECK_EQ(pshm_lock_depth(lock), 1);
    CHECK_OK(pshm_lock_release(lock));
    CHECK_CODE(pshm_lock_acquire_abandoned(lock), PSHM_EGOOD);
}

static void expect_abandoned(pshm_lock *lock) {
    CHECK_CODE(pshm_lock_timed_acquire(lock, 5000000000), PSHM_EOWNERDIED);
    CHECK_OK(pshm_lock_acquire_abandoned(lock));
    CHECK_OK(pshm_lock_mark_good(lock));
    CHECK_OK(pshm_lock_release(lock));
    expect_good(lock);
}

/* Every object is whole, and there are those that there must be. */
static void look_at_objects(pshm_segment *in, bool same) {
    static const struct {
        const char *name;
        int kind, type, length;
    } known[] = {{"a", PSHM_ARRAY, PSHM_INT64, 2},
                 {"m", PSHM_LOCK, 0, 0},
                 {"n", PSHM_ARRAY, PSHM_INT64, 4},
                 {"v", PSHM_VALUE, PSHM_INT8, 1},
                 {"l", PSHM_LOCK, 0, 0}};
    bool found[sizeof(known) / sizeof(known[0])] = {false};
    uint64_t cursor = 0;
    pshm_object_info info;
    int code;
    int64_t bytes = 0;
    while ((code = pshm_segment_next_object(in, &cursor, &info)) == 1) {
        size_t i = 0;
        while (i < sizeof(known) / sizeof(known[0]) && strcmp(info.name, known[i].name) != 0)
            i++;
        CHECK(i < sizeof(known) / sizeof(known[0]));
        CHECK(!found[i]);
        found[i] = true;
        CHECK_EQ(info.kind, known[i].kind);
        CHECK_EQ(info.type, known[i].type);
        CHECK_EQ(info.length, known[i].length);
        CHECK_EQ(info.bytes, pshm_object_bytes(info.kind, info.type, known[i].length));
        bytes += (int64_t)info.bytes;
    }
    CHECK_OK(code);
    CHECK_EQ(pshm_segment_free_bytes(in), pshm_segment_size_bytes(in) - bytes);
    if (same) {
        CHECK(found[0] && found[1]);
        CHECK_EQ(found[2], (shared->published && current->run == add_array) ||
                               (second_does == OBJECT && shared->code == 0));
        CHECK_EQ(found[3], shared->published && current->run == add_value);
        CHECK_EQ(found[4], shared->published && current->run == add_lock);
    }
    if (found[2]) {
        pshm_array *array;
        CHECK_OK(pshm_array_open(in, "n", PSHM_INT64, 4, &array));
        for (int i = 0; i < 4; i++)
            CHECK_EQ(((const int64_t *)pshm_array_data(array))[i], 0);
        expect_good(pshm_array_lock(array));
    }
    if (found[3]) {
        pshm_value *value;
        CHECK_OK(pshm_value_open(in, "v", PSHM_INT8, &value));
        CHECK_EQ(*(const int8_t *)pshm_value_data(value), 0);
        expect_good(pshm_value_lock(value));
    }
    if (found[4]) {
        pshm_lock *lock;
        CHECK_OK(pshm_lock_open(in, "l", &lock));
        expect_good(lock);
    }
}

/* The victim's lock tells the truth, and guards what was stored before the death. */
static void look_at_lock(pshm_lock *lock, const int64_t *cells) {
    pshm_lock_info info;
    const bool abandoned =
        (shared->abandoned || shared->inside) && !(second_does == REPAIR && shared->code == 0);
    CHECK_EQ(cells[0], shared->cells[0]);
    CHECK_EQ(cells[1], shared->cells[1]);
    if (abandoned)
        expect_abandoned(lock);
    else
        expect_good(lock);
    CHECK_OK(pshm_lock_inspect(lock, &info));
    CHECK_EQ(info.holder.pid, 0);
    /* Killed between counting a death and clearing the holder: counted again, says LAYOUT.md. */
    const bool before = current->corpse == HOLDING || current->prepare == attach_and_lose_a_thread;
    const int deaths = before + shared->inside + shared->counting;
    CHECK_EQ(info.deaths, deaths);
    if (shared->inside) {
        CHECK_EQ(info.dead.pid, victim);
        CHECK_STR(info.dead.thread_name, "victim");
    }
}

static void look_at_all(void) {
    pshm_segment *again;
    const pshm_options with = options();
    const state file = look();
    const bool usable = is_usable(file, file.in_use);
    CHECK(!file.entered);
    CHECK_CODE(pshm_segment_open_or_create(victims_name(), ROOM, &with, &again), usable ? 0 : 1);
    const uint8_t *id = pshm_segment_id(again);
    const bool same = segment != NULL && memcmp(id, pshm_segment_id(segment), 16) == 0;
    look_at_objects(again, same);
    if (segment != NULL) /* unlinked perhaps: it works still */
        look_at_lock(lock_of(segment), pshm_array_data(array_of(segment)));
    expect_participants(again, same ? 2 : 1,
                        shared->attached && memcmp(id, shared->attached_to, 16) == 0, false);
    expect_good(lock_of(again));
    if (second_does == OBJECT && way == AFTER) {
        /* What the victim made withstands another death. */
        make_corpse(be_later_corpse);
        expect_abandoned(lock_of(again));
        pshm_value *value;
        CHECK_OK(pshm_value_open(again, "after", PSHM_INT8, &value));
        expect_good(pshm_value_lock(value));
    }
    CHECK_OK(pshm_segment_close(again));
}

static void clear_away(void) {
    tell(to_second[1], 'e');
    CHECK_EQ(wait_for(second), 0);
    if (shared->companion != 0)
        kill_child(shared->companion);
    if (segment != NULL)
        CHECK_OK(pshm_segment_close(segment));
    const state file = look();
    CHECK(pshm_reap() >= 0);
    CHECK_EQ(exists(victims_name()), is_usable(file, false));
    if (exists(victims_name()))
        CHECK_OK(pshm_segment_unlink(victims_name()));
    CHECK_EQ(check_files(false), 0);
}

static void run_cell(void) {
    setpgid(0, 0);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    CHECK(pipe(to_cell) == 0 && pipe(to_second) == 0 && pipe(to_victim) == 0);
    set_up();
    second = spawn(be_second);
    await("p");
    run_victim();
    run_second();
    look_at_all();
    clear_away();
}

#include "crash_synchronizers.h"

/* ---- the matrix ---- */

enum {
    SEGMENT_SCENARIOS = sizeof(segment_scenarios) / sizeof(segment_scenarios[0]),
    SCENARIOS = SEGMENT_SCENARIOS +
                (int)(sizeof(synchronizer_scenarios) / sizeof(synchronizer_scenarios[0]))
};

static const scenario *scenario_at(int index) {
    return index < SEGMENT_SCENARIOS ? &segment_scenarios[index]
                                     : &synchronizer_scenarios[index - SEGMENT_SCENARIOS];
}

/* What the second process may do, or null. */
static const char *operation_name(const scenario *of, int does) {
    if (of->about == NOTHING)
        return does < OPERATIONS ? operation_names[does] : NULL;
    return does < RIVALS ? kinds_of[of->about].rivals[does].name : NULL;
}

/* Both ends of the linker's section: all kill points that there are. */
extern const pshm__kill_point __start_pshm_kill_points[], __stop_pshm_kill_points[];

static const char *only_scenario, *only_point, *only_operation;
static int passed, failed;
static int64_t give_up_at;
static volatile pid_t cell_pid;

static void end_cell(int signal) {
    (void)signal;
    kill(-cell_pid, SIGKILL);
}

static bool run_cell_apart(const scenario *of, int stop_at, int rest_at) {
    memset(shared, 0, sizeof(*shared));
    shared->stop_at = stop_at;
    shared->rest_at = rest_at;
    current = of;
    fflush(NULL);
    cell_pid = fork();
    CHECK(cell_pid >= 0);
    if (cell_pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        of->about == NOTHING ? run_cell() : run_cell_of_them();
        _exit(0);
    }
    setpgid(cell_pid, cell_pid);
    alarm(CELL_SECONDS);
    const int status = wait_for(cell_pid);
    alarm(0);
    if (status == 0)
        return true;
    if (status == SIGKILL)
        fprintf(stderr, "hangs: killed after %d seconds\n", CELL_SECONDS);
    kill(-cell_pid, SIGKILL);
    while (waitpid(-1, NULL, 0) > 0)
        continue;
    check_files(true);
    return false;
}

static const char *outcome(int code) {
    switch (code) {
    case 0: return "ok";
    case 1: return second_does == REAP ? "one" : "new";
    case PSHM_ENOENT: return "absent";
    case PSHM_EEXIST: return "exists";
    case PSHM_EBUSY: return "busy";
    case PSHM_EOWNERDIED: return "told";
    case PSHM_EGOOD: return "good";
    case PSHM_EBROKEN: return "broken";
    default: return pshm_error_name(code);
    }
}

static void name_step(const step *of, char *out, size_t bytes) {
    char at[24] = "";
    if (of->at != 0)
        snprintf(at, sizeof(at), "@%" PRIu64, of->at);
    snprintf(out, bytes, "%s:%s%s", of->point->function, of->point->step, at);
}

/* One operation against a victim that dies before this step: the cells, and what came of them.
 * From the step that first makes it wait to the one that lets it go, it may have waited before. */
static void run_operation(const scenario *of, int number, const step *dies_before, const char *name,
                          int *first_wait, char *text, size_t bytes) {
    static const char *const ways[] = {"comes after", "is at work", "waits already"};
    const int ends = *first_wait >= 0 || of->about != NOTHING ? WAITING : AT_WORK;
    int length = 0;
    bool waits = false;
    for (way = AFTER; (int)way <= ends; way++) {
        const bool good =
            run_cell_apart(of, number, way == WAITING && of->about == NOTHING ? *first_wait : -1);
        const bool other =
            good && shared->steps[shared->count - 1].point != dies_before->point; /* its way */
        const char *shown = !good            ? "FAILED"
                            : other          ? "-"
                            : way == WAITING ? "+"
                                             : outcome(shared->code);
        length +=
            snprintf(text + length, bytes - (size_t)length, "%s%s%s", way == AT_WORK ? "/" : "",
                     shown, way == AT_WORK && shared->waited ? "~" : "");
        failed += !good;
        passed += good && !other;
        if (!good)
            fprintf(stderr, "FAILED: %s, killed before %s, %s %s\n", of->name, name,
                    operation_name(of, (int)second_does), ways[way]);
        if (!good || other)
            return;
        if (way != WAITING)
            outcomes[way] = shared->code;
        if (way == AT_WORK)
            waits = shared->waited;
    }
    *first_wait = !waits ? -1 : *first_wait < 0 ? number : *first_wait;
}

/* All operations. */
static void run_step(const scenario *of, int index, int number, const step *dies_before,
                     int *first_waits) {
    char name[96], row[512];
    name_step(dies_before, name, sizeof(name));
    if (only_point != NULL && strstr(name, only_point) == NULL) {
        for (int i = 0; i < OPERATIONS; i++)
            first_waits[i] = -1;
        return;
    }
    int length = snprintf(row, sizeof(row), "%2d %-44.44s", number, name);
    const char *does;
    for (second_does = 0; (does = operation_name(of, (int)second_does)) != NULL; second_does++) {
        char text[40] = "";
        if (only_operation != NULL && strcmp(does, only_operation) != 0)
            continue;
        if (((int)second_does + index) % SHARE == 0)
            run_operation(of, number, dies_before, name, &first_waits[second_does], text,
                          sizeof(text));
        length += snprintf(row + length, sizeof(row) - (size_t)length, " %-15s", text);
        if (now_ns() > give_up_at || failed > FAILED_MAX) {
            printf("given up: %s\n%d passed, %d failed\n",
                   failed > FAILED_MAX ? "too many failures" : "too slow", passed, failed + 1);
            exit(1);
        }
    }
    printf("%s\n", row);
}

/* Part of a struct that an earlier scenario has taken apart already, and not its last word. */
static bool is_repeated(const step *steps, int number, const bool *seen_before) {
    const pshm__kill_point *point = steps[number].point;
    return seen_before[point - __start_pshm_kill_points] && steps[number].at > 0 && number > 0 &&
           steps[number - 1].point == point && steps[number - 1].at == steps[number].at + 1;
}

static void run_scenario(int index, bool *seen) {
    const scenario *of = scenario_at(index);
    static step steps[STEPS_MAX];
    const size_t points = (size_t)(__stop_pshm_kill_points - __start_pshm_kill_points);
    bool seen_before[256];
    int first_waits[OPERATIONS];
    for (int i = 0; i < OPERATIONS; i++)
        first_waits[i] = -1;
    CHECK(points < 256);
    memcpy(seen_before, seen, points * sizeof(*seen));
    second_does = of->about == NOTHING ? REAP : 1;
    way = AFTER;
    if (!run_cell_apart(of, -1, -1)) {
        fprintf(stderr, "FAILED: %s\n", of->name);
        failed++;
    }
    const int count = shared->count;
    memcpy(steps, shared->steps, sizeof(steps));
    for (int i = 0; i < count; i++)
        seen[steps[i].point - __start_pshm_kill_points] = true;
    printf("\n%-47s", of->name);
    const char *name;
    for (int does = 0; (name = operation_name(of, does)) != NULL; does++) {
        if (only_operation == NULL || strcmp(name, only_operation) == 0)
            printf(" %-15s", name);
    }
    printf("\n");
    for (int i = 0; i < count; i++) {
        if (!is_repeated(steps, i, seen_before))
            run_step(of, index, i, &steps[i], first_waits);
    }
}

/* Each has a name of its own, and a scenario that passes it. */
static void check_points(const bool *seen) {
    for (const pshm__kill_point *point = __start_pshm_kill_points; point < __stop_pshm_kill_points;
         point++) {
        bool good = seen[point - __start_pshm_kill_points];
        if (!good)
            fprintf(stderr, "FAILED: no scenario passes %s:%s\n", point->function, point->step);
        for (const pshm__kill_point *other = __start_pshm_kill_points; other < point; other++) {
            if (is(point, other->function, other->step)) {
                fprintf(stderr, "FAILED: two kill points are called %s:%s\n", point->function,
                        point->step);
                good = false;
            }
        }
        passed += good;
        failed += !good;
    }
}

int main(int argc, char **argv) {
    bool seen[256] = {false};
    for (int i = 1; i < argc; i += 2) {
        const char **only = strcmp(argv[i], "--scenario") == 0    ? &only_scenario
                            : strcmp(argv[i], "--point") == 0     ? &only_point
                            : strcmp(argv[i], "--operation") == 0 ? &only_operation
                                                                  : NULL;
        if (only == NULL || i + 1 == argc) {
            fprintf(stderr,
                    "%s: take [--scenario NAME] [--point TEXT] [--operation NAME], names as in the "
                    "table\n",
                    argv[i]);
            return 2;
        }
        *only = argv[i + 1];
    }
    check_begin(TOTAL_SECONDS);
    atexit(finish_at_exit); /* runs after the library's own, which is registered later */
    alarm(0);
    signal(SIGALRM, end_cell);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    give_up_at = now_ns() + (int64_t)TOTAL_SECONDS * 1000000000;
    shared = shared_zeroes(sizeof(*shared));
    for (int i = 0; i < SCENARIOS; i++) {
        if (only_scenario == NULL || strcmp(scenario_at(i)->name, only_scenario) == 0)
            run_scenario(i, seen);
    }
    if (only_scenario == NULL)
        check_points(seen);
    failed += check_files(false);
    printf("\n%d passed, %d failed\n", passed, failed);
    if (passed + failed == 0)
        fprintf(stderr, "no such scenario, point or operation: take names of the whole table\n");
    return failed == 0 && passed > 0 ? 0 : 1;
}
