/* SPDX-License-Identifier: Apache-2.0
 *
 * Participants that are watched for their end. The alarm is the kernel's, for the end of a process;
 * that the process is the participant's is asked of the lock on its slot.
 *
 * Why it is never wrong. A process is taken by its id first, and then the slot is looked at: if the
 * participant has it still, it was alive after its id had been taken, so the id was its own. If
 * not, it is gone already, and the process, which may be another, is let go. From then on only that
 * process's end counts, whoever gets its id or its slot. It ends with its last thread, and before
 * that with its locks: stopping it, or its main thread's end, is not an end.
 *
 * Why not wait for the lock itself, with F_OFD_SETLKW on the slot. A participant that joins at once
 * may have the lock before the waiter, which then waits for the wrong participant; and such a wait
 * takes a thread for each participant, which only a signal can get back.
 *
 * What this leaves open. A process that closes the segment and lives on is told of when it ends. A
 * child made by vfork or posix_spawn has the locks of a parent that is killed just then until it
 * execs; only if the parent's id is given to another within that moment is that one watched.
 */
#include <stdlib.h>
#include <string.h>

#include "internal.h"

static int closed(const pshm_segment *segment) {
    return pshm__fail(PSHM_ECLOSED, "watch: segment=%s is closed, or watches nobody any more",
                      segment->name);
}

/* The segment has a watch after this; its guard is held. */
static int prepare(pshm_segment *segment) {
    if (atomic_load(&segment->state) != PSHM__OPEN || segment->watch_ended)
        return closed(segment);
    if (segment->watch != NULL)
        return 0;
    pshm__watch *watch = calloc(1, sizeof(*watch));
    if (watch == NULL)
        return pshm__fail(PSHM_ENOMEM, "out of memory");
    int code = pshm__os_alarm_open(&watch->alarm);
    if (code == 0)
        segment->watch = watch;
    else
        free(watch);
    return code;
}

static bool is_same(const pshm_participant_info *a, const pshm_participant_info *b) {
    return a->slot == b->slot && a->pid == b->pid && a->start_time == b->start_time &&
           a->since_ns == b->since_ns;
}

static int add(pshm_segment *segment, const pshm_participant_info *participant) {
    pshm__watch *watch = segment->watch;
    for (pshm__watched *each = watch->first; each != NULL; each = each->next) {
        if (is_same(&each->participant, participant))
            return 0;
    }
    pshm__watched *watched = calloc(1, sizeof(*watched));
    if (watched == NULL)
        return pshm__fail(PSHM_ENOMEM, "out of memory");
    watched->participant = *participant;
    int code = pshm__os_alarm_add(&watch->alarm, (uint32_t)participant->pid, &watched->process);
    if (code == 0 && !pshm__participant_is_there(segment, participant)) {
        pshm__os_alarm_remove(&watch->alarm, watched->process);
        code = PSHM_ENOENT;
    }
    if (code != 0) {
        free(watched);
        return code == PSHM_ENOENT ? 1 : code;
    }
    watched->next = watch->first;
    watch->first = watched;
    return 0;
}

int pshm_segment_watch(pshm_segment *segment, const pshm_participant_info *participant) {
    if (memcmp(participant->segment_id, segment->id, sizeof(segment->id)) != 0 ||
        participant->slot >= segment->participant_capacity || participant->pid <= 0)
        return pshm__fail(PSHM_EINVAL,
                          "watch: segment=%s, pid=%d, slot=%u: it is no participant of this "
                          "segment; take one that was listed for it",
                          segment->name, participant->pid, participant->slot);
    pshm__guard_lock(&segment->guard);
    int code = prepare(segment);
    if (code == 0)
        code = add(segment, participant);
    pshm__guard_unlock(&segment->guard);
    return code >= 0 || code == PSHM_ECLOSED
               ? code
               : pshm__while(code, "watch: segment=%s, pid=%d", segment->name, participant->pid);
}

/* Take one that has ended off the list; PSHM_EBUSY if none has. */
static int take(pshm__watch *watch, pshm_participant_info *out) {
    for (pshm__watched **link = &watch->first; *link != NULL; link = &(*link)->next) {
        pshm__watched *watched = *link;
        if (!pshm__os_process_has_ended(watched->process))
            continue;
        *out = watched->participant;
        *link = watched->next;
        pshm__os_alarm_remove(&watch->alarm, watched->process);
        free(watched);
        return 0;
    }
    return PSHM_EBUSY;
}

static void release(pshm_segment *segment) {
    pshm__watch *watch = segment->watch;
    for (pshm__watched *each = watch->first, *next; each != NULL; each = next) {
        next = each->next;
        pshm__os_alarm_remove(&watch->alarm, each->process);
        free(each);
    }
    pshm__os_alarm_close(&watch->alarm);
    free(watch);
    segment->watch = NULL;
}

int pshm_segment_next_exit(pshm_segment *segment, int64_t timeout_ns, pshm_participant_info *out) {
    const int64_t begin = pshm__os_monotonic_ns();
    pshm__guard_lock(&segment->guard);
    int code = prepare(segment);
    if (code != 0) {
        pshm__guard_unlock(&segment->guard);
        return code == PSHM_ECLOSED ? code
                                    : pshm__while(code, "next_exit: segment=%s", segment->name);
    }
    pshm__watch *watch = segment->watch;
    watch->waiting++;
    pshm_segment_pin(segment); /* for the guard: the wait does not touch the mapping */
    while ((code = segment->watch_ended ? closed(segment) : take(watch, out)) == PSHM_EBUSY) {
        int64_t left = timeout_ns < 0 ? -1 : timeout_ns - (pshm__os_monotonic_ns() - begin);
        if (timeout_ns >= 0 && left <= 0) {
            code = PSHM_ETIMEDOUT;
            break;
        }
        pshm__guard_unlock(&segment->guard);
        code = pshm__os_alarm_wait(&watch->alarm, left);
        pshm__guard_lock(&segment->guard);
        if (code != 0 && code != PSHM_ETIMEDOUT)
            break;
    }
    if (--watch->waiting == 0 && segment->watch_ended)
        release(segment);
    pshm__guard_unlock(&segment->guard);
    pshm_segment_unpin(segment);
    return code;
}

void pshm__watch_end(pshm_segment *segment) {
    segment->watch_ended = true;
    if (segment->watch == NULL)
        return;
    if (segment->watch->waiting > 0)
        pshm__os_alarm_ring(&segment->watch->alarm); /* the last that waits releases it */
    else
        release(segment);
}

void pshm_segment_end_watch(pshm_segment *segment) {
    pshm__guard_lock(&segment->guard);
    pshm__watch_end(segment);
    pshm__guard_unlock(&segment->guard);
}
