/* SPDX-License-Identifier: Apache-2.0
 *
 * The one way in which this library waits for a mutex in shared memory: in steps, so that the wait
 * can be left, and so that a death hangs nobody. It sleeps on the word of the mutex, and on more:
 * of a close, of the interrupt, and of the participants that come and go. The kernel compares them
 * together: none of them is missed.
 *
 * The word holds its owner's number, and a bit that says that somebody may sleep on it. Whoever
 * gives the mutex back stores 0, and wakes one if the bit was set. So each wake-up is to be handed
 * on: somebody sleeps only if the bit is set, or if one that lives is about to wake one, or has
 * been woken and is about to look.
 *
 *   mark:   set the bit if somebody has the mutex, in one compare-and-swap.
 *   try:    if nobody has it: pthread_mutex_trylock, so that the C library and its list of held
 *           mutexes stay as they are. It takes a 0 without the bit; so if it is ours, mark again.
 *   sleep:  only if the word is as it was marked.
 *   leave:  only when the mutex has been marked and had an owner, who will wake one, or by the
 *           kernel's word that nobody has woken us since. So nobody's wake-up goes with us.
 *
 * A kill. The kernel wakes one when an owner dies and the bit is set. But one may be killed that
 * was about to wake another, or has been woken and was about to mark, or has taken a 0 and not
 * marked it yet; and a thread that comes new does not know of those that sleep. So they are told of
 * every death: before one sleeps, the sentry (sentry.c) watches all participants. It counts the end
 * of any in `departed` and wakes all that sleep on that word; who joins does the same with
 * `joined`, so that those that sleep have the newcomer watched. Each marks again then. When the
 * sentry is told of an end, that process does nothing any more; and when one falls asleep the bit
 * is set, so that no death before that matters to it. The model is native/model/mutex.pml.
 *
 * What this leaves open: the death of a thread whose process lives, within one of our functions,
 * which only another thread's exec can cause. A process that has closed the segment, or is about to
 * end in order, and is killed while one of its threads is still about to wake another: those that
 * began to wait after it had given up its slot do not have it watched. And a process that is killed
 * when a child that it made around the C library's fork has its descriptors still: its end is told
 * with that child's, or its exec.
 */
#include "internal.h"

enum { LOOK_NS = 100000000 }; /* where participants cannot be watched */

typedef struct waiter {
    pshm_segment *segment;
    const void *mutex;
    int64_t end_ns;
    pshm_interrupt *interrupt;
    bool ends_at_close;
} waiter;

/* Until the word changes, or may have: PSHM_EBUSY. Otherwise it tells why the wait ends. */
static int sleep_on(pshm__word word, const waiter *self) {
    pshm_segment *segment = self->segment;
    const pshm__directory *directory = pshm__directory_of(segment);
    const uint32_t joined = PSHM__LOAD(directory->joined);
    const bool covered = pshm__sentry_cover(segment); /* and counts a departure, perhaps */
    const uint32_t departed = PSHM__LOAD(directory->departed);
    const int state = atomic_load(&segment->state);
    if (state == PSHM__CLOSED && self->ends_at_close)
        return pshm__closed(segment, "lock");
    if (pshm__is_raised(self->interrupt))
        return PSHM_EINTERRUPTED;
    int64_t end_ns = self->end_ns;
    if (pshm__os_word_changes(&word))
        return end_ns >= 0 && pshm__os_monotonic_ns() >= end_ns ? PSHM_ETIMEDOUT : PSHM_EBUSY;
    if (!covered || state == PSHM__CLOSED) { /* for which nobody is watched any more */
        const int64_t look_ns = pshm__end_of(LOOK_NS);
        end_ns = end_ns < 0 || look_ns < end_ns ? look_ns : end_ns;
    }
    pshm__word words[PSHM__WORDS_MAX] = {word,
                                         {&segment->state, (uint32_t)state},
                                         {&directory->joined, joined},
                                         {&directory->departed, departed}};
    const int count = 4 + pshm__interrupt_words(self->interrupt, words + 4);
    const int code = pshm__os_wait_any(words, count, end_ns);
    const bool goes_on = code == 0 || (code == PSHM_ETIMEDOUT && end_ns != self->end_ns) ||
                         (code == PSHM_EINTERRUPTED && !pshm__hears_signals(self->interrupt));
    return goes_on ? PSHM_EBUSY : code;
}

static int await_mutex(const waiter *self) {
    int code = PSHM_EBUSY;
    PSHM__MUTEX(join, self->mutex);
    for (;;) {
        pshm__word word;
        const bool is_taken = PSHM__MUTEX_MARK(self->mutex, &word);
        if (code != PSHM_EBUSY)
            break; /* it is ours */
        code = is_taken ? sleep_on(word, self) : PSHM__MUTEX(try, self->mutex);
        if (is_taken && code != PSHM_EBUSY)
            break; /* to be left */
    }
    PSHM__MUTEX(leave, self->mutex);
    return code;
}

int pshm__mutex_await(pshm_segment *segment, const void *mutex, int64_t timeout_ns,
                      pshm_interrupt *interrupt) {
    return await_mutex(&(waiter){.segment = segment,
                                 .mutex = mutex,
                                 .end_ns = pshm__end_of(timeout_ns),
                                 .interrupt = interrupt,
                                 .ends_at_close = true});
}

int pshm__mutex_enter(pshm_segment *segment, const void *mutex) {
    int code = PSHM__MUTEX(try, mutex);
    if (code == PSHM_EBUSY)
        code = PSHM__MUTEX(spin, mutex);
    if (code == PSHM_EBUSY)
        code = await_mutex(&(waiter){.segment = segment, .mutex = mutex, .end_ns = -1});
    return code;
}
