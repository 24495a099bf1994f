/* SPDX-License-Identifier: Apache-2.0
 *
 * Mappings, and the barrier over all threads of the process.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <inttypes.h>
#include <linux/membarrier.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "internal.h"

bool pshm__os_has_heavy_barrier = false;

int pshm__os_map(pshm__file file, const char *name, uint64_t bytes, const void **out) {
    struct stat wanted, found;
    pshm__file second;
    int code = pshm__os_file_open(name, &second);
    if (code != 0)
        return code;
    if (fstat(file, &wanted) != 0 || fstat(second, &found) != 0 || wanted.st_dev != found.st_dev ||
        wanted.st_ino != found.st_ino) {
        pshm__os_file_close(second);
        return pshm__fail(PSHM_EOS, "mmap: another program has replaced the file; try again");
    }
    void *base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, second, 0);
    if (base == MAP_FAILED) {
        int error = errno;
        code = error == ENOMEM
                   ? pshm__fail(PSHM_ENOMEM,
                                "mmap: bytes=%" PRIu64 ": no room in the address space of this "
                                "process; close what is not used, or raise ulimit -v",
                                bytes)
                   : pshm__os_failed("mmap", error);
    } else {
        *out = base;
    }
    pshm__os_file_close(second);
    return code;
}

void pshm__os_unmap(void *base, uint64_t bytes) { munmap(base, bytes); }

static long membarrier(int command) { return syscall(SYS_membarrier, command, 0, 0); }

/* Before main, so that no thread ever sees the flag change. */
__attribute__((constructor)) static void register_barrier(void) {
    pshm__os_has_heavy_barrier = membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) == 0;
}

void pshm__os_heavy_barrier(void) {
    atomic_thread_fence(memory_order_seq_cst);
    if (pshm__os_has_heavy_barrier)
        membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED);
}
