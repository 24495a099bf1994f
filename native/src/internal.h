/* SPDX-License-Identifier: Apache-2.0
 *
 * What the library's sources share with each other: the handles, and one section for each file.
 */
#ifndef PSHM_INTERNAL_H
#define PSHM_INTERNAL_H

#include <stdatomic.h>

#include "port.h"
#include "store.h"

/* A segment's state in this process. CLOSING may still turn back to OPEN. */
enum { PSHM__OPEN, PSHM__CLOSING, PSHM__CLOSED };

/* The handles of one object. All of an object's are one allocation, which its segment owns. */
struct pshm_lock {
    pshm_segment *segment;
    const pshm__lock *shared;
};

struct pshm_array {
    struct pshm_lock lock;
    void *data;
    int64_t length;
};

struct pshm_value {
    struct pshm_array cell;
};

typedef struct pshm__handle {
    struct pshm_value value;
    uint64_t offset; /* of the object in the heap */
    struct pshm__handle *next;
} pshm__handle;

/* The participants that are watched for their end. */
typedef struct pshm__watched {
    pshm_participant_info participant;
    pshm__process process;
    struct pshm__watched *next;
} pshm__watched;

typedef struct pshm__watch {
    pshm__alarm alarm;
    pshm__watched *first;
    int waiting; /* threads */
} pshm__watch;

/* A segment as this process has it open. What bounds an access is copied out of the mapping once,
 * when it has been checked, as a peer may write anything there at any time. Pointers into it are to
 * const; store.h has what changes it. */
struct pshm_segment {
    char name[PSHM_NAME_BYTES];
    uint8_t id[16];
    const uint8_t *base;
    uint64_t total_bytes;
    uint64_t heap_offset;
    uint64_t heap_bytes;
    uint64_t participant_offset;
    uint32_t participant_capacity;
    uint32_t lifetime;
    uint32_t slot; /* of this participant */
    bool left;     /* at the process's end, without a close */
    pshm__file file;
    pshm__file heir; /* in the midst of a fork: the child's opening, and its slot */
    uint32_t heir_slot;
    atomic_int state;
    atomic_long pins;  /* one for being open, one for each thread that waits, and the user's */
    pshm__guard guard; /* over changes of state, handles and watch */
    pshm__handle *handles;
    pshm__watch *watch; /* null if nobody is watched */
    bool watch_ended;
    struct pshm_segment *next_open;
};

/* ---- error.c: the detail of a failure ---- */

/* Record the detail for pshm_error_detail and return the code. */
int pshm__fail(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Put what was being done, "open: name=bids", in front of the detail and return the code. */
int pshm__while(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ---- name.c ---- */

int pshm__name_check(const char *operation, const char *name);

/* ---- header.c ---- */

enum { PSHM__USABLE, PSHM__UNFINISHED };

int pshm__header_fill(pshm__header *header, uint64_t total_bytes, const pshm_options *options);

/* Copy the head of a file and check it; the lifecycle lock is held. PSHM__USABLE, PSHM__UNFINISHED
 * if its creator has not published it, or PSHM_ELAYOUT. */
int pshm__header_read(pshm__file file, uint64_t file_bytes, pshm__header *out);

/* ---- participant.c: who has the segment open; the lifecycle lock is held for join and leave ----
 */

uint64_t pshm__participant_offset(const pshm_segment *segment, uint32_t slot);
int pshm__participant_join(pshm_segment *segment);

/* The two halves of joining, for a forked child: its parent, which takes part itself, takes the
 * slot, and the child signs it. Neither needs the lifecycle lock. */
int pshm__participant_take(const pshm_segment *segment, pshm__file file, uint32_t *out_slot);
int pshm__participant_sign(const pshm_segment *segment);
void pshm__participant_leave(pshm_segment *segment);

/* True if this very participant, and no successor in its slot, has the segment open. */
bool pshm__participant_is_there(const pshm_segment *segment,
                                const pshm_participant_info *participant);

/* True if another opening of the segment than this one is alive. */
bool pshm__participant_any_other(pshm__file file, uint64_t offset, uint32_t capacity);

/* ---- watch.c ---- */

/* Nobody is watched any more; the segment's guard is held. */
void pshm__watch_end(pshm_segment *segment);

/* ---- lifecycle.c: files that come and go ---- */

/* Take the lock under which a file is initialised, joined, left and unlinked; PSHM_EBUSY if a live
 * process has kept it for long. */
int pshm__lifecycle_enter(pshm__file file);
int pshm__lifecycle_try_enter(pshm__file file);
void pshm__lifecycle_leave(pshm__file file);

/* Unlink `name` if it still leads to `file`. The lock is held. */
int pshm__lifecycle_unlink(pshm__file file, const char *name);

/* How to bury: without waiting for who is at work on it; waiting; or not at all, but looking. */
enum { PSHM__AT_ONCE, PSHM__PATIENTLY, PSHM__DRY };

/* Remove what dead processes have left under the name: 1 if it did, 0 if the name is free already;
 * if what stands there is to stay, a code as pshm_reap_each tells it. */
int pshm__lifecycle_bury(const char *name, int how);

/* Whether nobody can use the file any more, so that it may go; the lock is held. Codes as
 * pshm__header_read, for one that is alive `header` is filled. */
int pshm__lifecycle_inspect(pshm__file file, pshm__header *header, bool *dead);

/* ---- directory.c: objects by name ---- */

/* What bounds an object, copied out of the mapping and checked. */
typedef struct pshm__entry {
    uint64_t offset; /* in the heap */
    uint64_t bytes;
    uint64_t length;
    uint32_t kind;
    uint32_t type;
    const pshm__object *object;
} pshm__entry;

/* The entry after *cursor: 1, 0 at the end, or PSHM_ELAYOUT. */
int pshm__directory_next(pshm_segment *segment, uint64_t *cursor, pshm__entry *out);
int pshm__directory_init(const pshm__directory *directory);

/* ---- lock.c ---- */

/* True if the holder written in the lock is a thread of that process. */
bool pshm__lock_names_holder(const pshm__lock *lock, uint32_t pid, uint64_t start_time);

/* True if a thread of this process that lives holds the lock. */
bool pshm__lock_is_held_here(const pshm__lock *lock);

/* ---- thread.c ---- */

/* The calling thread as a lock's holder, or null if names are required and it has not told its
 * own. Its thread is not zero. */
pshm__holder *pshm__thread_self(void);

/* How many locks the calling thread holds. */
extern _Thread_local uint32_t pshm__locks_held;

/* pshm__os_start_time, remembered. */
uint64_t pshm__process_start_time(void);

/* This is a forked child: process and thread are others now. */
void pshm__thread_forget(void);

#endif
