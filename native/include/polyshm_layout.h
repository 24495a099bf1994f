/* SPDX-License-Identifier: Apache-2.0
 *
 * The structs that live in shared memory, as native/LAYOUT.md defines them. This header knows
 * bytes and offsets only; it is the one place in C that does. Programs include polyshm.h instead.
 */
#ifndef POLYSHM_LAYOUT_H
#define POLYSHM_LAYOUT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#define PSHM__ASSERT(condition, text) static_assert(condition, text)
#else
#define PSHM__ASSERT(condition, text) _Static_assert(condition, text)
#endif

#define PSHM_LAYOUT_MAJOR 1
#define PSHM_LAYOUT_MINOR 0

#define PSHM_MAGIC 0x314d4853594c4f50u /* "POLYSHM1" read as a little-endian 64-bit word */
#define PSHM_READY 0x21594452u         /* "RDY!"; zero while the creator is at work */

#define PSHM_ALIGN 64u             /* of every object and of its payload: one cache line */
#define PSHM_NAME_BYTES 96u        /* an object's name with its terminating NUL */
#define PSHM_THREAD_NAME_BYTES 24u /* a thread's name with its terminating NUL */
#define PSHM_COMMAND_BYTES 40u     /* a process's command with its terminating NUL */
#define PSHM_MUTEX_BYTES 64u       /* room for the platform's mutex; the largest known is 48 */
#define PSHM_PARTICIPANTS 128u     /* slots of the participants table */

/* Offset 0. Written once by the creator, never again; checksum covers all of it but ready. */
typedef struct pshm__header {
    uint64_t magic;
    uint32_t ready; /* published last, with release order */
    uint16_t layout_major;
    uint16_t layout_minor;
    uint8_t byte_order;     /* 1 little endian, 2 big endian */
    uint8_t word_bytes;     /* sizeof(void *) */
    uint8_t libc;           /* 1 glibc, 2 musl, 3 Windows */
    uint8_t architecture;   /* 1 x86-64, 2 AArch64 */
    uint32_t mutex_bytes;   /* sizeof(pthread_mutex_t) */
    uint64_t pid_namespace; /* inode of the PID namespace */
    uint64_t total_bytes;   /* size of the file */
    uint64_t heap_offset;   /* where objects begin */
    uint32_t participant_offset;
    uint32_t participant_capacity;
    uint8_t id[16];       /* random: tells this segment from another of the same name */
    uint32_t lifetime;    /* PSHM_PERSISTENT or PSHM_LAST_OUT */
    uint32_t permissions; /* the mode bits it was created with */
    int64_t created_ns;   /* wall clock, nanoseconds since 1970 */
    uint32_t creator_pid;
    uint32_t reserved[7]; /* zero */
    uint64_t checksum;    /* FNV-1a 64 of the bytes before it, ready taken as zero */
} pshm__header;

/* Offset 128. The only bytes of the head that change while the segment is in use. */
typedef struct pshm__directory {
    uint64_t heap_used;              /* atomic; bytes of the heap that hold published objects */
    uint32_t numbers;                /* atomic; participants that have been given a number */
    uint32_t joined;                 /* atomic; counts those that have come, */
    uint32_t departed;               /* atomic; and those known to have gone: both wrap */
    uint32_t reserved_32;            /* zero */
    uint64_t reserved[5];            /* zero */
    uint8_t mutex[PSHM_MUTEX_BYTES]; /* held to add an object */
} pshm__directory;

/* Offset 256, one for each slot. Display only: a slot is alive while its file lock is held. */
typedef struct pshm__participant {
    uint32_t pid;        /* zero while the slot is free */
    uint32_t number;     /* tells it from others that have the slot before or after; not zero */
    uint64_t start_time; /* clock ticks after boot, as proc(5) gives them */
    int64_t since_ns;    /* attached at: wall clock, nanoseconds since 1970 */
    char command[PSHM_COMMAND_BYTES];
} pshm__participant;

/* Who holds, or held, a lock. PID and TID come again; with the start time they do not. */
typedef struct pshm__holder {
    uint64_t thread;     /* atomic; pid << 32 | tid, zero for nobody */
    uint64_t start_time; /* of the process, as in its participant's slot */
    int64_t since_ns;    /* taken at: wall clock, nanoseconds since 1970 */
    char name[PSHM_THREAD_NAME_BYTES];
} pshm__holder;

typedef struct pshm__lock {
    uint8_t mutex[PSHM_MUTEX_BYTES];
    pshm__holder holder;
    pshm__holder dead;  /* the last holder that died */
    uint32_t depth;     /* how often the holder has taken it */
    uint32_t abandoned; /* 1 from an owner's death until the repair has ended */
    uint64_t deaths;
    uint64_t contentions; /* atomic; acquisitions that had to sleep */
    uint64_t reserved;    /* zero */
} pshm__lock;

/* What every synchronizer's payload begins with: see wait.c. */
typedef struct pshm__events {
    uint32_t sequence; /* atomic; the futex: counts what those who wait must look at again */
    uint32_t waiters;  /* atomic; those that sleep, and those that were killed when they did */
} pshm__events;

/* What the participant that has a slot has in a synchronizer; all zero for nothing. It is that of
 * the participant with this number, and of no other that has the slot. */
typedef struct pshm__stake {
    uint32_t number;
    uint32_t count;  /* barrier: threads that have arrived; lock: that read */
    uint64_t amount; /* semaphore: held; lock: who wait to write; barrier: the generation that
                        `count` is of; condition: atomic, signals not yet taken in bits 32-63, below
                        them the threads that wait for one */
} pshm__stake;

/* Changed only under the object's mutex, unless it says atomic. */
typedef struct pshm__semaphore {
    pshm__events events;
    int64_t total;        /* all permits that there are, held ones included */
    int64_t available;    /* atomic to read; total less those that are held */
    uint64_t reserved[5]; /* zero */
    pshm__stake stakes[PSHM_PARTICIPANTS];
} pshm__semaphore;

typedef struct pshm__event {
    pshm__events events;
    uint64_t state;       /* atomic; bit 0: it is set; the others count how often it was set */
    uint64_t reserved[6]; /* zero */
} pshm__event;

typedef struct pshm__latch {
    pshm__events events;
    uint64_t count;       /* atomic; down to zero */
    uint64_t reserved[6]; /* zero */
} pshm__latch;

#define PSHM_BARRIER_HISTORY 64u /* generations whose ends are remembered */

typedef struct pshm__barrier {
    pshm__events events;
    uint64_t generation;  /* atomic to read; how many are over */
    uint64_t cause;       /* atomic; of the last break: pid << 32 | pshm_break */
    uint32_t tripping;    /* number of the participant that runs the action, zero for none */
    uint32_t reserved_32; /* zero */
    uint64_t reserved[4]; /* zero */
    uint64_t ends[PSHM_BARRIER_HISTORY]; /* atomic; number << 8 | pshm_break: see barrier.c */
    uint32_t pids[PSHM_PARTICIPANTS];    /* of those who have a stake */
    pshm__stake stakes[PSHM_PARTICIPANTS];
} pshm__barrier;

typedef struct pshm__rwlock {
    pshm__events events;
    uint64_t writer;    /* number of its participant in bits 32-63, its slot below; zero: nobody */
    uint64_t owner;     /* which of the participant's threads, as it tells them apart */
    uint32_t depth;     /* how often the writer has taken it */
    uint32_t abandoned; /* 1 from a writer's death until the repair has ended */
    uint64_t deaths;
    pshm__holder holder;  /* the writer */
    pshm__holder dead;    /* the last writer that died */
    uint64_t reserved[7]; /* zero */
    pshm__stake stakes[PSHM_PARTICIPANTS];
} pshm__rwlock;

/* Changed only under the lock that it belongs to, except by one that waits no more. */
typedef struct pshm__condition {
    pshm__events events;
    uint32_t cursor;      /* the slot that the next signal looks at first */
    uint32_t reserved_32; /* zero */
    uint64_t reserved[6]; /* zero */
    pshm__stake stakes[PSHM_PARTICIPANTS];
} pshm__condition;

/* An object of the heap: this head, then the payload, the whole a multiple of PSHM_ALIGN. */
typedef struct pshm__object {
    uint32_t kind;     /* pshm_kind */
    uint32_t type;     /* pshm_type of an array or value; 1 for a bounded semaphore; else zero */
    uint64_t length;   /* elements, or the parameter of the kind: see LAYOUT.md */
    uint64_t bytes;    /* of head and payload, rounded up */
    uint64_t reserved; /* zero */
    char name[PSHM_NAME_BYTES];
    pshm__lock lock;
} pshm__object;

#define PSHM_DIRECTORY_OFFSET sizeof(pshm__header)
#define PSHM_PARTICIPANT_OFFSET (PSHM_DIRECTORY_OFFSET + sizeof(pshm__directory))
#define PSHM_HEAP_OFFSET (PSHM_PARTICIPANT_OFFSET + PSHM_PARTICIPANTS * sizeof(pshm__participant))

PSHM__ASSERT(sizeof(pshm__header) == 128, "LAYOUT.md: header");
PSHM__ASSERT(offsetof(pshm__header, ready) == 8, "LAYOUT.md: header");
PSHM__ASSERT(offsetof(pshm__header, byte_order) == 16, "LAYOUT.md: header");
PSHM__ASSERT(offsetof(pshm__header, total_bytes) == 32, "LAYOUT.md: header");
PSHM__ASSERT(offsetof(pshm__header, id) == 56, "LAYOUT.md: header");
PSHM__ASSERT(offsetof(pshm__header, created_ns) == 80, "LAYOUT.md: header");
PSHM__ASSERT(offsetof(pshm__header, checksum) == 120, "LAYOUT.md: header");
PSHM__ASSERT(sizeof(pshm__directory) == 128, "LAYOUT.md: directory");
PSHM__ASSERT(offsetof(pshm__directory, mutex) == 64, "LAYOUT.md: directory");
PSHM__ASSERT(sizeof(pshm__participant) == 64, "LAYOUT.md: participants");
PSHM__ASSERT(offsetof(pshm__participant, command) == 24, "LAYOUT.md: participants");
PSHM__ASSERT(sizeof(pshm__holder) == 48, "LAYOUT.md: lock");
PSHM__ASSERT(sizeof(pshm__lock) == 192, "LAYOUT.md: lock");
PSHM__ASSERT(offsetof(pshm__lock, depth) == 160, "LAYOUT.md: lock");
PSHM__ASSERT(offsetof(pshm__object, name) == 32, "LAYOUT.md: object");
PSHM__ASSERT(offsetof(pshm__object, lock) == 128, "LAYOUT.md: object");
PSHM__ASSERT(sizeof(pshm__object) == 320, "LAYOUT.md: object");
PSHM__ASSERT(offsetof(pshm__directory, numbers) == 8, "LAYOUT.md: directory");
PSHM__ASSERT(sizeof(pshm__stake) == 16, "LAYOUT.md: stakes");
PSHM__ASSERT(sizeof(pshm__semaphore) == 64 + 2048, "LAYOUT.md: semaphore");
PSHM__ASSERT(sizeof(pshm__event) == 64, "LAYOUT.md: event");
PSHM__ASSERT(sizeof(pshm__latch) == 64, "LAYOUT.md: latch");
PSHM__ASSERT(offsetof(pshm__barrier, ends) == 64, "LAYOUT.md: barrier");
PSHM__ASSERT(offsetof(pshm__barrier, pids) == 576, "LAYOUT.md: barrier");
PSHM__ASSERT(sizeof(pshm__barrier) == 1088 + 2048, "LAYOUT.md: barrier");
PSHM__ASSERT(offsetof(pshm__rwlock, holder) == 40, "LAYOUT.md: read-write lock");
PSHM__ASSERT(sizeof(pshm__rwlock) == 192 + 2048, "LAYOUT.md: read-write lock");
PSHM__ASSERT(sizeof(pshm__condition) == 64 + 2048, "LAYOUT.md: condition");
PSHM__ASSERT(PSHM_HEAP_OFFSET % PSHM_ALIGN == 0, "LAYOUT.md: heap");

#endif
