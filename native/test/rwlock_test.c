/* SPDX-License-Identifier: Apache-2.0
 *
 * Read-write locks: who gets in beside whom, in what order, and what is told of those that die.
 */
#include "rwlock.h"

/* ---- what children do ---- */

static void be_repairing(void *unused) {
    (void)unused;
    stay(PSHM_REPAIR);
}

static void take_and_give(void *mode) {
    CHECK_OK(take(*(const int *)mode));
    CHECK_OK(give(*(const int *)mode));
}

static void be_told(void *mode) {
    CHECK_CODE(take(*(const int *)mode), PSHM_EOWNERDIED);
    CHECK_DETAIL("the deceased");
}

/* ---- who gets in ---- */

static void shouldLetReadersInTogether(void) {
    pid_t readers[3];
    begin();
    CHECK_OK(try(PSHM_READ));
    for (int i = 0; i < 3; i++)
        readers[i] = start_and_have(be_reading);
    CHECK_EQ(inspect().readers, 4);
    CHECK_OK(try(PSHM_READ)); /* again */
    CHECK_EQ(inspect().readers, 5);
    CHECK_OK(give(PSHM_READ));
    CHECK_CODE(try(PSHM_WRITE), PSHM_ETIMEDOUT);
    CHECK_OK(give(PSHM_READ));
    CHECK_CODE(try(PSHM_WRITE), PSHM_ETIMEDOUT);
    CHECK_EQ(waiting_writers(), 0);
    pid_t writer = start_and_sleep(be_writing, NULL);
    shared->go = 1;
    for (int i = 0; i < 3; i++)
        CHECK_JOIN(readers[i]);
    CHECK_JOIN(writer);
    expect_free();
    end();
}

enum { CROWD = 4, TURNS = CHECK_TSAN ? 500 : 3000 };

static void read_and_write(void *index) {
    uint64_t seed = (uint64_t)(uintptr_t)index;
    for (int i = 0; i < TURNS; i++) {
        const bool write = random_next(&seed) % 2 == 0;
        CHECK_OK(take(write ? PSHM_WRITE : PSHM_READ));
        const int64_t first = cells[0];
        if (i % 64 == 0)
            sched_yield();
        CHECK_EQ(cells[1], first);
        if (write) {
            cells[0] = first + 1;
            if (i % 32 == 0)
                sched_yield();
            CHECK_EQ(cells[1], first);
            cells[1] = first + 1;
            shared->rounds++;
        }
        CHECK_OK(give(write ? PSHM_WRITE : PSHM_READ));
    }
}

static void shouldKeepWritersFromAllOthers(void) {
    pid_t crowd[CROWD];
    begin();
    for (int i = 0; i < CROWD; i++)
        crowd[i] = start(read_and_write, (void *)(uintptr_t)i);
    for (int i = 0; i < CROWD; i++)
        CHECK_JOIN(crowd[i]);
    CHECK(cells[0] > 0);
    CHECK_EQ(cells[0], shared->rounds);
    CHECK_EQ(cells[1], shared->rounds);
    expect_free();
    end();
}

static void read_without_a_gap(void *unused) {
    (void)unused;
    while (!shared->stop) {
        CHECK_OK(take(PSHM_READ));
        shared->rounds++;
        sleep_ms(1);
        CHECK_OK(give(PSHM_READ));
    }
}

static void write_now_and_then(void *unused) {
    (void)unused;
    for (int i = 0; i < 30; i++) {
        const long before = shared->rounds;
        AWAIT(shared->rounds > before);
        CHECK_OK(take(PSHM_WRITE));
        CHECK_OK(give(PSHM_WRITE));
    }
}

static void shouldNotStarveWriters(void) {
    pid_t readers[4];
    begin();
    for (int i = 0; i < 4; i++)
        readers[i] = start(read_without_a_gap, NULL);
    CHECK_JOIN(start(write_now_and_then, NULL));
    shared->stop = 1;
    for (int i = 0; i < 4; i++)
        CHECK_JOIN(readers[i]);
    expect_free();
    end();
}

static void shouldKeepReadersBehindAWaitingWriter(void) {
    begin();
    CHECK_OK(try(PSHM_READ));
    pid_t writer = start_and_sleep(be_writing, NULL);
    CHECK_EQ(waiting_writers(), 1);
    CHECK_CODE(try(PSHM_READ), PSHM_ETIMEDOUT);
    pid_t reader = start_and_sleep(be_reading, NULL);
    CHECK_OK(give(PSHM_READ));
    AWAIT(shared->at == 1);
    CHECK_EQ(inspect().writer.pid, writer);
    shared->go = 1;
    CHECK_JOIN(writer);
    CHECK_JOIN(reader);
    expect_free();
    end();
}

/* ---- one who writes ---- */

static void shouldWriteAgainAndReadWhenItWrites(void) {
    begin();
    CHECK_OK(try(PSHM_WRITE));
    CHECK_OK(try(PSHM_WRITE));
    CHECK_EQ(inspect().depth, 2);
    CHECK_EQ(inspect().writer.pid, getpid());
    CHECK_EQ(inspect().writer.tid, getpid());
    CHECK(inspect().writer.start_time > 0);
    CHECK(inspect().writer.since_ns > 1600000000000000000);
    CHECK_CODE(try(PSHM_REPAIR), PSHM_EGOOD); /* for it, too */
    CHECK_OK(try(PSHM_READ));
    CHECK_OK(try(PSHM_READ));
    CHECK_EQ(inspect().readers, 2);
    CHECK_OK(give(PSHM_WRITE));
    CHECK_EQ(inspect().depth, 1);
    pid_t reader = start_and_sleep(be_reading, NULL);
    CHECK_EQ(shared->at, 0);
    CHECK_OK(give(PSHM_WRITE)); /* reads from now on, and others may */
    AWAIT(shared->at == 1);
    CHECK_CODE(give(PSHM_WRITE), PSHM_ENOTOWNER);
    CHECK_CODE(try(PSHM_WRITE), PSHM_ETIMEDOUT);
    CHECK_OK(give(PSHM_READ));
    CHECK_OK(give(PSHM_READ));
    CHECK_CODE(give(PSHM_READ), PSHM_ENOTOWNER);
    shared->go = 1;
    CHECK_JOIN(reader);
    expect_free();
    end();
}

static void *release_for_another(void *unused) {
    CHECK_CODE(give(PSHM_WRITE), PSHM_ENOTOWNER);
    CHECK_DETAIL("unlock: segment=");
    CHECK_DETAIL("name=rw: owner=");
    CHECK_DETAIL("tid=5,");
    CHECK_CODE(pshm_rwlock_release(lock, PSHM_WRITE, 6), PSHM_ENOTOWNER);
    CHECK_DETAIL("owner=6 ");
    CHECK_CODE(pshm_rwlock_mark_good(lock, 6), PSHM_ENOTOWNER);
    CHECK_DETAIL("mark_good: segment=");
    CHECK_DETAIL("name=rw: owner=6 ");
    CHECK_OK(pshm_rwlock_mark_good(lock, 1ull << 32 | 5));
    CHECK_OK(pshm_rwlock_release(lock, PSHM_WRITE, 1ull << 32 | 5));
    CHECK_OK(pshm_rwlock_release(lock, PSHM_READ, 0));
    return unused;
}

static void in_a_thread(void *(*body)(void *), void *argument) {
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, body, argument), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
}

static void take_in_steps(void *unused) {
    pshm_wait wait, other;
    (void)unused;
    CHECK_OK(pshm_rwlock_prepare(lock, PSHM_WRITE, 1ull << 32 | 5, &wait));
    CHECK_OK(pshm_wait_poll(&wait));
    CHECK_OK(pshm_rwlock_prepare(lock, PSHM_READ, 1ull << 32 | 5, &wait));
    CHECK_OK(pshm_wait_poll(&wait));
    CHECK_OK(pshm_rwlock_prepare(lock, PSHM_WRITE, 5, &other)); /* of the same low bits */
    CHECK_CODE(pshm_wait_poll(&other), PSHM_EBUSY);
    CHECK_CODE(pshm_wait_poll(&other), PSHM_EBUSY);
    CHECK_EQ(waiting_writers(), 1); /* once, however often it looks */
    CHECK_CODE(pshm_wait_cancel(&other, PSHM_EINTERRUPTED), PSHM_EINTERRUPTED);
    CHECK_EQ(waiting_writers(), 0);
    in_a_thread(release_for_another, NULL);
}

static void shouldBeReleasedByTheOwnersNumber(void) {
    begin();
    CHECK_JOIN(start(take_in_steps, NULL));
    CHECK_CODE(pshm_rwlock_release(lock, PSHM_WRITE, 5), PSHM_ENOTOWNER);
    CHECK_DETAIL("owner=5: nobody writes");
    expect_free();
    end();
}

static void *take_unnamed(void *unused) {
    CHECK_CODE(try(PSHM_WRITE), PSHM_EUNNAMED);
    CHECK_CODE(try(PSHM_REPAIR), PSHM_EUNNAMED);
    CHECK_OK(try(PSHM_READ));
    CHECK_OK(give(PSHM_READ));
    pshm_thread_set_name("named");
    CHECK_OK(try(PSHM_WRITE));
    CHECK_STR(inspect().writer.thread_name, "named");
    CHECK_OK(give(PSHM_WRITE));
    return unused;
}

static void require_names(void *unused) {
    (void)unused;
    pshm_thread_require_names(1);
    in_a_thread(take_unnamed, NULL);
}

static void shouldRefuseWhatIsWrong(void) {
    pshm_wait wait;
    static const int wrong[] = {0, -1, 4, INT32_MAX};
    begin();
    for (int i = 0; i < 4; i++) {
        CHECK_CODE(try(wrong[i]), PSHM_EINVAL);
        CHECK_DETAIL("lock: segment=");
        CHECK_CODE(give(wrong[i]), PSHM_EINVAL);
        CHECK_DETAIL("name=rw: mode=");
    }
    CHECK_CODE(pshm_rwlock_prepare(lock, PSHM_READ, 0, &wait), PSHM_EINVAL);
    CHECK_DETAIL("owner=0");
    CHECK_CODE(give(PSHM_READ), PSHM_ENOTOWNER);
    CHECK_DETAIL("name=rw: mode=read: nobody in pid=");
    CHECK_JOIN(start(require_names, NULL));
    pshm_latch *latch;
    CHECK_CODE(pshm_latch_open(segment, "rw", 1, &latch), PSHM_ETYPE);
    CHECK_DETAIL("read-write lock");
    expect_free();
    end();
}

/* ---- waits that end ---- */

static void *interrupt_sleeper(void *interrupt) {
    AWAIT(sleepers() > 0);
    pshm_interrupt_raise(interrupt);
    return NULL;
}

static void wait_in_vain(void *unused) {
    (void)unused;
    static const int modes[] = {PSHM_READ, PSHM_WRITE};
    for (int i = 0; i < 2; i++) {
        pshm_interrupt interrupt;
        pthread_t thread;
        pshm_interrupt_init(&interrupt);
        CHECK_CODE(pshm_rwlock_acquire(lock, modes[i], 0, &interrupt), PSHM_ETIMEDOUT);
        CHECK_CODE(pshm_rwlock_acquire(lock, modes[i], 2000000, &interrupt), PSHM_ETIMEDOUT);
        CHECK_EQ(waiting_writers(), 0);
        CHECK_EQ(pthread_create(&thread, NULL, interrupt_sleeper, &interrupt), 0);
        CHECK_CODE(pshm_rwlock_acquire(lock, modes[i], WITHOUT_END, &interrupt), PSHM_EINTERRUPTED);
        CHECK_EQ(pthread_join(thread, NULL), 0);
        CHECK_CODE(pshm_rwlock_acquire(lock, modes[i], 0, &interrupt), PSHM_EINTERRUPTED);
        CHECK_EQ(pshm_interrupt_clear(&interrupt), 1);
        CHECK_EQ(waiting_writers(), 0);
    }
}

static void shouldEndAWaitByTimeAndInterrupt(void) {
    begin();
    CHECK_OK(try(PSHM_WRITE));
    CHECK_JOIN(start(wait_in_vain, NULL));
    CHECK_OK(give(PSHM_WRITE));
    expect_free();
    end();
}

static void write_for_a_while(void *unused) {
    (void)unused;
    CHECK_CODE(pshm_rwlock_acquire(lock, PSHM_WRITE, 50000000, NULL), PSHM_ETIMEDOUT);
}

static void shouldLetReadersGoWhenAWriterGivesUp(void) {
    pshm_wait wait;
    begin();
    CHECK_OK(try(PSHM_READ));
    shared->go = 1;
    CHECK_OK(pshm_rwlock_prepare(lock, PSHM_WRITE, 7, &wait));
    CHECK_CODE(pshm_wait_poll(&wait), PSHM_EBUSY);
    pid_t reader = start_and_sleep(be_reading, NULL);
    CHECK_CODE(pshm_wait_cancel(&wait, PSHM_EINTERRUPTED), PSHM_EINTERRUPTED);
    CHECK_JOIN(reader);

    CHECK_OK(pshm_rwlock_prepare(lock, PSHM_WRITE, 7, &wait)); /* one of two is not enough */
    CHECK_CODE(pshm_wait_poll(&wait), PSHM_EBUSY);
    pid_t writer = start(write_for_a_while, NULL);
    CHECK_JOIN(writer);
    CHECK_EQ(waiting_writers(), 1);
    CHECK_CODE(try(PSHM_READ), PSHM_ETIMEDOUT);
    reader = start_and_sleep(be_reading, NULL);
    CHECK_CODE(pshm_wait_cancel(&wait, PSHM_ETIMEDOUT), PSHM_ETIMEDOUT);
    CHECK_JOIN(reader);
    CHECK_OK(give(PSHM_READ));
    expect_free();
    end();
}

/* ---- deaths ---- */

static void shouldTakeBackWhatDeadReadersHad(void) {
    begin();
    kill_child(start_and_have(be_reading)); /* before anybody looks */
    CHECK_OK(try(PSHM_WRITE));
    CHECK_OK(give(PSHM_WRITE));

    pid_t first = start_and_have(be_reading), second = start_and_have(be_reading);
    int mode = PSHM_WRITE;
    pid_t writer = start_and_sleep(take_and_give, &mode);
    kill_child(first);
    CHECK_EQ(inspect().readers, 1);
    CHECK_CODE(try(PSHM_WRITE), PSHM_ETIMEDOUT);
    CHECK_EQ(waiting_writers(), 1);
    kill_child(second);
    CHECK_JOIN(writer);
    CHECK_EQ(inspect().deaths, 0);
    expect_free();
    end();
}

static void shouldNotWaitForAWriterThatDiedWaiting(void) {
    begin();
    CHECK_OK(try(PSHM_READ));
    pid_t writer = start_and_sleep(be_writing, NULL);
    shared->go = 1;
    pid_t reader = start_and_sleep(be_reading, NULL);
    kill_child(writer);
    CHECK_JOIN(reader);
    writer = start_and_sleep(be_writing, NULL);
    kill_child(writer);
    CHECK_OK(try(PSHM_READ)); /* nobody has waited for that death */
    CHECK_OK(give(PSHM_READ));
    CHECK_OK(give(PSHM_READ));
    CHECK_EQ(inspect().deaths, 0);
    expect_free();
    end();
}

static void shouldTellAllOfAWritersDeath(void) {
    static int modes[] = {PSHM_READ, PSHM_WRITE};
    begin();
    pid_t writer = start_and_have(be_writing);
    pid_t waits[2];
    for (int i = 0; i < 2; i++)
        waits[i] = start_and_sleep(be_told, &modes[i]);
    kill_child(writer);
    for (int i = 0; i < 2; i++)
        CHECK_JOIN(waits[i]);
    expect_abandoned(writer, 1);
    CHECK_STR(inspect().dead.thread_name, "the deceased");
    CHECK_EQ(inspect().dead.tid, writer);
    for (int i = 0; i < 2; i++)
        CHECK_JOIN(start(be_told, &modes[i]));
    repair();
    CHECK_EQ(inspect().deaths, 1);
    CHECK_EQ(inspect().dead.pid, writer);

    writer = start_and_have(be_writing); /* and where nobody waits */
    kill_child(writer);
    expect_abandoned(writer, 2);
    repair();
    end();
}

static void shouldStayAbandonedUntilARepairHasEnded(void) {
    begin();
    kill_child(start_and_have(be_writing));
    for (int i = 0; i < 2; i++) {
        CHECK_OK(try(PSHM_REPAIR));
        CHECK_OK(try(PSHM_REPAIR));
        CHECK_OK(try(PSHM_WRITE));
        CHECK_EQ(inspect().depth, 3);
        CHECK_EQ(inspect().abandoned, 1);
        for (int j = 0; j < 3; j++)
            CHECK_OK(give(PSHM_REPAIR)); /* without mark_good */
        expect_abandoned(inspect().dead.pid, 1);
    }
    for (int i = 0; i < 3; i++) {
        pid_t repairer = start_and_have(be_repairing);
        CHECK_CODE(try(PSHM_REPAIR), PSHM_ETIMEDOUT); /* it is under way */
        CHECK_CODE(try(PSHM_READ), PSHM_ETIMEDOUT);
        CHECK_CODE(try(PSHM_WRITE), PSHM_ETIMEDOUT);
        kill_child(repairer);
        expect_abandoned(repairer, (uint64_t)i + 2);
    }
    CHECK_OK(try(PSHM_REPAIR)); /* one who repairs, and reads on without having marked it good */
    CHECK_OK(try(PSHM_READ));
    CHECK_OK(give(PSHM_WRITE));
    CHECK_CODE(try(PSHM_READ), PSHM_EOWNERDIED);
    CHECK_CODE(try(PSHM_REPAIR), PSHM_ETIMEDOUT);
    CHECK_OK(give(PSHM_READ));
    repair();
    end();
}

static void mark_good_and_die(void *unused) {
    (void)unused;
    CHECK_OK(take(PSHM_REPAIR));
    CHECK_OK(take(PSHM_READ));
    CHECK_OK(pshm_rwlock_mark_good(lock, 0));
    CHECK_CODE(take(PSHM_REPAIR), PSHM_EGOOD);
    raise(SIGKILL);
}

static void exit_writing(void *unused) {
    (void)unused;
    CHECK_OK(take(PSHM_WRITE));
    exit(0);
}

static void shouldTellOfADeathAfterMarkGood(void) {
    begin();
    kill_child(start_and_have(be_writing));
    pid_t repairer = start(mark_good_and_die, NULL);
    CHECK_EQ(wait_for(repairer), SIGKILL);
    expect_abandoned(repairer, 2);
    CHECK_EQ(inspect().readers, 0);
    repair();
    pid_t ended = start(exit_writing, NULL); /* an end in good order is one as well */
    CHECK_JOIN(ended);
    expect_abandoned(ended, 3);
    repair();
    end();
}

static void shouldNotTakeAStoppedWriterForADeadOne(void) {
    begin();
    pid_t writer = start_and_have(be_writing);
    stop_child(writer);
    CHECK_CODE(try(PSHM_WRITE), PSHM_ETIMEDOUT);
    CHECK_CODE(try(PSHM_READ), PSHM_ETIMEDOUT);
    CHECK_CODE(try(PSHM_REPAIR), PSHM_EGOOD);
    CHECK_EQ(inspect().writer.pid, writer);
    CHECK_EQ(inspect().abandoned, 0);
    shared->go = 1;
    kill(writer, SIGCONT);
    CHECK_JOIN(writer);
    CHECK_EQ(inspect().deaths, 0);
    shared->go = 0;
    pid_t reader = start_and_have(be_reading);
    stop_child(reader);
    CHECK_CODE(try(PSHM_WRITE), PSHM_ETIMEDOUT);
    shared->go = 1;
    kill(reader, SIGCONT);
    CHECK_JOIN(reader);
    expect_free();
    end();
}

static void take_after_a_reader(void *slot) {
    CHECK_EQ(segment->slot, *(const uint32_t *)slot);
    CHECK_CODE(give(PSHM_READ), PSHM_ENOTOWNER);
    CHECK_OK(try(PSHM_READ));
    CHECK_EQ(inspect().readers, 1);
    CHECK_OK(give(PSHM_READ));
    expect_free();
}

static void take_after_a_writer(void *slot) {
    CHECK_EQ(segment->slot, *(const uint32_t *)slot);
    CHECK_CODE(pshm_rwlock_release(lock, PSHM_WRITE, (uint64_t)shared->pid), PSHM_ENOTOWNER);
    CHECK_CODE(try(PSHM_WRITE), PSHM_EOWNERDIED);
    repair();
}

static void shouldNotInheritWithASlot(void) {
    begin();
    uint32_t slot = segment->slot + 1;
    kill_child(start_and_have(be_reading));
    CHECK_JOIN(start(take_after_a_reader, &slot));
    CHECK_OK(try(PSHM_READ));
    kill_child(start_and_sleep(be_writing, NULL));
    CHECK_OK(give(PSHM_READ));
    CHECK_JOIN(start(take_after_a_reader, &slot));
    shared->pid = start_and_have(be_writing);
    kill_child(shared->pid);
    CHECK_JOIN(start(take_after_a_writer, &slot));
    expect_free();
    end();
}

static void have_nothing(void *wait) {
    CHECK_CODE(give(PSHM_READ), PSHM_ENOTOWNER);
    CHECK_CODE(pshm_rwlock_release(lock, PSHM_WRITE, (uint64_t)shared->pid), PSHM_ENOTOWNER);
    CHECK_CODE(pshm_rwlock_mark_good(lock, (uint64_t)shared->pid), PSHM_ENOTOWNER);
    CHECK_CODE(try(PSHM_READ), PSHM_ETIMEDOUT);
    CHECK_CODE(pshm_wait_cancel(wait, PSHM_ETIMEDOUT), PSHM_ETIMEDOUT); /* its parent's */
    CHECK_EQ(waiting_writers(), 1);
}

static void shouldHaveOtherSharesInAForkedChild(void) {
    pshm_wait wait;
    begin();
    shared->pid = getpid();
    CHECK_OK(try(PSHM_WRITE));
    CHECK_OK(try(PSHM_READ));
    CHECK_OK(pshm_rwlock_prepare(lock, PSHM_WRITE, 1, &wait));
    CHECK_CODE(pshm_wait_poll(&wait), PSHM_EBUSY);
    CHECK_JOIN(start(have_nothing, &wait));
    CHECK_CODE(pshm_wait_cancel(&wait, PSHM_ETIMEDOUT), PSHM_ETIMEDOUT);
    CHECK_EQ(inspect().readers, 1);
    CHECK_OK(give(PSHM_READ));
    CHECK_OK(give(PSHM_WRITE));
    expect_free();
    end();
}

static void shouldBeListedAsHeld(void) {
    pshm_participant_info peer;
    pshm_object_info object;
    uint64_t cursor = 0;
    begin();
    pid_t writer = start_and_have(be_writing);
    do
        CHECK_CODE(pshm_segment_next_participant(segment, &cursor, &peer), 1);
    while (peer.pid != writer);
    cursor = 0;
    CHECK_CODE(pshm_segment_next_held(segment, &peer, &cursor, &object), 1);
    CHECK_STR(object.name, "rw");
    CHECK_EQ(object.kind, PSHM_RWLOCK);
    CHECK_CODE(pshm_segment_next_held(segment, &peer, &cursor, &object), 0);
    shared->go = 1;
    CHECK_JOIN(writer);
    cursor = 0;
    CHECK_CODE(pshm_segment_next_held(segment, &peer, &cursor, &object), 0);
    expect_free();
    end();
}

/* ---- close ---- */

static void *wait_closed(void *mode) {
    CHECK_CODE(take(*(const int *)mode), PSHM_ECLOSED);
    CHECK_DETAIL("closed");
    return NULL;
}

static void close_with_waits(void *unused) {
    static int modes[] = {PSHM_READ, PSHM_WRITE};
    pthread_t threads[2];
    (void)unused;
    const uint32_t before = sleepers();
    for (int i = 0; i < 2; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, wait_closed, &modes[i]), 0);
    AWAIT(sleepers() == before + 2 && waiting_writers() == 1);
    pshm_segment_pin(segment);
    CHECK_OK(pshm_segment_close(segment));
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
        CHECK_CODE(try(modes[i]), PSHM_ECLOSED);
        CHECK_CODE(give(modes[i]), PSHM_ECLOSED);
    }
    CHECK_CODE(pshm_rwlock_mark_good(lock, 0), PSHM_ECLOSED);
    pshm_rwlock_info info;
    CHECK_CODE(pshm_rwlock_inspect(lock, &info), PSHM_ECLOSED);
    pshm_segment_unpin(segment);
}

static void shouldRefuseACloseWhenItHolds(void) {
    static const int modes[] = {PSHM_READ, PSHM_WRITE};
    begin();
    for (int i = 0; i < 2; i++) {
        CHECK_OK(try(modes[i]));
        CHECK_CODE(pshm_segment_close(segment), PSHM_EHELD);
        CHECK_DETAIL("lock=rw");
        CHECK_OK(give(modes[i]));
    }
    CHECK_OK(try(PSHM_WRITE)); /* others may close meanwhile, and wait when they do */
    CHECK_JOIN(start(close_with_waits, NULL));
    CHECK_CODE(try(PSHM_REPAIR), PSHM_EGOOD);
    CHECK_OK(give(PSHM_WRITE));
    expect_free();
    end();
}

/* Take and release until it is closed; nothing else may be the outcome. */
static void *use_until_closed(void *unused) {
    (void)unused;
    for (unsigned i = 0;; i++) {
        const int mode = i % 3 == 0 ? PSHM_WRITE : PSHM_READ;
        int code = take(mode);
        if (code == PSHM_ECLOSED)
            return NULL;
        CHECK_OK(code);
        shared->rounds++;
        CHECK_OK(give(mode));
    }
}

static void *try_until_told(void *unused) {
    (void)unused;
    while (!shared->stop) {
        CHECK_OK(try(PSHM_READ));
        shared->rounds++;
        CHECK_OK(give(PSHM_READ));
    }
    return NULL;
}

static void close_in_the_midst(void *unused) {
    (void)unused;
    pthread_t threads[2];
    CHECK_OK(try(PSHM_READ)); /* each close turns back */
    CHECK_EQ(pthread_create(&threads[0], NULL, try_until_told, NULL), 0);
    for (int i = 0; i < 200 || shared->rounds < 1000; i++)
        CHECK_CODE(pshm_segment_close(segment), PSHM_EHELD);
    shared->stop = 1;
    CHECK_EQ(pthread_join(threads[0], NULL), 0);
    CHECK_OK(give(PSHM_READ));
    CHECK_OK(pshm_segment_close(segment));

    for (int round = 0; round < 100; round++) {
        CHECK_OK(pshm_segment_open(name_of("s"), NULL, &segment));
        CHECK_OK(pshm_rwlock_open(segment, "rw", &lock));
        expect_free();
        CHECK_EQ(inspect().deaths, 0);
        pshm_segment_pin(segment);
        const long before = shared->rounds;
        for (int i = 0; i < 2; i++)
            CHECK_EQ(pthread_create(&threads[i], NULL, use_until_closed, NULL), 0);
        AWAIT(shared->rounds > before);
        int code;
        while ((code = pshm_segment_close(segment)) != 0)
            CHECK_CODE(code, PSHM_EHELD);
        for (int i = 0; i < 2; i++)
            CHECK_EQ(pthread_join(threads[i], NULL), 0);
        pshm_segment_unpin(segment);
    }
}

static void shouldTakeNothingBehindAClose(void) {
    begin();
    CHECK_JOIN(start(close_in_the_midst, NULL));
    CHECK_EQ(inspect().deaths, 0);
    expect_free();
    end();
}

int main(void) {
    check_begin(SECONDS);
    shared = shared_zeroes(sizeof(*shared));
    RUN(shouldLetReadersInTogether);
    RUN(shouldKeepWritersFromAllOthers);
    RUN(shouldNotStarveWriters);
    RUN(shouldKeepReadersBehindAWaitingWriter);
    RUN(shouldWriteAgainAndReadWhenItWrites);
    RUN(shouldBeReleasedByTheOwnersNumber);
    RUN(shouldRefuseWhatIsWrong);
    RUN(shouldEndAWaitByTimeAndInterrupt);
    RUN(shouldLetReadersGoWhenAWriterGivesUp);
    RUN(shouldTakeBackWhatDeadReadersHad);
    RUN(shouldNotWaitForAWriterThatDiedWaiting);
    RUN(shouldTellAllOfAWritersDeath);
    RUN(shouldStayAbandonedUntilARepairHasEnded);
    RUN(shouldTellOfADeathAfterMarkGood);
    RUN(shouldNotTakeAStoppedWriterForADeadOne);
    RUN(shouldNotInheritWithASlot);
    RUN(shouldHaveOtherSharesInAForkedChild);
    RUN(shouldBeListedAsHeld);
    RUN(shouldRefuseACloseWhenItHolds);
    RUN(shouldTakeNothingBehindAClose);
    return check_end();
}
