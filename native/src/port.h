/* SPDX-License-Identifier: Apache-2.0
 *
 * What the library asks of an operating system, and all that it asks: each platform's folder
 * defines these functions in files of the same names. Only the library includes this.
 *
 * Functions that return int return zero or one of the codes of polyshm.h, and leave the reason in
 * pshm_error_detail(): the call and what the system said of it. Callers add what they were doing.
 */
#ifndef PSHM_PORT_H
#define PSHM_PORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "os_types.h" /* from the platform's folder: pshm__guard, PSHM__FOR_EACH_CPU, ... */
#include "polyshm.h"
#include "polyshm_layout.h"

/* ---- file.c: the named files behind segments -------------------------------------------- */

typedef struct pshm__file_info {
    uint64_t size_bytes;
    bool regular;   /* not a pipe or device */
    bool linked;    /* it has a name still */
    bool own;       /* it belongs to the user of this process */
    uint64_t owner; /* the user it belongs to, for messages */
} pshm__file_info;

/* A new file that did not exist, with exactly these permissions. Neither a forked child nor a
 * program that this process starts has a file of this library open, but for the child's own. */
int pshm__os_file_create(const char *name, uint32_t permissions, pshm__file *out);

/* An existing file, never through a symbolic link. */
int pshm__os_file_open(const char *name, pshm__file *out);

/* Another opening of the same file, which a child that is forked next has open, too. */
int pshm__os_file_open_for_child(pshm__file file, pshm__file *out);
void pshm__os_file_close(pshm__file file);
int pshm__os_file_info(pshm__file file, pshm__file_info *out);

/* Its first bytes; *out_count tells how many there were. */
int pshm__os_file_read(pshm__file file, void *out, size_t bytes, size_t *out_count);

/* Give the file its size, with all space reserved; it reads as zeros. */
int pshm__os_file_reserve(pshm__file file, uint64_t bytes);
int pshm__os_file_unlink(const char *name);

/* True if the name leads to this very file. */
bool pshm__os_file_is_named(pshm__file file, const char *name);

/* Call `visit` with the name of each file of this library. */
int pshm__os_file_list(void (*visit)(const char *name, void *context), void *context);

/* A lock on one byte of the file that belongs to this opening of it and ends with the process.
 * Without waiting: PSHM_EBUSY if another opening has it. */
int pshm__os_file_lock(pshm__file file, uint64_t offset);
void pshm__os_file_unlock(pshm__file file, uint64_t offset);

/* True if another opening of the file has a lock on one of these bytes, or if the system does not
 * tell: what cannot be known dead counts as alive. */
bool pshm__os_file_is_locked(pshm__file file, uint64_t offset, uint64_t bytes);

/* ---- memory.c ---------------------------------------------------------------------------- */

/* Map the file, which has this name, through an opening of its own: a mapping keeps its opening
 * alive, and with it the locks, and a forked child has the mapping as long as it likes. */
int pshm__os_map(pshm__file file, const char *name, uint64_t bytes, const void **out);
void pshm__os_unmap(void *base, uint64_t bytes);

/* Every thread of this process has a full memory barrier between the start and the end of this
 * call. Where the system cannot do that, pshm__os_light_barrier is a full barrier itself. */
void pshm__os_heavy_barrier(void);

/* ---- watch.c: the end of processes ------------------------------------------------------- */

/* Waits for the end of any of the processes that are added to it. */
int pshm__os_alarm_open(pshm__alarm *out);
void pshm__os_alarm_close(pshm__alarm *alarm);

/* Add the process that has this id now. Whatever ends it, the alarm rings until it is removed, and
 * for no other process of that id. PSHM_ENOENT if there is none. */
int pshm__os_alarm_add(pshm__alarm *alarm, uint32_t pid, pshm__process *out);
void pshm__os_alarm_remove(pshm__alarm *alarm, pshm__process process);
bool pshm__os_process_has_ended(pshm__process process);

/* Ring for ever. */
void pshm__os_alarm_ring(pshm__alarm *alarm);

/* Wait until it rings, or without an end if the time is below zero. 0, PSHM_ETIMEDOUT or PSHM_EOS;
 * 0 may also be returned without a reason. */
int pshm__os_alarm_wait(pshm__alarm *alarm, int64_t timeout_ns);

/* ---- mutex.c: mutexes in shared memory, robust and recursive ----------------------------- */

int pshm__os_mutex_init(void *mutex);

/* 0, PSHM_EOWNERDIED (taken, and to be made consistent), PSHM_EBUSY, PSHM_EDEPTH or PSHM_EOS. */
int pshm__os_mutex_try(void *mutex);
void pshm__os_mutex_make_consistent(void *mutex);
int pshm__os_mutex_unlock(void *mutex);

/* As pshm__os_mutex_try, but some microseconds later: a section under the mutex is shorter than a
 * sleep, mostly. */
int pshm__os_mutex_spin(void *mutex);

/* A word that others change, as it was seen. */
typedef struct pshm__word {
    const void *word; /* of 32 bits */
    uint32_t seen;
} pshm__word;

/* The steps of a wait for a mutex; how to take them, and why that is right, is said in the
 * library's own mutex.c. To mark says in the mutex, if anybody has it, that somebody waits; it
 * tells whether anybody has it, and what to sleep on. */
void pshm__os_mutex_join(void *mutex);
bool pshm__os_mutex_mark(void *mutex, pshm__word *out);
void pshm__os_mutex_leave(void *mutex);

/* True if the word changes within about the time of a system call: too soon for a sleep. */
bool pshm__os_word_changes(const pshm__word *word);

/* True if the thread whose pshm__os_tid is `tid` holds the mutex: as the system has it, so that no
 * thread is taken for a dead one that had its number. */
bool pshm__os_mutex_is_mine(const void *mutex, uint32_t tid);

/* ---- futex.c: to sleep until a word changes ---------------------------------------------- */

/* Sleep if the word is `seen`, until pshm__os_wake is called for it in any process; below zero the
 * time is without an end. 0 (also without a reason), PSHM_ETIMEDOUT, PSHM_EINTERRUPTED if a signal
 * handler has run in the thread, or PSHM_EOS. */
int pshm__os_wait(const uint32_t *word, uint32_t seen, int64_t timeout_ns);

/* The same for several words, until any of them is woken, or until the monotonic clock is `end_ns`.
 * Where the system has not got that it sleeps on the first, and returns now and then. */
#define PSHM__WORDS_MAX 6
int pshm__os_wait_any(const pshm__word *words, int count, int64_t end_ns);

/* Wake all that sleep on the word. */
void pshm__os_wake(const void *word);

/* ---- process.c --------------------------------------------------------------------------- */

/* What a segment must have in common with a process that opens it. */
void pshm__os_fingerprint(pshm__header *header);

uint32_t pshm__os_pid(void);
uint32_t pshm__os_tid(void);
uint64_t pshm__os_start_time(void);
void pshm__os_command(char *out, size_t bytes);
void pshm__os_thread_name(char *out, size_t bytes);
int64_t pshm__os_wall_clock_ns(void);        /* exact */
int64_t pshm__os_wall_clock_coarse_ns(void); /* cheap: as of the last tick */
int64_t pshm__os_monotonic_ns(void);

/* A start time on the wall clock as that is set now; 0 for 0. */
int64_t pshm__os_started_ns(uint64_t start_time);
void pshm__os_sleep_ns(int64_t ns);
int pshm__os_random(void *out, size_t bytes);

/* Run `body` in a thread of its own, which is never interrupted by a signal and never joined. */
int pshm__os_thread_start(void *(*body)(void *));

/* Call this when the process ends in order. */
void pshm__os_at_exit(void (*at_exit)(void));

/* Call these around each fork. In the child nothing else of the library has run before. */
void pshm__os_at_fork(void (*before_fork)(void), void (*in_parent)(void), void (*in_child)(void));
int pshm__os_scratch_create(char *path, size_t bytes);
void pshm__os_scratch_close(int descriptor);

#endif
