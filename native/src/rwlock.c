/* SPDX-License-Identifier: Apache-2.0
 *
 * Read-write locks: who writes, and for each participant how many of its threads read (`count` of
 * its stake) and wait to write (`amount`). All of it changes within the monitor.
 *
 * Why nothing is left behind. `writer` and the stakes are the only truths, each is one store, and
 * no word says again what they say: so there is nothing to recover. What they name is a participant
 * and its number, and the kernel alone says whether it lives. Owner, depth and holder are stored
 * before `writer`, and mean nothing while that is zero.
 *
 * Why a writer's death is never missed and never made up. A writer is in its section from the store
 * of `writer` to that of zero, and the monitor is left after the first and entered before the
 * second: one killed outside of these has torn nothing. Whoever finds a dead participant there
 * stores `dead`, `deaths` and `abandoned`, and only then zero in `writer`; one that is killed
 * before that leaves `writer`, and the next begins again. It does not count the death twice: a
 * depth of zero says that the new count stands in `owner`, from which storing it again is no
 * change.
 *
 * Why writers do not starve. One that fails to take the lock is in its stake before it leaves the
 * monitor, and from then on no reader gets in; those that are in go. Readers have no such right:
 * writers without a gap keep them waiting. Left open: a thread that ends when it writes leaves the
 * lock to the thread of its process that gets its number.
 */
#include <inttypes.h>
#include <string.h>

#include "internal.h"

enum { NAP_NS = 20000 }; /* while a close makes up its mind */

static const pshm__rwlock *shared_of(const pshm__sync *sync) {
    return (const pshm__rwlock *)(const void *)sync->events;
}

/* This participant, as `writer` names it. */
static uint64_t participant(const pshm__sync *sync) {
    return (uint64_t)sync->segment->number << 32 | sync->segment->slot;
}

static uint64_t this_thread_if_zero(uint64_t owner) {
    return owner == 0 ? pshm__thread_id() : owner;
}

int pshm_rwlock_open(pshm_segment *segment, const char *name, pshm_rwlock **out) {
    pshm__handle *handle = NULL;
    int code = pshm__object_open("read-write lock", segment, name, PSHM_RWLOCK, 0, 0, &handle);
    *out = handle == NULL ? NULL : &handle->rwlock;
    return code;
}

/* ---- within the monitor ---- */

typedef struct totals {
    uint64_t readers, waiting_writers;
} totals;

static totals sum(const pshm__rwlock *shared) {
    totals all = {0, 0};
    for (uint32_t slot = 0; slot < PSHM_PARTICIPANTS; slot++) {
        all.readers += shared->stakes[slot].count;
        all.waiting_writers += shared->stakes[slot].amount;
    }
    return all;
}

static bool writes(const pshm__sync *sync, uint64_t owner) {
    const pshm__rwlock *shared = shared_of(sync);
    return PSHM__LOAD(shared->writer) == participant(sync) && shared->owner == owner;
}

/* For the stake is the only truth. */
static void give_back(const pshm__sync *sync, uint32_t slot) {
    (void)sync;
    (void)slot;
}

static void record_writers_death(const pshm__rwlock *shared) {
    if (shared->depth != 0) {
        const pshm__holder dead = shared->holder;
        PSHM__PUBLISH(&shared->dead, &dead);
        PSHM__STORE(shared->owner, shared->deaths + 1, memory_order_relaxed);
        PSHM__STORE(shared->depth, 0, memory_order_relaxed);
    }
    PSHM__STORE(shared->deaths, shared->owner, memory_order_relaxed);
    PSHM__STORE(shared->abandoned, 1, memory_order_relaxed);
    PSHM__STORE(shared->writer, 0, memory_order_release);
}

static void look_for_the_dead(const pshm__sync *sync) {
    const pshm__rwlock *shared = shared_of(sync);
    pshm__stakes_reclaim(sync, shared->stakes, give_back);
    const uint64_t writer = PSHM__LOAD(shared->writer);
    const uint32_t slot = (uint32_t)writer;
    if (writer != 0 && (slot >= sync->segment->participant_capacity ||
                        !pshm__participant_lives(sync->segment, slot, (uint32_t)(writer >> 32))))
        record_writers_death(shared);
}

static int too_often(const pshm__sync *sync, const char *mode) {
    return pshm__fail_at(PSHM_EDEPTH, "lock", sync->segment, sync->object,
                         "mode=%s: it is taken %" PRIu32
                         " times, and there is no room for more; unlock it",
                         mode, UINT32_MAX);
}

static int writer_died(const pshm__sync *sync) {
    const pshm__rwlock *shared = shared_of(sync);
    return pshm__owner_died(sync->segment, sync->object, &shared->dead, shared->deaths);
}

static int take_to_read(const pshm__waiting *self, const pshm__stake *mine) {
    const pshm__rwlock *shared = shared_of(self->sync);
    if (!writes(self->sync, self->value_2)) {
        if (PSHM__LOAD(shared->writer) != 0)
            return PSHM_EBUSY;
        if (shared->abandoned != 0)
            return writer_died(self->sync);
        if (sum(shared).waiting_writers != 0)
            return PSHM_EBUSY;
    }
    if (mine->count == UINT32_MAX)
        return too_often(self->sync, "read");
    PSHM__STORE(mine->count, mine->count + 1, memory_order_relaxed);
    return 0;
}

static int write_again(const pshm__sync *sync) {
    const pshm__rwlock *shared = shared_of(sync);
    if (shared->depth == UINT32_MAX)
        return too_often(sync, "write");
    PSHM__STORE(shared->depth, shared->depth + 1, memory_order_relaxed);
    return 0;
}

static int take_to_write(const pshm__waiting *self, const pshm__holder *thread) {
    const pshm__rwlock *shared = shared_of(self->sync);
    const bool good = shared->abandoned == 0;
    if (thread == NULL)
        return PSHM_EUNNAMED;
    if (self->mode == PSHM_REPAIR && good)
        return pshm__fail_at(PSHM_EGOOD, "lock", self->sync->segment, self->sync->object,
                             "mode=repair: it is not abandoned; take it to write");
    if (writes(self->sync, self->value_2))
        return write_again(self->sync);
    if (PSHM__LOAD(shared->writer) != 0)
        return PSHM_EBUSY;
    if (self->mode == PSHM_WRITE && !good)
        return writer_died(self->sync);
    if (sum(shared).readers != 0)
        return PSHM_EBUSY;
    pshm__holder holder = *thread;
    holder.thread = thread->thread >> 32 << 32 | (uint32_t)self->value_2;
    holder.since_ns = pshm__os_wall_clock_coarse_ns();
    PSHM__PUBLISH(&shared->holder, &holder);
    PSHM__STORE(shared->owner, self->value_2, memory_order_relaxed);
    PSHM__STORE(shared->depth, 1, memory_order_relaxed);
    PSHM__STORE(shared->writer, participant(self->sync), memory_order_release);
    return 0;
}

/* ---- waits ---- */

/* A close that finds the lock held turns back; where it has not looked yet we must not wait in the
 * monitor, and where it has we must not take anything. */
static int enter_if_open(const pshm__sync *sync) {
    for (;;) {
        int code = pshm__monitor_enter(sync);
        if (code != 0)
            return code;
        const int state = atomic_load(&sync->segment->state);
        if (state == PSHM__OPEN)
            return 0;
        pshm__monitor_leave(sync);
        if (state == PSHM__CLOSED)
            return pshm__closed(sync->segment, "wait");
        pshm__os_sleep_ns(NAP_NS);
    }
}

/* `value` is this participant's number if the wait is one of those that its stake counts: it was
 * another's if the process has forked since. */
static bool is_counted(const pshm__waiting *self) {
    return self->value == self->sync->segment->number;
}

static void count(pshm__waiting *self, const pshm__stake *mine) {
    PSHM__STORE(mine->amount, mine->amount + 1, memory_order_relaxed);
    self->value = self->sync->segment->number;
}

static void discount(pshm__waiting *self, const pshm__stake *mine) {
    PSHM__STORE(mine->amount, mine->amount - 1, memory_order_relaxed);
    self->value = 0;
}

static int attempt(pshm__waiting *self, bool look) {
    const pshm__sync *sync = self->sync;
    const pshm__rwlock *shared = shared_of(sync);
    const pshm__holder *thread = self->mode == PSHM_READ ? NULL : pshm__thread_self();
    int code = enter_if_open(sync);
    if (code != 0)
        return code;
    if (look || self->mode == PSHM_REPAIR) /* before it can be called good */
        look_for_the_dead(sync);
    const pshm__stake *mine = pshm__stake_here(sync, shared->stakes, give_back);
    code = self->mode == PSHM_READ ? take_to_read(self, mine) : take_to_write(self, thread);
    const bool was_counted = is_counted(self);
    if (code != PSHM_EBUSY && was_counted)
        discount(self, mine);
    else if (code == PSHM_EBUSY && self->mode == PSHM_WRITE && !was_counted)
        count(self, mine);
    pshm__monitor_leave(sync);
    if (code != PSHM_EBUSY && code != 0 && was_counted)
        pshm__notify(sync->events);
    return code;
}

static int give_up(pshm__waiting *self, int why) {
    const pshm__sync *sync = self->sync;
    if (!is_counted(self) || pshm__begin(sync, "wait") != 0)
        return why;
    if (pshm__monitor_enter(sync) == 0) {
        discount(self, &shared_of(sync)->stakes[sync->segment->slot]);
        pshm__monitor_leave(sync);
        pshm__notify(sync->events); /* readers that have waited for this one */
    }
    pshm__end(sync);
    return why;
}

static bool is_mode(int mode) {
    return mode == PSHM_READ || mode == PSHM_WRITE || mode == PSHM_REPAIR;
}

static int wrong_mode(const pshm_rwlock *lock, const char *operation, int mode) {
    return pshm__fail_at(PSHM_EINVAL, operation, lock->sync.segment, lock->sync.object,
                         "mode=%d; take PSHM_READ (1), PSHM_WRITE (2) or PSHM_REPAIR (3)", mode);
}

int pshm_rwlock_prepare(pshm_rwlock *lock, int mode, uint64_t owner, pshm_wait *wait) {
    if (!is_mode(mode))
        return wrong_mode(lock, "lock", mode);
    if (owner == 0)
        return pshm__fail_at(PSHM_EINVAL, "lock", lock->sync.segment, lock->sync.object,
                             "owner=0; take a number that is the thread's");
    pshm__waiting *self = pshm__wait_init(wait, &lock->sync, attempt, give_up);
    self->mode = mode;
    self->value_2 = owner;
    return 0;
}

int pshm_rwlock_acquire(pshm_rwlock *lock, int mode, int64_t timeout_ns,
                        pshm_interrupt *interrupt) {
    pshm_wait wait;
    int code = pshm_rwlock_prepare(lock, mode, pshm__thread_id(), &wait);
    return code == 0 ? pshm__wait_for(&wait, timeout_ns, interrupt) : code;
}

/* ---- what does not wait ---- */

static int not_owner(const pshm__sync *sync, const char *operation, uint64_t owner) {
    const pshm__rwlock *shared = shared_of(sync);
    if (PSHM__LOAD(shared->writer) == 0)
        return pshm__fail_at(PSHM_ENOTOWNER, operation, sync->segment, sync->object,
                             "owner=%" PRIu64 ": nobody writes; take it to write first", owner);
    pshm_holder holder;
    pshm__holder_show(&shared->holder, &holder);
    return pshm__fail_at(PSHM_ENOTOWNER, operation, sync->segment, sync->object,
                         "owner=%" PRIu64 " does not write, but pid=%d, tid=%d, thread=%s; only "
                         "that one can do this",
                         owner, holder.pid, holder.tid, holder.thread_name);
}

static int release_read(const pshm__sync *sync, bool *may_go) {
    const pshm__rwlock *shared = shared_of(sync);
    const pshm__stake *mine = &shared->stakes[sync->segment->slot];
    if (mine->number != sync->segment->number || mine->count == 0)
        return pshm__fail_at(PSHM_ENOTOWNER, "unlock", sync->segment, sync->object,
                             "mode=read: nobody in pid=%" PRIu32 " reads; take it first, in the "
                             "same process",
                             pshm__os_pid());
    PSHM__STORE(mine->count, mine->count - 1, memory_order_relaxed);
    /* If nobody sleeps, a notification in vain costs less than the sum. */
    *may_go = mine->count == 0 && (!pshm__anybody_sleeps(sync->events) || sum(shared).readers == 0);
    return 0;
}

static int release_write(const pshm__sync *sync, uint64_t owner, bool *may_go) {
    const pshm__rwlock *shared = shared_of(sync);
    if (!writes(sync, owner))
        return not_owner(sync, "unlock", owner);
    *may_go = shared->depth <= 1;
    if (*may_go)
        PSHM__STORE(shared->writer, 0, memory_order_release);
    else
        PSHM__STORE(shared->depth, shared->depth - 1, memory_order_relaxed);
    return 0;
}

int pshm_rwlock_release(pshm_rwlock *lock, int mode, uint64_t owner) {
    const pshm__sync *sync = &lock->sync;
    if (!is_mode(mode))
        return wrong_mode(lock, "unlock", mode);
    int code = pshm__operation_begin(sync, "unlock");
    if (code != 0)
        return code;
    bool may_go = false; /* those that wait */
    code = mode == PSHM_READ ? release_read(sync, &may_go)
                             : release_write(sync, this_thread_if_zero(owner), &may_go);
    pshm__monitor_leave(sync);
    if (may_go)
        pshm__notify(sync->events);
    pshm__end(sync);
    return code;
}

int pshm_rwlock_mark_good(pshm_rwlock *lock, uint64_t owner) {
    const pshm__sync *sync = &lock->sync;
    int code = pshm__operation_begin(sync, "mark_good");
    if (code != 0)
        return code;
    owner = this_thread_if_zero(owner);
    if (writes(sync, owner))
        PSHM__STORE(shared_of(sync)->abandoned, 0, memory_order_release);
    else
        code = not_owner(sync, "mark_good", owner);
    pshm__operation_end(sync);
    return code;
}

int pshm_rwlock_inspect(pshm_rwlock *lock, pshm_rwlock_info *out) {
    const pshm__sync *sync = &lock->sync;
    const pshm__rwlock *shared = shared_of(sync);
    memset(out, 0, sizeof(*out));
    int code = pshm__operation_begin(sync, "inspect");
    if (code != 0)
        return code;
    look_for_the_dead(sync);
    if (PSHM__LOAD(shared->writer) != 0) {
        pshm__holder_show(&shared->holder, &out->writer);
        out->depth = shared->depth;
    }
    pshm__holder_show(&shared->dead, &out->dead);
    out->deaths = shared->deaths;
    out->readers = (int64_t)sum(shared).readers;
    out->abandoned = shared->abandoned != 0;
    pshm__operation_end(sync);
    return 0;
}

/* In the monitor, and when the segment is closing: an attempt has either taken it before, or sees
 * that when it comes. */
bool pshm__rwlock_is_held_here(const pshm__sync *sync) {
    const pshm__rwlock *shared = shared_of(sync);
    if (pshm__monitor_enter(sync) != 0)
        return false;
    const pshm__stake *mine = &shared->stakes[sync->segment->slot];
    const bool held = PSHM__LOAD(shared->writer) == participant(sync) ||
                      (mine->number == sync->segment->number && mine->count != 0);
    pshm__monitor_leave(sync);
    return held;
}

const pshm__holder *pshm__rwlock_writer(const pshm__sync *sync) {
    const pshm__rwlock *shared = shared_of(sync);
    return PSHM__LOAD(shared->writer) == 0 ? NULL : &shared->holder;
}
