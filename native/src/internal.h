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

/* A counter of 32 bits that has been read, where 0 is one that has not. */
#define PSHM__COUNTED(counter) (1ull << 32 | (counter))

/* A synchronizer. */
typedef struct pshm__sync {
    pshm_segment *segment;
    const pshm__object *object;
    const pshm__events *events; /* the payload, which begins with them */
    int64_t parameter;          /* permits, count or parties, as it was checked */
    bool bounded;               /* a semaphore */
    atomic_ullong looked;       /* for the dead last: a PSHM__COUNTED `departed`, or 0 */
} pshm__sync;

struct pshm_semaphore {
    pshm__sync sync;
};

struct pshm_event {
    pshm__sync sync;
};

struct pshm_latch {
    pshm__sync sync;
};

struct pshm_barrier {
    pshm__sync sync;
};

struct pshm_rwlock {
    pshm__sync sync;
};

struct pshm_condition {
    pshm__sync sync;
    pshm_lock *lock;
    struct pshm__waiting *first, *last; /* this process's threads that wait, in their order */
};

typedef struct pshm__handle {
    union {
        struct pshm_value value;
        pshm__sync sync;
        struct pshm_semaphore semaphore;
        struct pshm_event event;
        struct pshm_latch latch;
        struct pshm_barrier barrier;
        struct pshm_rwlock rwlock;
        struct pshm_condition condition;
    };
    uint64_t offset; /* of the object in the heap */
    uint32_t kind;
    int64_t length;
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
    uint32_t slot;    /* of this participant */
    uint32_t number;  /* and what tells it from others that have that slot */
    atomic_bool left; /* at the process's end, without a close: its slot may be another's */
    pshm__file file;
    pshm__file heir; /* during a fork: the child's opening, and its slot */
    uint32_t heir_slot;
    atomic_int state;
    atomic_long operations; /* on synchronizers, under way in this process */
    atomic_long pins;       /* one for being open, one for each thread that waits, and the user's */
    pshm__guard guard;      /* over changes of state, handles and watch */
    pshm__guard queues;     /* over those of the conditions; a close that waits has the other one */
    pshm__handle *handles;
    pshm__watch *watch; /* null if nobody is watched */
    bool watch_ended;
    atomic_ullong covered; /* by the sentry: see there */
    atomic_bool unwatched; /* the system does not let all participants be watched */
    struct pshm_segment *next_open;
};

/* ---- error.c: the detail of a failure ---- */

/* Record the detail for pshm_error_detail and return the code. */
int pshm__fail(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The same for what is wrong with an object, "lock: segment=bids, name=book: ..." */
int pshm__fail_at(int code, const char *operation, const pshm_segment *segment,
                  const pshm__object *object, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

/* PSHM_ECLOSED */
int pshm__closed(const pshm_segment *segment, const char *operation);

/* Put what was being done, "open: name=bids", in front of the detail and return the code. */
int pshm__while(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define PSHM__ABSENT "there is no such segment; check the name, or create it first"

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
int pshm__participant_sign(pshm_segment *segment);
void pshm__participant_leave(pshm_segment *segment);

/* The live participant that has the slot; false if nobody has. */
bool pshm__participant_read(const pshm_segment *segment, uint32_t slot, pshm_participant_info *out);

/* True if the participant of that number has that slot, and lives. Asks the kernel, if need be. */
bool pshm__participant_lives(const pshm_segment *segment, uint32_t slot, uint32_t number);

/* Somebody has gone: tell all that wait, in any process. */
void pshm__participant_departed(pshm_segment *segment);

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

/* How to bury: without waiting for those at work on the file, waiting for them, or not really: only
 * look what it would come to. */
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
const pshm__directory *pshm__directory_of(const pshm_segment *segment);

/* The handle of the object of that name, which is made if there is none. */
int pshm__object_open(const char *operation, pshm_segment *segment, const char *name, int kind,
                      int type, int64_t length, pshm__handle **out);

/* ---- kind.c: the kinds of objects ---- */

typedef struct pshm__kind {
    const char *name;
    const char *parameter; /* what the object's length is called; null if it has none */
    int64_t least, most;   /* of it */
    uint64_t payload; /* bytes; 0 for arrays and values, where the element type says, and locks */
    /* A process died in the short section that the object's mutex guards: make its state whole. */
    void (*recover)(const pshm__sync *sync);
    /* True if this participant holds a lock of it, for which a close is refused. */
    bool (*is_held_here)(const pshm__sync *sync);
    /* The participant leaves, perhaps at the end of the process: it must not wait for anything. */
    void (*depart)(const pshm__sync *sync);
} pshm__kind;

/* Null for a number that is none. */
const pshm__kind *pshm__kind_of(uint32_t kind);

/* What an object is, for a message. */
void pshm__kind_describe(const pshm__entry *entry, char *out, size_t bytes);

/* The synchronizer of an entry; false if it is none. */
bool pshm__sync_of(pshm_segment *segment, const pshm__entry *entry, pshm__sync *out);

void pshm__semaphore_recover(const pshm__sync *sync);
void pshm__barrier_recover(const pshm__sync *sync);
void pshm__barrier_depart(const pshm__sync *sync);
bool pshm__rwlock_is_held_here(const pshm__sync *sync);

/* Who writes; null for nobody. */
const pshm__holder *pshm__rwlock_writer(const pshm__sync *sync);

/* ---- wait.c: how to wait ---- */

/* What a pshm_wait is. */
typedef struct pshm__waiting {
    pshm__sync *sync;

    /* Take what is waited for, if it is there: 0 or above, PSHM_EBUSY, or a failure. If
     * `look`, what dead participants hold is given back first. */
    int (*attempt)(struct pshm__waiting *self, bool look);

    /* The wait ends with this failure: undo what the attempts have left. Returns it, or another
     * outcome, if there is one after all. Null if there is nothing to undo. */
    int (*give_up)(struct pshm__waiting *self, int why);

    uint32_t departed; /* as it was when it was looked for the dead last */
    bool has_looked;
    bool has_begun; /* as the kind of wait uses it */
    uint64_t value; /* ditto */
    uint64_t value_2;
    int mode;
    struct pshm__waiting *next; /* for a condition */
} pshm__waiting;

PSHM__ASSERT(sizeof(pshm__waiting) <= sizeof(pshm_wait), "polyshm.h: pshm_wait");

pshm__waiting *pshm__wait_init(pshm_wait *wait, pshm__sync *sync,
                               int (*attempt)(pshm__waiting *, bool),
                               int (*give_up)(pshm__waiting *, int));

/* Prepared: poll, and block if need be. */
int pshm__wait_for(pshm_wait *wait, int64_t timeout_ns, pshm_interrupt *interrupt);

/* An interrupt, which may be null. */
bool pshm__is_raised(pshm_interrupt *interrupt);
bool pshm__hears_signals(const pshm_interrupt *interrupt);

/* What else to sleep on for an interrupt to be noticed: up to two words. Returns how many. */
int pshm__interrupt_words(const pshm_interrupt *interrupt, pshm__word *out);

/* When a time will be over, by the monotonic clock; below zero: never. */
int64_t pshm__end_of(int64_t timeout_ns);

/* What is waited for may be there: everybody looks. To be called after it is, outside of the
 * monitor. */
void pshm__notify(const pshm__events *events);

/* False is no reason not to notify: somebody may be about to sleep. */
bool pshm__anybody_sleeps(const pshm__events *events);

/* The same for every synchronizer of the segment on which anybody sleeps. */
void pshm__notify_all(pshm_segment *segment);

/* Around whatever reads or changes a synchronizer's state and notifies: a close waits for the end.
 * PSHM_ECLOSED, and nothing to be ended, if the segment is closed. An attempt is within already,
 * giving up is not. */
int pshm__begin(const pshm__sync *sync, const char *operation);
void pshm__end(const pshm__sync *sync);

/* ---- mutex.c: how to wait for a mutex ---- */

/* Both take it: 0, PSHM_EOWNERDIED (to be made consistent), or a failure. */

/* It is another's. PSHM_ETIMEDOUT, PSHM_EINTERRUPTED, PSHM_ECLOSED, PSHM_EOS. The time is relative;
 * below zero it is without an end. */
int pshm__mutex_await(pshm_segment *segment, const void *mutex, int64_t timeout_ns,
                      pshm_interrupt *interrupt);

/* For a short section, which a close does not end. PSHM_EOS. */
int pshm__mutex_enter(pshm_segment *segment, const void *mutex);

/* ---- monitor.c: short sections, and what a participant has in a synchronizer ---- */

/* Enter the section that the object's mutex guards; 0 or a failure. Nobody waits for anything in
 * it, and what a process that died in it has left is made whole first. */
int pshm__monitor_enter(const pshm__sync *sync);
void pshm__monitor_leave(const pshm__sync *sync);

/* pshm__begin and the monitor; or a failure, and neither is to be left. */
int pshm__operation_begin(const pshm__sync *sync, const char *operation);
void pshm__operation_end(const pshm__sync *sync);

/* This participant's stake, which bears its number then. What a dead one that had the slot before
 * has left goes to `give_back`, and is cleared then. The caller may change the stakes. */
const pshm__stake *pshm__stake_here(const pshm__sync *sync, const pshm__stake *stakes,
                                    void (*give_back)(const pshm__sync *sync, uint32_t slot));

/* The same for the stake of each participant that is gone. */
void pshm__stakes_reclaim(const pshm__sync *sync, const pshm__stake *stakes,
                          void (*give_back)(const pshm__sync *sync, uint32_t slot));

/* ---- sentry.c: those that wait are told of the end of participants ---- */

/* True if all participants are watched. */
bool pshm__sentry_covers(const pshm_segment *segment);

/* Have them watched; false if that cannot be. */
bool pshm__sentry_cover(pshm_segment *segment);

/* The segment is closed. */
void pshm__sentry_forget(const pshm_segment *segment);

/* Around a fork. */
void pshm__sentry_before_fork(void);
void pshm__sentry_after_fork(bool in_child);

/* ---- lock.c ---- */

/* True if the holder written there is a thread of that process. */
bool pshm__holder_is_of(const pshm__holder *shared, uint32_t pid, uint64_t start_time);

/* True if a thread of this process that lives holds the lock. */
bool pshm__lock_is_held_here(const pshm__lock *lock);

/* True if the lock is abandoned, or would be found so by its next taker, or if only its next taker
 * can find out. */
bool pshm__lock_may_be_abandoned(const pshm__lock *lock);

/* True if the segment is open, and no close is under way that may yet succeed. */
bool pshm__is_open_after_all(pshm_segment *segment);

void pshm__holder_show(const pshm__holder *shared, pshm_holder *out);

/* PSHM_EOWNERDIED, and the death for pshm_lock_told. */
int pshm__owner_died(const pshm_segment *segment, const pshm__object *object,
                     const pshm__holder *dead, uint64_t deaths);

/* ---- thread.c ---- */

/* The calling thread as a lock's holder, or null if names are required and it has not told its
 * own. Its thread is not zero. */
pshm__holder *pshm__thread_self(void);

/* pshm__os_tid, remembered. */
uint32_t pshm__thread_id(void);

/* How many locks the calling thread holds. */
extern _Thread_local uint32_t pshm__locks_held;

/* pshm__os_start_time, remembered. */
uint64_t pshm__process_start_time(void);

/* This is a forked child: process and thread are others now. */
void pshm__thread_forget(void);

#endif
