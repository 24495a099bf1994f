/* SPDX-License-Identifier: Apache-2.0
 *
 * polyshm.h and polyshm_layout.h from C++17: they compile, link, and their structs are the same.
 */
#include "polyshm.h"

#include "polyshm_layout.h"

#include <cstdio>
#include <cstring>

static_assert(sizeof(pshm_options) == 12, "polyshm.h: pshm_options");
static_assert(sizeof(pshm_lock_info) == 120, "polyshm.h: pshm_lock_info");

static int failures;

static void expect(const char *what, long actual, long expected) {
    if (actual != expected) {
        std::fprintf(stderr, "%s is %ld, expected %ld: %s\n", what, actual, expected,
                     pshm_error_detail());
        failures++;
    }
}

int main() {
    pshm_segment *segment = nullptr;
    pshm_lock *lock = nullptr;
    pshm_options options{};
    options.lifetime = PSHM_LAST_OUT;
    expect("create", pshm_segment_create(nullptr, 4096, &options, &segment), 0);
    expect("lock", pshm_lock_open(segment, "l", &lock), 0);
    expect("acquire", pshm_lock_acquire(lock), 0);
    expect("close", pshm_segment_close(segment), PSHM_EHELD);
    expect("release", pshm_lock_release(lock), 0);
    expect("close", pshm_segment_close(segment), 0);
    expect("name", std::strcmp(pshm_error_name(PSHM_EHELD), "PSHM_EHELD"), 0);
    return failures == 0 ? 0 : 1;
}
