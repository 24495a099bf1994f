/* SPDX-License-Identifier: Apache-2.0
 *
 * Segments as a process has them: create, open, pin, close. Files come and go in lifecycle.c.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

static pshm__guard open_guard = PSHM__GUARD_INIT; /* over the list */
static pshm_segment *open_segments;

/* ---- the list of open segments, for the process's end and for forked children ---- */

/* Withdraw from the synchronizers. */
static void depart(pshm_segment *segment) {
    uint64_t cursor = 0;
    pshm__entry entry;
    pshm__sync sync;
    while (pshm__directory_next(segment, &cursor, &entry) == 1) {
        const pshm__kind *kind = pshm__kind_of(entry.kind);
        if (kind->depart != NULL && pshm__sync_of(segment, &entry, &sync))
            kind->depart(&sync);
    }
}

/* Give up the participation, and the segment if that was the last; the lifecycle lock is held. */
static void leave(pshm_segment *segment) {
    pshm__participant_leave(segment);
    if (segment->lifetime == PSHM_LAST_OUT &&
        !pshm__participant_any_other(segment->file, segment->participant_offset,
                                     segment->participant_capacity))
        pshm__lifecycle_unlink(segment->file, segment->name);
}

/* The process ends without having closed: its LAST_OUT segments go now if it was the last. Other
 * threads may run still, so nothing is unmapped. A process that is opening or reaping is waited for
 * a moment; if somebody stays at work on a segment, a reaper will see to it. */
static void at_exit(void) {
    int naps = 100;
    if (!pshm__guard_try(&open_guard))
        return;
    for (pshm_segment *segment = open_segments; segment != NULL; segment = segment->next_open) {
        if (atomic_load(&segment->state) != PSHM__OPEN)
            continue;
        depart(segment);
        if (segment->lifetime != PSHM_LAST_OUT)
            continue;
        int code;
        while ((code = pshm__lifecycle_try_enter(segment->file)) == PSHM_EBUSY && naps-- > 0)
            pshm__os_sleep_ns(1000000);
        if (code != 0)
            continue;
        /* None may change a stake once the slot can be another's. */
        segment->left = true;
        while (atomic_load(&segment->operations) != 0 && naps-- > 0)
            pshm__os_sleep_ns(1000000);
        const bool idle = atomic_load(&segment->operations) == 0;
        if (idle)
            leave(segment);
        pshm__lifecycle_leave(segment->file);
        if (idle)
            pshm__participant_departed(segment);
    }
    pshm__guard_unlock(&open_guard);
}

/* A forked child takes part by itself from the start, so that neither its own death nor its
 * parent's is mistaken for the other's: the parent takes a slot for it through an opening that only
 * the child keeps. Where that fails the segment is closed to the child. */
static void before_fork(void) {
    pshm__guard_lock(&open_guard);
    for (pshm_segment *segment = open_segments; segment != NULL; segment = segment->next_open) {
        segment->heir = PSHM__NO_FILE;
        pshm__file heir;
        if (atomic_load(&segment->state) == PSHM__CLOSED || segment->left ||
            pshm__os_file_open_for_child(segment->file, &heir) != 0)
            continue;
        if (pshm__participant_take(segment, heir, &segment->heir_slot) == 0)
            segment->heir = heir;
        else
            pshm__os_file_close(heir);
    }
    pshm__sentry_before_fork();
}

static void in_parent(void) {
    pshm__sentry_after_fork(false);
    for (pshm_segment *segment = open_segments; segment != NULL; segment = segment->next_open) {
        if (segment->heir != PSHM__NO_FILE)
            pshm__os_file_close(segment->heir);
    }
    pshm__guard_unlock(&open_guard);
}

/* The other openings are closed already (port.h). Other guards than that of the list may be held by
 * threads that the child does not have, a close may have been under way in one. */
static void in_child(void) {
    pshm__thread_forget();
    pshm__sentry_after_fork(true);
    for (pshm_segment *segment = open_segments; segment != NULL; segment = segment->next_open) {
        pshm__guard_init(&segment->guard);
        pshm__guard_init(&segment->queues);
        segment->file = segment->heir;
        segment->slot = segment->heir_slot;
        segment->watch = NULL; /* its descriptors have been closed */
        segment->watch_ended = false;
        atomic_store(&segment->operations, 0);
        atomic_store(&segment->covered, 0);
        for (pshm__handle *handle = segment->handles; handle != NULL; handle = handle->next) {
            if (handle->kind == PSHM_CONDITION) /* the threads that wait are the parent's */
                handle->condition.first = handle->condition.last = NULL;
        }
        bool joined = segment->file != PSHM__NO_FILE && pshm__participant_sign(segment) == 0;
        if (!joined && segment->file != PSHM__NO_FILE)
            pshm__os_file_close(segment->file); /* gives the slot back */
        atomic_store(&segment->state, joined ? PSHM__OPEN : PSHM__CLOSED);
    }
    pshm__guard_unlock(&open_guard);
}

/* Before any thread can fork: a child must not find one of our guards held. */
__attribute__((constructor)) static void hook_fork(void) {
    pshm__os_at_fork(before_fork, in_parent, in_child);
}

static void list_add(pshm_segment *segment) {
    static bool hooked;
    pshm__guard_lock(&open_guard);
    if (!hooked)
        pshm__os_at_exit(at_exit);
    hooked = true;
    segment->next_open = open_segments;
    open_segments = segment;
    pshm__guard_unlock(&open_guard);
}

static void list_remove(pshm_segment *segment) {
    pshm__guard_lock(&open_guard);
    pshm_segment **link = &open_segments;
    while (*link != NULL && *link != segment)
        link = &(*link)->next_open;
    if (*link != NULL)
        *link = segment->next_open;
    pshm__guard_unlock(&open_guard);
}

/* ---- making the handle ---- */

static void destroy(pshm_segment *segment) {
    list_remove(segment); /* not before: a forked child may use a closed one that is pinned */
    for (pshm__handle *handle = segment->handles, *next; handle != NULL; handle = next) {
        next = handle->next;
        free(handle);
    }
    if (segment->base != NULL)
        PSHM__UNMAP(segment->base, segment->total_bytes);
    pshm__guard_destroy(&segment->queues);
    pshm__guard_destroy(&segment->guard);
    free(segment);
}

/* A handle for a file with this header, mapped, and joined to it; the lifecycle lock is held. */
static int attach(const char *name, pshm__file file, const pshm__header *header,
                  pshm_segment **out) {
    pshm_segment *segment = calloc(1, sizeof(*segment));
    if (segment == NULL)
        return pshm__fail(PSHM_ENOMEM, "out of memory");
    snprintf(segment->name, sizeof(segment->name), "%s", name);
    memcpy(segment->id, header->id, sizeof(segment->id));
    segment->total_bytes = header->total_bytes;
    segment->heap_offset = header->heap_offset;
    segment->heap_bytes = header->total_bytes - header->heap_offset;
    segment->participant_offset = header->participant_offset;
    segment->participant_capacity = header->participant_capacity;
    segment->lifetime = header->lifetime;
    segment->file = file;
    atomic_init(&segment->state, PSHM__OPEN);
    atomic_init(&segment->pins, 1);
    pshm__guard_init(&segment->guard);
    pshm__guard_init(&segment->queues);
    const void *base = NULL;
    int code = pshm__os_map(file, name, header->total_bytes, &base);
    segment->base = base;
    if (code == 0)
        code = pshm__participant_join(segment);
    if (code != 0) {
        destroy(segment);
        return code;
    }
    *out = segment;
    return 0;
}

/* ---- create ---- */

/* Check the arguments and fill in the defaults. */
static int complete(const pshm_options *options, bool anonymous, int64_t bytes, pshm_options *out) {
    const int64_t most = INT64_MAX - (int64_t)(PSHM_HEAP_OFFSET + PSHM_ALIGN);
    if (bytes < 1 || bytes > most)
        return pshm__fail(PSHM_EINVAL, "take bytes=1 to bytes=%" PRId64, most);
    *out = options == NULL ? (pshm_options){0} : *options;
    if (out->permissions == 0)
        out->permissions = 0600;
    if (out->lifetime == 0)
        out->lifetime = anonymous ? PSHM_LAST_OUT : PSHM_PERSISTENT;
    if ((out->permissions & ~0666u) != 0 || (out->permissions & 0600u) != 0600u)
        return pshm__fail(PSHM_EINVAL,
                          "permissions=0%o; take read and write bits only, 0600 among them",
                          out->permissions);
    if (out->lifetime != PSHM_PERSISTENT && out->lifetime != PSHM_LAST_OUT)
        return pshm__fail(PSHM_EINVAL, "lifetime=%u; take PSHM_PERSISTENT or PSHM_LAST_OUT",
                          out->lifetime);
    return 0;
}

/* A new file of that name, under its lifecycle lock. */
static int create_file(const char *name, uint32_t permissions, pshm__file *out) {
    for (;;) {
        pshm__file file;
        pshm__file_info info;
        int code = pshm__os_file_create(name, permissions, &file);
        if (code == PSHM_EEXIST) {
            code = pshm__lifecycle_bury(name, PSHM__PATIENTLY);
            if (code >= 0)
                continue;
            if (code == PSHM_EBUSY || code == PSHM_EEXIST)
                return pshm__fail(PSHM_EEXIST, "a segment of that name exists; open or unlink it");
            return pshm__while(PSHM_EEXIST, "the name is taken; take another, or free it");
        }
        if (code != 0)
            return code;
        code = pshm__lifecycle_enter(file);
        if (code == 0)
            code = pshm__os_file_info(file, &info);
        if (code == 0 && info.linked) {
            *out = file;
            return 0;
        }
        pshm__os_file_close(file);
        if (code != 0)
            return code;
        /* Somebody held the lock first, took the file for a dead creator's and removed it. */
    }
}

static int initialise(const char *name, pshm__file file, uint64_t total_bytes,
                      const pshm_options *options, pshm_segment **out) {
    int code = pshm__os_file_reserve(file, total_bytes);
    if (code != 0)
        return code;
    pshm__header header;
    code = pshm__header_fill(&header, total_bytes, options);
    if (code == 0)
        code = attach(name, file, &header, out);
    if (code != 0)
        return code;
    code = pshm__directory_init(
        (const pshm__directory *)(const void *)((*out)->base + PSHM_DIRECTORY_OFFSET));
    if (code != 0) {
        destroy(*out);
        return code;
    }
    /* Publish last: whoever sees the ready word sees all of it. */
    const pshm__header *shared = (const pshm__header *)(const void *)(*out)->base;
    PSHM__PUBLISH(shared, &header);
    PSHM__STORE(shared->ready, PSHM_READY, memory_order_release);
    return 0;
}

static int create_named(const char *name, int64_t bytes, const pshm_options *options,
                        pshm_segment **out) {
    uint64_t heap_bytes = ((uint64_t)bytes + PSHM_ALIGN - 1) / PSHM_ALIGN * PSHM_ALIGN;
    pshm_reap();
    pshm__file file = PSHM__NO_FILE;
    int code = create_file(name, options->permissions, &file);
    if (code != 0)
        return code;
    pshm_segment *segment = NULL;
    code = initialise(name, file, PSHM_HEAP_OFFSET + heap_bytes, options, &segment);
    if (code != 0) {
        pshm__lifecycle_unlink(file, name);
        pshm__lifecycle_leave(file);
        pshm__os_file_close(file);
        return code;
    }
    pshm__lifecycle_leave(file);
    list_add(segment);
    *out = segment;
    return 0;
}

static int create_anonymous(int64_t bytes, const pshm_options *options, pshm_segment **out) {
    int code;
    do {
        uint64_t chance;
        char name[PSHM_NAME_BYTES];
        code = pshm__os_random(&chance, sizeof(chance));
        if (code != 0)
            break;
        snprintf(name, sizeof(name), "anonymous-%" PRIu32 "-%016" PRIx64, pshm__os_pid(), chance);
        code = create_named(name, bytes, options, out);
    } while (code == PSHM_EEXIST);
    return code;
}

int pshm_segment_create(const char *name, int64_t bytes, const pshm_options *options,
                        pshm_segment **out) {
    *out = NULL;
    int code = name == NULL ? 0 : pshm__name_check("create", name);
    if (code != 0)
        return code;
    pshm_options complete_options;
    code = complete(options, name == NULL, bytes, &complete_options);
    if (code == 0)
        code = name == NULL ? create_anonymous(bytes, &complete_options, out)
                            : create_named(name, bytes, &complete_options, out);
    return code == 0 ? 0
                     : pshm__while(code, "create: name=%s, bytes=%" PRId64,
                                   name == NULL ? "(anonymous)" : name, bytes);
}

/* ---- open ---- */

/* Before anything else is done with a file: its owner could make us wait, or worse. */
static int check_owner(pshm__file file, const pshm_options *options) {
    pshm__file_info info;
    int code = pshm__os_file_info(file, &info);
    if (code != 0 || info.own || (options != NULL && options->allow_other_owner != 0))
        return code;
    return pshm__fail(PSHM_EACCES,
                      "it belongs to another user, uid=%" PRIu64
                      "; if you trust that user, open it with allow_other_owner",
                      info.owner);
}

/* The file is open and its lifecycle lock held. PSHM_ENOENT if what stood under the name was dead
 * and has been removed. */
static int open_file(const char *name, pshm__file file, pshm_segment **out) {
    pshm__header header;
    bool dead;
    if (!pshm__os_file_is_named(file, name))
        return pshm__fail(PSHM_ENOENT, PSHM__ABSENT);
    int code = pshm__lifecycle_inspect(file, &header, &dead);
    if (code < 0)
        return code;
    if (!dead)
        return attach(name, file, &header, out);
    code = pshm__lifecycle_unlink(file, name);
    return code == 0 ? pshm__fail(PSHM_ENOENT, "there is no such segment: what its dead processes "
                                               "left has gone; create it anew")
                     : pshm__while(code, "its processes are dead, and it cannot be removed");
}

static int open_named(const char *name, const pshm_options *options, pshm_segment **out) {
    static _Atomic uint32_t reaped_by; /* the process: a forked child is another */
    if (atomic_exchange(&reaped_by, pshm__os_pid()) != pshm__os_pid())
        pshm_reap(); /* each process once; those that create, each time */
    pshm__file file;
    int code = pshm__os_file_open(name, &file);
    if (code != 0)
        return code;
    code = check_owner(file, options);
    if (code == 0)
        code = pshm__lifecycle_enter(file);
    if (code == 0) {
        code = open_file(name, file, out);
        pshm__lifecycle_leave(file);
    }
    if (code == 0)
        list_add(*out);
    else
        pshm__os_file_close(file);
    return code;
}

int pshm_segment_open(const char *name, const pshm_options *options, pshm_segment **out) {
    *out = NULL;
    int code = pshm__name_check("open", name);
    if (code != 0)
        return code;
    code = open_named(name, options, out);
    return code == 0 ? 0 : pshm__while(code, "open: name=%s", name);
}

int pshm_segment_open_or_create(const char *name, int64_t bytes, const pshm_options *options,
                                pshm_segment **out) {
    pshm_options complete_options;
    *out = NULL;
    int code = pshm__name_check("open_or_create", name);
    if (code != 0)
        return code;
    code = complete(options, false, bytes, &complete_options);
    bool created = false;
    while (code == 0 && *out == NULL) {
        code = open_named(name, options, out);
        created = code == PSHM_ENOENT;
        if (created)
            code = create_named(name, bytes, &complete_options, out);
        if (created && code == PSHM_EEXIST)
            code = 0; /* somebody was first: once more */
    }
    return code == 0 ? created
                     : pshm__while(code, "open_or_create: name=%s, bytes=%" PRId64, name, bytes);
}

/* ---- close ---- */

void pshm_segment_pin(pshm_segment *segment) {
    atomic_fetch_add_explicit(&segment->pins, 1, memory_order_relaxed);
}

void pshm_segment_unpin(pshm_segment *segment) {
    if (atomic_fetch_sub_explicit(&segment->pins, 1, memory_order_acq_rel) == 1)
        destroy(segment);
}

/* The name of a lock of the segment that a thread of this process holds, or null. */
static const char *lock_held_here(pshm_segment *segment) {
    uint64_t cursor = 0;
    pshm__entry entry;
    pshm__sync sync;
    while (pshm__directory_next(segment, &cursor, &entry) == 1) {
        const pshm__kind *kind = pshm__kind_of(entry.kind);
        if (kind->is_held_here != NULL && pshm__sync_of(segment, &entry, &sync)
                ? kind->is_held_here(&sync)
                : pshm__lock_is_held_here(&entry.object->lock))
            return entry.object->name;
    }
    return NULL;
}

int pshm_segment_close(pshm_segment *segment) {
    pshm__guard_lock(&segment->guard);
    if (atomic_load(&segment->state) == PSHM__CLOSED) {
        pshm__guard_unlock(&segment->guard);
        return 0;
    }
    /* A thread that takes a lock stores its name in it and then looks at the state (lock.c). With
     * the barrier between our store and our look at the holders, either we see the holder here or
     * that thread sees that we are closing. */
    atomic_store(&segment->state, PSHM__CLOSING);
    pshm__os_heavy_barrier();
    const char *held = lock_held_here(segment);
    if (held != NULL) {
        atomic_store(&segment->state, PSHM__OPEN);
        int code =
            pshm__fail(PSHM_EHELD, "close: name=%s: this process holds lock=%.*s; release it first",
                       segment->name, PSHM_NAME_MAX, held);
        pshm__guard_unlock(&segment->guard);
        return code;
    }
    pshm__guard_lock(&open_guard); /* not during a fork, or the process's end */
    atomic_store(&segment->state, PSHM__CLOSED);
    pshm__guard_unlock(&open_guard);
    pshm__watch_end(segment);
    pshm__sentry_forget(segment);
    pshm__notify_all(segment);      /* our own waits, which end now */
    pshm__os_wake(&segment->state); /* and for a lock */
    while (atomic_load(&segment->operations) != 0)
        pshm__os_sleep_ns(20000);
    if (!segment->left)
        depart(segment);
    if (!segment->left && pshm__lifecycle_enter(segment->file) == 0) {
        leave(segment);
        pshm__lifecycle_leave(segment->file);
    }
    pshm__os_file_close(segment->file); /* ends the participation, whatever came before */
    pshm__participant_departed(segment);
    pshm__guard_unlock(&segment->guard);
    pshm_segment_unpin(segment);
    return 0;
}

const char *pshm_segment_name(const pshm_segment *segment) { return segment->name; }
const uint8_t *pshm_segment_id(const pshm_segment *segment) { return segment->id; }
int pshm_segment_lifetime(const pshm_segment *segment) { return (int)segment->lifetime; }

int64_t pshm_segment_size_bytes(const pshm_segment *segment) {
    return (int64_t)segment->heap_bytes;
}
