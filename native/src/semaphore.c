/* SPDX-License-Identifier: Apache-2.0
 *
 * Semaphores. The truths are `total` and how many permits each participant's stake holds;
 * `available` is what is left of the one after the others, and made again from them.
 *
 * Whoever changes more than one of them is killed between two stores as if before, or as if after
 * the whole: what it took comes back, as it is its own, and what it adds is in `total` at once.
 */
#include <inttypes.h>

#include "internal.h"

/* Numbers that a peer may have written: sums wrap, and are wrong, and nothing worse. */
static int64_t plus(int64_t a, uint64_t b) { return (int64_t)((uint64_t)a + b); }
static int64_t minus(int64_t a, uint64_t b) { return (int64_t)((uint64_t)a - b); }

static const pshm__semaphore *shared_of(const pshm__sync *sync) {
    return (const pshm__semaphore *)(const void *)sync->events;
}

static void set_available(const pshm__sync *sync, int64_t available) {
    PSHM__STORE(shared_of(sync)->available, available, memory_order_seq_cst);
}

void pshm__semaphore_recover(const pshm__sync *sync) {
    const pshm__semaphore *shared = shared_of(sync);
    int64_t available = shared->total;
    for (uint32_t slot = 0; slot < PSHM_PARTICIPANTS; slot++)
        available = minus(available, shared->stakes[slot].amount);
    set_available(sync, available);
}

static void give_back(const pshm__sync *sync, uint32_t slot) {
    const pshm__semaphore *shared = shared_of(sync);
    if (shared->stakes[slot].amount != 0)
        set_available(sync, plus(shared->available, shared->stakes[slot].amount));
}

static void look_for_dead(const pshm__sync *sync) {
    pshm__stakes_reclaim(sync, shared_of(sync)->stakes, give_back);
}

static const pshm__stake *stake_here(const pshm__sync *sync) {
    return pshm__stake_here(sync, shared_of(sync)->stakes, give_back);
}

/* They are there. */
static void take(const pshm__sync *sync, uint64_t permits) {
    const pshm__stake *mine = stake_here(sync);
    PSHM__STORE(mine->amount, mine->amount + permits, memory_order_relaxed);
    set_available(sync, minus(shared_of(sync)->available, permits));
}

static int check(const pshm__sync *sync, const char *operation, int64_t permits) {
    return permits >= 0 ? 0
                        : pshm__fail_at(PSHM_EINVAL, operation, sync->segment, sync->object,
                                        "permits=%" PRId64 "; take 0 or more", permits);
}

int pshm_semaphore_open(pshm_segment *segment, const char *name, int64_t permits, int bounded,
                        pshm_semaphore **out) {
    pshm__handle *handle = NULL;
    int code = pshm__object_open("semaphore", segment, name, PSHM_SEMAPHORE, bounded != 0, permits,
                                 &handle);
    *out = handle == NULL ? NULL : &handle->semaphore;
    return code;
}

/* ---- to take ---- */

static int attempt(pshm__waiting *self, bool look) {
    const pshm__sync *sync = self->sync;
    const int64_t permits = (int64_t)self->value;
    if (permits == 0)
        return 0;
    if (!look && PSHM__LOAD(shared_of(sync)->available) < permits)
        return PSHM_EBUSY; /* those that are woken for nothing do not dispute the mutex */
    int code = pshm__monitor_enter(sync);
    if (code != 0)
        return code;
    if (look && shared_of(sync)->available < permits)
        look_for_dead(sync);
    code = shared_of(sync)->available < permits ? PSHM_EBUSY : 0;
    if (code == 0)
        take(sync, self->value);
    pshm__monitor_leave(sync);
    return code;
}

int pshm_semaphore_prepare(pshm_semaphore *semaphore, int64_t permits, pshm_wait *wait) {
    pshm__waiting *self = pshm__wait_init(wait, &semaphore->sync, attempt, NULL);
    self->value = (uint64_t)permits;
    return check(&semaphore->sync, "acquire", permits);
}

int pshm_semaphore_acquire(pshm_semaphore *semaphore, int64_t permits, int64_t timeout_ns,
                           pshm_interrupt *interrupt) {
    pshm_wait wait;
    int code = pshm_semaphore_prepare(semaphore, permits, &wait);
    return code == 0 ? pshm__wait_for(&wait, timeout_ns, interrupt) : code;
}

int pshm_semaphore_try_acquire(pshm_semaphore *semaphore, int64_t permits) {
    pshm_wait wait;
    int code = pshm_semaphore_prepare(semaphore, permits, &wait);
    return code == 0 ? pshm_wait_poll(&wait) : code;
}

int pshm_semaphore_drain(pshm_semaphore *semaphore, int64_t *out) {
    const pshm__sync *sync = &semaphore->sync;
    const pshm__semaphore *shared = shared_of(sync);
    int code = pshm__operation_begin(sync, "drain");
    if (code != 0)
        return code;
    look_for_dead(sync);
    *out = shared->available;
    if (*out > 0) {
        take(sync, (uint64_t)*out);
    } else if (*out < 0) {
        PSHM__STORE(shared->total, minus(shared->total, (uint64_t)*out), memory_order_relaxed);
        set_available(sync, 0);
    }
    pshm__operation_end(sync);
    return 0;
}

/* ---- to give ---- */

int pshm_semaphore_release(pshm_semaphore *semaphore, int64_t permits) {
    const pshm__sync *sync = &semaphore->sync;
    const pshm__semaphore *shared = shared_of(sync);
    const int64_t most = sync->bounded ? sync->parameter : INT64_MAX;
    int code = check(sync, "release", permits);
    if (code != 0 || (code = pshm__operation_begin(sync, "release")) != 0)
        return code;
    const pshm__stake *mine = stake_here(sync);
    const uint64_t released = (uint64_t)permits;
    const uint64_t held = mine->amount < released ? mine->amount : released;
    const uint64_t fresh = released - held;
    if (fresh != 0 && (shared->total > most || fresh > (uint64_t)most - (uint64_t)shared->total)) {
        code = pshm__fail_at(PSHM_EOVERFLOW, "release", sync->segment, sync->object,
                             "permits=%" PRId64 ", held here=%" PRIu64 ", total=%" PRId64
                             ", most=%" PRId64 "; release what was acquired, and once",
                             permits, mine->amount, shared->total, most);
        pshm__operation_end(sync);
        return code;
    }
    if (fresh != 0)
        PSHM__STORE(shared->total, plus(shared->total, fresh), memory_order_relaxed);
    if (held != 0)
        PSHM__STORE(mine->amount, mine->amount - held, memory_order_relaxed);
    set_available(sync, plus(shared->available, released));
    pshm__monitor_leave(sync);
    pshm__notify(sync->events);
    pshm__end(sync);
    return 0;
}

/* `available` is the same before and after; one that is killed between the two stores has given
 * back what it held. */
int pshm_semaphore_consume(pshm_semaphore *semaphore, int64_t permits) {
    const pshm__sync *sync = &semaphore->sync;
    const pshm__semaphore *shared = shared_of(sync);
    int code = check(sync, "consume", permits);
    if (code != 0 || (code = pshm__operation_begin(sync, "consume")) != 0)
        return code;
    const pshm__stake *mine = stake_here(sync);
    const uint64_t consumed = (uint64_t)permits;
    if (consumed > mine->amount) {
        code = pshm__fail_at(PSHM_ENOTOWNER, "consume", sync->segment, sync->object,
                             "permits=%" PRId64 ", held here=%" PRIu64 "; acquire them first",
                             permits, mine->amount);
    } else {
        PSHM__STORE(mine->amount, mine->amount - consumed, memory_order_relaxed);
        PSHM__STORE(shared->total, minus(shared->total, consumed), memory_order_relaxed);
    }
    pshm__operation_end(sync);
    return code;
}

int pshm_semaphore_reduce(pshm_semaphore *semaphore, int64_t permits) {
    const pshm__sync *sync = &semaphore->sync;
    const pshm__semaphore *shared = shared_of(sync);
    int code = check(sync, "reduce", permits);
    if (code != 0 || (code = pshm__operation_begin(sync, "reduce")) != 0)
        return code;
    if (shared->available < INT64_MIN + permits || shared->total < INT64_MIN + permits) {
        code = pshm__fail_at(PSHM_EINVAL, "reduce", sync->segment, sync->object,
                             "permits=%" PRId64 ", available=%" PRId64
                             "; there can be no fewer than %" PRId64,
                             permits, shared->available, INT64_MIN);
    } else {
        PSHM__STORE(shared->total, minus(shared->total, (uint64_t)permits), memory_order_relaxed);
        set_available(sync, minus(shared->available, (uint64_t)permits));
    }
    pshm__operation_end(sync);
    return code;
}

int pshm_semaphore_inspect(pshm_semaphore *semaphore, pshm_semaphore_info *out) {
    const pshm__sync *sync = &semaphore->sync;
    const pshm__semaphore *shared = shared_of(sync);
    int code = pshm__operation_begin(sync, "inspect");
    if (code != 0)
        return code;
    look_for_dead(sync);
    const pshm__stake *mine = &shared->stakes[sync->segment->slot];
    *out = (pshm_semaphore_info){
        .available = shared->available,
        .held_here = mine->number == sync->segment->number ? (int64_t)mine->amount : 0,
        .total = shared->total,
    };
    pshm__operation_end(sync);
    return 0;
}
