/* SPDX-License-Identifier: Apache-2.0
 *
 * The sentry: a thread of a process in which threads wait for synchronizers or sleep on a mutex,
 * from the first wait to the end of the process. It watches the participants of their segments, and
 * notifies all that wait there when one has ended (wait.c, mutex.c). Who it was, and what it held,
 * is asked of the kernel's locks by those that wait; so watching one too many does no harm, and
 * neither does telling twice.
 *
 * How it knows an end, and why it is never wrong, is said in watch.c. A thread of the library's own
 * is needed since a thread that sleeps on a futex cannot wait for the end of a process as well.
 */
#include <stdlib.h>

#include "internal.h"

typedef struct post {
    pshm_segment *segment;
    pshm_participant_info participant;
    pshm__process process;
    struct post *next;
} post;

/* Over all of this, and held while a segment is told, so that it stays. */
static pshm__guard guard = PSHM__GUARD_INIT;
static post *posts;
static pshm__alarm alarm;
static bool on_duty;

static const int64_t NAP_NS = 10000000;

/* Take down the posts of which `over` is true, and tell their segments, if `tell`. */
static void leave_posts(bool (*over)(const post *, const void *), const void *context, bool tell) {
    for (post **link = &posts; *link != NULL;) {
        post *each = *link;
        if (!over(each, context)) {
            link = &each->next;
            continue;
        }
        *link = each->next;
        pshm__os_alarm_remove(&alarm, each->process);
        if (tell)
            pshm__participant_departed(each->segment);
        free(each);
    }
}

static bool has_gone(const post *each, const void *unused) {
    (void)unused;
    return pshm__os_process_has_ended(each->process) &&
           !pshm__participant_is_there(each->segment, &each->participant);
}

static bool is_of(const post *each, const void *segment) { return each->segment == segment; }

/* A process has ended, and the kernel's lock on its slot is still held: by a child that vfork has
 * made, for a moment. */
static bool is_undecided(void) {
    for (const post *each = posts; each != NULL; each = each->next) {
        if (pshm__os_process_has_ended(each->process))
            return true;
    }
    return false;
}

static void *keep_watch(void *unused) {
    bool undecided = false;
    for (;;) {
        if (undecided)
            pshm__os_sleep_ns(NAP_NS);
        else if (pshm__os_alarm_wait(&alarm, -1) != 0)
            pshm__os_sleep_ns(NAP_NS); /* out of memory, perhaps */
        pshm__guard_lock(&guard);
        leave_posts(has_gone, NULL, true);
        undecided = is_undecided();
        pshm__guard_unlock(&guard);
    }
    return unused;
}

static bool go_on_duty(void) {
    if (on_duty)
        return true;
    if (pshm__os_alarm_open(&alarm) != 0)
        return false;
    on_duty = pshm__os_thread_start(keep_watch) == 0;
    if (!on_duty)
        pshm__os_alarm_close(&alarm);
    return on_duty;
}

/* The post of a process for the segment: one for this participant, or one whose participant has
 * left, so that a process that comes and goes takes one descriptor. That it has not ended says that
 * its number is its own. */
static post *post_for(const pshm_segment *segment, const pshm_participant_info *participant) {
    for (post *each = posts; each != NULL; each = each->next) {
        if (each->segment == segment && each->participant.pid == participant->pid &&
            !pshm__os_process_has_ended(each->process) &&
            ((each->participant.slot == participant->slot &&
              each->participant.since_ns == participant->since_ns) ||
             !pshm__participant_is_there(segment, &each->participant)))
            return each;
    }
    return NULL;
}

/* 0, also if it has gone already, or a failure. One that has ended, and that the kernel's lock says
 * is there still, cannot be watched: it has a child that vfork has made. */
static int watch(pshm_segment *segment, const pshm_participant_info *participant) {
    post *each = post_for(segment, participant);
    if (each != NULL) {
        each->participant = *participant;
        return 0;
    }
    each = malloc(sizeof(*each));
    if (each == NULL)
        return PSHM_ENOMEM;
    *each = (post){.segment = segment, .participant = *participant, .next = posts};
    int code = pshm__os_alarm_add(&alarm, (uint32_t)participant->pid, &each->process);
    const bool is_there = pshm__participant_is_there(segment, participant);
    if (code == 0 && is_there) {
        posts = each;
        return 0;
    }
    if (code == 0)
        pshm__os_alarm_remove(&alarm, each->process);
    free(each);
    return is_there ? code : 0;
}

/* `joined`, as segment->covered has it when all were watched. */
static unsigned long long joined(const pshm_segment *segment) {
    return PSHM__COUNTED(PSHM__LOAD(pshm__directory_of(segment)->joined));
}

bool pshm__sentry_covers(const pshm_segment *segment) {
    return atomic_load(&segment->covered) == joined(segment);
}

bool pshm__sentry_cover(pshm_segment *segment) {
    if (pshm__sentry_covers(segment))
        return true;
    pshm__guard_lock(&guard);
    const unsigned long long before = joined(segment);
    if (atomic_load(&segment->state) == PSHM__CLOSED || atomic_load(&segment->covered) == before) {
        pshm__guard_unlock(&guard);
        return true;
    }
    bool covered = go_on_duty();
    for (uint32_t slot = 0; covered && slot < segment->participant_capacity; slot++) {
        pshm_participant_info participant;
        if (pshm__participant_read(segment, slot, &participant) &&
            (uint32_t)participant.pid != pshm__os_pid())
            covered = watch(segment, &participant) == 0;
    }
    atomic_store(&segment->unwatched, !covered);
    if (covered) { /* if not, those that wait look again and again */
        /* One has come and gone meanwhile, perhaps. */
        pshm__participant_departed(segment);
        atomic_store(&segment->covered, before);
    }
    pshm__guard_unlock(&guard);
    return covered;
}

void pshm__sentry_forget(const pshm_segment *segment) {
    pshm__guard_lock(&guard);
    leave_posts(is_of, segment, false);
    pshm__guard_unlock(&guard);
}

void pshm__sentry_before_fork(void) { pshm__guard_lock(&guard); }

/* A child has neither the thread nor the descriptors. */
void pshm__sentry_after_fork(bool in_child) {
    if (in_child) {
        for (post *each = posts, *next; each != NULL; each = next) {
            next = each->next;
            free(each);
        }
        posts = NULL;
        on_duty = false;
    }
    pshm__guard_unlock(&guard);
}
