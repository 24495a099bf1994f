/* SPDX-License-Identifier: Apache-2.0
 *
 * Futexes, futex(2), between processes: so without FUTEX_PRIVATE_FLAG.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "internal.h"

#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif
#define NAP_NS (PSHM__NS_PER_S / 10)

static int outcome(const char *call, long result) {
    const int error = errno;
    if (result >= 0)
        return 0;
    switch (error) {
    case EAGAIN: return 0; /* it is not `seen` */
    case EINTR: return PSHM_EINTERRUPTED;
    case ETIMEDOUT: return PSHM_ETIMEDOUT;
    default: return pshm__fail(PSHM_EOS, "%s: %s (errno %d)", call, strerror(error), error);
    }
}

int pshm__os_wait(const uint32_t *word, uint32_t seen, int64_t timeout_ns) {
    const struct timespec time = pshm__timespec(timeout_ns);
    return outcome("futex", syscall(SYS_futex, word, FUTEX_WAIT, seen,
                                    timeout_ns < 0 ? NULL : &time, NULL, 0));
}

/* Linux before 5.16, and some sandboxes, know one word only: then the others are looked at ten
 * times a second. */
static int nap(const pshm__word *word, int64_t end_ns) {
    const int64_t nap_end_ns = pshm__os_monotonic_ns() + NAP_NS;
    const bool is_last = end_ns >= 0 && end_ns <= nap_end_ns;
    const struct timespec end = pshm__timespec(is_last ? end_ns : nap_end_ns);
    const int code = outcome("futex", syscall(SYS_futex, word->word, FUTEX_WAIT_BITSET, word->seen,
                                              &end, NULL, FUTEX_BITSET_MATCH_ANY));
    return code == PSHM_ETIMEDOUT && !is_last ? 0 : code;
}

int pshm__os_wait_any(const pshm__word *words, int count, int64_t end_ns) {
    struct { /* futex_waitv of newer headers */
        uint64_t value, address;
        uint32_t flags, reserved;
    } each[PSHM__WORDS_MAX] = {0};
    for (int i = 0; i < count; i++) {
        each[i].value = words[i].seen;
        each[i].address = (uintptr_t)words[i].word;
        each[i].flags = 2; /* FUTEX_32 */
    }
    const struct timespec end = pshm__timespec(end_ns);
    const long result =
        syscall(SYS_futex_waitv, each, count, 0, end_ns < 0 ? NULL : &end, CLOCK_MONOTONIC);
    return result < 0 && (errno == ENOSYS || errno == EPERM) ? nap(&words[0], end_ns)
                                                             : outcome("futex_waitv", result);
}

void pshm__os_wake(const void *word) { syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, NULL); }
