/* SPDX-License-Identifier: Apache-2.0
 *
 * Files without a name, for bytes that go to a child process and come back.
 */
#include "internal.h"

int pshm_scratch_create(char *path) {
    int code = pshm__os_scratch_create(path, PSHM_SCRATCH_PATH_BYTES);
    return code >= 0 ? code : pshm__while(code, "scratch");
}

void pshm_scratch_close(int descriptor) { pshm__os_scratch_close(descriptor); }
