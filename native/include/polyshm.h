/* SPDX-License-Identifier: Apache-2.0
 *
 * polyshm.h: typed arrays, values, locks and synchronizers in memory that processes of one host
 * share. This is the whole C API; the Java and Python packages stand on it. Link with -lpolyshm.
 *
 * Read this first:
 *
 * - Process death. A process that dies, however it dies, leaves every lock it held abandoned:
 *   the next to acquire one gets PSHM_EOWNERDIED and does not hold it, until somebody repairs it
 *   (pshm_lock_acquire_abandoned, pshm_lock_mark_good, pshm_lock_release). The death of a
 *   thread counts as well. Nothing else is lost: what was stored stays stored.
 * - Threads. A lock belongs to the thread that took it. Every function may be called from any
 *   thread at any time, except that a segment must not be used after its close: a thread that may
 *   race with a close holds a pin (pshm_segment_pin).
 * - fork(). The child is a participant of its own in each segment that its parent has open, by the
 *   same handles, and has none of the locks that its parent's threads hold. If there is no room for
 *   another participant, or no descriptor left, the segment is closed to the child. It is
 *   not told of what its parent watches.
 * - Unlink removes the name at once and the memory when the last process has closed. A process
 *   that merely opens a segment never removes what others use.
 * - Signals. No function here is async-signal-safe.
 * - Platforms. Linux with glibc or musl. A segment made under one libc, word size, byte order,
 *   architecture or PID namespace is refused under another, because a mutex is not the same there.
 *
 * Every function that returns int returns zero or a positive number for success and one of the
 * negative codes of pshm_error otherwise; pshm_error_detail() then tells the operation, the
 * values and the remedy.
 */
#ifndef POLYSHM_H
#define POLYSHM_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifndef PSHM_API
#if defined(_WIN32)
#define PSHM_API __declspec(dllexport)
#else
#define PSHM_API __attribute__((visibility("default")))
#endif
#endif

#define PSHM_NAME_MAX 95 /* characters of a segment's or an object's name */

/* Code, number, text: the one table of errors. Numbers are stable. */
#define PSHM_ERRORS(X)                                                                      \
    X(PSHM_EINVAL, -1, "an argument is out of its range")                                   \
    X(PSHM_ENAME, -2, "not a valid name")                                                   \
    X(PSHM_EEXIST, -3, "the segment exists already")                                        \
    X(PSHM_ENOENT, -4, "there is no such segment or object")                                \
    X(PSHM_EACCES, -5, "permission denied")                                                 \
    X(PSHM_EFULL, -6, "the shared memory file system is full")                              \
    X(PSHM_ENOSPACE, -7, "the segment has no room left")                                    \
    X(PSHM_ELAYOUT, -8, "not a segment that this library can use")                          \
    X(PSHM_ETYPE, -9, "the object exists with another kind, type or length")                \
    X(PSHM_EBUSY, -10, "held by another thread or process")                                 \
    X(PSHM_ETIMEDOUT, -11, "the time is over")                                              \
    X(PSHM_EOWNERDIED, -12, "the lock's holder died; the lock is abandoned until repaired") \
    X(PSHM_ENOTOWNER, -13, "the calling thread does not hold the lock")                     \
    X(PSHM_ECLOSED, -14, "the segment is closed")                                           \
    X(PSHM_EHELD, -15, "this process holds a lock of the segment")                          \
    X(PSHM_EPARTICIPANTS, -16, "the segment is open too many times")                        \
    X(PSHM_EUNAVAILABLE, -17, "there is no usable shared memory here")                      \
    X(PSHM_ENOMEM, -18, "out of memory")                                                    \
    X(PSHM_EDEPTH, -19, "the thread has taken too many locks, or one too often")            \
    X(PSHM_EUNNAMED, -20, "the calling thread has not told its name")                       \
    X(PSHM_EGOOD, -21, "the lock is not abandoned")                                         \
    X(PSHM_EOS, -22, "the operating system refused")                                        \
    X(PSHM_EINTERRUPTED, -23, "the wait was interrupted")                                   \
    X(PSHM_EBROKEN, -24, "the barrier is broken")                                           \
    X(PSHM_EOVERFLOW, -25, "there would be more permits than there can be")

/* What a function that fails returns. */
typedef enum pshm_error {
#define PSHM__ENUMERATE(name, number, text) name = number,
    PSHM_ERRORS(PSHM__ENUMERATE)
#undef PSHM__ENUMERATE
} pshm_error;

/* Element types, named by width; each is one of Java's eight primitives. */
typedef enum pshm_type {
    PSHM_BOOLEAN = 1, /* uint8_t, 0 or 1   Java boolean */
    PSHM_INT8 = 2,    /* int8_t            Java byte */
    PSHM_INT16 = 3,   /* int16_t           Java short */
    PSHM_CHAR16 = 4,  /* uint16_t, UTF-16  Java char */
    PSHM_INT32 = 5,   /* int32_t           Java int */
    PSHM_INT64 = 6,   /* int64_t           Java long */
    PSHM_FLOAT32 = 7, /* float             Java float */
    PSHM_FLOAT64 = 8  /* double            Java double */
} pshm_type;

/* Kinds of objects. */
typedef enum pshm_kind {
    PSHM_ARRAY = 1,     /* pshm_array */
    PSHM_VALUE = 2,     /* pshm_value */
    PSHM_LOCK = 3,      /* pshm_lock */
    PSHM_SEMAPHORE = 4, /* pshm_semaphore */
    PSHM_EVENT = 5,     /* pshm_event */
    PSHM_LATCH = 6,     /* pshm_latch */
    PSHM_BARRIER = 7,   /* pshm_barrier */
    PSHM_RWLOCK = 8,    /* pshm_rwlock */
    PSHM_CONDITION = 9  /* pshm_condition */
} pshm_kind;

/* How long a segment lasts. */
typedef enum pshm_lifetime {
    PSHM_PERSISTENT = 1, /* until unlinked */
    PSHM_LAST_OUT = 2    /* until the last process that has it open is gone, killed ones included */
} pshm_lifetime;

/* The most openings that one segment can have at a time; those of killed processes do not count. */
#define PSHM_PARTICIPANTS_MAX 128

/* A handle. A segment's is valid until the segment is closed, an object's as long as its memory is
 * there: until the segment is closed and its last pin gone. None is freed by itself. */
typedef struct pshm_segment pshm_segment;
typedef struct pshm_array pshm_array;
typedef struct pshm_value pshm_value;
typedef struct pshm_lock pshm_lock;
typedef struct pshm_semaphore pshm_semaphore;
typedef struct pshm_event pshm_event;
typedef struct pshm_latch pshm_latch;
typedef struct pshm_barrier pshm_barrier;
typedef struct pshm_rwlock pshm_rwlock;
typedef struct pshm_condition pshm_condition;

/* How a segment is made. A zero in a field, or a null pointer for all, means the default. */
typedef struct pshm_options {
    uint32_t permissions;       /* mode bits, 0600 by default whatever the umask is */
    uint32_t lifetime;          /* pshm_lifetime; PERSISTENT by default, LAST_OUT if anonymous */
    uint32_t allow_other_owner; /* not 0: open a segment that another user owns, too */
} pshm_options;

/* What an object is. */
typedef struct pshm_object_info {
    char name[96];   /* in its segment */
    int32_t kind;    /* pshm_kind */
    int32_t type;    /* pshm_type of an array or value; 1 for a bounded semaphore; otherwise 0 */
    uint64_t length; /* elements, permits, count or parties that it was made with; otherwise 0 */
    uint64_t bytes;  /* taken from the segment */
} pshm_object_info;

/* One opening of a segment: a process that has it open twice is two participants. */
typedef struct pshm_participant_info {
    int32_t pid;            /* of its process */
    uint32_t slot;          /* its place in the segment's table */
    uint64_t start_time;    /* of the process: clock ticks after boot, as in proc(5); 0 unknown */
    int64_t since_ns;       /* attached at: wall clock, nanoseconds since 1970 */
    int64_t started_ns;     /* start_time on the wall clock as it is set now, so it moves with the
                               clock; good to a tick, 10 ms on Linux; 0 if unknown */
    uint8_t segment_id[16]; /* of the segment it takes part in */
    char command[40];       /* of its process, cut */
} pshm_participant_info;

/* A thread that holds, or held, a lock. All zero for nobody. */
typedef struct pshm_holder {
    int32_t pid;          /* its process */
    int32_t tid;          /* the thread, as the operating system numbers it */
    uint64_t start_time;  /* of the process: clock ticks after boot */
    int64_t since_ns;     /* taken at: wall clock, nanoseconds since 1970; good to a tick */
    char thread_name[24]; /* as told by pshm_thread_set_name, or known to the system */
} pshm_holder;

/* Who holds a lock, and what has happened to it. */
typedef struct pshm_lock_info {
    pshm_holder holder;   /* as of a moment ago; by the time it is read it may be another */
    pshm_holder dead;     /* the last holder that died */
    uint64_t deaths;      /* of holders */
    uint64_t contentions; /* acquisitions that had to sleep */
    int32_t abandoned;    /* 1 from a holder's death until the repair has ended */
} pshm_lock_info;

/* A flag of the caller's that ends waits, in memory of any kind; pshm_interrupt_init first. */
#define PSHM_INTERRUPT_WORDS 12
typedef struct pshm_interrupt {
    uint64_t opaque[PSHM_INTERRUPT_WORDS]; /* the library's */
} pshm_interrupt;

/* One thread's wait for a synchronizer, in memory of the caller's; made by the functions whose name
 * ends in _prepare. */
#define PSHM_WAIT_WORDS 16
typedef struct pshm_wait {
    uint64_t opaque[PSHM_WAIT_WORDS]; /* the library's */
} pshm_wait;

/* ---- errors ---------------------------------------------------------------------------- */

/* The name of a code, such as "PSHM_EEXIST"; "PSHM_EUNKNOWN" if it is none. Never null. */
PSHM_API const char *pshm_error_name(int code);

/* What the code means in general, a static string. Never null. */
PSHM_API const char *pshm_error_text(int code);

/* What the calling thread's last failed call says: operation, values and remedy. Read it at once:
 * any later call of the thread may change it. Empty if none has failed yet. Never null. From a
 * lock, PSHM_EBUSY, PSHM_ETIMEDOUT, PSHM_EUNNAMED and PSHM_EGOOD are expected outcomes and have
 * none; from pshm_segment_next_exit PSHM_ETIMEDOUT has none. */
PSHM_API const char *pshm_error_detail(void);

/* ---- segments -------------------------------------------------------------------------- */

/* Create a segment with room for `bytes` bytes of objects; pshm_object_bytes tells what each takes.
 * `name` is 1 to 95 characters out of A-Z a-z 0-9 . _ - and does not begin with a dot; null makes
 * an anonymous segment, whose name is generated. All space is reserved now, so that no later write
 * can fail. Dead segments are reaped on the way.
 * Any thread. *out is the caller's, to be closed.
 * PSHM_EINVAL, PSHM_ENAME, PSHM_EEXIST, PSHM_EACCES, PSHM_EFULL, PSHM_EBUSY (as for open),
 * PSHM_EUNAVAILABLE, PSHM_ENOMEM, PSHM_EOS. */
PSHM_API int pshm_segment_create(const char *name, int64_t bytes, const pshm_options *options,
                                 pshm_segment **out);

/* Open a segment that exists. Of the options only allow_other_owner counts.
 * Any thread. *out is the caller's, to be closed.
 * PSHM_EINVAL, PSHM_ENAME, PSHM_ENOENT, PSHM_EACCES, PSHM_ELAYOUT, PSHM_EPARTICIPANTS,
 * PSHM_EBUSY (its creator has been at work for 10 s, and lives), PSHM_EUNAVAILABLE, PSHM_ENOMEM,
 * PSHM_EOS. */
PSHM_API int pshm_segment_open(const char *name, const pshm_options *options, pshm_segment **out);

/* Open the segment, or create it if there is none: of any number of processes that do so at once
 * exactly one creates. `bytes` and the options count for the one that creates.
 * Returns 1 if this call created it and 0 if it opened it. Codes of both. */
PSHM_API int pshm_segment_open_or_create(const char *name, int64_t bytes,
                                         const pshm_options *options, pshm_segment **out);

/* End this process's participation: the last one out of a LAST_OUT segment removes it. The mapping
 * goes with the last pin and the last waiter, at once if there are none; a thread that waits for a
 * lock gets PSHM_ECLOSED at once in pshm_lock_await, and otherwise when the lock's holder gives it
 * back or dies, or its time is over.
 * Handles and data pointers of the segment are then no longer valid.
 * Closing again while a pin is held returns 0. PSHM_EHELD if this process holds one of its locks:
 * nothing has changed then. */
PSHM_API int pshm_segment_close(pshm_segment *segment);

/* Keep the mapping and every handle valid beyond the close, until the matching unpin. Data may
 * still be read and written, and functions that describe the segment called; every function that
 * lists PSHM_ECLOSED returns it. */
PSHM_API void pshm_segment_pin(pshm_segment *segment);

/* End one pin. What the last one has kept of a closed segment goes with it. */
PSHM_API void pshm_segment_unpin(pshm_segment *segment);

/* Remove the name. Processes that have it open keep the memory. Removes damaged ones, too.
 * PSHM_ENAME, PSHM_ENOENT, PSHM_EACCES, PSHM_ELAYOUT (not a file), PSHM_EBUSY, PSHM_EUNAVAILABLE,
 * PSHM_EOS. */
PSHM_API int pshm_segment_unlink(const char *name);

/* Remove every LAST_OUT segment whose processes are all gone, and what creators killed half-way
 * left. Returns how many it removed. Segments of other users, of other layouts and busy ones
 * stay. */
PSHM_API int pshm_reap(void);

/* The same, and tell of each name: `told` is called with 1 if it was removed, and otherwise with a
 * code for why it stays: PSHM_EBUSY (in use, or somebody is at work on it), PSHM_EEXIST
 * (persistent, and in use by nobody now), PSHM_EACCES (another user's), PSHM_ELAYOUT (damaged, or
 * of another layout), PSHM_ENAME (no segment's), PSHM_EOS. pshm_error_detail() has it in words,
 * until `told` calls another function. With `dry_run` not 0 nothing is removed: 1 means that it
 * would be. Names that disappear meanwhile are not told. `told` gets `context`. Any thread.
 * Returns how many it removed, or would remove. PSHM_EUNAVAILABLE, PSHM_EACCES (the folder may not
 * be read), PSHM_EOS. */
PSHM_API int pshm_reap_each(int dry_run, void (*told)(const char *name, int code, void *context),
                            void *context);

/* The name without any prefix, valid as long as the segment. */
PSHM_API const char *pshm_segment_name(const pshm_segment *segment);

/* 16 random bytes that tell this segment from another of the same name; valid as long as it is. */
PSHM_API const uint8_t *pshm_segment_id(const pshm_segment *segment);

/* Bytes that objects may take in all. */
PSHM_API int64_t pshm_segment_size_bytes(const pshm_segment *segment);

/* Bytes that no object has taken yet. */
PSHM_API int64_t pshm_segment_free_bytes(const pshm_segment *segment);

/* pshm_lifetime of the segment. */
PSHM_API int pshm_segment_lifetime(const pshm_segment *segment);

/* The object after the one at *cursor, in the order of creation; begin with *cursor = 0.
 * Returns 1 with *out filled and *cursor advanced, 0 at the end. PSHM_ECLOSED, PSHM_ELAYOUT. */
PSHM_API int pshm_segment_next_object(pshm_segment *segment, uint64_t *cursor,
                                      pshm_object_info *out);

/* The object of that name, of whatever kind: for a caller that is to open it as what it is.
 * PSHM_ENAME, PSHM_ENOENT, PSHM_ECLOSED, PSHM_ELAYOUT. */
PSHM_API int pshm_segment_find_object(pshm_segment *segment, const char *name,
                                      pshm_object_info *out);

/* The live participant after the one at *cursor; as above. Death is known from the kernel: one that
 * is stopped is listed, one that was killed is not, whoever has its pid by now. PSHM_ECLOSED. */
PSHM_API int pshm_segment_next_participant(pshm_segment *segment, uint64_t *cursor,
                                           pshm_participant_info *out);

/* The object after the one at *cursor whose lock a thread of the participant's process holds, or
 * the read-write lock that it holds to write; as above. A snapshot for display: by the time it is
 * read the lock may be another's. A process with several openings holds its locks in all of them; a
 * lock whose holding thread died is held until the next that takes it is told. PSHM_ECLOSED,
 * PSHM_ELAYOUT. */
PSHM_API int pshm_segment_next_held(pshm_segment *segment, const pshm_participant_info *participant,
                                    uint64_t *cursor, pshm_object_info *out);

/* ---- the end of participants ----------------------------------------------------------- */

/* Have pshm_segment_next_exit tell when the participant, which was listed for this segment, is
 * gone. Returns 0 if it is watched now, or was already, and 1 if it is gone: then nothing will be
 * told. One that has ended, and one that has closed the segment before this call, is gone. One that
 * closes the segment while it is watched, and lives on, is told of when its process ends. The
 * kernel tells, without polling: at once if it is killed, never while it is merely stopped, and
 * not of another process that has its pid. Of its own end a process is not told.
 * Any thread. PSHM_EINVAL (not a participant of this segment), PSHM_ECLOSED, PSHM_EUNAVAILABLE (the
 * system does not let processes be watched), PSHM_ENOMEM, PSHM_EOS (too many open files: each that
 * is watched takes one, and the segment two). */
PSHM_API int pshm_segment_watch(pshm_segment *segment, const pshm_participant_info *participant);

/* Wait until a watched participant is gone, for at most `timeout_ns` nanoseconds of the monotonic
 * clock; zero does not wait, and below zero there is no end. *out is the participant as it was
 * given to pshm_segment_watch, which watches it no more. Several threads may wait: each end is told
 * to one of them. A close of the segment ends the wait.
 * PSHM_ETIMEDOUT, PSHM_ECLOSED, PSHM_ENOMEM, PSHM_EOS. */
PSHM_API int pshm_segment_next_exit(pshm_segment *segment, int64_t timeout_ns,
                                    pshm_participant_info *out);

/* Watch nobody any more: both functions above return PSHM_ECLOSED from now on, also to threads that
 * wait already. The segment stays open. For a process that is about to end. */
PSHM_API void pshm_segment_end_watch(pshm_segment *segment);

/* ---- objects --------------------------------------------------------------------------- */

/* Bytes that one object takes from its segment. `type` counts for arrays and values only, and
 * `length`, which is as in pshm_object_info, not for values, locks, events and read-write locks.
 * PSHM_EINVAL if kind, type or length is out of range. */
PSHM_API int64_t pshm_object_bytes(int kind, int type, int64_t length);

/* Get the array of that name, or create it with all elements zero. Exactly one of any number of
 * callers creates. *out is valid until the segment is closed and its last pin gone; it is not
 * freed. PSHM_EINVAL, PSHM_ENAME, PSHM_ETYPE, PSHM_ENOSPACE, PSHM_ECLOSED, PSHM_ELAYOUT,
 * PSHM_ENOMEM. */
PSHM_API int pshm_array_open(pshm_segment *segment, const char *name, int type, int64_t length,
                             pshm_array **out);

/* The first element, aligned to 64 bytes; for atomic access use <stdatomic.h> on it. Never null. */
PSHM_API void *pshm_array_data(const pshm_array *array);

/* Its elements, as it was opened. */
PSHM_API int64_t pshm_array_length(const pshm_array *array);

/* The lock that belongs to the array. Never null; valid as long as the array. */
PSHM_API pshm_lock *pshm_array_lock(pshm_array *array);

/* Fill memory with one element of 1, 2, 4 or 8 bytes, which `pattern` repeats to 8, as fast as
 * memset sets bytes. `data` is aligned to the element, and `bytes` a multiple of it. */
PSHM_API void pshm_fill(void *data, uint64_t bytes, uint64_t pattern);

/* As pshm_array_open, for one element. */
PSHM_API int pshm_value_open(pshm_segment *segment, const char *name, int type, pshm_value **out);

/* The value, as with pshm_array_data. */
PSHM_API void *pshm_value_data(const pshm_value *value);

/* The lock that belongs to the value. Never null; valid as long as the value. */
PSHM_API pshm_lock *pshm_value_lock(pshm_value *value);

/* As pshm_array_open, for a lock that stands alone. */
PSHM_API int pshm_lock_open(pshm_segment *segment, const char *name, pshm_lock **out);

/* ---- atomic access, for languages that have no <stdatomic.h> ------------------------------ */

/* One element, aligned, of an array or a value, by its pshm_type. All are sequentially consistent,
 * like the operations of <stdatomic.h> with these names and volatile access by Java's VarHandle,
 * with which they may be mixed. `value`, `out`, `before` and `expected` point to one of the
 * element's type; `out` and `before` receive what was there. PSHM_EINVAL for a wrong type, or an
 * element that is not aligned. */
PSHM_API int pshm_atomic_load(const void *element, int type, void *out);
PSHM_API int pshm_atomic_store(void *element, int type, const void *value);
PSHM_API int pshm_atomic_exchange(void *element, int type, const void *value, void *before);

/* Store `value` if the element is as *expected, to the bit: a NaN equals itself, 0.0 not -0.0.
 * Returns 1 if it has, and 0 if not: then *expected is what is there. */
PSHM_API int pshm_atomic_compare_exchange(void *element, int type, void *expected,
                                          const void *value);

/* The sum of integers wraps around. PSHM_EINVAL for PSHM_BOOLEAN. */
PSHM_API int pshm_atomic_fetch_add(void *element, int type, const void *value, void *before);

/* ---- locks ----------------------------------------------------------------------------- */

/* Take the lock, waiting as long as it takes: at first a few microseconds awake, then asleep. A
 * thread that holds it takes it once more. A close is told at once, and deaths as for every
 * synchronizer, see below.
 * What its earlier holders stored before they released it is visible after success.
 * PSHM_EOWNERDIED (not held; pshm_lock_told tells who died), PSHM_ECLOSED, PSHM_EDEPTH (a thread
 * may hold 2000 locks), PSHM_EUNNAMED, PSHM_EOS. */
PSHM_API int pshm_lock_acquire(pshm_lock *lock);

/* The same without waiting: PSHM_EBUSY if another thread holds it. */
PSHM_API int pshm_lock_try_acquire(pshm_lock *lock);

/* The same, waiting for at most `timeout_ns` nanoseconds of the monotonic clock; zero or less does
 * not wait. PSHM_ETIMEDOUT if they are over. */
PSHM_API int pshm_lock_timed_acquire(pshm_lock *lock, int64_t timeout_ns);

/* The same as pshm_lock_acquire and pshm_lock_acquire_abandoned, but with a wait that can be left:
 * time, interrupt, signals and the codes for these are those of every synchronizer, see below. A
 * handler that was installed with SA_RESTART need not end it. Before Linux 5.16, and where a
 * sandbox refuses futex_waitv, interrupts by other threads and a close are looked for ten times a
 * second, in all waits for a lock; the lock itself and signals are noticed at once. */
PSHM_API int pshm_lock_await(pshm_lock *lock, int64_t timeout_ns, pshm_interrupt *interrupt);
PSHM_API int pshm_lock_await_abandoned(pshm_lock *lock, int64_t timeout_ns,
                                       pshm_interrupt *interrupt);

/* Give the lock back once. PSHM_ENOTOWNER if the calling thread does not hold it; PSHM_ECLOSED if
 * the segment is closed, as nobody here can hold it then. */
PSHM_API int pshm_lock_release(pshm_lock *lock);

/* Take an abandoned lock in order to repair what it guards, waiting for others that do so.
 * On success the lock is held and still abandoned: call pshm_lock_mark_good when the repair
 * is done, then release it. If it is released, or its holder dies, without that, it stays
 * abandoned. PSHM_EGOOD if it is not abandoned (not held then). Otherwise as pshm_lock_acquire. */
PSHM_API int pshm_lock_acquire_abandoned(pshm_lock *lock);

/* Take the lock, abandoned or not, waiting as long as it takes: 0, or PSHM_EOWNERDIED if it is
 * abandoned, and it is held in both cases. For a thread that has released it in the middle of its
 * work, as a wait for a condition does: it sleeps at once, as the holder may be about to go on, on
 * the same core. Otherwise as pshm_lock_acquire. */
PSHM_API int pshm_lock_acquire_any(pshm_lock *lock);

/* Declare repaired what the lock guards. PSHM_ENOTOWNER, PSHM_ECLOSED. */
PSHM_API int pshm_lock_mark_good(pshm_lock *lock);

/* How often the calling thread holds the lock, 0 if it does not. */
PSHM_API int pshm_lock_depth(const pshm_lock *lock);

/* Who holds it and what has happened to it. PSHM_ECLOSED. */
PSHM_API int pshm_lock_inspect(pshm_lock *lock, pshm_lock_info *out);

/* The death of which the calling thread's last PSHM_EOWNERDIED told, as `dead` and `deaths` of
 * *out; the rest is zero. pshm_lock_inspect may show a later one by then, or parts of two. */
PSHM_API void pshm_lock_told(pshm_lock_info *out);

/* ---- synchronizers: how to wait ---------------------------------------------------------- */

/* Semaphores, events, latches, barriers, read-write locks and conditions are made and found like
 * arrays: pshm_..._open gets the object of that name or creates it, exactly one of any number of
 * callers creates, *out is valid until the segment is closed and its last pin gone, and it returns
 * PSHM_ENAME, PSHM_ETYPE (it exists as something else, or with other parameters), PSHM_ENOSPACE,
 * PSHM_ECLOSED, PSHM_ELAYOUT, PSHM_ENOMEM, and PSHM_EINVAL for parameters out of their range.
 *
 * A participant that dies, or closes the segment, in whatever state, gives back what it holds, and
 * is never waited for. The kernel tells those that wait, at once and without polling, through a
 * thread that the library starts in a process that waits. Where the system does not let processes
 * be watched they look ten times a second. A participant that execs another program without a close
 * gives back what it holds, but those that wait already are told only when that program ends.
 *
 * Each function that waits takes a time and an interrupt, which may be null:
 *
 *   timeout_ns  nanoseconds of the monotonic clock; zero does not wait, below zero has no end
 *   interrupt   pshm_interrupt_raise ends the wait, and so does a signal handler that has run in
 *               the thread. Without one neither does.
 *
 * and besides what its own comment says returns
 *
 *   PSHM_ETIMEDOUT     the time is over, or there was none
 *   PSHM_EINTERRUPTED  before the wait or during it
 *   PSHM_ECLOSED       the segment is closed, by another thread of this process perhaps, at once
 *   PSHM_EOS, PSHM_ENOMEM
 *
 * after which it is as if the call had not been made, except for a barrier. What a thread did
 * before it released, set, counted down, arrived or signalled is visible to the threads that
 * returned from their wait because of it.
 *
 * The same in steps, for those that must not block, or that wait in a way of their own:
 *
 *   pshm_wait wait;
 *   code = pshm_semaphore_prepare(semaphore, 1, &wait);
 *   if (code == 0)
 *       code = pshm_wait_poll(&wait);       0 and above: done; PSHM_EBUSY: not yet
 *   while (code == PSHM_EBUSY) {
 *       uint32_t sequence = pshm_wait_sequence(&wait);
 *       if ((code = pshm_wait_poll(&wait)) == PSHM_EBUSY)
 *           pshm_wait_sleep(&wait, sequence, -1, NULL);
 *   }
 *
 * A wait that was polled and is not done must be ended, by pshm_wait_cancel if by nothing else. Its
 * memory must not move. Any thread may take each of the steps, one at a time. */

/* It serves one wait at a time. To be called again in a forked child. */
PSHM_API void pshm_interrupt_init(pshm_interrupt *interrupt);

/* From now on a signal handler that has run in the thread ends no wait that has this interrupt: for
 * runtimes that use signals themselves. */
PSHM_API void pshm_interrupt_ignore_signals(pshm_interrupt *interrupt);

/* From now on each wait that has this interrupt also ends, before it begins or later, with
 * PSHM_EINTERRUPTED, as long as *word is not 0; null: no more. Not to be called while a wait has
 * the interrupt, and the word must stay valid. The thread looks at the word and falls asleep in one
 * step. So a handler that stores to it, atomically, ends a wait of the thread that it runs in at
 * whatever moment the signal comes; without that, one that comes just before the thread sleeps, or
 * as it is woken, goes unnoticed. A store by another thread wakes nobody: that is what
 * pshm_interrupt_raise is for. Before Linux 5.16, or where futex_waitv is forbidden, the thread
 * looks ten times a second.
 */
PSHM_API void pshm_interrupt_watch(pshm_interrupt *interrupt, const uint32_t *word);

/* End the wait that has this interrupt, or else the next one: it stays raised. Any thread, but not
 * a signal handler; it must not be called when the interrupt's memory may be gone. */
PSHM_API void pshm_interrupt_raise(pshm_interrupt *interrupt);

/* Not raised any more. Returns whether it was: 1 or 0. */
PSHM_API int pshm_interrupt_clear(pshm_interrupt *interrupt);

/* Look whether the wait is over, without waiting: what the function that waits would return, or
 * PSHM_EBUSY. Its outcome is told once. */
PSHM_API int pshm_wait_poll(pshm_wait *wait);

/* Wait until it is over. */
PSHM_API int pshm_wait_block(pshm_wait *wait, int64_t timeout_ns, pshm_interrupt *interrupt);

/* Give the wait up: `why` is PSHM_ETIMEDOUT or PSHM_EINTERRUPTED. Returns that, or 0 or above if it
 * was over after all, or another code. */
PSHM_API int pshm_wait_cancel(pshm_wait *wait, int why);

/* A number that changes whenever a wait for the same object may be over, and at other times. */
PSHM_API uint32_t pshm_wait_sequence(const pshm_wait *wait);

/* Sleep until that number is no longer `sequence`. Of the wait only its object counts.
 * 0 (also without a reason), PSHM_ETIMEDOUT, PSHM_EINTERRUPTED, PSHM_ECLOSED. */
PSHM_API int pshm_wait_sleep(const pshm_wait *wait, uint32_t sequence, int64_t timeout_ns,
                             pshm_interrupt *interrupt);

/* ---- semaphores ------------------------------------------------------------------------- */

/* `permits`, 0 or more, are there at first. `bounded` not 0: there are never more.
 * PSHM_EINVAL and what every pshm_..._open returns. */
PSHM_API int pshm_semaphore_open(pshm_segment *segment, const char *name, int64_t permits,
                                 int bounded, pshm_semaphore **out);

/* Take permits, all at once. They are the participant's, whose threads need not tell them apart: if
 * it dies, or closes the segment, they come back. PSHM_EINVAL if `permits` is below 0. */
PSHM_API int pshm_semaphore_acquire(pshm_semaphore *semaphore, int64_t permits, int64_t timeout_ns,
                                    pshm_interrupt *interrupt);

/* The same in steps. PSHM_EINVAL as well. */
PSHM_API int pshm_semaphore_prepare(pshm_semaphore *semaphore, int64_t permits, pshm_wait *wait);

/* Without waiting: PSHM_EBUSY if there are not so many. */
PSHM_API int pshm_semaphore_try_acquire(pshm_semaphore *semaphore, int64_t permits);

/* Give permits back: those that this participant holds, and beyond these new ones, so that one can
 * release what another has acquired. PSHM_EINVAL if `permits` is below 0, PSHM_EOVERFLOW if there
 * would be more than there were at first (bounded) or than INT64_MAX; nothing has changed then.
 * PSHM_ECLOSED. */
PSHM_API int pshm_semaphore_release(pshm_semaphore *semaphore, int64_t permits);

/* Take all that are there, and tell in *out how many. If there are fewer than none because of
 * pshm_semaphore_reduce, the missing ones are made up for, and *out is below zero. */
PSHM_API int pshm_semaphore_drain(pshm_semaphore *semaphore, int64_t *out);

/* Have permits that this participant holds not come back when it dies: they are used up, and there
 * are fewer in all until somebody releases new ones. PSHM_EINVAL if `permits` is below 0,
 * PSHM_ENOTOWNER if it holds fewer: nothing has changed then. PSHM_ECLOSED. */
PSHM_API int pshm_semaphore_consume(pshm_semaphore *semaphore, int64_t permits);

/* Take permits away for good, without waiting; below zero may be left. PSHM_EINVAL if `permits` is
 * below 0, or there would be fewer than INT64_MIN; PSHM_ECLOSED. */
PSHM_API int pshm_semaphore_reduce(pshm_semaphore *semaphore, int64_t permits);

/* The permits of a semaphore. */
typedef struct pshm_semaphore_info {
    int64_t available; /* below zero after pshm_semaphore_reduce, perhaps */
    int64_t held_here; /* by this participant */
    int64_t total;     /* available and held by anybody */
} pshm_semaphore_info;

/* As of a moment ago, after those that are dead have given back what they held. PSHM_ECLOSED. */
PSHM_API int pshm_semaphore_inspect(pshm_semaphore *semaphore, pshm_semaphore_info *out);

/* ---- events ------------------------------------------------------------------------------ */

/* A flag to wait for; not set at first. */
PSHM_API int pshm_event_open(pshm_segment *segment, const char *name, pshm_event **out);

/* Set it, and end every wait for it, even if it is cleared at once. PSHM_ECLOSED. */
PSHM_API int pshm_event_set(pshm_event *event);

/* Clear it; waits that it has ended stay ended. PSHM_ECLOSED. */
PSHM_API int pshm_event_clear(pshm_event *event);

/* 1 or 0; PSHM_ECLOSED. */
PSHM_API int pshm_event_is_set(pshm_event *event);

/* Wait until it is set, or was set since the call began. */
PSHM_API int pshm_event_await(pshm_event *event, int64_t timeout_ns, pshm_interrupt *interrupt);

/* The same in steps. Returns 0. */
PSHM_API int pshm_event_prepare(pshm_event *event, pshm_wait *wait);

/* The word of its state, which others change: bit 0 says that it is set. Atomic, to be read only;
 * valid like the handle. */
PSHM_API const uint64_t *pshm_event_state(const pshm_event *event);

/* ---- latches ----------------------------------------------------------------------------- */

/* `count`, 0 or more, is what it begins with. */
PSHM_API int pshm_latch_open(pshm_segment *segment, const char *name, int64_t count,
                             pshm_latch **out);

/* Count down by `by`, 1 or more, but not below zero. PSHM_EINVAL, PSHM_ECLOSED. */
PSHM_API int pshm_latch_count_down(pshm_latch *latch, int64_t by);

/* What is left in *out. PSHM_ECLOSED. */
PSHM_API int pshm_latch_count(pshm_latch *latch, int64_t *out);

/* Wait until it is zero. */
PSHM_API int pshm_latch_await(pshm_latch *latch, int64_t timeout_ns, pshm_interrupt *interrupt);

/* The same in steps. Returns 0. */
PSHM_API int pshm_latch_prepare(pshm_latch *latch, pshm_wait *wait);

/* The word of its count. Atomic; valid like the handle. It may be counted down by compare-and-set,
 * but not to zero: pshm_latch_count_down tells those that wait. */
PSHM_API const uint64_t *pshm_latch_state(const pshm_latch *latch);

/* ---- barriers ---------------------------------------------------------------------------- */

/* Threads, of any processes, wait for each other until `parties`, 1 or more, have arrived; then all
 * go on, and the next generation begins. What has broken stays so until pshm_barrier_reset.
 *
 * A process is a party from when it opens the barrier until it closes the segment or ends in order,
 * and a forked child of one from its own first call for the barrier: if a party dies, arrived or
 * not, the barrier breaks at once for all that wait and all that come. One that leaves in order
 * breaks it only if one of its threads has arrived and waits. After a reset the dead no longer
 * count. */
PSHM_API int pshm_barrier_open(pshm_segment *segment, const char *name, int64_t parties,
                               pshm_barrier **out);

/* Arrive, and wait for the others. Returns the index of arrival: parties - 1 for the first, 0 for
 * the last. `action`, if it is not null, is called with `context` by the last one, before the
 * others go on; a thread that comes while it runs waits, and arrives in the next generation.
 * PSHM_EBROKEN if the barrier is broken, or breaks meanwhile: because a party that waited was timed
 * out, interrupted or closed the segment, because one died, or by pshm_barrier_abort or _reset. The
 * detail says who. A wait that ends by time, interrupt or close breaks the barrier for the others,
 * also while the action runs, and so does one that was interrupted before it began; but one that
 * has come while the action runs has not arrived, and breaks nothing. With a time of zero a thread
 * arrives, and breaks the barrier unless it is the last. If the generation has tripped when the
 * time is over, the interrupt comes or the segment is closed, it returns its index. */
PSHM_API int pshm_barrier_await(pshm_barrier *barrier, int64_t timeout_ns,
                                pshm_interrupt *interrupt, void (*action)(void *context),
                                void *context);

/* The first poll arrives. With `has_action` not 0 it tells the last one to arrive
 * PSHM_BARRIER_ACTION: then it must run its action and call pshm_barrier_trip, or
 * pshm_wait_cancel, which breaks the barrier: PSHM_BREAK_ACTION. */
PSHM_API int pshm_barrier_prepare(pshm_barrier *barrier, int has_action, pshm_wait *wait);
#define PSHM_BARRIER_ACTION INT32_MAX /* from a poll: run the action, then pshm_barrier_trip */

/* The action has been run: let the others go. Returns 0, the caller's index, or PSHM_EBROKEN if it
 * broke meanwhile; PSHM_EINVAL if this wait was not told to run one, PSHM_ECLOSED. */
PSHM_API int pshm_barrier_trip(pshm_wait *wait);

/* Break the barrier for all that wait and that come; one that is broken stays as it is.
 * PSHM_ECLOSED. */
PSHM_API int pshm_barrier_abort(pshm_barrier *barrier);

/* Begin a new generation; those that wait get PSHM_EBROKEN. PSHM_ECLOSED. */
PSHM_API int pshm_barrier_reset(pshm_barrier *barrier);

/* Why a barrier broke. */
typedef enum pshm_break {
    PSHM_BREAK_NONE = 0,      /* it never has */
    PSHM_BREAK_DEATH = 1,     /* a party died */
    PSHM_BREAK_TIMEOUT = 2,   /* a party's time was over */
    PSHM_BREAK_INTERRUPT = 3, /* a party was interrupted */
    PSHM_BREAK_ABORT = 4,     /* pshm_barrier_abort */
    PSHM_BREAK_RESET = 5,     /* pshm_barrier_reset */
    PSHM_BREAK_CLOSE = 6,     /* a party that waited closed the segment */
    PSHM_BREAK_ACTION = 7     /* the action did not end well */
} pshm_break;

/* The state of a barrier. */
typedef struct pshm_barrier_info {
    int64_t parties; /* as it was opened */
    int64_t waiting; /* threads that have arrived, also while the action runs; 0 if it is broken */
    int32_t broken;  /* now: 1 or 0 */
    int32_t cause;   /* pshm_break of the last break, a reset included */
    int32_t pid;     /* of the process that caused it, or died */
} pshm_barrier_info;

/* As of a moment ago. PSHM_ECLOSED. */
PSHM_API int pshm_barrier_inspect(pshm_barrier *barrier, pshm_barrier_info *out);

/* ---- read-write locks -------------------------------------------------------------------- */

/* Any number of readers, or one writer. Readers that come while a writer waits stay behind it. The
 * lock is the participant's: one that dies, or ends in whatever way, gives its shares back. If it
 * was writing, the lock is abandoned, and whoever comes is told, until it is repaired. A thread
 * that ends without having given its share back keeps it until its process ends. A forked child has
 * none of its parent's shares. PSHM_EHELD from a close while the participant reads or writes. */
PSHM_API int pshm_rwlock_open(pshm_segment *segment, const char *name, pshm_rwlock **out);

/* What a read-write lock is taken for. */
typedef enum pshm_mode {
    PSHM_READ = 1,  /* beside other readers */
    PSHM_WRITE = 2, /* alone */
    PSHM_REPAIR = 3 /* to write, if it is abandoned */
} pshm_mode;

/* Take the lock for the calling thread. One that writes may write again, and read; one that reads
 * and wants to write waits for itself, and one that reads and wants to read again may do so, too.
 * While another repairs, it waits.
 * PSHM_EOWNERDIED (not held; pshm_lock_told tells who died), PSHM_EGOOD (to repair what is not
 * abandoned), PSHM_EINVAL (the mode), PSHM_EUNNAMED (to write), PSHM_EDEPTH (taken 2^32 - 1 times).
 */
PSHM_API int pshm_rwlock_acquire(pshm_rwlock *lock, int mode, int64_t timeout_ns,
                                 pshm_interrupt *interrupt);

/* The same in steps, and for `owner`: a number by which the process tells its threads apart, not 0:
 * PSHM_EINVAL. pshm_rwlock_acquire takes the calling thread's id. */
PSHM_API int pshm_rwlock_prepare(pshm_rwlock *lock, int mode, uint64_t owner, pshm_wait *wait);

/* Give a share back once; PSHM_REPAIR is PSHM_WRITE. PSHM_ENOTOWNER if this participant has none,
 * or `owner` does not write; 0 stands for the calling thread. PSHM_EINVAL (the mode), PSHM_ECLOSED.
 */
PSHM_API int pshm_rwlock_release(pshm_rwlock *lock, int mode, uint64_t owner);

/* Declare repaired what the lock guards; to be called by the writer, with `owner` as above.
 * PSHM_ENOTOWNER, PSHM_ECLOSED. */
PSHM_API int pshm_rwlock_mark_good(pshm_rwlock *lock, uint64_t owner);

/* Who has a read-write lock, and what has happened to it. */
typedef struct pshm_rwlock_info {
    pshm_holder writer; /* as of a moment ago */
    pshm_holder dead;   /* the last writer that died */
    uint64_t deaths;    /* of writers */
    int64_t readers;    /* shares that readers have */
    int64_t depth;      /* how often the writer has taken it */
    int32_t abandoned;  /* 1 from a writer's death until the repair has ended */
} pshm_rwlock_info;

/* As of a moment ago, after the dead have given back what they had. PSHM_ECLOSED. */
PSHM_API int pshm_rwlock_inspect(pshm_rwlock *lock, pshm_rwlock_info *out);

/* ---- conditions -------------------------------------------------------------------------- */

/* The condition of that name, in the segment of the lock. PSHM_ETYPE if it is of another lock. */
PSHM_API int pshm_condition_open(pshm_lock *lock, const char *name, pshm_condition **out);

/* Release the lock, however often it was taken, wait for a signal, and take the lock again as
 * often. Returns 0 if it was signalled, and PSHM_ETIMEDOUT or PSHM_EINTERRUPTED if not: then the
 * lock is held as well. PSHM_EOWNERDIED: it was taken again, and is held, and is abandoned, as an
 * owner has died meanwhile: repair what it guards and call pshm_lock_mark_good, or release it.
 * PSHM_ENOTOWNER if the thread does not hold the lock. After PSHM_ECLOSED it does not hold it. */
PSHM_API int pshm_condition_wait(pshm_condition *condition, int64_t timeout_ns,
                                 pshm_interrupt *interrupt);

/* The same in steps. pshm_condition_prepare is called by the thread that holds the lock, and begins
 * the wait. Then release the lock, poll and sleep; 0 from a poll says that there may be a signal.
 * Take the lock again (pshm_lock_acquire_any), and pshm_condition_finish tells 0 for a signal,
 * PSHM_EBUSY if the wait goes on: release the lock again. pshm_condition_finish with `why`
 * PSHM_ETIMEDOUT or PSHM_EINTERRUPTED ends the wait, and returns that, or 0 for a signal.
 * pshm_wait_cancel does so without the lock; a signal that it tells of is lost with a process that
 * dies before it has the lock. PSHM_ENOTOWNER; PSHM_EINVAL if the wait is one of the process that
 * forked this one. */
PSHM_API int pshm_condition_prepare(pshm_condition *condition, pshm_wait *wait);
PSHM_API int pshm_condition_finish(pshm_wait *wait, int why);

/* End the waits of `count` threads, or of all if it is below zero. Returns how many were waiting to
 * be told, at most INT32_MAX. PSHM_ENOTOWNER if the calling thread does not hold the lock;
 * PSHM_ECLOSED. */
PSHM_API int pshm_condition_signal(pshm_condition *condition, int64_t count);

/* How many threads wait, at most INT32_MAX; those of dead processes do not count. PSHM_ENOTOWNER if
 * the calling thread does not hold the lock; PSHM_ECLOSED. */
PSHM_API int pshm_condition_waiting(pshm_condition *condition);

/* ---- threads --------------------------------------------------------------------------- */

/* Tell the calling thread's name to those who ask for a lock's holder; cut to 23 bytes. Without
 * it the name that the operating system knows is taken when the thread first takes a lock. */
PSHM_API void pshm_thread_set_name(const char *name);

/* Not 0: from now on a thread that has not told its name gets PSHM_EUNNAMED when it takes a lock,
 * so that a runtime with names of its own can tell it and try again. */
PSHM_API void pshm_thread_require_names(int required);

/* ---- processes ------------------------------------------------------------------------- */

#define PSHM_SCRATCH_PATH_BYTES 64 /* for pshm_scratch_create */

/* Make an empty file without a name, to hand bytes to a child process and to get some back: it
 * goes with the last process that has it open, killed ones included. `path` receives, in at most
 * PSHM_SCRATCH_PATH_BYTES, a path under which processes of this user can open it for as long as
 * the caller keeps it. Returns a descriptor for pshm_scratch_close; an exec does not inherit it.
 * PSHM_EUNAVAILABLE, PSHM_EOS. */
PSHM_API int pshm_scratch_create(char *path);

/* Close the descriptor of a file that pshm_scratch_create has made. */
PSHM_API void pshm_scratch_close(int descriptor);

#ifdef __cplusplus
}
#endif

#endif
