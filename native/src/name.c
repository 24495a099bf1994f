/* SPDX-License-Identifier: Apache-2.0
 *
 * What a segment or an object may be called: what every platform can keep as a file's name.
 */
#include <stdio.h>
#include <string.h>

#include "internal.h"

#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-"

int pshm__name_check(const char *operation, const char *name) {
    size_t length = 0;
    while (name != NULL && length < PSHM_NAME_BYTES && name[length] != '\0')
        length++;
    if (length >= 1 && length <= PSHM_NAME_MAX && name[0] != '.' && strspn(name, LETTERS) == length)
        return 0;
    char shown[4 * PSHM_NAME_BYTES + 1] = ""; /* no line feed or escape sequence gets into a log */
    for (size_t i = 0, at = 0; i < length; i++)
        at += (size_t)snprintf(shown + at, sizeof(shown) - at,
                               name[i] >= ' ' && name[i] <= '~' ? "%c" : "\\x%02x",
                               (unsigned char)name[i]);
    return pshm__fail(PSHM_ENAME,
                      "%s: name=\"%s%s\" is not a name; take 1 to %d characters out of A-Z a-z "
                      "0-9 . _ -, the first not a dot",
                      operation, shown, length > PSHM_NAME_MAX ? "..." : "", PSHM_NAME_MAX);
}
