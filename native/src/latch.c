/* SPDX-License-Identifier: Apache-2.0
 *
 * Latches: one word, which is counted down to zero. Nobody holds anything of it.
 */
#include <inttypes.h>

#include "internal.h"

static const uint64_t *count_of(const pshm__sync *sync) {
    return &((const pshm__latch *)(const void *)sync->events)->count;
}

int pshm_latch_open(pshm_segment *segment, const char *name, int64_t count, pshm_latch **out) {
    pshm__handle *handle = NULL;
    int code = pshm__object_open("latch", segment, name, PSHM_LATCH, 0, count, &handle);
    *out = handle == NULL ? NULL : &handle->latch;
    return code;
}

const uint64_t *pshm_latch_state(const pshm_latch *latch) { return count_of(&latch->sync); }

int pshm_latch_count_down(pshm_latch *latch, int64_t by) {
    const pshm__sync *sync = &latch->sync;
    if (by < 1)
        return pshm__fail_at(PSHM_EINVAL, "count_down", sync->segment, sync->object,
                             "by=%" PRId64 "; take 1 or more", by);
    int code = pshm__begin(sync, "count_down");
    if (code != 0)
        return code;
    uint64_t now = PSHM__LOAD(*count_of(sync)), next;
    do {
        next = now > (uint64_t)by ? now - (uint64_t)by : 0;
    } while (now != 0 && !PSHM__SWAP(*count_of(sync), &now, next));
    if (next == 0)
        pshm__notify(sync->events); /* whoever counted may have been killed before this */
    pshm__end(sync);
    return 0;
}

int pshm_latch_count(pshm_latch *latch, int64_t *out) {
    int code = pshm__begin(&latch->sync, "count");
    if (code != 0)
        return code;
    *out = (int64_t)PSHM__LOAD(*count_of(&latch->sync));
    pshm__end(&latch->sync);
    return 0;
}

static int attempt(pshm__waiting *self, bool look) {
    (void)look;
    return PSHM__LOAD(*count_of(self->sync)) == 0 ? 0 : PSHM_EBUSY;
}

int pshm_latch_prepare(pshm_latch *latch, pshm_wait *wait) {
    pshm__wait_init(wait, &latch->sync, attempt, NULL);
    return 0;
}

int pshm_latch_await(pshm_latch *latch, int64_t timeout_ns, pshm_interrupt *interrupt) {
    pshm_wait wait;
    pshm_latch_prepare(latch, &wait);
    return pshm__wait_for(&wait, timeout_ns, interrupt);
}
