/* SPDX-License-Identifier: Apache-2.0
 *
 * The names of threads, as those see them who ask for a lock's holder.
 */
#include "check.h"

static pshm_lock *lock;

static void expect_holder(const char *name) {
    pshm_lock_info info;
    CHECK_OK(pshm_lock_acquire(lock));
    CHECK_OK(pshm_lock_inspect(lock, &info));
    CHECK_STR(info.holder.thread_name, name);
    CHECK_EQ(info.holder.pid, getpid());
    CHECK_OK(pshm_lock_release(lock));
}

static void in_thread(void *(*body)(void *), void *argument) {
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, body, argument), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
}

static void *take_the_systems_name(void *argument) {
    prctl(PR_SET_NAME, "of-the-system");
    expect_holder("of-the-system");
    prctl(PR_SET_NAME, "too-late"); /* it is taken once */
    expect_holder("of-the-system");
    return argument;
}

static void *tell_a_name(void *argument) {
    pshm_thread_set_name("first");
    expect_holder("first");
    pshm_thread_set_name("second");
    expect_holder("second");
    pshm_thread_set_name("12345678901234567890123456789");
    expect_holder("12345678901234567890123");
    pshm_thread_set_name("");
    expect_holder("");
    pshm_thread_set_name(NULL);
    expect_holder("");
    return argument;
}

static void *keep_the_name_of_a_held_lock(void *argument) {
    pshm_lock_info info;
    pshm_thread_set_name("before");
    CHECK_OK(pshm_lock_acquire(lock));
    pshm_thread_set_name("after");
    CHECK_OK(pshm_lock_inspect(lock, &info));
    CHECK_STR(info.holder.thread_name, "before");
    CHECK_OK(pshm_lock_release(lock));
    expect_holder("after");
    return argument;
}

static void *be_asked_for_a_name(void *argument) {
    CHECK_CODE(pshm_lock_acquire(lock), PSHM_EUNNAMED);
    CHECK_CODE(pshm_lock_try_acquire(lock), PSHM_EUNNAMED);
    CHECK_CODE(pshm_lock_timed_acquire(lock, 1), PSHM_EUNNAMED);
    CHECK_CODE(pshm_lock_acquire_abandoned(lock), PSHM_EUNNAMED);
    CHECK_CODE(pshm_lock_release(lock), PSHM_ENOTOWNER);
    CHECK_CODE(pshm_lock_mark_good(lock), PSHM_ENOTOWNER);
    CHECK_EQ(pshm_lock_depth(lock), 0);
    pshm_thread_set_name("told");
    expect_holder("told");
    return argument;
}

int main(void) {
    pshm_segment *segment;
    check_begin(110);
    prctl(PR_SET_NAME, "main-thread");
    CHECK_OK(pshm_segment_create(NULL, 4096, NULL, &segment));
    CHECK_OK(pshm_lock_open(segment, "l", &lock));
    in_thread(take_the_systems_name, NULL);
    in_thread(tell_a_name, NULL);
    in_thread(keep_the_name_of_a_held_lock, NULL);
    expect_holder("main-thread");
    pshm_thread_require_names(1);
    in_thread(be_asked_for_a_name, NULL);
    expect_holder("main-thread"); /* this one has a name since before */
    pshm_thread_require_names(0);
    in_thread(take_the_systems_name, NULL);
    CHECK_OK(pshm_segment_close(segment));
    return check_end();
}
