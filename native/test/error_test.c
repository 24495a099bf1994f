/* SPDX-License-Identifier: Apache-2.0
 *
 * Error codes: names, numbers and texts, and the detail of the calling thread's last failure.
 */
#include "check.h"

static void shouldNameAndExplainEveryCode(void) {
    static const struct {
        int code;
        int number;
        const char *name;
    } rows[] = {
#define ROW(name, number, text) {name, number, #name},
        PSHM_ERRORS(ROW)
#undef ROW
    };
    const int count = (int)(sizeof(rows) / sizeof(rows[0]));
    for (int i = 0; i < count; i++) {
        CHECK_EQ(rows[i].code, rows[i].number);
        CHECK_EQ(rows[i].number, -(i + 1)); /* without a gap: no number is used twice */
        CHECK_STR(pshm_error_name(rows[i].code), rows[i].name);
        CHECK(strlen(pshm_error_text(rows[i].code)) > 5);
        for (int j = 0; j < i; j++)
            CHECK(strcmp(pshm_error_text(rows[i].code), pshm_error_text(rows[j].code)) != 0);
    }
}

/* Numbers are stable: this list grows at its end and never changes. */
static void shouldKeepTheNumbers(void) {
    CHECK_EQ(PSHM_EINVAL, -1);
    CHECK_EQ(PSHM_ENAME, -2);
    CHECK_EQ(PSHM_EEXIST, -3);
    CHECK_EQ(PSHM_ENOENT, -4);
    CHECK_EQ(PSHM_EACCES, -5);
    CHECK_EQ(PSHM_EFULL, -6);
    CHECK_EQ(PSHM_ENOSPACE, -7);
    CHECK_EQ(PSHM_ELAYOUT, -8);
    CHECK_EQ(PSHM_ETYPE, -9);
    CHECK_EQ(PSHM_EBUSY, -10);
    CHECK_EQ(PSHM_ETIMEDOUT, -11);
    CHECK_EQ(PSHM_EOWNERDIED, -12);
    CHECK_EQ(PSHM_ENOTOWNER, -13);
    CHECK_EQ(PSHM_ECLOSED, -14);
    CHECK_EQ(PSHM_EHELD, -15);
    CHECK_EQ(PSHM_EPARTICIPANTS, -16);
    CHECK_EQ(PSHM_EUNAVAILABLE, -17);
    CHECK_EQ(PSHM_ENOMEM, -18);
    CHECK_EQ(PSHM_EDEPTH, -19);
    CHECK_EQ(PSHM_EUNNAMED, -20);
    CHECK_EQ(PSHM_EGOOD, -21);
    CHECK_EQ(PSHM_EOS, -22);
    CHECK_EQ(PSHM_EINTERRUPTED, -23);
    CHECK_EQ(PSHM_EBROKEN, -24);
    CHECK_EQ(PSHM_EOVERFLOW, -25);
}

static void shouldAnswerForUnknownCodes(void) {
    const int unknown[] = {-26, -1000, INT32_MIN};
    for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++) {
        CHECK_STR(pshm_error_name(unknown[i]), "PSHM_EUNKNOWN");
        CHECK_STR(pshm_error_text(unknown[i]), "not a code of this library");
    }
    const int success[] = {0, 1, INT32_MAX};
    for (size_t i = 0; i < sizeof(success) / sizeof(success[0]); i++) {
        CHECK_STR(pshm_error_name(success[i]), "PSHM_EUNKNOWN");
        CHECK_STR(pshm_error_text(success[i]), "success");
    }
}

static void shouldTellOperationValuesAndRemedy(void) {
    pshm_segment *segment;
    CHECK_CODE(pshm_segment_open(name_of("absent"), NULL, &segment), PSHM_ENOENT);
    CHECK_DETAIL("open: ");
    CHECK_DETAIL(name_of("absent"));

    CHECK_CODE(pshm_segment_create(name_of("small"), 0, NULL, &segment), PSHM_EINVAL);
    CHECK_DETAIL("create: name=");
    CHECK_DETAIL("bytes=0");
    CHECK_DETAIL("take bytes=1 to ");

    char longest[2000];
    memset(longest, 'n', sizeof(longest));
    longest[sizeof(longest) - 1] = '\0';
    CHECK_CODE(pshm_segment_open_or_create(longest, 0, NULL, &segment), PSHM_ENAME);
    CHECK_DETAIL("open_or_create: ");
    CHECK_DETAIL("1 to 95 characters"); /* the remedy, however long the input */
}

static void *other_thread(void *argument) {
    pshm_segment *segment;
    CHECK_STR(pshm_error_detail(), "");
    CHECK_CODE(pshm_segment_open(name_of("of-the-thread"), NULL, &segment), PSHM_ENOENT);
    CHECK_DETAIL("of-the-thread");
    return argument;
}

static void shouldKeepTheDetailOfEachThread(void) {
    pshm_segment *segment;
    pthread_t thread;
    CHECK_CODE(pshm_segment_open(name_of("of-main"), NULL, &segment), PSHM_ENOENT);
    CHECK_EQ(pthread_create(&thread, NULL, other_thread, NULL), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_DETAIL("of-main");
}

int main(void) {
    check_begin(110);
    CHECK_STR(pshm_error_detail(), "");
    RUN(shouldNameAndExplainEveryCode);
    RUN(shouldKeepTheNumbers);
    RUN(shouldAnswerForUnknownCodes);
    RUN(shouldTellOperationValuesAndRemedy);
    RUN(shouldKeepTheDetailOfEachThread);
    return check_end();
}
