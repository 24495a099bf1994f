/* SPDX-License-Identifier: Apache-2.0
 *
 * polyshm.h: typed arrays, values and locks in memory that processes of one host share.
 * This is the whole C API; the Java and Python packages stand on it. Link with -lpolyshm.
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
    X(PSHM_ENOENT, -4, "there is no such segment")                                          \
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
    X(PSHM_EPARTICIPANTS, -16, "too many processes have the segment open")                  \
    X(PSHM_EUNAVAILABLE, -17, "there is no usable shared memory here")                      \
    X(PSHM_ENOMEM, -18, "out of memory")                                                    \
    X(PSHM_EDEPTH, -19, "the thread has taken too many locks, or one too often")            \
    X(PSHM_EUNNAMED, -20, "the calling thread has not told its name")                       \
    X(PSHM_EGOOD, -21, "the lock is not abandoned")                                         \
    X(PSHM_EOS, -22, "the operating system refused")

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

typedef enum pshm_kind { PSHM_ARRAY = 1, PSHM_VALUE = 2, PSHM_LOCK = 3 } pshm_kind;

typedef enum pshm_lifetime {
    PSHM_PERSISTENT = 1, /* until unlinked */
    PSHM_LAST_OUT = 2    /* until the last process that has it open is gone, killed ones included */
} pshm_lifetime;

/* Openings of one segment at a time, of all processes; those of killed ones do not count. */
#define PSHM_PARTICIPANTS_MAX 128

typedef struct pshm_segment pshm_segment;
typedef struct pshm_array pshm_array;
typedef struct pshm_value pshm_value;
typedef struct pshm_lock pshm_lock;

/* How a segment is made. A zero in a field, or a null pointer for all, means the default. */
typedef struct pshm_options {
    uint32_t permissions;       /* mode bits, 0600 by default whatever the umask is */
    uint32_t lifetime;          /* pshm_lifetime; PERSISTENT by default, LAST_OUT if anonymous */
    uint32_t allow_other_owner; /* not 0: open a segment that another user owns, too */
} pshm_options;

typedef struct pshm_object_info {
    char name[96];
    int32_t kind;    /* pshm_kind */
    int32_t type;    /* pshm_type, 0 for a lock */
    uint64_t length; /* elements */
    uint64_t bytes;  /* taken from the segment */
} pshm_object_info;

/* One opening of a segment: a process that has it open twice is two participants. */
typedef struct pshm_participant_info {
    int32_t pid;
    uint32_t slot;          /* its place in the segment's table */
    uint64_t start_time;    /* of the process: clock ticks after boot, as in proc(5); 0 unknown */
    int64_t since_ns;       /* attached at: wall clock, nanoseconds since 1970 */
    int64_t started_ns;     /* start_time on the wall clock as it is set now, so it moves with the
                               clock; good to a tick, 10 ms on Linux; 0 if unknown */
    uint8_t segment_id[16]; /* of the segment it takes part in */
    char command[40];
} pshm_participant_info;

/* A thread that holds, or held, a lock. All zero for nobody. */
typedef struct pshm_holder {
    int32_t pid;
    int32_t tid;
    uint64_t start_time; /* of the process: clock ticks after boot */
    int64_t since_ns;    /* taken at: wall clock, nanoseconds since 1970; a tick coarse */
    char thread_name[24];
} pshm_holder;

typedef struct pshm_lock_info {
    pshm_holder holder; /* as of a moment ago; by the time it is read it may be another */
    pshm_holder dead;   /* the last holder that died */
    uint64_t deaths;
    uint64_t contentions; /* acquisitions that had to wait */
    int32_t abandoned;
} pshm_lock_info;

/* ---- errors ---------------------------------------------------------------------------- */

/* "PSHM_EEXIST" for PSHM_EEXIST; "PSHM_EUNKNOWN" for what is not a code. Never null. */
PSHM_API const char *pshm_error_name(int code);

/* What the code means in general, a static string. Never null. */
PSHM_API const char *pshm_error_text(int code);

/* What the calling thread's last failed call says: operation, values and remedy. Read it at once:
 * any later call of the thread may change it. Empty if none failed yet. Never null. From a lock,
 * PSHM_EBUSY, PSHM_ETIMEDOUT, PSHM_EUNNAMED and PSHM_EGOOD are expected outcomes and have none;
 * from pshm_segment_next_exit PSHM_ETIMEDOUT has none. */
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
 * lock gets PSHM_ECLOSED when the lock's holder gives it back or dies, or its time is over.
 * Handles and data pointers of the segment are then no longer valid.
 * Closing again while a pin is held returns 0. PSHM_EHELD if this process holds one of its locks:
 * nothing has changed then. */
PSHM_API int pshm_segment_close(pshm_segment *segment);

/* Keep the mapping and every handle valid beyond the close, until the matching unpin. Data may
 * still be read and written and what describes the segment be asked for; every function that has
 * the code returns PSHM_ECLOSED. */
PSHM_API void pshm_segment_pin(pshm_segment *segment);
PSHM_API void pshm_segment_unpin(pshm_segment *segment);

/* Remove the name. Processes that have it open keep the memory. Removes damaged ones, too.
 * PSHM_ENAME, PSHM_ENOENT, PSHM_EACCES, PSHM_ELAYOUT (not a file), PSHM_EBUSY, PSHM_EUNAVAILABLE,
 * PSHM_EOS. */
PSHM_API int pshm_segment_unlink(const char *name);

/* Remove every LAST_OUT segment whose processes are all gone, and what creators killed half-way
 * left. Returns how many went. Segments of other users, of other layouts and busy ones stay. */
PSHM_API int pshm_reap(void);

/* The same, and tell of each name: `told` is called with 1 if it was removed, and otherwise with a
 * code for why it stays: PSHM_EBUSY (in use, or somebody is at work on it), PSHM_EEXIST
 * (persistent, and in use by nobody now), PSHM_EACCES (another user's), PSHM_ELAYOUT (damaged, or
 * of another layout), PSHM_ENAME (no segment's), PSHM_EOS. pshm_error_detail() has it in words,
 * until `told` calls another function. With `dry_run` not 0 nothing is removed: 1 means that it
 * would be. Names that go meanwhile are not told. `told` gets `context`. Any thread.
 * Returns how many went, or would. PSHM_EUNAVAILABLE, PSHM_EOS. */
PSHM_API int pshm_reap_each(int dry_run, void (*told)(const char *name, int code, void *context),
                            void *context);

/* The name without any prefix, valid as long as the segment. */
PSHM_API const char *pshm_segment_name(const pshm_segment *segment);

/* 16 random bytes that tell this segment from another of the same name; valid as long as it is. */
PSHM_API const uint8_t *pshm_segment_id(const pshm_segment *segment);

/* Bytes that objects may take in all, and bytes not yet taken. */
PSHM_API int64_t pshm_segment_size_bytes(const pshm_segment *segment);
PSHM_API int64_t pshm_segment_free_bytes(const pshm_segment *segment);

/* pshm_lifetime of the segment. */
PSHM_API int pshm_segment_lifetime(const pshm_segment *segment);

/* The object after the one at *cursor, in the order of creation; begin with *cursor = 0.
 * Returns 1 with *out filled and *cursor advanced, 0 at the end. PSHM_ECLOSED, PSHM_ELAYOUT. */
PSHM_API int pshm_segment_next_object(pshm_segment *segment, uint64_t *cursor,
                                      pshm_object_info *out);

/* The live participant after the one at *cursor; as above. Death is known from the kernel: one that
 * is stopped is listed, one that was killed is not, whoever has its pid by now. PSHM_ECLOSED. */
PSHM_API int pshm_segment_next_participant(pshm_segment *segment, uint64_t *cursor,
                                           pshm_participant_info *out);

/* The object after the one at *cursor whose lock a thread of the participant's process holds; as
 * above. A snapshot for display: by the time it is read the lock may be another's. A process with
 * several openings holds its locks in all of them; a lock whose holding thread died is held until
 * the next that takes it is told. PSHM_ECLOSED, PSHM_ELAYOUT. */
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

/* Watch nobody any more: both functions above return PSHM_ECLOSED from now on, to threads that wait
 * as well. The segment stays open. For a process that is about to end. */
PSHM_API void pshm_segment_end_watch(pshm_segment *segment);

/* ---- objects --------------------------------------------------------------------------- */

/* Bytes that one object takes from its segment: PSHM_LOCK ignores type and length, PSHM_VALUE
 * the length. PSHM_EINVAL if kind, type or length is out of range. */
PSHM_API int64_t pshm_object_bytes(int kind, int type, int64_t length);

/* Get the array of that name, or create it with all elements zero. Exactly one of any number of
 * callers creates. *out is valid until the segment is closed and its last pin gone; it is not
 * freed. PSHM_EINVAL, PSHM_ENAME, PSHM_ETYPE, PSHM_ENOSPACE, PSHM_ECLOSED, PSHM_ELAYOUT,
 * PSHM_ENOMEM. */
PSHM_API int pshm_array_open(pshm_segment *segment, const char *name, int type, int64_t length,
                             pshm_array **out);

/* The first element, aligned to 64 bytes; for atomic access use <stdatomic.h> on it. Never null. */
PSHM_API void *pshm_array_data(const pshm_array *array);
PSHM_API int64_t pshm_array_length(const pshm_array *array);

/* The lock that belongs to the array. Never null; valid as long as the array. */
PSHM_API pshm_lock *pshm_array_lock(pshm_array *array);

/* Set memory to one element of 1, 2, 4 or 8 bytes, which `pattern` repeats to 8: so fast as memset
 * sets bytes. `data` is aligned to the element, and `bytes` a multiple of it. */
PSHM_API void pshm_fill(void *data, uint64_t bytes, uint64_t pattern);

/* As pshm_array_open, for one element. */
PSHM_API int pshm_value_open(pshm_segment *segment, const char *name, int type, pshm_value **out);
PSHM_API void *pshm_value_data(const pshm_value *value);
PSHM_API pshm_lock *pshm_value_lock(pshm_value *value);

/* As pshm_array_open, for a lock that stands alone. */
PSHM_API int pshm_lock_open(pshm_segment *segment, const char *name, pshm_lock **out);

/* ---- locks ----------------------------------------------------------------------------- */

/* Take the lock, waiting as long as it takes. A thread that holds it takes it once more.
 * What its earlier holders stored before they released it is visible after success.
 * PSHM_EOWNERDIED (not held; pshm_lock_told tells who died), PSHM_ECLOSED, PSHM_EDEPTH (a thread
 * may hold 2000 locks), PSHM_EUNNAMED, PSHM_EOS. */
PSHM_API int pshm_lock_acquire(pshm_lock *lock);

/* The same without waiting: PSHM_EBUSY if another thread holds it. */
PSHM_API int pshm_lock_try_acquire(pshm_lock *lock);

/* The same, waiting for at most `timeout_ns` nanoseconds of the monotonic clock; zero or less does
 * not wait. PSHM_ETIMEDOUT if they are over. */
PSHM_API int pshm_lock_timed_acquire(pshm_lock *lock, int64_t timeout_ns);

/* Give the lock back once. PSHM_ENOTOWNER if the calling thread does not hold it; PSHM_ECLOSED if
 * the segment is closed, as nobody here can hold it then. */
PSHM_API int pshm_lock_release(pshm_lock *lock);

/* Take an abandoned lock in order to repair what it guards, waiting for others that do so.
 * On success the lock is held and still abandoned: call pshm_lock_mark_good when the repair
 * is done, then release it. If it is released, or its holder dies, without that, it stays
 * abandoned. PSHM_EGOOD if it is not abandoned (not held then). Otherwise as pshm_lock_acquire. */
PSHM_API int pshm_lock_acquire_abandoned(pshm_lock *lock);

/* Declare repaired what the lock guards. PSHM_ENOTOWNER, PSHM_ECLOSED. */
PSHM_API int pshm_lock_mark_good(pshm_lock *lock);

/* How often the calling thread holds the lock, 0 if it does not. */
PSHM_API int pshm_lock_depth(const pshm_lock *lock);

/* Who holds it and what has happened to it. PSHM_ECLOSED. */
PSHM_API int pshm_lock_inspect(pshm_lock *lock, pshm_lock_info *out);

/* The death of which the calling thread's last PSHM_EOWNERDIED told, as `dead` and `deaths` of
 * *out; the rest is zero. pshm_lock_inspect may show a later one by then, or parts of two. */
PSHM_API void pshm_lock_told(pshm_lock_info *out);

/* ---- threads --------------------------------------------------------------------------- */

/* Tell the calling thread's name to those who ask for a lock's holder; cut to 23 bytes. Without
 * it the name that the operating system knows is taken when the thread first takes a lock. */
PSHM_API void pshm_thread_set_name(const char *name);

/* Not 0: from now on a thread that has not told its name gets PSHM_EUNNAMED when it takes a lock,
 * so that a runtime with names of its own can tell it and try again. */
PSHM_API void pshm_thread_require_names(int required);

/* ---- processes ------------------------------------------------------------------------- */

#define PSHM_SCRATCH_PATH_BYTES 64

/* Make an empty file without a name, to hand bytes to a child process and to get some back: it
 * goes with the last process that has it open, killed ones included. `path` receives, in at most
 * PSHM_SCRATCH_PATH_BYTES, a path under which processes of this user can open it for as long as
 * the caller keeps it. Returns a descriptor for pshm_scratch_close; an exec does not inherit it.
 * PSHM_EUNAVAILABLE, PSHM_EOS. */
PSHM_API int pshm_scratch_create(char *path);
PSHM_API void pshm_scratch_close(int descriptor);

#ifdef __cplusplus
}
#endif

#endif
