/* SPDX-License-Identifier: Apache-2.0
 *
 * add_to HANDLE NUMBER: adds to the int64 value that <segment name>/<object name> stands for, with
 * its lock held. Tests of other languages hand it what they share.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "polyshm.h"

int main(int argc, char **argv) {
    pshm_segment *segment;
    pshm_value *value;
    pshm_object_info info;
    char *slash = argc == 3 ? strchr(argv[1], '/') : NULL;
    if (slash == NULL) {
        fprintf(stderr, "usage: add_to HANDLE NUMBER\n");
        return 2;
    }
    *slash = '\0';
    if (pshm_segment_open(argv[1], NULL, &segment) != 0 ||
        pshm_segment_find_object(segment, slash + 1, &info) != 0 ||
        pshm_value_open(segment, info.name, PSHM_INT64, &value) != 0 ||
        pshm_lock_acquire(pshm_value_lock(value)) != 0) {
        fprintf(stderr, "%s\n", pshm_error_detail());
        return 1;
    }
    *(int64_t *)pshm_value_data(value) += strtoll(argv[2], NULL, 10);
    return pshm_lock_release(pshm_value_lock(value)) == 0 && pshm_segment_close(segment) == 0 ? 0
                                                                                              : 1;
}
