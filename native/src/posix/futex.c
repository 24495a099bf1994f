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

#define NS_PER_S 1000000000LL

int pshm__os_wait(const uint32_t *word, uint32_t seen, int64_t timeout_ns) {
    struct timespec time = {.tv_sec = (time_t)(timeout_ns / NS_PER_S),
                            .tv_nsec = (long)(timeout_ns % NS_PER_S)};
    if (syscall(SYS_futex, word, FUTEX_WAIT, seen, timeout_ns < 0 ? NULL : &time, NULL, 0) == 0)
        return 0;
    int error = errno;
    switch (error) {
    case EAGAIN: return 0; /* it is not `seen` */
    case EINTR: return PSHM_EINTERRUPTED;
    case ETIMEDOUT: return PSHM_ETIMEDOUT;
    default: return pshm__fail(PSHM_EOS, "futex: %s (errno %d)", strerror(error), error);
    }
}

void pshm__os_wake(const uint32_t *word) { syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, NULL); }
