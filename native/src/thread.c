/* SPDX-License-Identifier: Apache-2.0
 *
 * The calling thread's identity, as lock holders are recorded; found out once for each thread.
 */
#include <stdio.h>
#include <string.h>

#include "internal.h"

static _Thread_local pshm__holder self;
static _Thread_local bool named;
static _Thread_local uint32_t tid;
_Thread_local uint32_t pshm__locks_held;
static atomic_bool names_required;
static _Atomic uint64_t start_time; /* of this process; zero until known */

uint64_t pshm__process_start_time(void) {
    uint64_t known = atomic_load_explicit(&start_time, memory_order_relaxed);
    if (known == 0) {
        known = pshm__os_start_time();
        atomic_store_explicit(&start_time, known, memory_order_relaxed);
    }
    return known;
}

uint32_t pshm__thread_id(void) {
    if (tid == 0)
        tid = pshm__os_tid();
    return tid;
}

pshm__holder *pshm__thread_self(void) {
    if (self.thread != 0)
        return &self;
    if (!named) {
        if (atomic_load_explicit(&names_required, memory_order_relaxed))
            return NULL;
        pshm__os_thread_name(self.name, sizeof(self.name));
    }
    self.start_time = pshm__process_start_time();
    self.thread = (uint64_t)pshm__os_pid() << 32 | pshm__thread_id();
    return &self;
}

void pshm__thread_forget(void) {
    self.thread = 0;
    tid = 0;
    pshm__locks_held = 0;
    atomic_store_explicit(&start_time, 0, memory_order_relaxed);
}

void pshm_thread_set_name(const char *name) {
    memset(self.name, 0, sizeof(self.name));
    snprintf(self.name, sizeof(self.name), "%s", name == NULL ? "" : name);
    named = true;
}

void pshm_thread_require_names(int required) {
    atomic_store_explicit(&names_required, required != 0, memory_order_relaxed);
}
