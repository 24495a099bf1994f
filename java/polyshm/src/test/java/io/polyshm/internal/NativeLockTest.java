// SPDX-License-Identifier: Apache-2.0
package io.polyshm.internal;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.polyshm.ClosedException;
import io.polyshm.internal.binding.Natives;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.FutureTask;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Supplier;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Operations in the thread that owns the mutex, which is the caller's or its agent's. */
@Timeout(60)
class NativeLockTest {
    private Attachment attachment;
    private NativeLock lock;

    @BeforeEach
    void create() {
        attachment = Attachment.open(Native.How.CREATE, null, 10_000, 0, 0, false);
        lock =
                attachment.lock(
                        Native.object(attachment.segment(), Natives.PSHM_LOCK, "lock", 0, 0)
                                .lock());
    }

    @AfterEach
    void close() {
        attachment.close();
    }

    /** Runs in a thread for which an agent holds the lock. */
    private <T> T holdingByAgent(Callable<T> work) throws Exception {
        FutureTask<T> task =
                new FutureTask<>(
                        () -> {
                            lock.byAgent(LockAgent.Way.LOCK);
                            T result = work.call();
                            if (lock.holdCount() > 0) {
                                lock.unlock();
                            }
                            return result;
                        });
        new Thread(task, "the requester").start();
        return task.get();
    }

    private <T> T call(Supplier<T> operation) {
        return lock.callHolding("test", operation);
    }

    private int nativeDepth() {
        return Natives.pshm_lock_depth(lock.handle());
    }

    // ---- where it runs, and what comes of it ----

    @Test
    void shouldRunInTheCallersThreadWhenThatOwnsTheMutex() {
        lock.lock();
        assertThat(call(Thread::currentThread)).isSameAs(Thread.currentThread());
        lock.unlock();
    }

    @Test
    void shouldRunInTheThreadThatOwnsTheMutexWhenAnAgentHoldsIt() throws Exception {
        holdingByAgent(
                () -> {
                    for (int i = 0; i < 1_000; i++) {
                        assertThat(nativeDepth()).isZero();
                        assertThat(call(this::nativeDepth)).isEqualTo(1);
                    }
                    assertThat(lock.holdCount()).isEqualTo(1);
                    return null;
                });
        assertThat(lock.owner()).isEmpty();
    }

    @Test
    void shouldThrowWhatTheOperationThrew() throws Exception {
        RuntimeException mine = new IllegalStateException("mine");
        Error error = new AssertionError("mine, too");
        holdingByAgent(
                () -> {
                    assertThatThrownBy(() -> call(() -> doThrow(mine))).isSameAs(mine);
                    assertThatThrownBy(() -> call(() -> doThrow(error))).isSameAs(error);
                    assertThat(lock.holdCount()).isEqualTo(1);
                    return null;
                });
        assertThat(lock.owner()).isEmpty();
    }

    private static <X extends Throwable> Object doThrow(X what) throws X {
        throw what;
    }

    @Test
    void shouldRefuseWhenTheCallerDoesNotHoldTheLock() throws Exception {
        assertThatThrownBy(() -> call(() -> 1))
                .isInstanceOf(IllegalMonitorStateException.class)
                .hasMessageStartingWith("test: segment=" + attachment.name() + ", name=lock: ")
                .hasMessageContaining("does not hold");
        assertThatThrownBy(lock::unlock)
                .isInstanceOf(IllegalMonitorStateException.class)
                .hasMessageStartingWith("unlock: segment=" + attachment.name() + ", name=lock: ");
        holdingByAgent(
                () -> {
                    FutureTask<Integer> other = new FutureTask<>(() -> call(() -> 1));
                    new Thread(other).start();
                    assertThatThrownBy(other::get)
                            .hasCauseInstanceOf(IllegalMonitorStateException.class);
                    return null;
                });
        attachment.close();
        assertThatThrownBy(() -> call(() -> 1)).isInstanceOf(ClosedException.class);
    }

    // ---- interrupts ----

    @Test
    void shouldKeepTheInterruptWhenInterruptedBeforeOrMeanwhile() throws Exception {
        for (boolean before : new boolean[] {true, false}) {
            CountDownLatch begun = new CountDownLatch(1);
            CountDownLatch interrupted = new CountDownLatch(1);
            holdingByAgent(
                    () -> {
                        Thread requester = Thread.currentThread();
                        FutureTask<Void> interrupter =
                                new FutureTask<>(
                                        () -> {
                                            begun.await();
                                            requester.interrupt();
                                            interrupted.countDown();
                                            return null;
                                        });
                        if (before) {
                            requester.interrupt();
                            interrupted.countDown();
                        } else {
                            new Thread(interrupter).start();
                        }
                        String result =
                                call(
                                        () -> {
                                            begun.countDown();
                                            return awaited(interrupted);
                                        });
                        assertThat(result).isEqualTo("done");
                        assertThat(Thread.interrupted()).isTrue();
                        assertThat(call(this::nativeDepth)).isEqualTo(1);
                        return null;
                    });
            assertThat(lock.owner()).isEmpty();
        }
    }

    private static String awaited(CountDownLatch latch) {
        try {
            latch.await();
            return "done";
        } catch (InterruptedException unexpected) {
            throw new AssertionError(unexpected);
        }
    }

    // ---- operations that give the lock back ----

    @Test
    void shouldHoldTheLockAsOftenWhenTheOperationGaveItUpAndTookItAgain() throws Exception {
        CountDownLatch released = new CountDownLatch(1);
        AtomicBoolean inside = new AtomicBoolean();
        FutureTask<Boolean> other =
                new FutureTask<>(
                        () -> {
                            released.await();
                            lock.lockInterruptibly();
                            boolean alone = !inside.get();
                            lock.unlock();
                            return alone;
                        });
        new Thread(other).start();
        holdingByAgent(
                () -> {
                    lock.lock();
                    inside.set(true);
                    call(
                            () -> {
                                inside.set(false);
                                Natives.pshm_lock_release(lock.handle());
                                released.countDown();
                                try {
                                    assertThat(other.get()).isTrue();
                                } catch (Exception unexpected) {
                                    throw new AssertionError(unexpected);
                                }
                                return Natives.pshm_lock_acquire(lock.handle());
                            });
                    assertThat(lock.holdCount()).isEqualTo(2);
                    assertThat(call(this::nativeDepth)).isEqualTo(1);
                    lock.unlock();
                    return null;
                });
        assertThat(lock.owner()).isEmpty();
    }

    @Test
    void shouldNotHoldTheLockWhenTheOperationDidNotTakeItAgain() throws Exception {
        holdingByAgent(
                () -> {
                    call(() -> Natives.pshm_lock_release(lock.handle()));
                    assertThat(lock.holdCount()).isZero();
                    assertThatThrownBy(lock::unlock)
                            .isInstanceOf(IllegalMonitorStateException.class);
                    return null;
                });
        assertThat(lock.tryLock()).isTrue();
        lock.unlock();
    }
}
