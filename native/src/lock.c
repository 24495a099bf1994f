/* SPDX-License-Identifier: Apache-2.0
 *
 * Locks: a robust mutex, the identity of its holder, and the abandoned flag.
 *
 * Why a death is never missed and never made up. The kernel tells the next taker of the mutex that
 * its owner died. Between taking the mutex and storing its identity, and between clearing its
 * identity and giving the mutex back, an owner is not in the section that the lock guards: one that
 * died there has torn nothing, and the mutex is taken over in silence. Anyone else's identity
 * stands in the lock, so the taker moves it to `dead`, sets `abandoned`, and only then makes the
 * mutex consistent. A taker that is killed while it does that leaves the identity, and the next
 * begins again, or has cleared it, and then `abandoned` is set. `abandoned` is cleared only by
 * pshm_lock_mark_good. Left open: a taker killed between counting a death and clearing the identity
 * has that death counted twice in `deaths`.
 */
#include <string.h>

#include "internal.h"

enum { NEEDS_GOOD, NEEDS_ABANDONED, NEEDS_EITHER };

/* Linux tells of a thread's death for 2048 of the robust mutexes that it holds (ROBUST_LIST_LIMIT).
 * Other libraries of the process may hold some as well. */
enum { HELD_MAX = 2000 };

/* A holder is written by the lock's owner and read by anyone at any time, so word by word and
 * atomically; its first word, the thread, is what makes the rest valid (PSHM__PUBLISH). */
enum { HOLDER_WORDS = sizeof(pshm__holder) / sizeof(uint64_t) };

static void load_holder(const pshm__holder *shared, pshm__holder *out) {
    const uint64_t *from = (const uint64_t *)(const void *)shared;
    uint64_t *words = (uint64_t *)(void *)out;
    words[0] = PSHM__LOAD_EXPLICIT(from[0], memory_order_acquire);
    for (int i = 1; i < HOLDER_WORDS; i++)
        words[i] = PSHM__LOAD_EXPLICIT(from[i], memory_order_relaxed);
}

/* Not by the recorded holder: a new thread may have the number of one that died with the lock. */
static bool holds(const pshm__holder *self, const pshm__lock *shared) {
    return self != NULL && pshm__os_mutex_is_mine(shared->mutex, (uint32_t)self->thread);
}

static bool is_abandoned(const pshm__lock *shared) {
    return PSHM__LOAD_EXPLICIT(shared->abandoned, memory_order_relaxed) != 0;
}

/* A signal may end the process at any instruction: what the caller stores comes after this. */
static void set_holder(const pshm__lock *shared, pshm__holder *self) {
    self->since_ns = pshm__os_wall_clock_coarse_ns();
    PSHM__STORE(shared->depth, 1, memory_order_relaxed);
    PSHM__PUBLISH(&shared->holder, self);
    atomic_signal_fence(memory_order_seq_cst);
}

/* And what it has stored, before this. */
static void clear_holder(const pshm__lock *shared) {
    atomic_signal_fence(memory_order_seq_cst);
    PSHM__STORE(shared->holder.thread, 0, memory_order_release);
}

static void record_death(const pshm__lock *shared) {
    pshm__holder dead;
    load_holder(&shared->holder, &dead);
    if (dead.thread == 0)
        return;
    PSHM__PUBLISH(&shared->dead, &dead);
    PSHM__STORE(shared->abandoned, 1, memory_order_relaxed);
    PSHM__STORE(shared->deaths, shared->deaths + 1, memory_order_relaxed);
    clear_holder(shared);
}

bool pshm__holder_is_of(const pshm__holder *shared, uint32_t pid, uint64_t start_time) {
    pshm__holder holder;
    load_holder(shared, &holder);
    return holder.thread >> 32 == pid && holder.start_time == start_time;
}

/* A holder is named. False if that thread has died, whose death is recorded then, or if nobody has
 * the mutex, as a peer can have written the name. */
static bool has_living_holder(const pshm__lock *lock) {
    int code = PSHM__MUTEX(try, lock->mutex);
    if (code == PSHM_EOWNERDIED) {
        record_death(lock);
        PSHM__MUTEX(make_consistent, lock->mutex);
    }
    if (code != 0 && code != PSHM_EOWNERDIED)
        return true;
    PSHM__MUTEX(unlock, lock->mutex);
    return false;
}

bool pshm__lock_is_held_here(const pshm__lock *lock) {
    return pshm__holder_is_of(&lock->holder, pshm__os_pid(), pshm__process_start_time()) &&
           (pshm__os_mutex_is_mine(lock->mutex, pshm__os_tid()) || has_living_holder(lock));
}

bool pshm__lock_may_be_abandoned(const pshm__lock *lock) {
    const uint64_t holder = PSHM__LOAD_EXPLICIT(lock->holder.thread, memory_order_acquire);
    if (holder != 0 && has_living_holder(lock) &&
        !pshm__os_mutex_is_mine(lock->mutex, (uint32_t)holder))
        return true; /* the mutex is another's, who is about to record a death, perhaps */
    return is_abandoned(lock);
}

static int closed(const pshm_lock *lock) { return pshm__closed(lock->segment, "lock"); }

/* Whose lock it is. */
static const pshm__object *object_of(const pshm_lock *lock) {
    return (const pshm__object *)(const void *)((const char *)lock->shared -
                                                offsetof(pshm__object, lock));
}

void pshm__holder_show(const pshm__holder *shared, pshm_holder *out) {
    pshm__holder holder;
    load_holder(shared, &holder);
    memset(out, 0, sizeof(*out));
    if (holder.thread == 0)
        return;
    out->pid = (int32_t)(holder.thread >> 32);
    out->tid = (int32_t)(holder.thread & UINT32_MAX);
    out->start_time = holder.start_time;
    out->since_ns = holder.since_ns;
    memcpy(out->thread_name, holder.name, sizeof(out->thread_name));
    out->thread_name[sizeof(out->thread_name) - 1] = '\0';
}

/* The death that the thread was told of last. */
static _Thread_local pshm_lock_info told;

int pshm__owner_died(const pshm_segment *segment, const pshm__object *object,
                     const pshm__holder *dead, uint64_t deaths) {
    pshm__holder_show(dead, &told.dead);
    told.deaths = deaths;
    return pshm__fail_at(
        PSHM_EOWNERDIED, "lock", segment, object,
        "its holder pid=%d, thread=%s died holding it; repair what it guards before anyone can "
        "take it: repair, or in C pshm_lock_acquire_abandoned and pshm_lock_mark_good, or the "
        "mode PSHM_REPAIR",
        told.dead.pid, told.dead.thread_name);
}

static int owner_died(const pshm_lock *lock) {
    return pshm__owner_died(lock->segment, object_of(lock), &lock->shared->dead,
                            lock->shared->deaths);
}

/* The mutex has been taken, with `code` 0 or PSHM_EOWNERDIED: becomes the caller's, or goes back.
 */
static int enter(pshm_lock *lock, pshm__holder *self, int code, int needs,
                 pshm_interrupt *interrupt) {
    const pshm__lock *shared = lock->shared;
    bool again = false;
    if (code == PSHM_EOWNERDIED) {
        record_death(shared);
        PSHM__MUTEX(make_consistent, shared->mutex);
    } else {
        again = PSHM__LOAD_EXPLICIT(shared->holder.thread, memory_order_relaxed) == self->thread;
    }
    bool good = !is_abandoned(shared);
    if (needs == NEEDS_GOOD ? !good && !again : needs == NEEDS_ABANDONED && good) {
        code = good ? PSHM_EGOOD : owner_died(lock);
    } else if (again) {
        PSHM__STORE(shared->depth, shared->depth + 1, memory_order_relaxed);
        return 0;
    } else if (interrupt != NULL && pshm__is_raised(interrupt)) {
        code = PSHM_EINTERRUPTED; /* before the lock was free, perhaps */
    } else if (pshm__locks_held >= HELD_MAX) {
        code = pshm__fail_at(PSHM_EDEPTH, "lock", lock->segment, object_of(lock),
                             "the thread holds %d others, and the system tells of its death for no "
                             "more; unlock some",
                             HELD_MAX);
    } else {
        set_holder(shared, self);
        pshm__os_light_barrier(); /* pairs with the heavy one of pshm_segment_close */
        if (atomic_load_explicit(&lock->segment->state, memory_order_relaxed) == PSHM__OPEN) {
            pshm__locks_held++;
            return 0;
        }
        clear_holder(shared);
        code = closed(lock);
    }
    PSHM__MUTEX(unlock, shared->mutex);
    return code;
}

/* Without sleeping. */
static int acquire_awake(pshm_lock *lock, pshm__holder *self, int needs, bool spins,
                         pshm_interrupt *interrupt) {
    const void *mutex = lock->shared->mutex;
    int code = spins ? PSHM__MUTEX(spin, mutex) : PSHM__MUTEX(try, mutex);
    return code == 0 || code == PSHM_EOWNERDIED ? enter(lock, self, code, needs, interrupt) : code;
}

/* A close that finds one of our locks held takes itself back: wait for how it ends. */
bool pshm__is_open_after_all(pshm_segment *segment) {
    if (atomic_load(&segment->state) == PSHM__CLOSED)
        return false;
    pshm__guard_lock(&segment->guard);
    bool open = atomic_load(&segment->state) == PSHM__OPEN;
    pshm__guard_unlock(&segment->guard);
    return open;
}

/* Below zero `timeout_ns` is without an end. */
static int acquire(pshm_lock *lock, int64_t timeout_ns, int needs, pshm_interrupt *interrupt) {
    pshm__holder *self = pshm__thread_self();
    if (self == NULL)
        return PSHM_EUNNAMED;
    int code = acquire_awake(lock, self, needs, false, NULL);
    if (code == 0)
        return 0;
    pshm_segment *segment = lock->segment;
    if (atomic_load(&segment->state) == PSHM__CLOSED)
        return closed(lock); /* whoever may hold it */
    if (code != PSHM_ECLOSED && (code != PSHM_EBUSY || timeout_ns == 0))
        return code;

    pshm_segment_pin(segment); /* the mapping stays beyond a close that comes while we wait */
    if (code == PSHM_EBUSY && needs != NEEDS_EITHER) /* else it may be the owner who woke us */
        code = acquire_awake(lock, self, needs, true, interrupt);
    if (code == PSHM_EBUSY)
        PSHM__ADD(lock->shared->contentions, 1);
    while (code == PSHM_EBUSY || (code == PSHM_ECLOSED && pshm__is_open_after_all(segment))) {
        code = pshm__mutex_await(segment, lock->shared->mutex, timeout_ns, interrupt);
        if (code == 0 || code == PSHM_EOWNERDIED)
            code = enter(lock, self, code, needs, interrupt);
    }
    pshm_segment_unpin(segment);
    return code;
}

int pshm_lock_acquire(pshm_lock *lock) { return acquire(lock, -1, NEEDS_GOOD, NULL); }

int pshm_lock_try_acquire(pshm_lock *lock) {
    int code = acquire(lock, 0, NEEDS_GOOD, NULL);
    return code == PSHM_ETIMEDOUT ? PSHM_EBUSY : code;
}

int pshm_lock_timed_acquire(pshm_lock *lock, int64_t timeout_ns) {
    int code = acquire(lock, timeout_ns < 0 ? 0 : timeout_ns, NEEDS_GOOD, NULL);
    return code == PSHM_EBUSY ? PSHM_ETIMEDOUT : code;
}

static int await(pshm_lock *lock, int64_t timeout_ns, int needs, pshm_interrupt *interrupt) {
    if (pshm__is_raised(interrupt))
        return PSHM_EINTERRUPTED;
    int code = acquire(lock, timeout_ns, needs, interrupt);
    return code == PSHM_EBUSY ? PSHM_ETIMEDOUT : code;
}

int pshm_lock_await(pshm_lock *lock, int64_t timeout_ns, pshm_interrupt *interrupt) {
    return await(lock, timeout_ns, NEEDS_GOOD, interrupt);
}

int pshm_lock_await_abandoned(pshm_lock *lock, int64_t timeout_ns, pshm_interrupt *interrupt) {
    return await(lock, timeout_ns, NEEDS_ABANDONED, interrupt);
}

int pshm_lock_acquire_abandoned(pshm_lock *lock) {
    return acquire(lock, -1, NEEDS_ABANDONED, NULL);
}

int pshm_lock_acquire_any(pshm_lock *lock) {
    int code = acquire(lock, -1, NEEDS_EITHER, NULL);
    return code == 0 && is_abandoned(lock->shared) ? owner_died(lock) : code;
}

static int not_owner(const pshm_lock *lock, const char *operation) {
    if (atomic_load(&lock->segment->state) == PSHM__CLOSED)
        return closed(lock);
    return pshm__fail_at(PSHM_ENOTOWNER, operation, lock->segment, object_of(lock),
                         "the calling thread does not hold the lock; only the thread that took it "
                         "can do this");
}

int pshm_lock_release(pshm_lock *lock) {
    const pshm__lock *shared = lock->shared;
    const pshm__holder *self = pshm__thread_self();
    if (!holds(self, shared))
        return not_owner(lock, "unlock");
    const uint32_t depth = shared->depth - 1;
    PSHM__STORE(shared->depth, depth, memory_order_relaxed);
    if (depth == 0) {
        clear_holder(shared);
        pshm__locks_held--;
    }
    return PSHM__MUTEX(unlock, shared->mutex);
}

int pshm_lock_mark_good(pshm_lock *lock) {
    const pshm__holder *self = pshm__thread_self();
    if (!holds(self, lock->shared))
        return not_owner(lock, "mark_good");
    atomic_signal_fence(memory_order_seq_cst); /* after all that the repair has stored */
    PSHM__STORE(lock->shared->abandoned, 0, memory_order_release);
    return 0;
}

int pshm_lock_depth(const pshm_lock *lock) {
    const pshm__holder *self = pshm__thread_self();
    return holds(self, lock->shared) ? (int)lock->shared->depth : 0;
}

void pshm_lock_told(pshm_lock_info *out) { *out = told; }

int pshm_lock_inspect(pshm_lock *lock, pshm_lock_info *out) {
    if (atomic_load(&lock->segment->state) != PSHM__OPEN)
        return closed(lock);
    const pshm__lock *shared = lock->shared;
    pshm__holder_show(&shared->holder, &out->holder);
    pshm__holder_show(&shared->dead, &out->dead);
    out->deaths = PSHM__LOAD_EXPLICIT(shared->deaths, memory_order_relaxed);
    out->contentions = PSHM__LOAD_EXPLICIT(shared->contentions, memory_order_relaxed);
    out->abandoned = is_abandoned(shared);
    return 0;
}
