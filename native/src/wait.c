/* SPDX-License-Identifier: Apache-2.0
 *
 * The one way in which this library waits for anything but a mutex: an event count, which is a
 * futex with a sequence number [futex(2)], and a count of those that sleep on it.
 *
 *   notifier: change the state; add 1 to `sequence`; if `waiters` is not 0, wake all
 *   waiter:   (1) seen = sequence; (2) look at the state, and be done if it is as wanted;
 *             (3) add 1 to `waiters`; (4) have the sentry watch all participants; look whether the
 *             segment is closed or the wait interrupted; (5) sleep if `sequence` is still `seen`,
 *             which the kernel compares under its own lock; (6) take 1 from `waiters`; again (1)
 *
 * Why no wake-up is lost. A state that is as wanted when (2) looks is seen. One that becomes so
 * after that has `sequence` changed after (1), so (5) does not sleep; or it is changed when the
 * waiter sleeps, and then (3) came before the notifier's look at `waiters`, since all these are
 * sequentially consistent read-modify-writes, so that it wakes. An interrupt and a close are
 * notifications, too: their flags are stored before `sequence` is changed, and looked at in (4),
 * after (1). A word that an interrupt watches may change after (4): the kernel compares it in (5),
 * too.
 *
 * Why a death hangs nobody. A notifier may be killed between its change of the state and its
 * wake-up, and what a dead participant holds becomes free without any notifier. Both look the same:
 * the sentry of each process that waits (sentry.c) is told by the kernel of the end of any
 * participant, counts it in `departed`, and then adds to every `sequence` of the segment and wakes.
 * A waiter notes `departed` after (1), and if it has changed looks for the dead in (2). A waiter
 * that the sentry has come too early for has not reached (5), and finds `sequence` changed.
 * A participant that comes counts itself in `joined` and then adds to every `sequence` as well,
 * before it can touch any state. So a waiter that was asleep goes through (4) again, and so does
 * one that has read `sequence` before. One that reads it later finds `joined` changed in (4).
 * There the newcomer is watched; as it may have gone already, unwatched, that counts as a
 * departure, too, before `covered` says that all are watched. A close counts as one; it waits for
 * the operations of its process that are under way, and those that begin later do nothing. A waiter
 * that is killed leaves `waiters` too high, which costs a needless wake-up of nobody, and no
 * notifier ever waits for a waiter. Everybody is woken, so no wake-up is spent on one that dies
 * before it acts on it.
 *
 * The models in native/model say the same to a machine. What this leaves open: a waiter that is
 * stopped between (1) and (5) for exactly a multiple of 2^32 notifications; and the death of a
 * thread whose process lives, within one of our functions, which no signal handler may cause.
 */
#include <string.h>

#include "internal.h"

enum { LOOK_NS = 100000000 }; /* where participants cannot be watched */

/* ---- event counts ---- */

bool pshm__anybody_sleeps(const pshm__events *events) { return PSHM__LOAD(events->waiters) != 0; }

void pshm__notify(const pshm__events *events) {
    PSHM__ADD(events->sequence, 1);
    if (pshm__anybody_sleeps(events))
        PSHM__WAKE(events->sequence);
}

void pshm__notify_all(pshm_segment *segment) {
    uint64_t cursor = 0;
    pshm__entry entry;
    pshm__sync sync;
    while (pshm__directory_next(segment, &cursor, &entry) == 1) {
        if (pshm__sync_of(segment, &entry, &sync))
            pshm__notify(sync.events);
    }
}

int pshm__begin(const pshm__sync *sync, const char *operation) {
    atomic_fetch_add(&sync->segment->operations, 1);
    if (atomic_load(&sync->segment->state) != PSHM__CLOSED && !atomic_load(&sync->segment->left))
        return 0;
    pshm__end(sync);
    return pshm__closed(sync->segment, operation);
}

void pshm__end(const pshm__sync *sync) { atomic_fetch_sub(&sync->segment->operations, 1); }

/* ---- interrupts ---- */

/* What a pshm_interrupt is. */
typedef struct flag {
    pshm__guard guard;
    const pshm__events *sleeps_on; /* null if nobody does */
    atomic_uint raised;            /* on which a wait for a lock sleeps */
    const uint32_t *watched;       /* the caller's word; null if there is none */
    bool ignores_signals;
} flag;

PSHM__ASSERT(sizeof(flag) <= sizeof(pshm_interrupt), "polyshm.h: pshm_interrupt");

static flag *flag_of(pshm_interrupt *interrupt) { return (flag *)(void *)interrupt; }

static const flag *flag_of_const(const pshm_interrupt *interrupt) {
    return (const flag *)(const void *)interrupt;
}

void pshm_interrupt_init(pshm_interrupt *interrupt) {
    memset(interrupt, 0, sizeof(*interrupt));
    pshm__guard_init(&flag_of(interrupt)->guard);
}

void pshm_interrupt_ignore_signals(pshm_interrupt *interrupt) {
    flag_of(interrupt)->ignores_signals = true;
}

void pshm_interrupt_watch(pshm_interrupt *interrupt, const uint32_t *word) {
    flag_of(interrupt)->watched = word;
}

void pshm_interrupt_raise(pshm_interrupt *interrupt) {
    flag *self = flag_of(interrupt);
    pshm__guard_lock(&self->guard);
    atomic_store(&self->raised, 1);
    if (self->sleeps_on != NULL)
        pshm__notify(self->sleeps_on);
    else
        pshm__os_wake(&self->raised);
    pshm__guard_unlock(&self->guard);
}

int pshm_interrupt_clear(pshm_interrupt *interrupt) {
    flag *self = flag_of(interrupt);
    pshm__guard_lock(&self->guard);
    const bool raised = atomic_load(&self->raised) != 0;
    atomic_store(&self->raised, 0);
    pshm__guard_unlock(&self->guard);
    return raised;
}

/* From here on the interrupt notifies; null when it is to do so no more. Returns whether it is
 * raised. */
static bool listen(pshm_interrupt *interrupt, const pshm__events *sleeps_on) {
    if (interrupt == NULL)
        return false;
    flag *self = flag_of(interrupt);
    pshm__guard_lock(&self->guard);
    self->sleeps_on = sleeps_on;
    const bool raised = atomic_load(&self->raised) != 0;
    pshm__guard_unlock(&self->guard);
    return raised || (self->watched != NULL && PSHM__LOAD(*self->watched) != 0);
}

bool pshm__is_raised(pshm_interrupt *interrupt) { return listen(interrupt, NULL); }

bool pshm__hears_signals(const pshm_interrupt *interrupt) {
    return interrupt != NULL && !flag_of_const(interrupt)->ignores_signals;
}

int64_t pshm__end_of(int64_t timeout_ns) {
    const int64_t now = timeout_ns < 0 ? 0 : pshm__os_monotonic_ns();
    return timeout_ns < 0 || timeout_ns > INT64_MAX - now ? -1 : now + timeout_ns;
}

int pshm__interrupt_words(const pshm_interrupt *interrupt, pshm__word *out) {
    if (interrupt == NULL)
        return 0;
    const flag *self = flag_of_const(interrupt);
    out[0] = (pshm__word){&self->raised, 0};
    out[1] = (pshm__word){self->watched, 0};
    return self->watched == NULL ? 1 : 2;
}

/* An interrupt that is raised changes the sequence; a store to a watched word does not. */
static int sleep_on_sequence(const pshm__events *events, uint32_t sequence, int64_t timeout_ns,
                             const pshm_interrupt *interrupt) {
    const uint32_t *watched = interrupt == NULL ? NULL : flag_of_const(interrupt)->watched;
    if (watched == NULL)
        return pshm__os_wait(&events->sequence, sequence, timeout_ns);
    const pshm__word words[] = {{&events->sequence, sequence}, {watched, 0}};
    return pshm__os_wait_any(words, 2, pshm__end_of(timeout_ns));
}

/* ---- waits ---- */

static pshm__waiting *waiting_of(pshm_wait *wait) { return (pshm__waiting *)(void *)wait; }

static const pshm__waiting *waiting_of_const(const pshm_wait *wait) {
    return (const pshm__waiting *)(const void *)wait;
}

pshm__waiting *pshm__wait_init(pshm_wait *wait, pshm__sync *sync,
                               int (*attempt)(pshm__waiting *, bool),
                               int (*give_up)(pshm__waiting *, int)) {
    memset(wait, 0, sizeof(*wait));
    pshm__waiting *self = waiting_of(wait);
    *self = (pshm__waiting){.sync = sync, .attempt = attempt, .give_up = give_up};
    return self;
}

static int give_up(pshm__waiting *self, int why) {
    return self->give_up == NULL ? why : self->give_up(self, why);
}

int pshm_wait_cancel(pshm_wait *wait, int why) { return give_up(waiting_of(wait), why); }

/* A look for the dead that a thread of this process has had since the last departure, when all
 * participants were watched, need not be had again: departures will tell of those that have died
 * since. */
static bool is_known(const pshm__sync *sync, uint32_t departed) {
    return pshm__sentry_covers(sync->segment) &&
           atomic_load(&sync->looked) == PSHM__COUNTED(departed);
}

static int poll(pshm__waiting *self) {
    pshm__sync *sync = self->sync;
    int code = self->has_looked ? PSHM_EBUSY : self->attempt(self, false);
    if (code != PSHM_EBUSY)
        return code;
    const bool covered = pshm__sentry_covers(sync->segment);
    const uint32_t departed = PSHM__LOAD(pshm__directory_of(sync->segment)->departed);
    const bool look = self->has_looked ? departed != self->departed : !is_known(sync, departed);
    self->departed = departed;
    self->has_looked = true;
    code = self->attempt(self, look || atomic_load(&sync->segment->unwatched));
    if (look && covered)
        atomic_store(&sync->looked, PSHM__COUNTED(departed));
    return code;
}

int pshm_wait_poll(pshm_wait *wait) {
    pshm__waiting *self = waiting_of(wait);
    int code = pshm__begin(self->sync, "wait");
    if (code != 0)
        return give_up(self, code);
    code = poll(self);
    pshm__end(self->sync);
    return code;
}

uint32_t pshm_wait_sequence(const pshm_wait *wait) {
    return PSHM__LOAD(waiting_of_const(wait)->sync->events->sequence);
}

int pshm_wait_sleep(const pshm_wait *wait, uint32_t sequence, int64_t timeout_ns,
                    pshm_interrupt *interrupt) {
    const pshm__sync *sync = waiting_of_const(wait)->sync;
    const pshm__events *events = sync->events;
    pshm_segment_pin(sync->segment);
    PSHM__ADD(events->waiters, 1);
    const bool short_nap =
        !pshm__sentry_cover(sync->segment) && (timeout_ns < 0 || timeout_ns > LOOK_NS);
    const bool interrupted = listen(interrupt, events);
    int code = interrupted ? PSHM_EINTERRUPTED : 0;
    if (atomic_load(&sync->segment->state) == PSHM__CLOSED)
        code = pshm__closed(sync->segment, "wait");
    if (code == 0)
        code = sleep_on_sequence(events, sequence, short_nap ? LOOK_NS : timeout_ns, interrupt);
    if (code == PSHM_ETIMEDOUT && short_nap)
        code = 0;
    if (listen(interrupt, NULL))
        code = PSHM_EINTERRUPTED;
    else if (code == PSHM_EINTERRUPTED && !pshm__hears_signals(interrupt))
        code = 0;
    PSHM__ADD(events->waiters, (uint32_t)-1);
    pshm_segment_unpin(sync->segment);
    return code;
}

/* The first attempt, before anything that only a wait needs. PSHM_EBUSY, and the segment is pinned,
 * which it has to be before the operation ends; or the outcome. */
static int take_or_pin(pshm__waiting *self) {
    const pshm__sync *sync = self->sync;
    if (pshm__begin(sync, "wait") != 0) { /* poll tells */
        pshm_segment_pin(sync->segment);
        return PSHM_EBUSY;
    }
    const int code = self->attempt(self, false);
    if (code == PSHM_EBUSY)
        pshm_segment_pin(sync->segment);
    pshm__end(sync);
    return code;
}

int pshm_wait_block(pshm_wait *wait, int64_t timeout_ns, pshm_interrupt *interrupt) {
    pshm__waiting *self = waiting_of(wait);
    pshm_segment *segment = self->sync->segment;
    int code = take_or_pin(self);
    if (code != PSHM_EBUSY)
        return code;
    const int64_t begin = timeout_ns > 0 ? pshm__os_monotonic_ns() : 0;
    int64_t left = timeout_ns;
    for (;;) {
        const uint32_t sequence = pshm_wait_sequence(wait);
        code = pshm_wait_poll(wait);
        if (code != PSHM_EBUSY)
            break;
        if (timeout_ns > 0)
            left = timeout_ns - (pshm__os_monotonic_ns() - begin);
        code = timeout_ns >= 0 && left <= 0 ? PSHM_ETIMEDOUT
                                            : pshm_wait_sleep(wait, sequence, left, interrupt);
        if (code != 0) {
            code = give_up(self, code);
            break;
        }
    }
    pshm_segment_unpin(segment);
    return code;
}

int pshm__wait_for(pshm_wait *wait, int64_t timeout_ns, pshm_interrupt *interrupt) {
    if (pshm__is_raised(interrupt))
        return give_up(waiting_of(wait), PSHM_EINTERRUPTED);
    return pshm_wait_block(wait, timeout_ns, interrupt);
}
