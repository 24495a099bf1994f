/* SPDX-License-Identifier: Apache-2.0
 *
 * The checksum of a changed header, written a second time: the library's own must agree with it.
 */
#ifndef PSHM_TEST_RESEAL_H
#define PSHM_TEST_RESEAL_H

#include "polyshm_layout.h"

static uint64_t fnv(const void *from, size_t bytes) {
    const uint8_t *byte = from;
    uint64_t hash = 14695981039346656037u;
    while (bytes-- > 0)
        hash = (hash ^ *byte++) * 1099511628211u;
    return hash;
}

static void reseal(pshm__header *header) {
    pshm__header copy = *header;
    copy.ready = 0;
    header->checksum = fnv(&copy, offsetof(pshm__header, checksum));
}

#endif
