// SPDX-License-Identifier: Apache-2.0
package io.polyshm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatNullPointerException;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;
import static org.awaitility.Awaitility.await;

import io.polyshm.SharedMemory.Participant;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.RegisterExtension;

@Timeout(120)
class ParticipantTest {
    @RegisterExtension final Segments segments = new Segments();

    private final List<Process> programs = new ArrayList<>();
    private final List<ForkedJvm> jvms = new ArrayList<>();
    private SharedMemory memory;

    @BeforeEach
    void create() {
        memory = SharedMemory.create(segments.name(), 10_000);
    }

    @AfterEach
    void close() {
        programs.forEach(Process::destroyForcibly);
        jvms.forEach(ForkedJvm::kill);
        memory.close();
        await().atMost(Duration.ofSeconds(60))
                .until(() -> Processes.threads().stream().noneMatch(n -> n.contains("-exit")));
    }

    /** A program in C that holds a lock until its input ends. */
    private Process holdLock(String lock) throws IOException {
        Path program = Path.of(System.getProperty("polyshm.native.tests"), "hold_lock");
        Process process =
                new ProcessBuilder(program.toString(), memory.name(), lock)
                        .redirectError(ProcessBuilder.Redirect.INHERIT)
                        .start();
        programs.add(process);
        assertThat(process.inputReader().readLine()).isEqualTo("held");
        return process;
    }

    /** A JVM that has the segment open and holds two locks, one of them twice. */
    private ForkedJvm stay() {
        SharedMemory theirs = memory;
        ForkedJvm jvm =
                ForkedJvm.start(
                        () -> {
                            Lock.in(theirs, "book").lock();
                            Lock array = SharedArray.ofInts(theirs, "array", 1).lock();
                            array.lock();
                            array.lock();
                            Thread.sleep(Long.MAX_VALUE);
                        });
        jvms.add(jvm);
        await().atMost(Duration.ofSeconds(60))
                .until(() -> isListed(jvm.pid()) && listed(jvm.pid()).locks().size() == 2);
        return jvm;
    }

    private boolean isListed(long pid) {
        return memory.participants().stream().anyMatch(each -> each.pid() == pid);
    }

    private Participant listed(long pid) {
        return memory.participants().stream()
                .filter(each -> each.pid() == pid)
                .findFirst()
                .orElseThrow();
    }

    /** Completed with the thread that runs the action. */
    private CompletableFuture<Thread> exitOf(Participant participant) {
        CompletableFuture<Thread> told = new CompletableFuture<>();
        memory.onExit(participant, () -> told.complete(Thread.currentThread()));
        return told;
    }

    // ---- what is listed ----

    @Test
    void shouldTellOfEachParticipantWhatThereIsToKnow() throws Exception {
        Lock.in(memory, "free");
        Instant before = Instant.now();
        Process program = holdLock("page");
        ForkedJvm jvm = stay();
        Lock.in(memory, "mine").lock();
        try {
            Participant self = listed(ProcessHandle.current().pid());
            Participant c = listed(program.pid());
            Participant other = listed(jvm.pid());
            assertThat(memory.participants()).containsExactlyInAnyOrder(self, c, other);
            assertThat(self.locks()).containsExactly("mine");
            assertThat(c.locks()).containsExactly("page");
            assertThat(other.locks()).containsExactlyInAnyOrder("book", "array");
            assertThat(c.command()).isEqualTo("hold_lock");
            assertThat(c.since()).isBetween(before, Instant.now());
            // The JDK knows the boot to a second only.
            assertThat(self.startTime().orElseThrow())
                    .isCloseTo(
                            ProcessHandle.current().info().startInstant().orElseThrow(),
                            within(2, ChronoUnit.SECONDS));
            assertThat(c.startTime().orElseThrow())
                    .isBetween(before.minusMillis(20), c.since().plusMillis(10));
            assertThat(c.toString()).contains("pid=" + program.pid(), "hold_lock", "[page]");
        } finally {
            Lock.in(memory, "mine").unlock();
        }
    }

    @Test
    void shouldBeEqualWhenItIsTheSameOpening() {
        Participant first = memory.participants().get(0);
        Lock.in(memory, "l").lock();
        Participant holding = memory.participants().get(0);
        Lock.in(memory, "l").unlock();
        assertThat(holding).isEqualTo(first).hasSameHashCodeAs(first);
        assertThat(holding.locks()).isNotEqualTo(first.locks());
        try (SharedMemory again = SharedMemory.open(memory.name())) {
            assertThat(again.participants()).hasSize(2).doesNotHaveDuplicates().contains(first);
        }
    }

    @Test
    void shouldSayHowManyThereMayBeWhenTheTableIsFull() throws Exception {
        List<SharedMemory> openings = new ArrayList<>();
        try {
            Process program = holdLock("l");
            for (int i = 2; i < 128; i++) {
                openings.add(SharedMemory.open(memory.name()));
            }
            assertThat(memory.participants()).hasSize(128);
            for (int i = 0; i < 2; i++) {
                assertThatThrownBy(() -> SharedMemory.open(memory.name()))
                        .isInstanceOf(TooManyParticipantsException.class)
                        .hasMessageContainingAll("open", "name=" + memory.name(), "128", "close");
            }
            program.destroyForcibly().waitFor();
            openings.add(SharedMemory.open(memory.name()));
            assertThat(memory.participants()).hasSize(128);
            assertThatThrownBy(() -> SharedMemory.open(memory.name()))
                    .isInstanceOf(TooManyParticipantsException.class);
        } finally {
            openings.forEach(SharedMemory::close);
        }
        assertThat(memory.participants()).hasSize(1);
    }

    // ---- onExit ----

    @Test
    void shouldRunTheActionWhenAJvmIsKilled() throws Exception {
        ForkedJvm jvm = stay();
        CompletableFuture<Thread> told = exitOf(listed(jvm.pid()));
        assertThat(told).isNotDone();
        jvm.kill();
        Thread thread = told.get();
        assertThat(thread).isNotSameAs(Thread.currentThread());
        assertThat(thread.isDaemon()).isTrue();
        assertThat(isListed(jvm.pid())).isFalse();
    }

    @Test
    void shouldRunTheActionWhenACProgramIsKilledOrEnds() throws Exception {
        Process killed = holdLock("a");
        Process ended = holdLock("b");
        CompletableFuture<Thread> first = exitOf(listed(killed.pid()));
        CompletableFuture<Thread> second = exitOf(listed(ended.pid()));
        killed.destroyForcibly();
        first.get();
        assertThat(second).isNotDone();
        assertThat(isListed(ended.pid())).isTrue();
        ended.getOutputStream().close(); // it closes the segment in order, and ends
        second.get();
        assertThat(ended.waitFor()).isZero();
    }

    @Test
    void shouldTakeAStoppedProcessForAlive() throws Exception {
        ForkedJvm jvm = stay();
        Participant peer = listed(jvm.pid());
        CompletableFuture<Thread> told = exitOf(peer);
        Processes.signal("STOP", jvm.pid());
        Thread.sleep(2000);
        assertThat(memory.participants()).contains(peer);
        CompletableFuture<Thread> toldToo = exitOf(peer);
        Thread.sleep(500);
        assertThat(told).isNotDone();
        assertThat(toldToo).isNotDone();
        Processes.signal("CONT", jvm.pid());
        jvm.terminate();
        told.get();
        toldToo.get();
    }

    @Test
    void shouldRunTheActionAtOnceWhenGoneAlready() throws Exception {
        Process program = holdLock("a");
        Participant dead = listed(program.pid());
        program.destroyForcibly().waitFor();
        exitOf(dead).get();

        SharedMemory second = SharedMemory.open(memory.name());
        List<Participant> both = new ArrayList<>(memory.participants());
        second.close();
        both.removeAll(memory.participants());
        assertThat(both).hasSize(1);
        exitOf(both.get(0)).get();
    }

    @Test
    void shouldNeverTellOfItself() throws Exception {
        Process program = holdLock("a");
        CompletableFuture<Thread> own = exitOf(listed(ProcessHandle.current().pid()));
        CompletableFuture<Thread> other = exitOf(listed(program.pid()));
        program.destroyForcibly();
        other.get();
        assertThat(own).isNotDone();
    }

    @Test
    void shouldRunEveryActionWhenThereAreManyWatchers() throws Exception {
        Process first = holdLock("a");
        Process second = holdLock("b");
        try (SharedMemory again = SharedMemory.open(memory.name())) {
            AtomicInteger firstTold = new AtomicInteger();
            AtomicInteger secondTold = new AtomicInteger();
            CountDownLatch all = new CountDownLatch(100);
            Participant one = listed(first.pid());
            Participant two = listed(second.pid());
            for (int i = 0; i < 50; i++) {
                SharedMemory watching = i % 2 == 0 ? memory : again; // each may have listed it
                watching.onExit(
                        one,
                        () -> {
                            firstTold.incrementAndGet();
                            all.countDown();
                        });
                watching.onExit(
                        two,
                        () -> {
                            secondTold.incrementAndGet();
                            all.countDown();
                        });
            }
            assertThat(Processes.threads().stream().filter(n -> n.contains("-exit")))
                    .as("one for each opening")
                    .hasSize(2);
            first.destroyForcibly();
            await().atMost(Duration.ofSeconds(60)).until(() -> firstTold.get() == 50);
            assertThat(secondTold).hasValue(0);
            second.destroyForcibly();
            all.await();
            assertThat(firstTold).hasValue(50);
            assertThat(secondTold).hasValue(50);
        }
    }

    @Test
    void shouldGoOnWhenAnActionThrowsOrBlocks() throws Exception {
        Process first = holdLock("a");
        Process second = holdLock("b");
        Participant one = listed(first.pid());
        CountDownLatch blocked = new CountDownLatch(1);
        CompletableFuture<Throwable> uncaught = new CompletableFuture<>();
        Thread.UncaughtExceptionHandler before = Thread.getDefaultUncaughtExceptionHandler();
        Thread.setDefaultUncaughtExceptionHandler((thread, thrown) -> uncaught.complete(thrown));
        try {
            memory.onExit(
                    one,
                    () -> {
                        throw new IllegalStateException("thrown by the action");
                    });
            memory.onExit(
                    one,
                    () -> {
                        try {
                            blocked.await();
                        } catch (InterruptedException unexpected) {
                            throw new AssertionError(unexpected);
                        }
                    });
            CompletableFuture<Thread> also = exitOf(one);
            CompletableFuture<Thread> later = exitOf(listed(second.pid()));
            first.destroyForcibly();
            assertThat(uncaught.get()).hasMessage("thrown by the action");
            also.get();
            second.destroyForcibly();
            later.get();
        } finally {
            blocked.countDown();
            Thread.setDefaultUncaughtExceptionHandler(before);
        }
    }

    @Test
    void shouldCloseFromAnAction() throws Exception {
        Process program = holdLock("a");
        CompletableFuture<Void> closed = new CompletableFuture<>();
        memory.onExit(
                listed(program.pid()),
                () -> {
                    memory.close();
                    closed.complete(null);
                });
        program.destroyForcibly();
        closed.get();
        assertThat(memory.isClosed()).isTrue();
    }

    @Test
    void shouldEndTheWatchWhenClosed() throws Exception {
        Process program = holdLock("a");
        long before = openFiles();
        Participant peer = listed(program.pid());
        CompletableFuture<Thread> told = exitOf(peer);
        await().atMost(Duration.ofSeconds(60))
                .until(() -> Processes.threads().contains("polyshm-exit-watch"));
        memory.close();
        await().atMost(Duration.ofSeconds(60))
                .until(() -> Processes.threads().stream().noneMatch(n -> n.contains("-exit")));
        assertThat(openFiles()).as("the segment's own has gone, too").isEqualTo(before - 1);
        program.destroyForcibly().waitFor();
        assertThat(told).isNotDone();
        assertThatThrownBy(() -> memory.onExit(peer, () -> {}))
                .isInstanceOf(ClosedException.class)
                .hasMessageContainingAll("onExit", memory.name());
    }

    private static long openFiles() throws IOException {
        try (var all = Files.list(Path.of("/proc/self/fd"))) {
            return all.filter(ParticipantTest::isOurs).count();
        }
    }

    private static boolean isOurs(Path descriptor) {
        try {
            String target = Files.readSymbolicLink(descriptor).toString();
            return target.contains("polyshm.")
                    || target.contains("[pidfd]")
                    || target.contains("[eventfd]");
        } catch (IOException closedMeanwhile) {
            return false;
        }
    }

    @Test
    void shouldRefuseWhatIsNoParticipantOfIt() {
        try (SharedMemory other = SharedMemory.anonymous(1000)) {
            Participant stranger = other.participants().get(0);
            assertThatThrownBy(() -> memory.onExit(stranger, () -> {}))
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessageContainingAll("watch", memory.name(), "no participant");
        }
        Participant self = memory.participants().get(0);
        assertThatNullPointerException()
                .isThrownBy(() -> memory.onExit(null, () -> {}))
                .withMessage("participant");
        assertThatNullPointerException()
                .isThrownBy(() -> memory.onExit(self, null))
                .withMessage("action");
    }

    @Test
    void shouldNotKeepAJvmThatEnds() throws Exception {
        Process program = holdLock("a");
        long pid = program.pid();
        SharedMemory theirs = memory;
        ForkedJvm watcher =
                ForkedJvm.start(
                        () -> {
                            theirs.participants().forEach(each -> theirs.onExit(each, () -> {}));
                            System.exit(7);
                        });
        jvms.add(watcher);
        watcher.onExit().get();
        assertThat(watcher.exitCode()).hasValue(7);
        assertThat(isListed(pid)).isTrue();
    }

    // ---- reap ----

    @Test
    void shouldReapWhatAKilledJvmHasLeft() throws Exception {
        String name = segments.name();
        ForkedJvm jvm =
                ForkedJvm.start(
                        () -> {
                            SharedMemory.builder()
                                    .lifetime(SharedMemory.Lifetime.LAST_OUT)
                                    .create(name, 1000);
                            Thread.sleep(Long.MAX_VALUE);
                        });
        jvms.add(jvm);
        await().atMost(Duration.ofSeconds(60)).until(() -> Segments.exists(name));
        await().atMost(Duration.ofSeconds(60))
                .until(
                        () -> {
                            try (SharedMemory peer = SharedMemory.open(name)) {
                                return peer.participants().size() == 2;
                            } catch (NotFoundException notYet) {
                                return false;
                            }
                        });
        SharedMemory.reap();
        assertThat(Segments.exists(name)).isTrue();
        jvm.kill();
        jvm.onExit().get();
        assertThat(SharedMemory.reap()).isPositive();
        assertThat(Segments.exists(name)).isFalse();
    }
}
