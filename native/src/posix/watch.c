/* SPDX-License-Identifier: Apache-2.0
 *
 * The end of processes, as the kernel tells it by a pidfd. That of a process becomes readable when
 * its last thread has ended, and so have its descriptors and the locks on them; it stays that of
 * this process when another gets the number.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "internal.h"

static int failed(const char *call, int error) {
    switch (error) {
    case ENOSYS:
    case EPERM:
    case EACCES:
        return pshm__fail(PSHM_EUNAVAILABLE,
                          "%s: %s: this system does not let processes be watched; take Linux 5.3 "
                          "or later, and in a container a seccomp profile that allows the call",
                          call, strerror(error));
    default: return pshm__os_failed(call, error);
    }
}

static int add(const pshm__alarm *alarm, int fd) {
    struct epoll_event event = {.events = EPOLLIN};
    return epoll_ctl(alarm->set, EPOLL_CTL_ADD, fd, &event) == 0 ? 0 : failed("epoll_ctl", errno);
}

int pshm__os_alarm_open(pshm__alarm *out) {
    out->set = epoll_create1(EPOLL_CLOEXEC);
    if (out->set < 0)
        return failed("epoll_create1", errno);
    int code = pshm__os_keep(out->set);
    if (code != 0)
        return code;
    out->bell = eventfd(0, EFD_CLOEXEC);
    code = out->bell < 0 ? failed("eventfd", errno) : pshm__os_keep(out->bell);
    if (code != 0) {
        pshm__os_file_close(out->set);
        return code;
    }
    code = add(out, out->bell);
    if (code != 0)
        pshm__os_alarm_close(out);
    return code;
}

void pshm__os_alarm_close(pshm__alarm *alarm) {
    pshm__os_file_close(alarm->bell);
    pshm__os_file_close(alarm->set);
}

int pshm__os_alarm_add(pshm__alarm *alarm, uint32_t pid, pshm__process *out) {
    int fd = (int)syscall(SYS_pidfd_open, (pid_t)pid, 0); /* the kernel sets O_CLOEXEC */
    if (fd < 0) {
        int error = errno;
        /* Nobody's number, or, as the others say, that of a mere thread. */
        return error == ESRCH || error == EINVAL || error == ENOENT ? PSHM_ENOENT
                                                                    : failed("pidfd_open", error);
    }
    int code = pshm__os_keep(fd);
    if (code != 0)
        return code;
    code = add(alarm, fd);
    if (code != 0)
        pshm__os_file_close(fd);
    else
        *out = fd;
    return code;
}

void pshm__os_alarm_remove(pshm__alarm *alarm, pshm__process process) {
    /* In so many words: a child that a raw clone has made may have the descriptor, too. */
    epoll_ctl(alarm->set, EPOLL_CTL_DEL, process, NULL);
    pshm__os_file_close(process);
}

bool pshm__os_process_has_ended(pshm__process process) {
    struct pollfd wanted = {.fd = process, .events = POLLIN};
    return poll(&wanted, 1, 0) == 1 && (wanted.revents & POLLIN) != 0;
}

void pshm__os_alarm_ring(pshm__alarm *alarm) {
    eventfd_write(alarm->bell, 1); /* which nobody reads */
}

int pshm__os_alarm_wait(pshm__alarm *alarm, int64_t timeout_ns) {
    const struct timespec time = pshm__timespec(timeout_ns);
    struct pollfd wanted = {.fd = alarm->set, .events = POLLIN};
    int count = ppoll(&wanted, 1, timeout_ns < 0 ? NULL : &time, NULL);
    if (count >= 0)
        return count == 0 ? PSHM_ETIMEDOUT : 0;
    return errno == EINTR ? 0 : failed("ppoll", errno);
}
