/* SPDX-License-Identifier: Apache-2.0
 *
 * The head of a segment: written once, and checked before anything else of a segment is believed.
 */
#include <inttypes.h>
#include <string.h>

#include "internal.h"

/* FNV-1a, 64 bits (Fowler, Noll, Vo; RFC 9923). Each step is a bijection of the state, so that one
 * changed byte always changes the result. */
static uint64_t checksum(const pshm__header *header) {
    pshm__header copy = *header;
    copy.ready = 0;
    const uint8_t *bytes = (const uint8_t *)&copy;
    uint64_t hash = 0xcbf29ce484222325u;
    for (size_t i = 0; i < offsetof(pshm__header, checksum); i++)
        hash = (hash ^ bytes[i]) * 0x100000001b3u;
    return hash;
}

int pshm__header_fill(pshm__header *header, uint64_t total_bytes, const pshm_options *options) {
    memset(header, 0, sizeof(*header));
    header->magic = PSHM_MAGIC;
    header->layout_major = PSHM_LAYOUT_MAJOR;
    header->layout_minor = PSHM_LAYOUT_MINOR;
    pshm__os_fingerprint(header);
    header->total_bytes = total_bytes;
    header->heap_offset = PSHM_HEAP_OFFSET;
    header->participant_offset = PSHM_PARTICIPANT_OFFSET;
    header->participant_capacity = PSHM_PARTICIPANTS;
    int code = pshm__os_random(header->id, sizeof(header->id));
    if (code != 0)
        return code;
    header->lifetime = options->lifetime;
    header->permissions = options->permissions;
    header->created_ns = pshm__os_wall_clock_ns();
    header->creator_pid = pshm__os_pid();
    header->checksum = checksum(header);
    return 0;
}

static int mismatch(const char *what, uint64_t theirs, uint64_t ours) {
    return pshm__fail(PSHM_ELAYOUT,
                      "%s differs: segment=%" PRIu64 ", here=%" PRIu64
                      "; open it from a process like its creator, or unlink it",
                      what, theirs, ours);
}

static int damaged(const char *what) {
    return pshm__fail(PSHM_ELAYOUT, "%s; unlink it and create it anew", what);
}

int pshm__header_read(pshm__file file, uint64_t file_bytes, pshm__header *out) {
    memset(out, 0, sizeof(*out));
    if (file_bytes == 0)
        return PSHM__UNFINISHED;
    /* Read and not mapped: somebody may shorten a foreign file just now, and a touch beyond its
     * end is a SIGBUS. Under the lifecycle lock a creator is either done or dead. */
    size_t count;
    int code = pshm__os_file_read(file, out, sizeof(*out), &count);
    if (code != 0)
        return code;
    if (count < sizeof(*out))
        return damaged(out->magic == PSHM_MAGIC ? "the segment is truncated"
                                                : "the file is not a polyshm segment");
    const uint32_t ready = out->ready;
    if (ready == 0 && (out->magic == 0 || out->magic == PSHM_MAGIC))
        return PSHM__UNFINISHED;
    if (out->magic != PSHM_MAGIC)
        return damaged("the file is not a polyshm segment");
    if (out->layout_major != PSHM_LAYOUT_MAJOR || out->layout_minor != PSHM_LAYOUT_MINOR) {
        return pshm__fail(PSHM_ELAYOUT,
                          "layout version differs: segment=%u.%u, here=%d.%d; use the same version "
                          "of the library in all processes, or unlink it",
                          out->layout_major, out->layout_minor, PSHM_LAYOUT_MAJOR,
                          PSHM_LAYOUT_MINOR);
    }
    if (ready != PSHM_READY || out->checksum != checksum(out))
        return damaged("the header is damaged");

    pshm__header here;
    pshm__os_fingerprint(&here);
    if (out->byte_order != here.byte_order)
        return mismatch("byte order", out->byte_order, here.byte_order);
    if (out->word_bytes != here.word_bytes)
        return mismatch("word size in bytes", out->word_bytes, here.word_bytes);
    if (out->libc != here.libc)
        return mismatch("C library (1 glibc, 2 musl, 3 Windows)", out->libc, here.libc);
    if (out->architecture != here.architecture)
        return mismatch("architecture (1 x86-64, 2 AArch64)", out->architecture, here.architecture);
    if (out->mutex_bytes != here.mutex_bytes)
        return mismatch("size of a mutex in bytes", out->mutex_bytes, here.mutex_bytes);
    if (out->pid_namespace != here.pid_namespace)
        return mismatch("PID namespace", out->pid_namespace, here.pid_namespace);
    if (out->total_bytes != file_bytes)
        return pshm__fail(PSHM_ELAYOUT,
                          "the file has been resized: need=%" PRIu64 " bytes, file=%" PRIu64
                          " bytes; unlink it and create it anew",
                          out->total_bytes, file_bytes);
    /* The checksum tells damage, not malice: nothing below may lead out of the mapping. */
    if (out->heap_offset != PSHM_HEAP_OFFSET || out->heap_offset > out->total_bytes ||
        out->participant_offset != PSHM_PARTICIPANT_OFFSET ||
        out->participant_capacity != PSHM_PARTICIPANTS ||
        (out->lifetime != PSHM_PERSISTENT && out->lifetime != PSHM_LAST_OUT))
        return damaged("the header's fields contradict each other");
    return PSHM__USABLE;
}
