/* SPDX-License-Identifier: Apache-2.0
 *
 * Events: one word, whose lowest bit is the flag; the others count how often it was set, so that
 * a thread that waits is told of a set that was cleared at once. Nobody holds anything of it.
 */
#include "internal.h"

static const uint64_t *state_of(const pshm__sync *sync) {
    return &((const pshm__event *)(const void *)sync->events)->state;
}

static bool is_set(uint64_t state) { return (state & 1) != 0; }

int pshm_event_open(pshm_segment *segment, const char *name, pshm_event **out) {
    pshm__handle *handle = NULL;
    int code = pshm__object_open("event", segment, name, PSHM_EVENT, 0, 0, &handle);
    *out = handle == NULL ? NULL : &handle->event;
    return code;
}

const uint64_t *pshm_event_state(const pshm_event *event) { return state_of(&event->sync); }

int pshm_event_set(pshm_event *event) {
    const pshm__sync *sync = &event->sync;
    int code = pshm__begin(sync, "set");
    if (code != 0)
        return code;
    uint64_t state = PSHM__LOAD(*state_of(sync));
    while (!is_set(state) && !PSHM__SWAP(*state_of(sync), &state, (state + 2) | 1))
        continue;
    pshm__notify(sync->events); /* whoever set it may have been killed before this */
    pshm__end(sync);
    return 0;
}

int pshm_event_clear(pshm_event *event) {
    const pshm__sync *sync = &event->sync;
    int code = pshm__begin(sync, "clear");
    if (code != 0)
        return code;
    uint64_t state = PSHM__LOAD(*state_of(sync));
    while (is_set(state) && !PSHM__SWAP(*state_of(sync), &state, state - 1))
        continue;
    pshm__end(sync);
    return 0;
}

int pshm_event_is_set(pshm_event *event) {
    int code = pshm__begin(&event->sync, "is_set");
    if (code != 0)
        return code;
    const bool result = is_set(PSHM__LOAD(*state_of(&event->sync)));
    pshm__end(&event->sync);
    return result;
}

static int attempt(pshm__waiting *self, bool look) {
    (void)look;
    const uint64_t state = PSHM__LOAD(*state_of(self->sync));
    return is_set(state) || state != self->value ? 0 : PSHM_EBUSY;
}

int pshm_event_prepare(pshm_event *event, pshm_wait *wait) {
    pshm__waiting *self = pshm__wait_init(wait, &event->sync, attempt, NULL);
    const uint64_t state = PSHM__LOAD(*state_of(&event->sync));
    self->value = is_set(state) ? 0 : state; /* once it was set it is never 0 */
    return 0;
}

int pshm_event_await(pshm_event *event, int64_t timeout_ns, pshm_interrupt *interrupt) {
    pshm_wait wait;
    pshm_event_prepare(event, &wait);
    return pshm__wait_for(&wait, timeout_ns, interrupt);
}
