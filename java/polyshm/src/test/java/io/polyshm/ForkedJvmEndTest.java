// SPDX-License-Identifier: Apache-2.0
package io.polyshm;

import static io.polyshm.ForkedJvmTest.quiet;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowable;
import static org.awaitility.Awaitility.await;

import java.io.FileInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** The ways in which a child ends, and how they are told. */
@Timeout(120)
class ForkedJvmEndTest {
    private static final Duration LONG = Duration.ofSeconds(100);

    private static void sleep() throws InterruptedException {
        Thread.sleep(Long.MAX_VALUE);
    }

    private static ForkedJvm sleeper(Path folder) {
        String begun = folder.resolve("begun").toString();
        ForkedJvm child =
                quiet().start(
                                () -> {
                                    Files.createFile(Path.of(begun));
                                    sleep();
                                });
        Processes.awaitFile(folder.resolve("begun"));
        return child;
    }

    private static void assertEnded(ForkedJvm child, int code, String... texts) {
        assertThatThrownBy(child::join)
                .isInstanceOf(ForkedJvmException.class)
                .hasNoCause()
                .hasMessageContaining("exitCode=" + code)
                .hasMessageContaining("JAVA_EENDED")
                .satisfies(thrown -> assertThat(thrown.getMessage()).contains(List.of(texts)));
        assertThat(child.exitCode()).hasValue(code);
        assertThat(child.onExit()).isCompletedWithValue(code);
    }

    @Test
    void shouldTellExitCodeAndStderrWhenTaskExits() {
        ForkedJvm child =
                quiet().start(
                                () -> {
                                    System.err.println("last words");
                                    System.exit(3);
                                });
        assertEnded(child, 3, "before its task had ended", "exit code 3", "last words");
    }

    @Test
    void shouldThrowWhenTaskExitsWithZero() {
        assertEnded(quiet().start(() -> System.exit(0)), 0, "before its task had ended");
    }

    @Test
    void shouldThrowWhenTaskHalts() {
        assertEnded(quiet().start(() -> Runtime.getRuntime().halt(5)), 5, "exit code 5");
    }

    @Test
    void shouldThrowWhenThreadExitsAfterTask() {
        ForkedJvm child =
                quiet().start(
                                () -> {
                                    Thread main = Thread.currentThread();
                                    new Thread(
                                                    () -> {
                                                        while (main.isAlive()) {
                                                            Thread.yield();
                                                        }
                                                        System.exit(7);
                                                    })
                                            .start();
                                });
        assertEnded(child, 7, "after its task had ended well");
    }

    @Test
    void shouldGoOnWhenThreadOutlastsTask(@TempDir Path folder) throws InterruptedException {
        String text = folder.toString();
        ForkedJvm child =
                ForkedJvm.start(
                        () -> {
                            Thread main = Thread.currentThread();
                            new Thread(
                                            () -> {
                                                try {
                                                    main.join();
                                                    Files.createFile(Path.of(text, "alone"));
                                                    while (!Files.exists(Path.of(text, "go"))) {
                                                        Thread.sleep(5);
                                                    }
                                                    Files.createFile(Path.of(text, "done"));
                                                } catch (Exception e) {
                                                    throw new IllegalStateException(e);
                                                }
                                            })
                                    .start();
                        });
        Processes.awaitFile(folder.resolve("alone"));
        assertThat(child.isAlive()).isTrue();
        assertThat(child.join(Duration.ZERO)).isFalse();
        folder.resolve("go").toFile().mkdir();
        child.join();
        assertThat(folder.resolve("done")).exists();
    }

    @Test
    void shouldNameSignalWhenKilled(@TempDir Path folder) {
        ForkedJvm child = sleeper(folder);
        assertThat(child.exitCode()).isEmpty();
        assertThat(child.toString()).contains("running", "pid=" + child.pid());
        child.kill();
        assertEnded(child, 137, "SIGKILL", "asked for by kill()");
        assertThat(child.toString()).contains("exitCode=137");
        child.kill();
        child.terminate();
        assertEnded(child, 137, "asked for by kill()");
    }

    @Test
    void shouldNameSignalWhenKilledByStranger(@TempDir Path folder) throws Exception {
        ForkedJvm child = sleeper(folder);
        Processes.signal("KILL", child.pid());
        Throwable thrown = catchThrowable(child::join);
        assertThat(thrown).hasMessageContaining("SIGKILL");
        assertThat(thrown.getMessage()).doesNotContain("asked for");
    }

    @Test
    void shouldRunHooksWhenTerminated(@TempDir Path folder) {
        String begun = folder.resolve("begun").toString();
        ForkedJvm child =
                quiet().start(
                                () -> {
                                    Runtime.getRuntime()
                                            .addShutdownHook(
                                                    new Thread(
                                                            () -> System.err.println("hook ran")));
                                    Files.createFile(Path.of(begun));
                                    sleep();
                                });
        Processes.awaitFile(folder.resolve("begun"));
        child.terminate();
        assertEnded(child, 143, "SIGTERM", "asked for by terminate()", "hook ran");
    }

    @Test
    void shouldShowReportWhenJvmCrashes(@TempDir Path folder) throws Exception {
        String begun = folder.resolve("begun").toString();
        ForkedJvm child =
                quiet().directory(folder)
                        .redirectOutput(ProcessBuilder.Redirect.DISCARD)
                        .start(
                                () -> {
                                    Files.createFile(Path.of(begun));
                                    sleep();
                                });
        Processes.awaitFile(folder.resolve("begun"));
        Processes.signal("SEGV", child.pid());
        assertEnded(
                child,
                134,
                "SIGABRT",
                "hs_err_pid" + child.pid(),
                "fatal error has been detected",
                "SIGSEGV");
    }

    @Test
    void shouldShowMessageWhenJvmOptionIsWrong() {
        assertEnded(
                quiet().jvmOptions("-XX:NoSuchOption=1").start(() -> {}),
                1,
                "before its task had begun",
                "NoSuchOption");
    }

    @Test
    void shouldThrowOutOfMemoryWhenHeapIsFull() {
        ForkedJvm child =
                quiet().jvmOptions("-Xmx24m")
                        .start(
                                () -> {
                                    List<byte[]> all = new ArrayList<>();
                                    while (true) {
                                        all.add(new byte[1 << 20]);
                                    }
                                });
        assertThatThrownBy(child::join).hasCauseInstanceOf(OutOfMemoryError.class);
    }

    @Test
    void shouldKeepEndOfStderrWhenThereIsMuch() {
        ForkedJvm child =
                quiet().start(
                                () -> {
                                    for (int i = 0; i < 200_000; i++) {
                                        System.err.println("line " + i);
                                    }
                                    Runtime.getRuntime().halt(9);
                                });
        Throwable thrown = catchThrowable(child::join);
        assertThat(thrown).hasMessageContaining("\nline 199998\nline 199999");
        assertThat(thrown.getMessage()).doesNotContain("line 150000");
    }

    @Test
    void shouldReadEndOfFileWhenStderrIsRedirected(@TempDir Path folder) throws Exception {
        Path file = folder.resolve("err");
        ForkedJvm child =
                ForkedJvm.builder()
                        .redirectError(ProcessBuilder.Redirect.appendTo(file.toFile()))
                        .start(
                                () -> {
                                    System.err.println("into the file");
                                    Runtime.getRuntime().halt(9);
                                });
        assertEnded(child, 9, "into the file");
        assertThat(file).content().contains("into the file");
    }

    @Test
    void shouldReturnFalseWhenTimeIsOver(@TempDir Path folder) throws Exception {
        ForkedJvm child = sleeper(folder);
        assertThat(child.join(Duration.ofMillis(1))).isFalse();
        assertThat(child.join(Duration.ZERO)).isFalse();
        assertThat(child.join(Duration.ofSeconds(Long.MIN_VALUE))).isFalse();
        assertThat(child.isAlive()).isTrue();
        child.kill();
        assertThatThrownBy(() -> child.join(LONG)).isInstanceOf(ForkedJvmException.class);
    }

    @Test
    void shouldReturnTrueWhenEndedInTime() throws InterruptedException {
        assertThat(ForkedJvm.start(() -> {}).join(Duration.ofSeconds(Long.MAX_VALUE))).isTrue();
    }

    @Test
    void shouldThrowTimeoutWhenResultIsLate() throws Exception {
        ForkedJvm.Call<String> child =
                quiet().call(
                                () -> {
                                    sleep();
                                    return "never";
                                });
        assertThatThrownBy(() -> child.get(Duration.ofMillis(1)))
                .isInstanceOf(TimeoutException.class)
                .hasMessageContaining("pid=" + child.pid());
        child.kill();
        assertThatThrownBy(() -> child.get(LONG)).isInstanceOf(ForkedJvmException.class);
    }

    @Test
    void shouldLetChildGoOnWhenJoinIsInterrupted(@TempDir Path folder) {
        ForkedJvm child = sleeper(folder);
        Thread.currentThread().interrupt();
        assertThatThrownBy(child::join).isInstanceOf(InterruptedException.class);
        Thread.currentThread().interrupt();
        assertThatThrownBy(() -> child.join(LONG)).isInstanceOf(InterruptedException.class);
        assertThat(Thread.currentThread().isInterrupted()).isFalse();
        assertThat(child.isAlive()).isTrue();
        child.kill();
        assertThatThrownBy(child::join).isInstanceOf(ForkedJvmException.class);
    }

    @Test
    void shouldCompleteFutureWhenNobodyJoins() throws Exception {
        ForkedJvm child = quiet().start(() -> System.exit(4));
        CompletableFuture<Integer> given = child.onExit();
        given.cancel(true);
        assertThat(child.onExit().get(100, TimeUnit.SECONDS)).isEqualTo(4);
    }

    @Test
    void shouldEndWhenChildLeavesProcessBehind() throws Exception {
        ForkedJvm.Call<Long> child =
                ForkedJvm.call(
                        () ->
                                new ProcessBuilder("sleep", "1000")
                                        .inheritIO()
                                        .redirectOutput(ProcessBuilder.Redirect.DISCARD)
                                        .start()
                                        .pid());
        long left = child.get();
        assertThat(Processes.isGone(left)).isFalse();
        Processes.signal("KILL", left);
    }

    @Test
    void shouldHoldNothingWhenChildrenHaveEnded() throws Exception {
        ForkedJvm.start(() -> {}).join();
        await().until(() -> Processes.childThreads().isEmpty());
        long before = Processes.descriptors();
        List<ForkedJvm> children = new ArrayList<>();
        for (int i = 0; i < 4; i++) {
            children.add(quiet().start(() -> {}));
            children.add(quiet().start(() -> System.exit(2)));
        }
        ForkedJvm endless = quiet().start(ForkedJvmEndTest::sleep);
        assertThat(Processes.descriptors()).isGreaterThan(before);
        endless.kill();
        children.add(endless);
        // Nobody joins.
        await().atMost(LONG)
                .until(() -> children.stream().allMatch(each -> each.onExit().isDone()));
        await().until(() -> Processes.childThreads().isEmpty());
        await().until(() -> Processes.descriptors() == before);
    }

    @Test
    void shouldNameFileWhenItCannotBeRedirectedTo(@TempDir Path folder) {
        ProcessBuilder.Redirect absent =
                ProcessBuilder.Redirect.to(folder.resolve("no/file").toFile());
        assertThatThrownBy(() -> quiet().redirectOutput(absent).start(() -> {}))
                .isInstanceOf(ForkedJvmException.class)
                .hasMessageStartingWith("ForkedJvm.start: the file of a redirect cannot be opened")
                .hasMessageContaining(absent.file() + " (No such file or directory)")
                .hasMessageContaining("JAVA_ESTART");
        ProcessBuilder.Redirect directory = ProcessBuilder.Redirect.appendTo(folder.toFile());
        assertThatThrownBy(() -> ForkedJvm.builder().redirectError(directory).call(() -> 1))
                .isInstanceOf(ForkedJvmException.class)
                .hasMessageStartingWith("ForkedJvm.call: the file of a redirect cannot be opened")
                .hasMessageContaining(folder + " (Is a directory)");
        assertThatThrownBy(() -> SharedProcess.builder().redirectOutput(absent).start("true"))
                .isInstanceOf(SharedProcessException.class)
                .hasMessageContaining(
                        "the file of a redirect cannot be opened: "
                                + absent.file()
                                + " (No such file or directory): command=[true]");
    }

    @Test
    void shouldTellTheLimitWhenTooManyFilesAreOpen(@TempDir Path folder) throws Exception {
        Path java = Files.createDirectory(folder.resolve("bin")).resolve("java");
        Files.writeString(java, "#!/bin/sh\nulimit -n 256\nexec '" + Processes.JAVA + "' \"$@\"\n");
        assertThat(java.toFile().setExecutable(true)).isTrue();
        List<String> failures =
                ForkedJvm.builder()
                        .javaHome(folder)
                        .call(() -> failuresAtTheLimit(() -> ForkedJvm.start(() -> {})))
                        .get();
        assertThat(failures)
                .hasSizeGreaterThan(1)
                .allMatch(each -> each.startsWith(ForkedJvmException.class.getName()))
                .allMatch(each -> each.contains("ulimit -n"));
        failures =
                ForkedJvm.builder()
                        .javaHome(folder)
                        .call(() -> failuresAtTheLimit(() -> SharedProcess.start("true")))
                        .get();
        assertThat(failures)
                .hasSizeGreaterThan(1)
                .allMatch(each -> each.startsWith(SharedProcessException.class.getName()))
                .allMatch(each -> each.contains("ulimit -n"));
    }

    /**
     * Opens as many files as there may be, then closes one after the other until it is the process
     * that is refused: at that the JDK itself loses a descriptor each time.
     */
    private static List<String> failuresAtTheLimit(Callable<ChildProcess> start) throws Exception {
        // What is loaded before needs no descriptor later.
        start.call().join();
        Thread captured = new Thread();
        catchThrowable(() -> ForkedJvm.start(captured::start));
        catchThrowable(() -> SharedProcess.start("no-such-program"));
        Deque<InputStream> open = new ArrayDeque<>();
        try {
            while (true) {
                open.push(new FileInputStream("/dev/null"));
            }
        } catch (IOException full) {
            // As wanted.
        }
        List<String> failures = new ArrayList<>();
        do {
            failures.add(catchThrowable(start::call).toString());
            open.pop().close();
        } while (!failures.get(failures.size() - 1).contains("refused another process"));
        return failures;
    }

    @Test
    void shouldHoldNothingWhenStartFails(@TempDir Path folder) throws Exception {
        ForkedJvm.start(() -> {}).join();
        await().until(() -> Processes.childThreads().isEmpty());
        long before = Processes.descriptors();
        assertThatThrownBy(() -> ForkedJvm.builder().javaHome(folder).start(() -> {}))
                .isInstanceOf(ForkedJvmException.class)
                .hasMessageContaining("java=" + folder.resolve("bin/java"))
                .hasMessageContaining("javaHome");
        assertThatThrownBy(
                        () -> ForkedJvm.builder().directory(folder.resolve("no")).start(() -> {}))
                .isInstanceOf(ForkedJvmException.class)
                .hasMessageContaining("directory=" + folder.resolve("no"));
        Path java = Files.createDirectory(folder.resolve("bin")).resolve("java");
        Files.writeString(java, "#!/nowhere/to/be/found");
        assertThat(java.toFile().setExecutable(true)).isTrue();
        assertThatThrownBy(() -> ForkedJvm.builder().javaHome(folder).start(() -> {}))
                .isInstanceOf(ForkedJvmException.class)
                .hasMessageContaining("java=" + java)
                .hasMessageContaining("JAVA_ESTART");
        Thread captured = new Thread();
        assertThatThrownBy(() -> ForkedJvm.start(captured::start))
                .isInstanceOf(ForkedJvmException.class);
        assertThat(Processes.childThreads()).isEmpty();
        assertThat(Processes.descriptors()).isEqualTo(before);
    }
}
