/* SPDX-License-Identifier: Apache-2.0
 *
 * The kinds of objects that there are, in one table.
 */
#include <inttypes.h>
#include <stdio.h>

#include "internal.h"

static const pshm__kind kinds[] = {
    [PSHM_ARRAY] = {.name = "array", .parameter = "length", .least = 1, .most = INT64_MAX},
    [PSHM_VALUE] = {.name = "value", .least = 1, .most = 1},
    [PSHM_LOCK] = {.name = "lock"},
    [PSHM_SEMAPHORE] = {.name = "semaphore",
                        .parameter = "permits",
                        .most = INT64_MAX,
                        .payload = sizeof(pshm__semaphore),
                        .recover = pshm__semaphore_recover},
    [PSHM_EVENT] = {.name = "event", .payload = sizeof(pshm__event)},
    [PSHM_LATCH] = {.name = "latch",
                    .parameter = "count",
                    .most = INT64_MAX,
                    .payload = sizeof(pshm__latch)},
    [PSHM_BARRIER] = {.name = "barrier",
                      .parameter = "parties",
                      .least = 1,
                      .most = INT32_MAX,
                      .payload = sizeof(pshm__barrier),
                      .recover = pshm__barrier_recover,
                      .depart = pshm__barrier_depart},
    [PSHM_RWLOCK] = {.name = "read-write lock",
                     .payload = sizeof(pshm__rwlock),
                     .is_held_here = pshm__rwlock_is_held_here},
    [PSHM_CONDITION] = {.name = "condition",
                        .parameter = "lock at offset",
                        .most = INT64_MAX,
                        .payload = sizeof(pshm__condition)},
};

static const char *const type_names[] = {"none",  "boolean", "int8",    "int16",  "char16",
                                         "int32", "int64",   "float32", "float64"};

const pshm__kind *pshm__kind_of(uint32_t kind) {
    return kind == 0 || kind >= sizeof(kinds) / sizeof(kinds[0]) ? NULL : &kinds[kind];
}

void pshm__kind_describe(const pshm__entry *entry, char *out, size_t bytes) {
    const pshm__kind *kind = pshm__kind_of(entry->kind);
    const char *of = entry->kind > PSHM_VALUE ? "" : " of ";
    const char *type = entry->kind <= PSHM_VALUE ? type_names[entry->type]
                       : entry->type != 0        ? ", bounded"
                                                 : "";
    if (kind->parameter != NULL)
        snprintf(out, bytes, "%s%s%s, %s=%" PRIu64, kind->name, of, type, kind->parameter,
                 entry->length);
    else
        snprintf(out, bytes, "%s%s%s", kind->name, of, type);
}

bool pshm__sync_of(pshm_segment *segment, const pshm__entry *entry, pshm__sync *out) {
    if (pshm__kind_of(entry->kind)->payload == 0)
        return false;
    *out = (pshm__sync){.segment = segment,
                        .object = entry->object,
                        .events = (const pshm__events *)(const void *)(entry->object + 1),
                        .parameter = (int64_t)entry->length,
                        .bounded = entry->type != 0};
    return true;
}
