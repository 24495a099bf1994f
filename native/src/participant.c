/* SPDX-License-Identifier: Apache-2.0
 *
 * The participants table. A slot belongs to whoever has the kernel's lock on its first byte, and to
 * nobody once that process is gone, however it went. What is written in the slot is its holder's
 * once the second byte is locked as well: until then it may be what a dead predecessor has left.
 */
#include <string.h>

#include "internal.h"

uint64_t pshm__participant_offset(const pshm_segment *segment, uint32_t slot) {
    return segment->participant_offset + slot * sizeof(pshm__participant);
}

/* The byte whose lock says that the slot has been written by its holder. */
static uint64_t written_offset(const pshm_segment *segment, uint32_t slot) {
    return pshm__participant_offset(segment, slot) + 1;
}

static const pshm__participant *slot_at(const pshm_segment *segment, uint32_t slot) {
    return (const pshm__participant *)(const void *)(segment->base +
                                                     pshm__participant_offset(segment, slot));
}

int pshm__participant_take(const pshm_segment *segment, pshm__file file, uint32_t *out_slot) {
    for (uint32_t slot = 0; slot < segment->participant_capacity; slot++) {
        int code = pshm__os_file_lock(file, pshm__participant_offset(segment, slot));
        if (code == PSHM_EBUSY)
            continue;
        if (code == 0)
            *out_slot = slot;
        return code;
    }
    return pshm__fail(
        PSHM_EPARTICIPANTS,
        "it is open %u times, and there is room for no more; close it where it is not "
        "needed, or share one opening within a process",
        segment->participant_capacity);
}

int pshm__participant_sign(pshm_segment *segment) {
    const pshm__directory *directory = pshm__directory_of(segment);
    do {
        segment->number = PSHM__ADD(directory->numbers, 1) + 1;
    } while (segment->number == 0);
    pshm__participant mine = {.pid = pshm__os_pid(),
                              .number = segment->number,
                              .start_time = pshm__process_start_time(),
                              .since_ns = pshm__os_wall_clock_ns()};
    pshm__os_command(mine.command, sizeof(mine.command));
    const pshm__participant *shared = slot_at(segment, segment->slot);
    PSHM__PUBLISH(shared, &mine);
    int code = pshm__os_file_lock(segment->file, written_offset(segment, segment->slot));
    if (code == 0) {
        PSHM__ADD(directory->joined, 1);
        PSHM__WAKE(directory->joined); /* those that wait have us watched */
        pshm__notify_all(segment);
    }
    return code;
}

void pshm__participant_departed(pshm_segment *segment) {
    const pshm__directory *directory = pshm__directory_of(segment);
    PSHM__ADD(directory->departed, 1);
    PSHM__WAKE(directory->departed);
    pshm__notify_all(segment);
}

int pshm__participant_join(pshm_segment *segment) {
    int code = pshm__participant_take(segment, segment->file, &segment->slot);
    if (code == 0) {
        code = pshm__participant_sign(segment);
        if (code != 0)
            pshm__os_file_unlock(segment->file, pshm__participant_offset(segment, segment->slot));
    }
    return code;
}

void pshm__participant_leave(pshm_segment *segment) {
    const pshm__participant *shared = slot_at(segment, segment->slot);
    /* First: as long as it counts as alive it is listed, or nobody would watch it. */
    pshm__os_file_unlock(segment->file, written_offset(segment, segment->slot));
    PSHM__STORE(shared->pid, 0, memory_order_relaxed);
    pshm__os_file_unlock(segment->file, pshm__participant_offset(segment, segment->slot));
}

bool pshm__participant_any_other(pshm__file file, uint64_t offset, uint32_t capacity) {
    return pshm__os_file_is_locked(file, offset, capacity * sizeof(pshm__participant));
}

/* False if nobody has the slot. The lock is asked before the bytes are read: whoever has it then
 * has written them before, so if they are a dead predecessor's, nobody had it. */
bool pshm__participant_read(const pshm_segment *segment, uint32_t slot,
                            pshm_participant_info *out) {
    if (slot != segment->slot &&
        !pshm__os_file_is_locked(segment->file, written_offset(segment, slot), 1))
        return false;
    const pshm__participant *shared = slot_at(segment, slot);
    uint32_t pid = PSHM__LOAD_EXPLICIT(shared->pid, memory_order_acquire);
    if (pid == 0)
        return false; /* it is leaving */
    pshm__participant copy;
    memcpy(&copy, shared, sizeof(copy));
    out->pid = (int32_t)pid;
    out->slot = slot;
    out->start_time = copy.start_time;
    out->since_ns = copy.since_ns;
    out->started_ns = pshm__os_started_ns(copy.start_time);
    memcpy(out->segment_id, segment->id, sizeof(out->segment_id));
    memcpy(out->command, copy.command, sizeof(copy.command));
    out->command[sizeof(copy.command) - 1] = '\0';
    return true;
}

bool pshm__participant_lives(const pshm_segment *segment, uint32_t slot, uint32_t number) {
    const uint32_t *shared = &slot_at(segment, slot)->number;
    if (slot == segment->slot)
        return number == segment->number;
    return pshm__os_file_is_locked(segment->file, written_offset(segment, slot), 1) &&
           PSHM__LOAD(*shared) == number;
}

bool pshm__participant_is_there(const pshm_segment *segment,
                                const pshm_participant_info *participant) {
    pshm_participant_info now;
    return pshm__participant_read(segment, participant->slot, &now) &&
           now.pid == participant->pid && now.start_time == participant->start_time &&
           now.since_ns == participant->since_ns;
}

int pshm_segment_next_participant(pshm_segment *segment, uint64_t *cursor,
                                  pshm_participant_info *out) {
    int found = 0;
    pshm__guard_lock(&segment->guard);
    if (atomic_load(&segment->state) != PSHM__OPEN)
        found = pshm__closed(segment, "participants");
    while (found == 0 && *cursor < segment->participant_capacity)
        found = pshm__participant_read(segment, (uint32_t)(*cursor)++, out);
    pshm__guard_unlock(&segment->guard);
    return found;
}
