/* SPDX-License-Identifier: Apache-2.0
 *
 * polyshm.h alone, first and in strict C11; and its structs, whose sizes bindings rely on.
 */
#include "polyshm.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

_Static_assert(sizeof(pshm_options) == 12, "polyshm.h: pshm_options");
_Static_assert(sizeof(pshm_object_info) == 120, "polyshm.h: pshm_object_info");
_Static_assert(sizeof(pshm_participant_info) == 88, "polyshm.h: pshm_participant_info");
_Static_assert(sizeof(pshm_holder) == 48, "polyshm.h: pshm_holder");
_Static_assert(sizeof(pshm_lock_info) == 120, "polyshm.h: pshm_lock_info");

static int failures;

static void expect(const char *what, int64_t actual, int64_t expected) {
    if (actual != expected) {
        fprintf(stderr, "%s is %lld, expected %lld: %s\n", what, (long long)actual,
                (long long)expected, pshm_error_detail());
        failures++;
    }
}

int main(void) {
    pshm_segment *segment = NULL;
    pshm_value *value = NULL;
    int64_t bytes = pshm_object_bytes(PSHM_VALUE, PSHM_INT64, 1);
    expect("create", pshm_segment_create(NULL, bytes, NULL, &segment), 0);
    expect("value", pshm_value_open(segment, "v", PSHM_INT64, &value), 0);
    atomic_fetch_add((_Atomic int64_t *)pshm_value_data(value), 5);
    expect("data", *(int64_t *)pshm_value_data(value), 5);
    expect("close", pshm_segment_close(segment), 0);
    expect("name", strcmp(pshm_error_name(PSHM_EHELD), "PSHM_EHELD"), 0);
    return failures == 0 ? 0 : 1;
}
