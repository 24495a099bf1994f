/* SPDX-License-Identifier: Apache-2.0
 *
 * Names and texts of the error codes, and the calling thread's last failure in detail.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "internal.h"

static _Thread_local char detail[640];

static const struct {
    int code;
    const char *name;
    const char *text;
} errors[] = {
#define ROW(name, number, text) {number, #name, text},
    PSHM_ERRORS(ROW)
#undef ROW
};

static const size_t error_count = sizeof(errors) / sizeof(errors[0]);

const char *pshm_error_name(int code) {
    for (size_t i = 0; i < error_count; i++) {
        if (errors[i].code == code)
            return errors[i].name;
    }
    return "PSHM_EUNKNOWN";
}

const char *pshm_error_text(int code) {
    for (size_t i = 0; i < error_count; i++) {
        if (errors[i].code == code)
            return errors[i].text;
    }
    return code >= 0 ? "success" : "not a code of this library";
}

const char *pshm_error_detail(void) { return detail; }

int pshm__fail(int code, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(detail, sizeof(detail), format, arguments);
    va_end(arguments);
    return code;
}

int pshm__fail_at(int code, const char *operation, const pshm_segment *segment,
                  const pshm__object *object, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(detail, sizeof(detail), format, arguments);
    va_end(arguments);
    return pshm__while(code, "%s: segment=%s, name=%.*s", operation, segment->name, PSHM_NAME_MAX,
                       object->name);
}

int pshm__closed(const pshm_segment *segment, const char *operation) {
    return pshm__fail(PSHM_ECLOSED,
                      "%s: segment=%s is closed; close it later, or open it again if it is still "
                      "there",
                      operation, segment->name);
}

int pshm__while(int code, const char *format, ...) {
    char reason[sizeof(detail)];
    memcpy(reason, detail, sizeof(detail));
    va_list arguments;
    va_start(arguments, format);
    int used = vsnprintf(detail, sizeof(detail), format, arguments);
    va_end(arguments);
    if (used >= 0 && (size_t)used < sizeof(detail)) {
        size_t room = sizeof(detail) - (size_t)used;
        if (snprintf(detail + used, room, ": %s", reason) < 0)
            detail[used] = '\0';
    }
    return code;
}
