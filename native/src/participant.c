/* SPDX-License-Identifier: Apache-2.0
 *
 * The participants table. A slot belongs to whoever has the kernel's lock on its first byte, and to
 * nobody once that process is gone, however it went; what is written in the slot is for display.
 */
#include <string.h>

#include "internal.h"

uint64_t pshm__participant_offset(const pshm_segment *segment, uint32_t slot) {
    return segment->participant_offset + slot * sizeof(pshm__participant);
}

static const pshm__participant *slot_at(const pshm_segment *segment, uint32_t slot) {
    return (const pshm__participant *)(const void *)(segment->base +
                                                     pshm__participant_offset(segment, slot));
}

int pshm__participant_join(pshm_segment *segment) {
    for (uint32_t slot = 0; slot < segment->participant_capacity; slot++) {
        const uint64_t offset = pshm__participant_offset(segment, slot);
        if (pshm__os_file_is_locked(segment->file, offset, 1))
            continue;
        /* What one that was killed has left goes first, or it would be shown as alive. Nobody takes
         * the slot meanwhile, as the lifecycle lock is held. */
        const pshm__participant *shared = slot_at(segment, slot);
        PSHM__STORE(shared->pid, 0, memory_order_relaxed);
        int code = pshm__os_file_lock(segment->file, offset);
        if (code == PSHM_EBUSY)
            continue;
        if (code != 0)
            return code;
        pshm__participant mine = {.pid = pshm__os_pid(),
                                  .start_time = pshm__process_start_time(),
                                  .since_ns = pshm__os_wall_clock_ns()};
        pshm__os_command(mine.command, sizeof(mine.command));
        PSHM__PUBLISH(shared, &mine);
        segment->slot = slot;
        return 0;
    }
    return pshm__fail(PSHM_EPARTICIPANTS,
                      "%u processes have it open, and that is all there is room for; close it in "
                      "one of them",
                      segment->participant_capacity);
}

void pshm__participant_leave(pshm_segment *segment) {
    const pshm__participant *shared = slot_at(segment, segment->slot);
    PSHM__STORE(shared->pid, 0, memory_order_relaxed);
    pshm__os_file_unlock(segment->file, pshm__participant_offset(segment, segment->slot));
}

bool pshm__participant_any_other(pshm__file file, uint64_t offset, uint32_t capacity) {
    return pshm__os_file_is_locked(file, offset, capacity * sizeof(pshm__participant));
}

int pshm_segment_next_participant(pshm_segment *segment, uint64_t *cursor,
                                  pshm_participant_info *out) {
    int found = 0;
    pshm__guard_lock(&segment->guard);
    if (atomic_load(&segment->state) != PSHM__OPEN) {
        found = pshm__fail(PSHM_ECLOSED, "participants: segment=%s is closed", segment->name);
    }
    while (found == 0 && *cursor < segment->participant_capacity) {
        uint32_t slot = (uint32_t)(*cursor)++;
        if (slot != segment->slot &&
            !pshm__os_file_is_locked(segment->file, pshm__participant_offset(segment, slot), 1))
            continue;
        const pshm__participant *shared = slot_at(segment, slot);
        uint32_t pid =
            atomic_load_explicit((const _Atomic uint32_t *)&shared->pid, memory_order_acquire);
        if (pid == 0)
            continue; /* it is joining, or leaving */
        pshm__participant copy;
        memcpy(&copy, shared, sizeof(copy));
        out->pid = (int32_t)pid;
        out->start_time = copy.start_time;
        out->since_ns = copy.since_ns;
        memcpy(out->command, copy.command, sizeof(copy.command));
        out->command[sizeof(copy.command) - 1] = '\0';
        found = 1;
    }
    pshm__guard_unlock(&segment->guard);
    return found;
}
