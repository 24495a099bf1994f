/* SPDX-License-Identifier: Apache-2.0
 *
 * Barriers. Generations have numbers, from 1; the current one is the number of those that are over,
 * plus 1. How one ended stands in `ends`, and that word is the truth: it is stored once, and only
 * if the generation has no end yet. When it tripped, or was reset, `generation` follows, and
 * whoever takes the mutex over from a process that died between the two stores makes up for it. A
 * broken generation stays the current one until it is reset. Arrivals are those of the current
 * generation only, so that its end is the end of them all. A thread that waits looks at the end of
 * its own generation and at nothing else, whatever has come after it.
 *
 * A participant that has a stake is a party. All that change anything are parties, so one that dies
 * half-way breaks the barrier: nothing else that it has left need be made whole. One that departs
 * in order does so without the mutex, as its process may be about to end, and so the end of a
 * generation is stored by compare-and-swap.
 *
 * What this leaves open: a thread that has slept through 64 generations takes its own for tripped;
 * a process that ends in order just when its generation trips may be told as the cause of the last
 * break, which was none; and if a thread arrives while its process ends in order, the arrival may
 * count for nothing, or the end as a death.
 */
#include <inttypes.h>

#include "internal.h"

/* Of pshm__waiting: has_begun, it has arrived, in generation `value`, and its index is `value_2`.
 * Its mode: */
enum { PLAIN, HAS_ACTION, RUNS_ACTION };

#define HOW_BITS 8 /* of an end, which is number << HOW_BITS | pshm_break: none if it tripped */
#define HOW(word) ((uint32_t)(word) & ((1u << HOW_BITS) - 1))

static const pshm__barrier *shared_of(const pshm__sync *sync) {
    return (const pshm__barrier *)(const void *)sync->events;
}

static uint64_t current(const pshm__barrier *barrier) {
    return PSHM__LOAD(barrier->generation) + 1;
}

/* ---- generations ---- */

static bool has_ended(const pshm__barrier *barrier, uint64_t generation) {
    return PSHM__LOAD(barrier->ends[generation % PSHM_BARRIER_HISTORY]) >> HOW_BITS >= generation;
}

/* pshm_break of a generation that has ended. */
static uint32_t how_it_ended(const pshm__barrier *barrier, uint64_t generation) {
    const uint64_t end = PSHM__LOAD(barrier->ends[generation % PSHM_BARRIER_HISTORY]);
    return end >> HOW_BITS == generation ? HOW(end) : PSHM_BREAK_NONE;
}

/* End it, if it has no end yet. */
static void end_generation(const pshm__barrier *barrier, uint64_t generation, uint32_t how,
                           uint32_t pid) {
    const uint64_t *word = &barrier->ends[generation % PSHM_BARRIER_HISTORY];
    uint64_t seen = PSHM__LOAD(*word);
    if (seen >> HOW_BITS >= generation)
        return;
    if (how != PSHM_BREAK_NONE)
        PSHM__STORE(barrier->cause, (uint64_t)pid << 32 | how, memory_order_relaxed);
    PSHM__SWAP(*word, &seen, generation << HOW_BITS | how);
}

/* It has ended: begin the next one. */
static void advance(const pshm__barrier *barrier, uint64_t generation) {
    PSHM__STORE(barrier->tripping, 0, memory_order_relaxed);
    PSHM__STORE(barrier->generation, generation, memory_order_release);
}

static void trip(const pshm__barrier *barrier, uint64_t generation) {
    end_generation(barrier, generation, PSHM_BREAK_NONE, 0);
    if (how_it_ended(barrier, generation) == PSHM_BREAK_NONE) /* no party has departed just now */
        advance(barrier, generation);
}

void pshm__barrier_recover(const pshm__sync *sync) {
    const pshm__barrier *barrier = shared_of(sync);
    const uint64_t generation = current(barrier);
    if (!has_ended(barrier, generation))
        return;
    const uint32_t how = how_it_ended(barrier, generation);
    if (how == PSHM_BREAK_NONE || how == PSHM_BREAK_RESET)
        advance(barrier, generation);
}

static int64_t arrived(const pshm__sync *sync, uint64_t generation) {
    const pshm__stake *stakes = shared_of(sync)->stakes;
    int64_t count = 0;
    for (uint32_t slot = 0; slot < sync->segment->participant_capacity; slot++) {
        if (PSHM__LOAD(stakes[slot].number) != 0 && PSHM__LOAD(stakes[slot].amount) == generation)
            count += PSHM__LOAD(stakes[slot].count);
    }
    return count;
}

/* ---- parties ---- */

static void break_by_death(const pshm__sync *sync, uint32_t slot) {
    const pshm__barrier *barrier = shared_of(sync);
    end_generation(barrier, current(barrier), PSHM_BREAK_DEATH, barrier->pids[slot]);
}

/* Enter the monitor, break the barrier if a party has died, and be a party. */
static int enter_as_party(const pshm__sync *sync, uint64_t *generation) {
    const pshm__barrier *barrier = shared_of(sync);
    int code = pshm__monitor_enter(sync);
    if (code != 0)
        return code;
    *generation = current(barrier);
    pshm__stakes_reclaim(sync, barrier->stakes, break_by_death);
    const uint32_t slot = sync->segment->slot;
    if (PSHM__LOAD(barrier->stakes[slot].number) == 0) {
        PSHM__STORE(barrier->pids[slot], pshm__os_pid(), memory_order_relaxed);
        /* A thread that the end of its process has overtaken may have arrived here. */
        PSHM__STORE(barrier->stakes[slot].amount, 0, memory_order_relaxed);
        pshm__stake_here(sync, barrier->stakes, break_by_death);
    }
    return 0;
}

/* Leave it, and if that generation is over tell those that wait: whoever ended it may have been
 * killed before that. */
static void leave(const pshm__sync *sync, uint64_t generation) {
    const bool over = has_ended(shared_of(sync), generation);
    pshm__monitor_leave(sync);
    if (over)
        pshm__notify(sync->events);
}

/* Nothing here waits, so the process may be at its end. */
void pshm__barrier_depart(const pshm__sync *sync) {
    static const pshm__stake nothing;
    const pshm__barrier *barrier = shared_of(sync);
    const pshm__stake *mine = &barrier->stakes[sync->segment->slot];
    if (PSHM__LOAD(mine->number) != sync->segment->number)
        return;
    const uint64_t generation = current(barrier);
    if (PSHM__LOAD(mine->amount) == generation && PSHM__LOAD(mine->count) != 0)
        end_generation(barrier, generation, PSHM_BREAK_CLOSE, pshm__os_pid());
    PSHM__PUBLISH(mine, &nothing);
    pshm__notify(sync->events);
}

/* ---- waits ---- */

/* PSHM_EBROKEN, and why. */
static int broken(const pshm__sync *sync, uint64_t generation) {
    static const char *const reasons[] = {[PSHM_BREAK_DEATH] = "died",
                                          [PSHM_BREAK_TIMEOUT] = "was timed out",
                                          [PSHM_BREAK_INTERRUPT] = "was interrupted",
                                          [PSHM_BREAK_ABORT] = "has aborted it",
                                          [PSHM_BREAK_RESET] = "has reset it",
                                          [PSHM_BREAK_CLOSE] =
                                              "has waited and closed the segment, or ended",
                                          [PSHM_BREAK_ACTION] = "has not ended its action well"};
    const pshm__barrier *barrier = shared_of(sync);
    const uint32_t how = how_it_ended(barrier, generation);
    const uint64_t cause = PSHM__LOAD(barrier->cause);
    const uint64_t pid = HOW(cause) == how ? cause >> 32 : 0; /* or it is of a later break */
    return pshm__fail_at(
        PSHM_EBROKEN, "barrier", sync->segment, sync->object,
        "parties=%" PRId64 ", generation=%" PRIu64 ": it broke because pid=%" PRIu64 " %s; %s",
        sync->parameter, generation, pid,
        how > 0 && how < sizeof(reasons) / sizeof(reasons[0]) ? reasons[how] : "did what is none",
        how == PSHM_BREAK_RESET ? "await it again" : "reset it");
}

/* Of one whose generation has ended. */
static int outcome(const pshm__waiting *self) {
    const uint32_t how = how_it_ended(shared_of(self->sync), self->value);
    return how == PSHM_BREAK_NONE ? (int)self->value_2 : broken(self->sync, self->value);
}

/* Within the monitor; the generation is the current one. */
static int arrive(pshm__waiting *self, uint64_t generation) {
    const pshm__sync *sync = self->sync;
    const pshm__barrier *barrier = shared_of(sync);
    const pshm__stake *mine = &barrier->stakes[sync->segment->slot];
    if (has_ended(barrier, generation))
        return broken(sync, generation);
    if (barrier->tripping != 0)
        return PSHM_EBUSY; /* all have arrived in this one; the next has not begun */
    const uint32_t before = PSHM__LOAD(mine->amount) == generation ? PSHM__LOAD(mine->count) : 0;
    PSHM__STORE(mine->count, before + 1, memory_order_relaxed);
    PSHM__STORE(mine->amount, generation, memory_order_relaxed);
    int64_t missing = sync->parameter - arrived(sync, generation);
    if (missing == sync->parameter) /* a peer has cleared what we stored; an index is below that */
        missing--;
    self->has_begun = true;
    self->value = generation;
    self->value_2 = missing > 0 ? (uint64_t)missing : 0;
    if (missing > 0)
        return PSHM_EBUSY;
    if (self->mode == HAS_ACTION) {
        self->mode = RUNS_ACTION;
        PSHM__STORE(barrier->tripping, sync->segment->number, memory_order_relaxed);
        return PSHM_BARRIER_ACTION;
    }
    trip(barrier, generation);
    return outcome(self);
}

static int attempt(pshm__waiting *self, bool look) {
    const pshm__sync *sync = self->sync;
    if (self->has_begun && has_ended(shared_of(sync), self->value))
        return outcome(self);
    /* To arrive is to look for the dead, which comes with the second attempt of the first poll. */
    if (!look && (self->has_begun || !self->has_looked))
        return PSHM_EBUSY;
    uint64_t generation;
    int code = enter_as_party(sync, &generation);
    if (code != 0)
        return code;
    if (!self->has_begun)
        code = arrive(self, generation);
    else
        code = has_ended(shared_of(sync), self->value) ? outcome(self) : PSHM_EBUSY;
    leave(sync, generation);
    return code;
}

static uint32_t cause_of(const pshm__waiting *self, int why) {
    return self->mode == RUNS_ACTION  ? PSHM_BREAK_ACTION
           : why == PSHM_ETIMEDOUT    ? PSHM_BREAK_TIMEOUT
           : why == PSHM_EINTERRUPTED ? PSHM_BREAK_INTERRUPT
                                      : PSHM_BREAK_ABORT;
}

static int give_up(pshm__waiting *self, int why) {
    const pshm__sync *sync = self->sync;
    const pshm__barrier *barrier = shared_of(sync);
    uint64_t generation;
    int code = why == PSHM_ECLOSED ? why : pshm__begin(sync, "await");
    if (code != 0) /* closed: the departure has broken it, unless it had tripped */
        return self->has_begun && has_ended(barrier, self->value) &&
                       how_it_ended(barrier, self->value) == PSHM_BREAK_NONE
                   ? (int)self->value_2
                   : code;
    code = enter_as_party(sync, &generation);
    if (code == 0) {
        code = why;
        if (self->has_begun && has_ended(barrier, self->value))
            code = outcome(self);
        else if (!self->has_begun && has_ended(barrier, generation))
            code = broken(sync, generation);
        else if (self->has_begun || barrier->tripping == 0)
            end_generation(barrier, generation, cause_of(self, why), pshm__os_pid());
        leave(sync, generation);
    }
    pshm__end(sync);
    return code;
}

int pshm_barrier_prepare(pshm_barrier *barrier, int has_action, pshm_wait *wait) {
    pshm__waiting *self = pshm__wait_init(wait, &barrier->sync, attempt, give_up);
    self->mode = has_action ? HAS_ACTION : PLAIN;
    return 0;
}

int pshm_barrier_trip(pshm_wait *wait) {
    pshm__waiting *self = (pshm__waiting *)(void *)wait;
    const pshm__sync *sync = self->sync;
    uint64_t generation;
    if (self->mode != RUNS_ACTION)
        return pshm__fail_at(PSHM_EINVAL, "trip", sync->segment, sync->object,
                             "this wait has no action to run; call it after PSHM_BARRIER_ACTION, "
                             "once");
    int code = pshm__begin(sync, "trip");
    if (code != 0)
        return code;
    code = enter_as_party(sync, &generation);
    if (code == 0) {
        if (!has_ended(shared_of(sync), self->value))
            trip(shared_of(sync), self->value);
        self->mode = PLAIN;
        code = outcome(self);
        leave(sync, generation);
    }
    pshm__end(sync);
    return code;
}

int pshm_barrier_await(pshm_barrier *barrier, int64_t timeout_ns, pshm_interrupt *interrupt,
                       void (*action)(void *context), void *context) {
    pshm_segment *segment = barrier->sync.segment;
    pshm_wait wait;
    pshm_segment_pin(segment);
    pshm_barrier_prepare(barrier, action != NULL, &wait);
    int code = pshm__wait_for(&wait, timeout_ns, interrupt);
    if (code == PSHM_BARRIER_ACTION) {
        action(context);
        code = pshm_barrier_trip(&wait);
    }
    pshm_segment_unpin(segment);
    return code;
}

/* ---- what does not wait ---- */

int pshm_barrier_open(pshm_segment *segment, const char *name, int64_t parties,
                      pshm_barrier **out) {
    pshm__handle *handle = NULL;
    uint64_t generation;
    *out = NULL;
    int code = pshm__object_open("barrier", segment, name, PSHM_BARRIER, 0, parties, &handle);
    if (code != 0)
        return code;
    const pshm__sync *sync = &handle->sync;
    code = pshm__begin(sync, "barrier");
    if (code != 0)
        return code;
    code = enter_as_party(sync, &generation);
    if (code == 0) {
        leave(sync, generation);
        *out = &handle->barrier;
    }
    pshm__end(sync);
    return code;
}

static int break_it(pshm_barrier *barrier, const char *operation, uint32_t how) {
    const pshm__sync *sync = &barrier->sync;
    uint64_t generation;
    int code = pshm__begin(sync, operation);
    if (code != 0)
        return code;
    code = enter_as_party(sync, &generation);
    if (code == 0) {
        end_generation(shared_of(sync), generation, how, pshm__os_pid());
        if (how == PSHM_BREAK_RESET)
            advance(shared_of(sync), generation);
        leave(sync, generation);
    }
    pshm__end(sync);
    return code;
}

int pshm_barrier_abort(pshm_barrier *barrier) {
    return break_it(barrier, "abort", PSHM_BREAK_ABORT);
}

int pshm_barrier_reset(pshm_barrier *barrier) {
    return break_it(barrier, "reset", PSHM_BREAK_RESET);
}

int pshm_barrier_inspect(pshm_barrier *barrier, pshm_barrier_info *out) {
    const pshm__sync *sync = &barrier->sync;
    const pshm__barrier *shared = shared_of(sync);
    uint64_t generation;
    int code = pshm__begin(sync, "inspect");
    if (code != 0)
        return code;
    code = enter_as_party(sync, &generation);
    if (code == 0) {
        const bool is_broken = has_ended(shared, generation);
        const uint64_t cause = PSHM__LOAD(shared->cause);
        *out = (pshm_barrier_info){.parties = sync->parameter,
                                   .waiting = is_broken ? 0 : arrived(sync, generation),
                                   .broken = is_broken,
                                   .cause = (int32_t)HOW(cause),
                                   .pid = (int32_t)(cause >> 32)};
        leave(sync, generation);
    }
    pshm__end(sync);
    return code;
}
