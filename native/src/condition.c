/* SPDX-License-Identifier: Apache-2.0
 *
 * Conditions: who waits, and who has been signalled, counted for each participant.
 *
 * A stake's amount is one word: how many of the participant's threads wait without a signal, and
 * how many have one and have not taken it yet. Each change is a single step of that word:
 *
 *   begin to wait   waiting + 1               by the lock's holder
 *   signal          waiting - 1, signals + 1  by the lock's holder
 *   take a signal   signals - 1               by the waiter, once it holds the lock again
 *   withdraw        waiting - 1               by the waiter, at any time
 *
 * so that a thread that is killed between two steps is counted all the same. Which of its threads
 * are meant, a process says by a queue of its own, in the order in which they began to wait: as
 * many as there are signals, from the first on, may go. The queue is as long as signals and waiting
 * together, and both change together under a guard. So neither one that begins nor one that leaves
 * makes a signal another's that was not, and nobody need be told of it.
 *
 * Why no signal is lost. A thread takes one only when it holds the lock again: if it dies before,
 * the signal stands in its stake, and if it dies after, it does so as the owner of the lock, which
 * is told. Every waiter is told of a death (wait.c), takes the lock, passes the signals of the dead
 * one on, and clears its stake; one that is killed between these two has passed on too many. A
 * thread that begins to wait does the same first: the dead one may have gone when nobody waited, so
 * that nobody was told.
 *
 * Those that wait are told as well if the lock itself is left by an owner that died, since the
 * signal that they wait for may have been to come from it. One that finds, after a departure, that
 * the lock's mutex is not the named holder's takes the lock to see: the mutex may be in the hands
 * of a thread that is about to record the death. Left open: of a thread that dies with the lock,
 * and whose process lives on, they learn with the next signal or departure.
 */
#include <inttypes.h>

#include "internal.h"

static const uint64_t SIGNAL = 1ull << 32; /* of an amount: one more */
static const uint64_t WAITING = 1;

static uint64_t signals_of(uint64_t amount) { return amount >> 32; }
static uint64_t waiting_of(uint64_t amount) { return amount & UINT32_MAX; }

static const pshm__condition *shared_of(const pshm__sync *sync) {
    return (const pshm__condition *)(const void *)sync->events;
}

static int clip(uint64_t count) { return count < INT32_MAX ? (int)count : INT32_MAX; }

int pshm_condition_open(pshm_lock *lock, const char *name, pshm_condition **out) {
    pshm_segment *segment = lock->segment;
    const uint8_t *object = (const uint8_t *)lock->shared - offsetof(pshm__object, lock);
    pshm__handle *handle = NULL;
    int code = pshm__object_open("condition", segment, name, PSHM_CONDITION, 0,
                                 object - segment->base - (int64_t)segment->heap_offset, &handle);
    *out = NULL;
    if (code == 0) {
        pshm__guard_lock(&segment->guard);
        if (handle->condition.lock == NULL)
            handle->condition.lock = lock;
        pshm__guard_unlock(&segment->guard);
        *out = &handle->condition;
    }
    return code;
}

/* Begin an operation of the lock's holder; otherwise a failure, and nothing to be ended. */
static int begin(const pshm_condition *condition, const char *operation) {
    int code = pshm__begin(&condition->sync, operation);
    if (code == 0 && pshm_lock_depth(condition->lock) == 0) {
        pshm__end(&condition->sync);
        code = pshm__fail_at(
            PSHM_ENOTOWNER, operation, condition->sync.segment, condition->sync.object,
            "the calling thread does not hold the condition's lock; acquire it first");
    }
    return code;
}

/* ---- signals ---- */

/* Up to so many of the participant's threads; returns how many there were. */
static uint64_t signal_one(const pshm__stake *stake, uint64_t most) {
    uint64_t amount = PSHM__LOAD(stake->amount), count;
    do {
        count = waiting_of(amount) < most ? waiting_of(amount) : most;
    } while (count != 0 &&
             !PSHM__SWAP(stake->amount, &amount, amount + count * (SIGNAL - WAITING)));
    return count;
}

/* Up to `count` threads, of all participants in turn. The more there are, the larger are the
 * portions, so that numbers which a peer has made up do not keep us long. */
static uint64_t signal_all(const pshm__sync *sync, uint64_t count) {
    const pshm__condition *shared = shared_of(sync);
    const uint32_t capacity = sync->segment->participant_capacity;
    uint32_t slot = shared->cursor % capacity;
    uint64_t left = count;
    for (uint32_t in_vain = 0; left != 0 && in_vain < capacity;) {
        const uint64_t portion = left < capacity ? 1 : left / capacity;
        const uint64_t some = signal_one(&shared->stakes[slot], portion);
        left -= some;
        in_vain = some == 0 ? in_vain + 1 : 0;
        slot = slot + 1 < capacity ? slot + 1 : 0;
    }
    PSHM__STORE(shared->cursor, slot, memory_order_relaxed);
    return count - left;
}

int pshm_condition_signal(pshm_condition *condition, int64_t count) {
    const pshm__sync *sync = &condition->sync;
    int code = begin(condition, "signal");
    if (code != 0)
        return code;
    const uint64_t reached = signal_all(sync, count < 0 ? UINT64_MAX : (uint64_t)count);
    if (reached != 0)
        pshm__notify(sync->events);
    pshm__end(sync);
    return clip(reached);
}

/* ---- the dead ---- */

static bool is_dead(const pshm__sync *sync, uint32_t slot) {
    const pshm__stake *stake = &shared_of(sync)->stakes[slot];
    const uint32_t number = PSHM__LOAD(stake->number);
    return number != 0 && !pshm__participant_lives(sync->segment, slot, number);
}

/* True if a dead participant has threads that wait, or signals. Needs no lock: nobody but a living
 * one makes that true. */
static bool is_left_behind(const pshm__sync *sync) {
    for (uint32_t slot = 0; slot < sync->segment->participant_capacity; slot++) {
        if (PSHM__LOAD(shared_of(sync)->stakes[slot].amount) != 0 && is_dead(sync, slot))
            return true;
    }
    return false;
}

static void pass_on(const pshm__sync *sync, uint32_t slot) {
    const pshm__stake *stake = &shared_of(sync)->stakes[slot];
    const uint64_t signals = signals_of(PSHM__LOAD(stake->amount));
    PSHM__STORE(stake->amount, signals * SIGNAL, memory_order_relaxed); /* none to the dead one */
    signal_all(sync, signals);
}

static void reclaim(const pshm__sync *sync) {
    if (is_left_behind(sync)) {
        pshm__stakes_reclaim(sync, shared_of(sync)->stakes, pass_on);
        pshm__notify(sync->events);
    }
}

int pshm_condition_waiting(pshm_condition *condition) {
    const pshm__sync *sync = &condition->sync;
    uint64_t count = 0;
    int code = begin(condition, "waiting");
    if (code != 0)
        return code;
    for (uint32_t slot = 0; slot < sync->segment->participant_capacity; slot++) {
        const uint64_t waiting = waiting_of(PSHM__LOAD(shared_of(sync)->stakes[slot].amount));
        if (waiting != 0 && !is_dead(sync, slot))
            count += waiting;
    }
    pshm__end(sync);
    return clip(count);
}

/* ---- waits ---- */

/* Of a pshm__waiting, value is the condition; value_2 the participant's number, and 0 when the wait
 * has ended; mode, how; has_begun, that somebody dead has left something to be reclaimed. */

static pshm_condition *condition_of(const pshm__waiting *self) {
    return (pshm_condition *)(uintptr_t)self->value;
}

static const pshm__stake *stake_of(const pshm__waiting *self) {
    return &shared_of(self->sync)->stakes[self->sync->segment->slot];
}

/* PSHM_EBUSY, or how it has ended already, or a failure. */
static int state_of(const pshm__waiting *self) {
    if (self->value_2 == 0)
        return self->mode;
    if (self->value_2 == self->sync->segment->number)
        return PSHM_EBUSY;
    return pshm__fail_at(PSHM_EINVAL, "wait", self->sync->segment, self->sync->object,
                         "it is one of the process that forked this one; begin another");
}

/* Where the queue leads to it, and how many stand before it, if these are below `most`. */
static pshm__waiting **find(const pshm__waiting *self, uint64_t most, uint64_t *out_place) {
    pshm__waiting **link = &condition_of(self)->first;
    uint64_t place = 0;
    for (; *link != NULL && *link != self && place < most; link = &(*link)->next)
        place++;
    *out_place = place;
    return link;
}

static bool may_go(const pshm__waiting *self) {
    uint64_t place;
    if (signals_of(PSHM__LOAD(stake_of(self)->amount)) == 0)
        return false;
    pshm__guard_lock(&condition_of(self)->sync.segment->queues);
    const uint64_t signals = signals_of(PSHM__LOAD(stake_of(self)->amount));
    const bool found = *find(self, signals, &place) == self && place < signals;
    pshm__guard_unlock(&condition_of(self)->sync.segment->queues);
    return found;
}

/* Reclaiming needs the lock: so if there is anything, the wait may be over. */
static int attempt(pshm__waiting *self, bool look) {
    int code = state_of(self);
    if (code == PSHM_EBUSY && may_go(self))
        code = 0;
    if (code == PSHM_EBUSY && look) {
        self->has_begun = is_left_behind(self->sync);
        if (self->has_begun || pshm__lock_may_be_abandoned(condition_of(self)->lock->shared))
            code = 0;
    }
    return code;
}

static void leave_queue(pshm__waiting *self, pshm__waiting **link, int outcome) {
    pshm_condition *condition = condition_of(self);
    if (*link == self)
        *link = self->next;
    if (condition->last == self) {
        condition->last = condition->first;
        while (condition->last != NULL && condition->last->next != NULL)
            condition->last = condition->last->next;
    }
    self->mode = outcome;
    self->value_2 = 0;
}

/* The wait has ended if it has a signal, or else if there is a reason `why`; returns how, or
 * PSHM_EBUSY. In a closed segment it is withdrawn already, for others. */
static int end(pshm__waiting *self, int why) {
    int code = state_of(self);
    if (code != PSHM_EBUSY)
        return code;
    const pshm__stake *stake = stake_of(self);
    pshm__guard *guard = &condition_of(self)->sync.segment->queues;
    const int closed = pshm__begin(self->sync, "wait");
    uint64_t place;
    pshm__guard_lock(guard);
    pshm__waiting **link = find(self, UINT64_MAX, &place);
    if (closed != 0) {
        code = closed;
    } else {
        uint64_t amount = PSHM__LOAD(stake->amount), step;
        do {
            const bool signalled = place < signals_of(amount);
            code = signalled ? 0 : why != 0 ? why : PSHM_EBUSY;
            step = signalled ? SIGNAL : WAITING;
        } while (code != PSHM_EBUSY && !PSHM__SWAP(stake->amount, &amount, amount - step));
    }
    if (code != PSHM_EBUSY)
        leave_queue(self, link, code);
    pshm__guard_unlock(guard);
    if (closed == 0)
        pshm__end(self->sync);
    return code;
}

int pshm_condition_prepare(pshm_condition *condition, pshm_wait *wait) {
    pshm__sync *sync = &condition->sync;
    const pshm__directory *directory = pshm__directory_of(sync->segment);
    int code = begin(condition, "wait");
    if (code != 0)
        return code;
    pshm__waiting *self = pshm__wait_init(wait, sync, attempt, end);
    self->value = (uintptr_t)condition;
    self->value_2 = sync->segment->number;
    self->departed = PSHM__LOAD(directory->departed);
    self->has_looked = true;
    reclaim(sync);
    const pshm__stake *mine = pshm__stake_here(sync, shared_of(sync)->stakes, pass_on);
    pshm__guard_lock(&condition->sync.segment->queues);
    PSHM__ADD(mine->amount, WAITING);
    *(condition->first == NULL ? &condition->first : &condition->last->next) = self;
    condition->last = self;
    pshm__guard_unlock(&condition->sync.segment->queues);
    pshm__end(sync);
    return 0;
}

/* The lock is held again. */
static int finish(pshm__waiting *self, int why) {
    if (self->has_begun && pshm__begin(self->sync, "wait") == 0) {
        reclaim(self->sync);
        pshm__end(self->sync);
    }
    self->has_begun = false;
    return end(self, why);
}

int pshm_condition_finish(pshm_wait *wait, int why) {
    pshm__waiting *self = (pshm__waiting *)(void *)wait;
    int code = begin(condition_of(self), "finish");
    if (code != 0)
        return code;
    code = finish(self, why);
    pshm__end(self->sync);
    return code;
}

/* As often as the calling thread holds the lock, which it tells. */
static int release(pshm_lock *lock) {
    const int depth = pshm_lock_depth(lock);
    for (int i = 0; i < depth; i++)
        pshm_lock_release(lock);
    return depth;
}

static int acquire(pshm_lock *lock, int depth) {
    int code;
    do {
        code = pshm_lock_acquire_any(lock);
    } while ((code == 0 || code == PSHM_EOWNERDIED) && --depth > 0);
    return code;
}

int pshm_condition_wait(pshm_condition *condition, int64_t timeout_ns, pshm_interrupt *interrupt) {
    pshm_lock *lock = condition->lock;
    pshm_segment *segment = condition->sync.segment;
    pshm_wait wait;
    pshm__waiting *self = (pshm__waiting *)(void *)&wait;
    int code = pshm_condition_prepare(condition, &wait);
    if (code != 0)
        return code;
    self->give_up = NULL; /* we do that ourselves, when the lock is held */
    const int64_t begun = timeout_ns > 0 ? pshm__os_monotonic_ns() : 0;
    int64_t left = timeout_ns;
    pshm_segment_pin(segment);
    do {
        const int depth = release(lock);
        const int why = pshm__wait_for(&wait, left, interrupt);
        const int held = acquire(lock, depth);
        code = held == 0                 ? finish(self, why)
               : held == PSHM_EOWNERDIED ? finish(self, held)
                                         : end(self, held);
        if (held != 0)
            code = held;
        if (timeout_ns > 0) {
            left = timeout_ns - (pshm__os_monotonic_ns() - begun);
            left = left < 0 ? 0 : left;
        }
    } while (code == PSHM_EBUSY);
    pshm_segment_unpin(segment);
    return code;
}
