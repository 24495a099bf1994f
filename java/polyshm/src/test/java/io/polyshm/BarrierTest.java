// SPDX-License-Identifier: Apache-2.0
package io.polyshm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.polyshm.Barrier.Break;
import io.polyshm.Barrier.Cause;
import io.polyshm.ThreadKind.Task;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.BrokenBarrierException;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.condition.EnabledForJreRange;
import org.junit.jupiter.api.condition.JRE;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * What the JDK says of {@link java.util.concurrent.CyclicBarrier}, sentence by sentence, what
 * Python's suite tries of its barrier, and what is between processes.
 */
@Timeout(240)
class BarrierTest {
    private static final int PARTIES = 5;
    private static final long ME = ProcessHandle.current().pid();

    @RegisterExtension final Segments segments = new Segments();

    private SharedMemory memory;
    private Barrier barrier;

    @BeforeEach
    void create() {
        memory = SharedMemory.anonymous(200_000);
        barrier = Barrier.in(memory, "barrier", PARTIES);
    }

    @AfterEach
    void close() {
        memory.close();
    }

    static Stream<ThreadKind> kinds() {
        return Arrays.stream(ThreadKind.values()).filter(ThreadKind::isSupported);
    }

    /** Threads that have arrived. */
    private static List<Task<Integer>> startWaiters(ThreadKind kind, Barrier barrier, int count) {
        List<Task<Integer>> waiters = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            waiters.add(kind.start(() -> barrier.await()));
            int arrived = i + 1;
            ThreadKind.soon().until(() -> barrier.getNumberWaiting() == arrived);
        }
        return waiters;
    }

    private static void assertBroken(List<Task<Integer>> waiters, String why) {
        for (Task<Integer> waiter : waiters) {
            assertThatThrownBy(waiter::get)
                    .isInstanceOf(ExecutionException.class)
                    .cause()
                    .isInstanceOf(BrokenBarrierException.class)
                    .hasMessageContainingAll("name=", "pid=", why);
        }
        assertThat(waiters).isNotEmpty();
    }

    private void assertBroken(Cause cause, long pid) {
        assertThat(barrier.isBroken()).isTrue();
        assertThat(barrier.getNumberWaiting()).isZero();
        assertThat(barrier.lastBreak()).contains(new Break(cause, pid));
        assertThatThrownBy(barrier::await)
                .isInstanceOf(BrokenBarrierException.class)
                .hasMessageContainingAll("pid=" + pid, "reset it");
        assertThatThrownBy(() -> barrier.await(1, TimeUnit.HOURS))
                .isInstanceOf(BrokenBarrierException.class);
    }

    private void assertWorks(ThreadKind kind) throws Exception {
        assertThat(barrier.isBroken()).isFalse();
        List<Task<Integer>> waiters = startWaiters(kind, barrier, PARTIES - 1);
        assertThat(barrier.await()).isZero();
        for (Task<Integer> waiter : waiters) {
            waiter.get();
        }
        assertThat(barrier.getNumberWaiting()).isZero();
    }

    // ---- to meet ----

    @ParameterizedTest
    @MethodSource("kinds")
    void shouldReturnToAllTheIndexOfArrivalWhenTheLastHasArrived(ThreadKind kind) throws Exception {
        assertThat(barrier.getParties()).isEqualTo(PARTIES);
        List<Task<Integer>> waiters = startWaiters(kind, barrier, PARTIES - 1);
        assertThat(waiters).allSatisfy(each -> assertThat(each.result().isDone()).isFalse());
        assertThat(barrier.await()).isZero();
        for (int i = 0; i < PARTIES - 1; i++) {
            assertThat(waiters.get(i).get()).isEqualTo(PARTIES - 1 - i);
        }
        assertThat(barrier.isBroken()).isFalse();
        assertThat(barrier.lastBreak()).isEmpty();
    }

    @ParameterizedTest
    @MethodSource("kinds")
    void shouldMeetAThousandTimesInAllJvms(ThreadKind kind) throws Exception {
        int rounds = 1000;
        int here = 2;
        int there = 3;
        // Who is behind by a round would be seen here.
        SharedArray.OfInt done = SharedArray.ofInts(memory, "rounds", PARTIES);
        Barrier barrier = this.barrier;
        ForkedJvm child = ForkedJvm.start(() -> meet(kind, barrier, done, here, there, rounds));
        meet(kind, barrier, done, 0, here, rounds);
        child.join();
        assertThat(done.toArray()).containsOnly(rounds);
        assertThat(barrier.lastBreak()).isEmpty();
    }

    private static void meet(
            ThreadKind kind,
            Barrier barrier,
            SharedArray.OfInt done,
            int first,
            int count,
            int rounds)
            throws Exception {
        List<Task<Void>> tasks = new ArrayList<>();
        for (int i = first; i < first + count; i++) {
            int me = i;
            tasks.add(
                    kind.start(
                            () -> {
                                for (int round = 1; round <= rounds; round++) {
                                    done.set(me, round);
                                    barrier.await();
                                    for (int i2 = 0; i2 < PARTIES; i2++) {
                                        assertThat(done.get(i2)).isIn(round, round + 1);
                                    }
                                    barrier.await();
                                    assertThat(done.get(me)).isEqualTo(round);
                                }
                                return null;
                            }));
        }
        for (Task<Void> task : tasks) {
            task.get();
        }
    }

    @ParameterizedTest
    @MethodSource("kinds")
    void shouldGiveEachIndexToOneInEachGeneration(ThreadKind kind) throws Exception {
        int rounds = 100;
        SharedArray.OfInt times = SharedArray.ofInts(memory, "times", rounds * PARTIES);
        List<Task<Void>> tasks = new ArrayList<>();
        for (int i = 0; i < PARTIES; i++) {
            tasks.add(
                    kind.start(
                            () -> {
                                for (int round = 0; round < rounds; round++) {
                                    times.getAndAdd(round * PARTIES + barrier.await(), 1);
                                }
                                return null;
                            }));
        }
        for (Task<Void> task : tasks) {
            task.get();
        }
        assertThat(times.toArray()).containsOnly(1);
    }

    @Test
    void shouldNotWaitWhenThereIsOneParty() throws Exception {
        try (Barrier single = Barrier.create(1)) {
            assertThat(single.await()).isZero();
            assertThat(single.await(0, TimeUnit.SECONDS)).isZero();
            assertThat(single.getNumberWaiting()).isZero();
        }
    }

    @Test
    @EnabledForJreRange(min = JRE.JAVA_21)
    void shouldMeetWhenThereAreThousandsOfVirtualThreads() throws Exception {
        int count = 10_000;
        try (Barrier large = Barrier.create(count)) {
            List<Task<Integer>> tasks = new ArrayList<>();
            for (int i = 0; i < count; i++) {
                tasks.add(ThreadKind.VIRTUAL.start(() -> large.await()));
            }
            int[] indices = new int[count];
            for (int i = 0; i < count; i++) {
                indices[i] = tasks.get(i).get();
            }
            assertThat(Arrays.stream(indices).sorted().toArray())
                    .isEqualTo(IntStream.range(0, count).toArray());
        }
    }

    // ---- the action ----

    @ParameterizedTest
    @MethodSource("kinds")
    void shouldRunTheActionInTheLastToArriveBeforeAnyGoesOn(ThreadKind kind) throws Exception {
        SharedValue.OfInt runs = SharedValue.ofInt(memory, "runs");
        SharedValue.OfLong runner = SharedValue.ofLong(memory, "runner");
        int[] before = new int[PARTIES]; // plain: what happens before is seen
        Barrier acting =
                Barrier.in(
                        memory,
                        "acting",
                        PARTIES,
                        () -> {
                            assertThat(before).containsOnly(runs.get() + 1);
                            runner.set(Thread.currentThread().hashCode());
                            runs.set(runs.get() + 1);
                        });
        List<Task<Integer>> tasks = new ArrayList<>();
        for (int i = 0; i < PARTIES; i++) {
            int me = i;
            tasks.add(
                    kind.start(
                            () -> {
                                int last = 0;
                                for (int round = 1; round <= 50; round++) {
                                    before[me] = round;
                                    int index = acting.await();
                                    assertThat(runs.get()).isEqualTo(round);
                                    boolean ran = runner.get() == Thread.currentThread().hashCode();
                                    assertThat(ran).isEqualTo(index == 0);
                                    last += ran ? 1 : 0;
                                    barrier.await(); // has none
                                }
                                return last;
                            }));
        }
        int sum = 0;
        for (Task<Integer> task : tasks) {
            sum += task.get();
        }
        assertThat(sum).isEqualTo(50);
    }

    @ParameterizedTest
    @MethodSource("kinds")
    void shouldThrowWhatTheActionThrowsAndBreak(ThreadKind kind) throws Exception {
        Barrier failing =
                Barrier.in(
                        memory,
                        "failing",
                        2,
                        () -> {
                            throw new IllegalStateException("mine");
                        });
        List<Task<Integer>> waiters = startWaiters(kind, failing, 1);
        assertThatThrownBy(() -> kind.start(() -> failing.await()).get())
                .isInstanceOf(ExecutionException.class)
                .cause()
                .isInstanceOf(IllegalStateException.class)
                .hasMessage("mine");
        assertBroken(waiters, "pid=" + ME + " has not ended its action well");
        assertThat(failing.isBroken()).isTrue();
        assertThat(failing.lastBreak()).contains(new Break(Cause.ACTION, ME));
    }

    @Test
    void shouldTravelWithItsAction() throws Exception {
        SharedValue.OfLong runner = SharedValue.ofLong(memory, "runner");
        Barrier acting =
                Barrier.in(memory, "acting", 2, () -> runner.set(ProcessHandle.current().pid()));
        List<Task<Integer>> waiters = startWaiters(ThreadKind.PLATFORM, acting, 1);
        ForkedJvm child = ForkedJvm.start(() -> assertThat(acting.await()).isZero());
        assertThat(waiters.get(0).get()).isEqualTo(1);
        assertThat(runner.get()).isEqualTo(child.pid());
        child.join();
    }

    // ---- interrupts ----

    @ParameterizedTest
    @MethodSource("kinds")
    void shouldBreakWhenInterruptedBefore(ThreadKind kind) throws Exception {
        List<Task<Integer>> waiters = startWaiters(kind, barrier, 2);
        boolean still =
                kind.start(
                                () -> {
                                    Thread.currentThread().interrupt();
                                    assertThatThrownBy(barrier::await)
                                            .isInstanceOf(InterruptedException.class);
                                    return Thread.currentThread().isInterrupted();
                                })
                        .get();
        assertThat(still).isFalse();
        assertBroken(waiters, "was interrupted");
        assertBroken(Cause.INTERRUPT, ME);
    }

    @ParameterizedTest
    @MethodSource("kinds")
    void shouldBreakForTheOthersWhenInterruptedMeanwhile(ThreadKind kind) throws Exception {
        List<Task<Integer>> waiters = startWaiters(kind, barrier, PARTIES - 2);
        Task<Boolean> interrupted =
                kind.start(
                        () -> {
                            assertThatThrownBy(barrier::await)
                                    .isInstanceOf(InterruptedException.class);
                            return Thread.currentThread().isInterrupted();
                        });
        ThreadKind.soon().until(() -> barrier.getNumberWaiting() == PARTIES - 1);
        interrupted.awaitBlocked();
        interrupted.thread().interrupt();
        assertThat(interrupted.get()).isFalse();
        assertBroken(waiters, "was interrupted");
        assertBroken(Cause.INTERRUPT, ME);
    }

    @Test
    void shouldKeepTheInterruptWhenTheBarrierIsBrokenAlready() {
        barrier.abort();
        Thread.currentThread().interrupt();
        assertThatThrownBy(barrier::await).isInstanceOf(BrokenBarrierException.class);
        assertThat(Thread.interrupted()).isTrue();
    }

    /** An interrupt that comes when the generation is over belongs to what comes after. */
    @ParameterizedTest
    @MethodSource("kinds")
    void shouldEitherTripOrBreakWhenTheInterruptAndTheLastComeAtOnce(ThreadKind kind)
            throws Exception {
        Barrier pair = Barrier.in(memory, "pair", 2);
        int broken = 0;
        for (int round = 0; round < 300; round++) {
            Task<Boolean> waiter =
                    kind.start(
                            () -> {
                                try {
                                    pair.await();
                                } catch (InterruptedException expected) {
                                    assertThat(Thread.interrupted()).isFalse();
                                    return false;
                                }
                                while (!Thread.interrupted()) {
                                    Thread.onSpinWait();
                                }
                                return true;
                            });
            if (round % 2 == 0) {
                ThreadKind.soon().until(() -> pair.getNumberWaiting() == 1);
            }
            Task<Boolean> last =
                    kind.start(
                            () -> {
                                try {
                                    pair.await();
                                    return true;
                                } catch (BrokenBarrierException expected) {
                                    return false;
                                }
                            });
            waiter.thread().interrupt();
            assertThat(last.get()).isEqualTo(waiter.get());
            assertThat(pair.isBroken()).isEqualTo(!last.get());
            broken += last.get() ? 0 : 1;
            pair.reset();
        }
        System.out.printf("barrier: %d of 300 interrupts broke it%n", broken);
    }

    // ---- timeouts ----

    @ParameterizedTest
    @MethodSource("kinds")
    void shouldBreakForTheOthersWhenTheTimeIsOver(ThreadKind kind) throws Exception {
        for (long millis : new long[] {Long.MIN_VALUE, 0, 20}) {
            List<Task<Integer>> waiters = startWaiters(kind, barrier, 2);
            assertThatThrownBy(
                            () ->
                                    kind.start(() -> barrier.await(millis, TimeUnit.MILLISECONDS))
                                            .get())
                    .isInstanceOf(ExecutionException.class)
                    .cause()
                    .isInstanceOf(TimeoutException.class)
                    .hasMessageContainingAll("name=barrier", "parties=" + PARTIES, "reset");
            assertBroken(waiters, "was timed out");
            assertBroken(Cause.TIMEOUT, ME);
            barrier.reset();
        }
    }

    @ParameterizedTest
    @MethodSource("kinds")
    void shouldNotBreakWhenTheLastHasNoTime(ThreadKind kind) throws Exception {
        List<Task<Integer>> waiters = startWaiters(kind, barrier, PARTIES - 1);
        assertThat(barrier.await(0, TimeUnit.SECONDS)).isZero();
        for (Task<Integer> waiter : waiters) {
            waiter.get();
        }
    }

    /** As with the default time that Python's barrier can have. */
    @ParameterizedTest
    @MethodSource("kinds")
    void shouldThrowInAllWhenAllHaveTheSameTimeAndOneIsMissing(ThreadKind kind) {
        List<Task<Integer>> waiters = new ArrayList<>();
        for (int i = 0; i < PARTIES - 1; i++) {
            waiters.add(kind.start(() -> barrier.await(30, TimeUnit.MILLISECONDS)));
        }
        for (Task<Integer> waiter : waiters) {
            assertThatThrownBy(waiter::get)
                    .isInstanceOf(ExecutionException.class)
                    .cause()
                    .isInstanceOfAny(TimeoutException.class, BrokenBarrierException.class);
        }
        assertThat(barrier.lastBreak()).contains(new Break(Cause.TIMEOUT, ME));
    }

    @Test
    void shouldWaitWhenTheTimeIsTheLongest() throws Exception {
        Task<Integer> waiter =
                ThreadKind.PLATFORM.start(() -> barrier.await(Long.MAX_VALUE, TimeUnit.DAYS));
        waiter.awaitBlocked();
        startWaiters(ThreadKind.PLATFORM, barrier, 0);
        for (int i = 1; i < PARTIES; i++) {
            ThreadKind.PLATFORM.start(() -> barrier.await());
        }
        assertThat(waiter.get()).isBetween(0, PARTIES - 1);
    }

    // ---- abort and reset ----

    @ParameterizedTest
    @MethodSource("kinds")
    void shouldBreakWhenAborted(ThreadKind kind) throws Exception {
        List<Task<Integer>> waiters = startWaiters(kind, barrier, 3);
        barrier.abort();
        assertBroken(waiters, "pid=" + ME + " has aborted it");
        assertBroken(Cause.ABORT, ME);
        barrier.abort();
        assertBroken(Cause.ABORT, ME);
    }

    @ParameterizedTest
    @MethodSource("kinds")
    void shouldThrowInThoseThatWaitWhenResetAndWorkAgain(ThreadKind kind) throws Exception {
        List<Task<Integer>> waiters = startWaiters(kind, barrier, 3);
        barrier.reset();
        assertBroken(waiters, "pid=" + ME + " has reset it");
        assertThat(barrier.lastBreak()).contains(new Break(Cause.RESET, ME));
        assertThat(barrier.getNumberWaiting()).isZero();
        assertWorks(kind);
    }

    @ParameterizedTest
    @MethodSource("kinds")
    void shouldWorkAgainWhenAbortedAndReset(ThreadKind kind) throws Exception {
        for (int i = 0; i < 3; i++) {
            List<Task<Integer>> waiters = startWaiters(kind, barrier, i + 1);
            barrier.abort();
            assertBroken(waiters, "has aborted it");
            barrier.reset();
            assertWorks(kind);
        }
    }

    // ---- processes ----

    @ParameterizedTest
    @MethodSource("kinds")
    void shouldBreakAtOnceAndNameTheDeadWhenAPartyIsKilled(ThreadKind kind) throws Exception {
        Barrier theirs = barrier;
        SharedValue.OfInt here = SharedValue.ofInt(memory, "here");
        for (boolean hasArrived : new boolean[] {true, false}) {
            here.set(0);
            ForkedJvm party =
                    ForkedJvm.start(
                            () -> {
                                theirs.getParties();
                                here.setVolatile(1);
                                if (hasArrived) {
                                    theirs.await();
                                }
                                Thread.sleep(Long.MAX_VALUE);
                            });
            ThreadKind.soon().until(() -> here.getVolatile() == 1);
            ThreadKind.soon().until(() -> !hasArrived || barrier.getNumberWaiting() == 1);
            List<Task<Integer>> waiters = new ArrayList<>();
            for (int i = 0; i < 3; i++) {
                waiters.add(kind.start(() -> barrier.await()));
            }
            waiters.forEach(Task::awaitBlocked);
            party.kill();
            assertBroken(waiters, "pid=" + party.pid() + " died");
            assertBroken(Cause.DEATH, party.pid());
            barrier.reset();
            assertWorks(kind);
        }
    }

    @ParameterizedTest
    @MethodSource("kinds")
    void shouldBreakWhenThePartyThatRunsTheActionIsKilled(ThreadKind kind) throws Exception {
        SharedValue.OfInt running = SharedValue.ofInt(memory, "running");
        Barrier acting =
                Barrier.in(
                        memory,
                        "acting",
                        2,
                        () -> {
                            running.setVolatile(1);
                            new Sleep().run();
                        });
        List<Task<Integer>> waiters = startWaiters(kind, acting, 1);
        ForkedJvm runner = ForkedJvm.start(() -> acting.await());
        ThreadKind.soon().until(() -> running.getVolatile() == 1);
        assertThat(waiters.get(0).result().isDone()).isFalse();
        runner.kill();
        assertBroken(waiters, "pid=" + runner.pid() + " died");
    }

    private static final class Sleep implements Runnable {
        @Override
        public void run() {
            try {
                Thread.sleep(Long.MAX_VALUE);
            } catch (InterruptedException end) {
                throw new AssertionError(end);
            }
        }
    }

    @Test
    void shouldNotBreakWhenAPartyThatDoesNotWaitEndsInOrder() throws Exception {
        Barrier theirs = barrier;
        List<Task<Integer>> waiters = startWaiters(ThreadKind.PLATFORM, barrier, 2);
        ForkedJvm.start(() -> assertThat(theirs.getNumberWaiting()).isEqualTo(2)).join();
        for (int i = 2; i < PARTIES; i++) {
            waiters.add(ThreadKind.PLATFORM.start(() -> barrier.await()));
        }
        for (Task<Integer> waiter : waiters) {
            waiter.get();
        }
    }

    @Test
    void shouldBreakWhenAPartyThatWaitsEndsInOrder() throws Exception {
        Barrier theirs = barrier;
        List<Task<Integer>> waiters = startWaiters(ThreadKind.PLATFORM, barrier, 2);
        ForkedJvm party =
                ForkedJvm.start(
                        () -> {
                            Thread waiter = new Thread(() -> awaitInVain(theirs));
                            waiter.setDaemon(true);
                            waiter.start();
                            while (theirs.getNumberWaiting() != 3) {
                                Thread.sleep(1);
                            }
                        });
        party.join();
        assertBroken(waiters, "pid=" + party.pid());
        assertBroken(Cause.CLOSE, party.pid());
    }

    private static void awaitInVain(Barrier barrier) {
        try {
            barrier.await();
        } catch (Exception ends) {
            throw new AssertionError(ends);
        }
    }

    // ---- close ----

    @ParameterizedTest
    @MethodSource("kinds")
    void shouldThrowHereAndBreakThereWhenClosedWithWaitersInside(ThreadKind kind) {
        SharedMemory another = SharedMemory.open(memory.name());
        Barrier theirs = Barrier.in(another, "barrier", PARTIES);
        List<Task<Integer>> here = startWaiters(kind, barrier, 1);
        Task<Integer> there = kind.start(() -> theirs.await());
        ThreadKind.soon().until(() -> barrier.getNumberWaiting() == 2);
        there.awaitBlocked();
        another.close();
        assertThatThrownBy(there::get)
                .isInstanceOf(ExecutionException.class)
                .hasCauseInstanceOf(ClosedException.class)
                .hasMessageContaining(memory.name());
        assertBroken(here, "has waited and closed the segment");
        assertBroken(Cause.CLOSE, ME);
    }

    @Test
    void shouldThrowInEveryMethodWhenClosed() {
        memory.close();
        assertThatThrownBy(barrier::await).isInstanceOf(ClosedException.class);
        assertThatThrownBy(() -> barrier.await(0, TimeUnit.SECONDS))
                .isInstanceOf(ClosedException.class);
        for (Runnable each :
                List.<Runnable>of(
                        barrier::abort,
                        barrier::reset,
                        barrier::isBroken,
                        barrier::lastBreak,
                        barrier::getNumberWaiting,
                        () -> Barrier.in(memory, "barrier", PARTIES))) {
            assertThatThrownBy(each::run)
                    .isInstanceOf(ClosedException.class)
                    .hasMessageContaining(memory.name());
        }
        assertThat(barrier.getParties()).isEqualTo(PARTIES);
        assertThat(barrier).hasToString("Barrier[name=barrier, memory=" + memory.name() + "]");
    }

    // ---- bad input ----

    @Test
    void shouldRefuseFewerThanOneParty() {
        for (int parties : new int[] {0, -1, Integer.MIN_VALUE}) {
            assertThatThrownBy(() -> Barrier.create(parties))
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessageContaining("parties=" + parties);
            assertThatThrownBy(() -> Barrier.in(memory, "other", parties))
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessageContaining("parties=" + parties);
        }
        assertThat(memory.objects()).hasSize(1);
    }

    @Test
    void shouldRefuseOtherParameters() {
        assertThatThrownBy(() -> Barrier.in(memory, "barrier", PARTIES + 1))
                .isInstanceOf(TypeMismatchException.class)
                .hasMessageContainingAll("parties=" + PARTIES, "parties=" + (PARTIES + 1));
        assertThatThrownBy(() -> Event.in(memory, "barrier"))
                .isInstanceOf(TypeMismatchException.class)
                .hasMessageContainingAll("barrier", "event");
        assertThatThrownBy(() -> Barrier.in(memory, "no such name", 2))
                .isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> Barrier.in(memory, null, 2))
                .isInstanceOf(NullPointerException.class);
        assertThat(memory.objects())
                .singleElement()
                .extracting(each -> each.name() + " " + each.kind() + " " + each.length())
                .isEqualTo("barrier BARRIER " + PARTIES);
    }
}
