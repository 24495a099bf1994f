/* SPDX-License-Identifier: Apache-2.0
 *
 * hold_lock SEGMENT LOCK: takes the lock, says "held" and keeps it until its input ends. Tests of
 * other languages kill it, to see what they are told.
 */
#include <stdio.h>

#include "polyshm.h"

int main(int argc, char **argv) {
    pshm_segment *segment;
    pshm_lock *lock;
    if (argc != 3) {
        fprintf(stderr, "usage: hold_lock SEGMENT LOCK\n");
        return 2;
    }
    if (pshm_segment_open(argv[1], NULL, &segment) != 0 ||
        pshm_lock_open(segment, argv[2], &lock) != 0 || pshm_lock_acquire(lock) != 0) {
        fprintf(stderr, "%s\n", pshm_error_detail());
        return 1;
    }
    puts("held");
    fflush(stdout);
    while (getchar() != EOF) {
    }
    return pshm_lock_release(lock) == 0 && pshm_segment_close(segment) == 0 ? 0 : 1;
}
