// SPDX-License-Identifier: Apache-2.0
package io.polyshm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowable;
import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.polyshm.internal.Native;
import java.io.File;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Programs that are started, how they end, and how that is told. */
@Timeout(120)
class SharedProcessTest {
    private static final Duration LONG = Duration.ofSeconds(100);

    /** Adds to a value, by its handle. */
    private static String addTo() {
        return Path.of(System.getProperty("polyshm.native.tests"), "add_to").toString();
    }

    @TempDir Path folder;

    /** A builder whose children do not write over the report of the tests. */
    private static SharedProcess.Builder quiet() {
        return SharedProcess.builder().redirectError(ProcessBuilder.Redirect.DISCARD);
    }

    /** Runs to its end what a shell is told, and returns what it printed. */
    private String output(SharedProcess.Builder builder, String... command) throws Exception {
        Path file = folder.resolve("output");
        builder.redirectOutput(ProcessBuilder.Redirect.to(file.toFile())).start(command).join();
        return Files.readString(file);
    }

    private static SharedProcess sh(String script, String... arguments) {
        return quiet().start(
                        Processes.concat(List.of("sh", "-c", script, "sh"), List.of(arguments))
                                .toArray(new String[0]));
    }

    private static SharedProcess sleeper() {
        return quiet().start("sleep", "1000");
    }

    private static void assertEnded(SharedProcess child, int code, String... texts) {
        assertThatThrownBy(child::join)
                .isInstanceOf(SharedProcessException.class)
                .hasNoCause()
                .hasMessageContainingAll("pid=" + child.pid(), "exitCode=" + code, "JAVA_EENDED")
                .satisfies(thrown -> assertThat(thrown.getMessage()).contains(List.of(texts)));
        assertThat(child.exitCode()).hasValue(code);
        assertThat(child.onExit()).isCompletedWithValue(code);
    }

    private static void assertNotStarted(SharedProcess.Builder builder, String program, String why)
            throws IOException {
        assertThatThrownBy(() -> builder.start(program, "an argument"))
                .isInstanceOf(SharedProcessException.class)
                .hasMessageContainingAll(
                        "could not be started",
                        why,
                        "command=[" + program + ", an argument]",
                        "JAVA_ESTART");
    }

    // ---- what it runs ----

    @Test
    void shouldShareByHandleWhenProgramIsInC() throws Exception {
        try (SharedValue.OfLong sum = SharedValue.ofLong(40)) {
            SharedProcess.start(addTo(), sum.handle(), "2").join();
            assertThat(sum.get()).isEqualTo(42);
        }
    }

    @Test
    void shouldLoseNothingWhenManyRunAtOnce() throws Exception {
        int many = 50;
        try (SharedValue.OfLong sum = SharedValue.ofLong(0)) {
            List<ThreadKind.Task<SharedProcess>> threads = new ArrayList<>();
            for (int i = 1; i <= many; i++) {
                String number = String.valueOf(i);
                threads.add(
                        ThreadKind.PLATFORM.start(
                                () -> SharedProcess.start(addTo(), sum.handle(), number)));
            }
            for (ThreadKind.Task<SharedProcess> each : threads) {
                each.get().join();
            }
            assertThat(sum.get()).isEqualTo(many * (many + 1) / 2);
        }
    }

    @Test
    void shouldPassArgumentsAsTheyAre() throws Exception {
        String[] odd = {"", " ", "a b", "\"'", "$HOME", "*", "\\", "\n", "-x", "--"};
        String[] command =
                Processes.concat(List.of("printf", "%s|"), List.of(odd)).toArray(new String[0]);
        assertThat(output(SharedProcess.builder(), command)).isEqualTo(String.join("|", odd) + "|");
    }

    @Test
    void shouldPassArgumentsAsTheyAreOrNotAtAllWhenFilesHaveAnotherEncoding() throws Exception {
        String argument = "\u00e9\u65e5";
        String file = folder.resolve("printed").toString();
        String printed =
                ForkedJvm.builder()
                        .jvmOptions("-Dfile.encoding=ISO-8859-1")
                        .call(() -> printed(argument, Path.of(file)))
                        .get();
        assertThat(printed).isIn(argument, "refused");
    }

    private static String printed(String argument, Path file) throws Exception {
        try {
            quiet().redirectOutput(ProcessBuilder.Redirect.to(file.toFile()))
                    .start("printf", "%s", argument)
                    .join();
        } catch (IllegalArgumentException notExpressible) {
            return "refused";
        }
        return new String(Files.readAllBytes(file), StandardCharsets.UTF_8);
    }

    @Test
    void shouldReadNothingWhenNothingIsGiven() throws Exception {
        assertThat(output(SharedProcess.builder(), "cat")).isEmpty();
    }

    @Test
    void shouldReadFileWhenInputIsRedirected() throws Exception {
        Path file = Files.writeString(folder.resolve("input"), "from a file");
        SharedProcess.Builder builder = SharedProcess.builder();
        builder.redirectInput(ProcessBuilder.Redirect.from(file.toFile()));
        assertThat(output(builder, "cat")).isEqualTo("from a file");
        assertThat(output(builder.directory(folder), "cat")).isEqualTo("from a file");
    }

    @Test
    void shouldSetUpProgramWhenBuilderSays() throws Exception {
        String seen =
                output(
                        SharedProcess.builder()
                                .environment("POLYSHM_TEST", "val ue")
                                .environment("HOME", null)
                                .directory(folder),
                        "sh",
                        "-c",
                        "echo \"$POLYSHM_TEST\" \"${HOME-none}\"; pwd -P");
        assertThat(seen).isEqualTo("val ue none\n" + folder.toRealPath() + "\n");
    }

    @Test
    void shouldLookForProgramInThePathOfTheChild() throws Exception {
        Path program = script("only-here", "#!/bin/sh\necho found\n");
        SharedProcess.Builder builder =
                SharedProcess.builder().environment("PATH", folder + ":/usr/bin:/bin");
        assertThat(output(builder, program.getFileName().toString())).isEqualTo("found\n");
        assertThat(output(SharedProcess.builder().directory(folder), "./only-here"))
                .isEqualTo("found\n");
    }

    @Test
    void shouldBlockNoSignals() throws Exception {
        assertThat(output(SharedProcess.builder(), "grep", "SigBlk", "/proc/self/status"))
                .isEqualTo("SigBlk:\t0000000000000000\n");
    }

    @Test
    void shouldHaveNoOtherFilesOpen() throws Exception {
        // But for the one by which the shell lists them.
        assertThat(output(SharedProcess.builder(), "sh", "-c", "echo /proc/$$/fd/*"))
                .matches("/proc/\\d+/fd/0 /proc/\\d+/fd/1 /proc/\\d+/fd/2( /proc/\\d+/fd/\\d+)?\n");
    }

    // ---- how it ends ----

    @Test
    void shouldTellExitCodeAndStderrWhenProgramFails() {
        assertEnded(
                sh("echo last words >&2; exit 3"),
                3,
                "the program ended, with exit code 3",
                "command=[sh, -c, echo last words >&2; exit 3, sh]",
                "its last words:\nlast words");
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 126, 127, 129, 255})
    void shouldNotTakeExitCodeForAFailedStart(int code) {
        assertEnded(sh("exit $1", String.valueOf(code)), code, "exit code " + code);
    }

    @Test
    void shouldNameSignalWhenKilled() {
        SharedProcess child = sleeper();
        assertThat(child.exitCode()).isEmpty();
        assertThat(child.isAlive()).isTrue();
        assertThat(child.toString())
                .isEqualTo(
                        "SharedProcess[pid=" + child.pid() + ", command=[sleep, 1000], running]");
        child.kill();
        assertEnded(child, 137, "SIGKILL", "asked for by kill()");
        assertThat(child.toString()).contains("exitCode=137");
        assertThat(child.isAlive()).isFalse();
        child.kill();
        child.terminate();
        assertEnded(child, 137, "asked for by kill()");
    }

    @Test
    void shouldNameSignalWhenKilledByStranger() throws Exception {
        SharedProcess child = sleeper();
        Processes.signal("SEGV", child.pid());
        Throwable thrown = catchThrowable(child::join);
        assertThat(thrown).hasMessageContaining("SIGSEGV");
        assertThat(thrown.getMessage()).doesNotContain("asked for");
    }

    @Test
    void shouldLetProgramHandleItWhenTerminated() {
        SharedProcess child =
                sh(
                        "trap 'echo handled >&2; exit 5' TERM; : > \"$1\";"
                                + " while :; do sleep 0.01; done",
                        folder.resolve("begun").toString());
        Processes.awaitFile(folder.resolve("begun"));
        child.terminate();
        assertEnded(child, 5, "asked for by terminate()", "handled");
        SharedProcess other = sleeper();
        other.terminate();
        assertEnded(other, 143, "SIGTERM");
    }

    @Test
    void shouldKeepEndOfStderrWhenThereIsMuch() {
        Throwable thrown = catchThrowable(sh("seq 100000 >&2; exit 9")::join);
        assertThat(thrown).hasMessageContaining("\n99999\n100000");
        assertThat(thrown.getMessage()).doesNotContain("\n50000\n");
    }

    @Test
    void shouldReadEndOfFileWhenStderrIsRedirected() {
        File file = folder.resolve("err").toFile();
        SharedProcess child =
                SharedProcess.builder()
                        .redirectError(ProcessBuilder.Redirect.to(file))
                        .start("sh", "-c", "echo into the file >&2; exit 9");
        assertEnded(child, 9, "into the file");
        assertThat(file).content().isEqualTo("into the file\n");
    }

    @Test
    void shouldReturnFalseWhenTimeIsOver() throws Exception {
        SharedProcess child = sleeper();
        assertThat(child.join(Duration.ofMillis(1))).isFalse();
        assertThat(child.join(Duration.ZERO)).isFalse();
        assertThat(child.isAlive()).isTrue();
        child.kill();
        assertThatThrownBy(() -> child.join(LONG)).isInstanceOf(SharedProcessException.class);
        assertThat(SharedProcess.start("true").join(LONG)).isTrue();
    }

    @Test
    void shouldLetChildGoOnWhenJoinIsInterrupted() {
        SharedProcess child = sleeper();
        Thread.currentThread().interrupt();
        assertThatThrownBy(child::join).isInstanceOf(InterruptedException.class);
        assertThat(child.isAlive()).isTrue();
        child.kill();
        assertThatThrownBy(child::join).isInstanceOf(SharedProcessException.class);
    }

    @Test
    void shouldCompleteFutureWhenNobodyJoins() throws Exception {
        SharedProcess child = sh("exit 4");
        CompletableFuture<Integer> given = child.onExit();
        given.cancel(true);
        assertThat(child.onExit().get(100, TimeUnit.SECONDS)).isEqualTo(4);
    }

    @Test
    void shouldLeaveRoomForWhatFollowsTheExit() throws Exception {
        List<Object> nested = List.of();
        for (int i = 0; i < 200; i++) {
            nested = List.of(nested);
        }
        List<Object> captured = nested;
        SharedProcess child = sleeper();
        CompletableFuture<ForkedJvm> next =
                child.onExit().thenApply(code -> ForkedJvm.start(() -> captured.size()));
        child.kill();
        next.get(100, TimeUnit.SECONDS).join();
    }

    @Test
    void shouldJoinAnyChildByWhatTheyHaveInCommon() throws Exception {
        for (ChildProcess each : List.of(SharedProcess.start("true"), ForkedJvm.start(() -> {}))) {
            each.join();
            assertThat(each.exitCode()).hasValue(0);
        }
    }

    // ---- who starts it ----

    @ParameterizedTest
    @EnumSource
    void shouldGoOnWhenStartingThreadEnds(ThreadKind kind) throws Exception {
        assumeTrue(kind.isSupported());
        ThreadKind.Task<SharedProcess> starter = kind.start(SharedProcessTest::sleeper);
        SharedProcess child = starter.get();
        starter.thread().join();
        ThreadKind.Task<SharedProcess> next = kind.start(() -> SharedProcess.start("true"));
        next.get().join();
        next.thread().join();
        assertThat(child.join(Duration.ofMillis(200))).isFalse();
        child.kill();
        assertEnded(child, 137, "SIGKILL");
    }

    @Test
    void shouldStartWhenInterrupted() throws Exception {
        Thread.currentThread().interrupt();
        SharedProcess child = SharedProcess.start("true");
        assertThat(Thread.interrupted()).isTrue();
        child.join();
    }

    @Test
    void shouldNotBecomeTheProgramWhenParentHasEndedBefore() throws Exception {
        Path file = folder.resolve("must-not-be");
        Process orphan = // of process 1
                new ProcessBuilder(
                                launcher().toString(),
                                "1",
                                folder.resolve("report").toString(),
                                "/dev/null",
                                "touch",
                                file.toString())
                        .start();
        assertThat(orphan.waitFor()).isEqualTo(127);
        assertThat(file).doesNotExist();
    }

    @Test
    void shouldWaitWhenTheLauncherIsStillBeingWritten() throws Exception {
        ThreadKind.Task<SharedProcess> starter;
        try (OutputStream writer = new FileOutputStream(launcher(), true)) {
            starter = ThreadKind.PLATFORM.start(() -> SharedProcess.start("true"));
            await().until(SharedProcessTest::isTryingAgain);
            assertThat(starter.result().isDone()).isFalse();
        }
        starter.get().join();
    }

    private static boolean isTryingAgain() {
        return Thread.getAllStackTraces().entrySet().stream()
                .filter(each -> each.getKey().getName().equals("polyshm-child"))
                .flatMap(each -> Stream.of(each.getValue()))
                .anyMatch(frame -> frame.getMethodName().equals("sleep"));
    }

    // ---- what cannot be started ----

    @Test
    void shouldThrowWhenThereIsNoSuchProgram() throws Exception {
        assertNotStarted(quiet(), "no-such-program", "no-such-program: No such file");
        assertNotStarted(quiet(), "/no/such", "program=/no/such: No such file");
        assertNotStarted(
                quiet().mayOutliveParent(true), "/no/such", "program=/no/such: No such file");
    }

    @Test
    void shouldThrowWhenItCannotBeExecuted() throws Exception {
        Path plain = Files.writeString(folder.resolve("plain"), "text");
        assertNotStarted(quiet(), plain.toString(), "Permission denied");
        assertNotStarted(quiet(), folder.toString(), "Permission denied");
        Path script = script("orphaned", "#!/nowhere/to/be/found\n");
        assertNotStarted(quiet(), script.toString(), "No such file");
    }

    @Test
    void shouldThrowWhenFolderOrInputIsMissing() throws Exception {
        assertNotStarted(
                quiet().directory(folder.resolve("no")), "true", "the directory does not exist");
        File absent = folder.resolve("absent").toFile();
        assertNotStarted(
                quiet().redirectInput(ProcessBuilder.Redirect.from(absent)),
                "true",
                "input=" + absent + ": No such file");
    }

    @Test
    void shouldThrowWhenArgumentsAreTooLong() {
        String[] command = {"true", "x".repeat(200_000)};
        assertThatThrownBy(() -> quiet().start(command))
                .isInstanceOf(SharedProcessException.class)
                .hasMessageContaining("too long");
    }

    @Test
    void shouldRefuseWhenBuilderGetsNonsense() {
        SharedProcess.Builder builder = SharedProcess.builder();
        assertThatThrownBy(builder::start).isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> builder.start("")).isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> builder.start("echo", "a\0b"))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("a\\0b");
        assertThatThrownBy(() -> builder.start("echo", "\uD800"))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("locale");
        assertThatThrownBy(() -> builder.start("echo", null))
                .isInstanceOf(NullPointerException.class);
        for (ProcessBuilder.Redirect each :
                List.of(ProcessBuilder.Redirect.PIPE, ProcessBuilder.Redirect.INHERIT)) {
            assertThatThrownBy(() -> builder.redirectInput(each))
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessageContaining(each.type().toString());
        }
    }

    // ---- what is left ----

    @Test
    void shouldHoldNothingWhenChildrenHaveEnded() throws Exception {
        SharedProcess.start("true").join();
        await().until(() -> Processes.childThreads().isEmpty());
        long before = Processes.descriptors();
        List<SharedProcess> children = new ArrayList<>();
        for (int i = 0; i < 4; i++) {
            children.add(quiet().start("true"));
            children.add(sh("exit 2"));
            assertThatThrownBy(() -> quiet().start("no-such-program"))
                    .isInstanceOf(SharedProcessException.class);
        }
        SharedProcess endless = sleeper();
        children.add(endless);
        assertThat(Processes.descriptors()).isGreaterThan(before);
        assertThat(Processes.childThreads()).contains("polyshm-child-" + endless.pid());
        endless.kill();
        // Nobody joins.
        await().atMost(LONG)
                .until(() -> children.stream().allMatch(each -> each.onExit().isDone()));
        await().until(() -> Processes.childThreads().isEmpty());
        await().until(() -> Processes.descriptors() == before);
        await().until(() -> ProcessHandle.current().children().findAny().isEmpty());
    }

    private Path script(String name, String text) throws IOException {
        Path file = Files.writeString(folder.resolve(name), text);
        assertThat(file.toFile().setExecutable(true)).isTrue();
        return file;
    }

    private static File launcher() throws IOException {
        return Native.launcher();
    }
}
