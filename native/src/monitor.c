/* SPDX-License-Identifier: Apache-2.0
 *
 * Short sections that change a synchronizer, and stakes: what each participant has in it.
 *
 * The section is guarded by the robust mutex of the object's head. Each change is made of single
 * stores, one of which is the truth; whatever else says the same in another way, so that it need
 * not be counted each time, is made from the truths again by whoever takes the mutex over from a
 * process that died in the section.
 *
 * A stake is that of the participant whose number it bears. That participant is gone if another has
 * signed its slot, or if the kernel says that nobody has it: its stake is then given back by
 * whoever looks, which is everybody who would otherwise have to wait. The number is read
 * atomically, as one that departs may clear its stake without the mutex.
 */
#include "internal.h"

int pshm__monitor_enter(const pshm__sync *sync) {
    const uint8_t *mutex = sync->object->lock.mutex;
    int code = pshm__mutex_enter(sync->segment, mutex);
    if (code == PSHM_EOWNERDIED) {
        const pshm__kind *kind = pshm__kind_of(sync->object->kind);
        if (kind != NULL && kind->recover != NULL)
            kind->recover(sync);
        PSHM__MUTEX(make_consistent, mutex);
        code = 0;
    }
    return code;
}

void pshm__monitor_leave(const pshm__sync *sync) { PSHM__MUTEX(unlock, sync->object->lock.mutex); }

int pshm__operation_begin(const pshm__sync *sync, const char *operation) {
    int code = pshm__begin(sync, operation);
    if (code == 0 && (code = pshm__monitor_enter(sync)) != 0)
        pshm__end(sync);
    return code;
}

void pshm__operation_end(const pshm__sync *sync) {
    pshm__monitor_leave(sync);
    pshm__end(sync);
}

static void clear(const pshm__stake *stake) {
    static const pshm__stake nothing;
    PSHM__PUBLISH(stake, &nothing);
}

const pshm__stake *pshm__stake_here(const pshm__sync *sync, const pshm__stake *stakes,
                                    void (*give_back)(const pshm__sync *sync, uint32_t slot)) {
    const pshm__stake *mine = &stakes[sync->segment->slot];
    if (PSHM__LOAD(mine->number) != sync->segment->number) {
        if (PSHM__LOAD(mine->number) != 0) {
            give_back(sync, sync->segment->slot);
            clear(mine);
        }
        PSHM__STORE(mine->number, sync->segment->number, memory_order_relaxed);
    }
    return mine;
}

void pshm__stakes_reclaim(const pshm__sync *sync, const pshm__stake *stakes,
                          void (*give_back)(const pshm__sync *sync, uint32_t slot)) {
    for (uint32_t slot = 0; slot < sync->segment->participant_capacity; slot++) {
        const uint32_t number = PSHM__LOAD(stakes[slot].number);
        if (number == 0 || pshm__participant_lives(sync->segment, slot, number))
            continue;
        give_back(sync, slot);
        clear(&stakes[slot]);
    }
}
