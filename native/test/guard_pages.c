/* SPDX-License-Identifier: Apache-2.0
 *
 * Mappings of files that cannot be overrun unseen: linked with --wrap=mmap,--wrap=munmap, a program
 * has 16 MiB that nobody may touch on each side of every file it maps, and under AddressSanitizer
 * the rest of the last page as well.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <sanitizer/asan_interface.h>
#include <stdint.h>
#include <sys/mman.h>

#define GUARD ((size_t)16 << 20)
#define PAGE ((size_t)4096)

void *__real_mmap(void *address, size_t bytes, int protection, int flags, int fd, off_t offset);
int __real_munmap(void *address, size_t bytes);
void *__wrap_mmap(void *address, size_t bytes, int protection, int flags, int fd, off_t offset);
int __wrap_munmap(void *address, size_t bytes);

static size_t in_pages(size_t bytes) { return (bytes + PAGE - 1) / PAGE * PAGE; }

void *__wrap_mmap(void *address, size_t bytes, int protection, int flags, int fd, off_t offset) {
    if (fd < 0)
        return __real_mmap(address, bytes, protection, flags, fd, offset);
    size_t all = in_pages(bytes) + 2 * GUARD;
    uint8_t *guard = __real_mmap(NULL, all, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (guard == MAP_FAILED)
        return MAP_FAILED;
    uint8_t *base = __real_mmap(guard + GUARD, bytes, protection, flags | MAP_FIXED, fd, offset);
    if (base == MAP_FAILED)
        __real_munmap(guard, all);
    else
        ASAN_POISON_MEMORY_REGION(base + bytes, in_pages(bytes) - bytes);
    return base;
}

/* Of a file's mapping, the whole; nothing else is unmapped by these programs. */
int __wrap_munmap(void *address, size_t bytes) {
    ASAN_UNPOISON_MEMORY_REGION((uint8_t *)address + bytes, in_pages(bytes) - bytes);
    return __real_munmap((uint8_t *)address - GUARD, in_pages(bytes) + 2 * GUARD);
}
