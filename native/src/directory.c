/* SPDX-License-Identifier: Apache-2.0
 *
 * Objects by name, of every kind, one after the other in the heap. An object is made behind the
 * last one and published by a single release store of heap_used, so a creator that is killed leaves
 * nothing half-made in sight, and its mutex may be taken over as it is.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

static const uint8_t element_bytes[] = {0, 1, 1, 2, 2, 4, 8, 4, 8}; /* by pshm_type */

static int64_t round_up(int64_t bytes) {
    return (bytes + PSHM_ALIGN - 1) / PSHM_ALIGN * PSHM_ALIGN;
}

/* A value's length is 1, and that of what has no parameter 0, whatever was asked for. */
static int64_t length_of(int kind, int64_t length) {
    const pshm__kind *known = pshm__kind_of((uint32_t)kind);
    return known == NULL || known->parameter != NULL ? length : known->least;
}

int64_t pshm_object_bytes(int kind, int type, int64_t length) {
    const pshm__kind *known = pshm__kind_of((uint32_t)kind);
    if (known == NULL)
        return pshm__fail(PSHM_EINVAL, "object: kind=%d; take 1 to %d", kind, PSHM_CONDITION);
    const bool typed = kind <= PSHM_VALUE;
    if (typed && (type < PSHM_BOOLEAN || type > PSHM_FLOAT64))
        return pshm__fail(PSHM_EINVAL, "object: type=%d; take 1 to 8", type);
    length = length_of(kind, length);
    int64_t most = known->most;
    if (typed)
        most = (INT64_MAX - (int64_t)sizeof(pshm__object) - PSHM_ALIGN) / element_bytes[type];
    if (length < known->least || length > most)
        return pshm__fail(PSHM_EINVAL, "object: %s=%" PRId64 "; take %" PRId64 " to %" PRId64,
                          known->parameter, length, known->least, most);
    return round_up((int64_t)sizeof(pshm__object) +
                    (typed ? length * element_bytes[type] : (int64_t)known->payload));
}

int pshm__directory_init(const pshm__directory *directory) {
    return PSHM__MUTEX(init, directory->mutex);
}

const pshm__directory *pshm__directory_of(const pshm_segment *segment) {
    return (const pshm__directory *)(const void *)(segment->base + PSHM_DIRECTORY_OFFSET);
}

static uint64_t heap_used(const pshm_segment *segment, memory_order order) {
    return PSHM__LOAD_EXPLICIT(pshm__directory_of(segment)->heap_used, order);
}

static const pshm__object *object_at(const pshm_segment *segment, uint64_t offset) {
    return (const pshm__object *)(const void *)(segment->base + segment->heap_offset + offset);
}

/* A peer may rewrite an object's head while it is being read: each field is read once. */
static uint64_t read_once_64(const uint64_t *field) { return *(const volatile uint64_t *)field; }
static uint32_t read_once_32(const uint32_t *field) { return *(const volatile uint32_t *)field; }

int pshm__directory_next(pshm_segment *segment, uint64_t *cursor, pshm__entry *out) {
    uint64_t used = heap_used(segment, memory_order_acquire);
    uint64_t offset = *cursor;
    if (offset == used)
        return 0;
    if (used <= segment->heap_bytes && used % PSHM_ALIGN == 0 && offset % PSHM_ALIGN == 0 &&
        offset < used && used - offset >= sizeof(pshm__object)) {
        const pshm__object *object = object_at(segment, offset);
        pshm__entry entry = {.offset = offset,
                             .bytes = read_once_64(&object->bytes),
                             .length = read_once_64(&object->length),
                             .kind = read_once_32(&object->kind),
                             .type = read_once_32(&object->type),
                             .object = object};
        if (entry.kind <= PSHM_CONDITION && entry.type <= PSHM_FLOAT64 &&
            entry.bytes <= used - offset && entry.length <= INT64_MAX &&
            (int64_t)entry.length == length_of((int)entry.kind, (int64_t)entry.length) &&
            (int64_t)entry.bytes ==
                pshm_object_bytes((int)entry.kind, (int)entry.type, (int64_t)entry.length)) {
            *out = entry;
            *cursor = offset + entry.bytes;
            return 1;
        }
    }
    pshm__fail(PSHM_ELAYOUT,
               "segment=%s: its directory is damaged at offset=%" PRIu64
               "; unlink it and create it anew",
               segment->name, segment->heap_offset + offset);
    return PSHM_ELAYOUT; /* so that the compiler sees that it is not 1 */
}

/* 1 and the entry of that name, 0 and where the next may begin if there is none, or PSHM_ELAYOUT.
 */
static int find(pshm_segment *segment, const char *name, pshm__entry *out) {
    uint64_t cursor = 0;
    int found;
    while ((found = pshm__directory_next(segment, &cursor, out)) == 1) {
        if (strncmp(out->object->name, name, PSHM_NAME_BYTES) == 0)
            break;
    }
    if (found == 0)
        out->offset = cursor;
    return found;
}

/* What the payload begins with. */
typedef union first_line {
    uint64_t words[PSHM_ALIGN / sizeof(uint64_t)];
    pshm__latch latch;
    struct { /* of a semaphore */
        pshm__events events;
        int64_t total, available;
    } semaphore;
} first_line;

PSHM__ASSERT(offsetof(pshm__semaphore, available) == 16, "as in first_line");

static first_line begin_of(const pshm__entry *entry) {
    first_line begin = {.words = {0}};
    if (entry->kind == PSHM_SEMAPHORE)
        begin.semaphore.total = begin.semaphore.available = (int64_t)entry->length;
    else if (entry->kind == PSHM_LATCH)
        begin.latch.count = entry->length;
    return begin;
}

/* Make the object that `wanted` describes, where the walk has ended; the directory's mutex is held.
 * Not where heap_used says by now, as that has not been checked. */
static int add(pshm_segment *segment, const char *name, uint64_t used, pshm__entry *wanted) {
    const pshm__directory *directory = pshm__directory_of(segment);
    if (wanted->bytes > segment->heap_bytes - used) {
        return pshm__fail(PSHM_ENOSPACE,
                          "the segment is full: need=%" PRIu64 " bytes, free=%" PRIu64
                          " bytes; create it larger",
                          wanted->bytes, segment->heap_bytes - used);
    }
    const pshm__object *object = object_at(segment, used);
    pshm__object fresh = {.kind = wanted->kind,
                          .type = wanted->type,
                          .length = wanted->length,
                          .bytes = wanted->bytes};
    strncpy(fresh.name, name, PSHM_NAME_MAX);
    PSHM__PUBLISH(object, &fresh);         /* all of it: one that was killed here may have begun */
    if (wanted->bytes > sizeof(*object)) { /* and this line with it */
        const first_line begin = begin_of(wanted);
        const first_line *payload = (const first_line *)(const void *)(object + 1);
        PSHM__PUBLISH(payload, &begin);
    }
    int code = PSHM__MUTEX(init, object->lock.mutex);
    if (code != 0)
        return code;
    wanted->offset = used;
    wanted->object = object;
    PSHM__STORE(directory->heap_used, used + wanted->bytes, memory_order_release);
    return 0;
}

static int get_or_add(pshm_segment *segment, const char *name, pshm__entry *wanted) {
    pshm__entry entry;
    int code = find(segment, name, &entry);
    if (code == 0) {
        const uint8_t *mutex = pshm__directory_of(segment)->mutex;
        code = pshm__mutex_enter(segment, mutex);
        if (code == PSHM_EOWNERDIED) {
            PSHM__MUTEX(make_consistent, mutex);
            code = 0;
        }
        if (code != 0)
            return code;
        code = find(segment, name, &entry);
        if (code == 0)
            code = add(segment, name, entry.offset, wanted);
        PSHM__MUTEX(unlock, mutex);
    }
    if (code != 1)
        return code;
    if (entry.kind != wanted->kind || entry.type != wanted->type ||
        entry.length != wanted->length) {
        char is[96], asked[96];
        pshm__kind_describe(&entry, is, sizeof(is));
        pshm__kind_describe(wanted, asked, sizeof(asked));
        return pshm__fail(PSHM_ETYPE,
                          "it exists as %s, and was asked for as %s; ask for what it is, or take "
                          "another name",
                          is, asked);
    }
    *wanted = entry;
    return 0;
}

static bool is_of(const pshm__handle *handle, const pshm__entry *entry) {
    return handle->kind == entry->kind && handle->length == (int64_t)entry->length;
}

/* The handle of an object, made when it is first asked for. One of another length is of a head that
 * a peer has rewritten since. */
static int handle_of(pshm_segment *segment, const pshm__entry *entry, pshm__handle **out) {
    pshm__guard_lock(&segment->guard);
    pshm__handle *handle = segment->handles;
    while (handle != NULL && (handle->offset != entry->offset || !is_of(handle, entry)))
        handle = handle->next;
    if (handle == NULL && (handle = calloc(1, sizeof(*handle))) != NULL) {
        handle->offset = entry->offset;
        handle->kind = entry->kind;
        handle->length = (int64_t)entry->length;
        if (!pshm__sync_of(segment, entry, &handle->sync)) {
            handle->value.cell.lock.segment = segment;
            handle->value.cell.lock.shared = &entry->object->lock;
            handle->value.cell.data = PSHM__PAYLOAD(entry->object);
            handle->value.cell.length = (int64_t)entry->length;
        }
        handle->next = segment->handles;
        segment->handles = handle;
    }
    pshm__guard_unlock(&segment->guard);
    *out = handle;
    return handle == NULL ? pshm__fail(PSHM_ENOMEM, "out of memory") : 0;
}

int pshm__object_open(const char *operation, pshm_segment *segment, const char *name, int kind,
                      int type, int64_t length, pshm__handle **out) {
    int code = pshm__name_check(operation, name);
    if (code != 0)
        return code;
    if (atomic_load(&segment->state) != PSHM__OPEN)
        return pshm__closed(segment, operation);
    int64_t bytes = pshm_object_bytes(kind, type, length);
    if (bytes < 0)
        return pshm__while((int)bytes, "%s: name=%s", operation, name);
    pshm__entry entry = {.bytes = (uint64_t)bytes,
                         .length = (uint64_t)length_of(kind, length),
                         .kind = (uint32_t)kind,
                         .type = (uint32_t)type};
    code = get_or_add(segment, name, &entry);
    if (code == 0)
        code = handle_of(segment, &entry, out);
    return code == 0 ? 0
                     : pshm__while(code, "%s: segment=%s, name=%s", operation, segment->name, name);
}

int pshm_array_open(pshm_segment *segment, const char *name, int type, int64_t length,
                    pshm_array **out) {
    pshm__handle *handle = NULL;
    int code = pshm__object_open("array", segment, name, PSHM_ARRAY, type, length, &handle);
    *out = handle == NULL ? NULL : &handle->value.cell;
    return code;
}

void *pshm_array_data(const pshm_array *array) { return array->data; }
int64_t pshm_array_length(const pshm_array *array) { return array->length; }
pshm_lock *pshm_array_lock(pshm_array *array) { return &array->lock; }

int pshm_value_open(pshm_segment *segment, const char *name, int type, pshm_value **out) {
    pshm__handle *handle = NULL;
    int code = pshm__object_open("value", segment, name, PSHM_VALUE, type, 1, &handle);
    *out = handle == NULL ? NULL : &handle->value;
    return code;
}

void *pshm_value_data(const pshm_value *value) { return value->cell.data; }
pshm_lock *pshm_value_lock(pshm_value *value) { return &value->cell.lock; }

int pshm_lock_open(pshm_segment *segment, const char *name, pshm_lock **out) {
    pshm__handle *handle = NULL;
    int code = pshm__object_open("lock", segment, name, PSHM_LOCK, 0, 0, &handle);
    *out = handle == NULL ? NULL : &handle->value.cell.lock;
    return code;
}

static void show(const pshm__entry *entry, pshm_object_info *out) {
    memcpy(out->name, entry->object->name, sizeof(out->name));
    out->name[sizeof(out->name) - 1] = '\0';
    out->kind = (int32_t)entry->kind;
    out->type = (int32_t)entry->type;
    out->length = entry->kind == PSHM_CONDITION ? 0 : entry->length; /* where its lock is */
    out->bytes = entry->bytes;
}

/* A number that did not come from us looks as damage does. */
static int bad_cursor(int code, const char *operation, uint64_t cursor) {
    return pshm__while(code, "%s: cursor=%" PRIu64 " (begin with 0, and pass on what comes back)",
                       operation, cursor);
}

int pshm_segment_next_object(pshm_segment *segment, uint64_t *cursor, pshm_object_info *out) {
    if (atomic_load(&segment->state) != PSHM__OPEN)
        return pshm__closed(segment, "objects");
    pshm__entry entry = {.bytes = 0};
    int code = pshm__directory_next(segment, cursor, &entry);
    if (code == 1)
        show(&entry, out);
    return code < 0 ? bad_cursor(code, "objects", *cursor) : code;
}

int pshm_segment_find_object(pshm_segment *segment, const char *name, pshm_object_info *out) {
    int code = pshm__name_check("object", name);
    if (code != 0)
        return code;
    if (atomic_load(&segment->state) != PSHM__OPEN)
        return pshm__closed(segment, "object");
    pshm__entry entry = {.bytes = 0};
    code = find(segment, name, &entry);
    if (code == 1)
        show(&entry, out);
    else if (code == 0)
        code =
            pshm__fail(PSHM_ENOENT, "object: segment=%s has none of the name=%s; create it first",
                       segment->name, name);
    return code < 0 ? code : 0;
}

int pshm_segment_next_held(pshm_segment *segment, const pshm_participant_info *participant,
                           uint64_t *cursor, pshm_object_info *out) {
    if (atomic_load(&segment->state) != PSHM__OPEN)
        return pshm__closed(segment, "held");
    pshm__entry entry = {.bytes = 0};
    int code;
    while ((code = pshm__directory_next(segment, cursor, &entry)) == 1) {
        pshm__sync sync;
        const pshm__holder *holder =
            entry.kind == PSHM_RWLOCK && pshm__sync_of(segment, &entry, &sync)
                ? pshm__rwlock_writer(&sync)
                : &entry.object->lock.holder;
        if (holder != NULL &&
            pshm__holder_is_of(holder, (uint32_t)participant->pid, participant->start_time)) {
            show(&entry, out);
            break;
        }
    }
    return code < 0 ? bad_cursor(code, "held", *cursor) : code;
}

int64_t pshm_segment_free_bytes(const pshm_segment *segment) {
    uint64_t used = heap_used(segment, memory_order_relaxed);
    return used > segment->heap_bytes ? 0 : (int64_t)(segment->heap_bytes - used);
}
