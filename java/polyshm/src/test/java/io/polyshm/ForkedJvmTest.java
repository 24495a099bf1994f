// SPDX-License-Identifier: Apache-2.0
package io.polyshm;

import static org.assertj.core.api.Assertions.as;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowable;
import static org.assertj.core.api.InstanceOfAssertFactories.STRING;

import java.io.ByteArrayOutputStream;
import java.io.ObjectInputStream;
import java.io.ObjectOutputStream;
import java.io.PrintStream;
import java.io.Serializable;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.locks.LockSupport;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** What a task brings, gives back and prints. */
@Timeout(120)
class ForkedJvmTest {
    private static final int MEGABYTE = 1 << 20;

    /** A builder whose children do not write over the report of the tests. */
    static ForkedJvm.Builder quiet() {
        return ForkedJvm.builder().redirectError(ProcessBuilder.Redirect.DISCARD);
    }

    @Test
    void shouldReturnResultWhenComputationEnds() throws InterruptedException {
        List<Integer> captured = List.of(5, 6, 7, 8);
        ForkedJvm.Call<List<Integer>> call =
                ForkedJvm.call(() -> captured.stream().map(each -> each * each).toList());
        assertThat(call.get()).containsExactly(25, 36, 49, 64);
        assertThat(call.get()).isSameAs(call.get());
        assertThat(call.exitCode()).hasValue(0);
        assertThat(call.isAlive()).isFalse();
    }

    @Test
    void shouldReturnNullWhenComputationDoes() throws InterruptedException {
        assertThat(ForkedJvm.call(() -> null).get()).isNull();
    }

    @Test
    void shouldRunInAnotherProcessWhenStarted() throws InterruptedException {
        ForkedJvm.Call<Long> child = ForkedJvm.call(() -> ProcessHandle.current().pid());
        assertThat(child.pid()).isNotEqualTo(ProcessHandle.current().pid());
        assertThat(child.get()).isEqualTo(child.pid());
    }

    @Test
    void shouldLeaveCapturedObjectsAloneWhenTaskChangesThem() throws InterruptedException {
        List<Integer> list = new ArrayList<>();
        assertThat(
                        ForkedJvm.call(
                                        () -> {
                                            list.add(1);
                                            return list.size();
                                        })
                                .get())
                .isEqualTo(1);
        assertThat(list).isEmpty();
    }

    @Test
    void shouldRunPlainSerializableObjectWhenItIsNoLambda() throws InterruptedException {
        record Doubled(int value) implements ForkedJvm.Computation<Integer> {
            @Override
            public Integer call() {
                return 2 * value;
            }
        }
        assertThat(ForkedJvm.call(new Doubled(21)).get()).isEqualTo(42);
    }

    @Test
    void shouldCarryTextWhenItIsNotAscii() throws InterruptedException {
        String text = "Grüße, 日本語, \uD83D\uDE00, \0, \n";
        assertThat(ForkedJvm.call(() -> text + "→").get()).isEqualTo(text + "→");
    }

    @Test
    void shouldCarryManyMegabytesWhenCapturedAndReturned() throws InterruptedException {
        byte[] captured = new byte[20 * MEGABYTE];
        captured[captured.length - 1] = 42;
        byte[] result =
                ForkedJvm.call(
                                () -> {
                                    byte[] bytes = new byte[50 * MEGABYTE];
                                    bytes[bytes.length - 1] = captured[captured.length - 1];
                                    return bytes;
                                })
                        .get();
        assertThat(result).hasSize(50 * MEGABYTE).endsWith(42);
    }

    @Test
    void shouldKeepResultsApartWhenManyRunAtOnce() throws InterruptedException {
        List<ForkedJvm.Call<Integer>> children =
                IntStream.range(0, 16).mapToObj(i -> ForkedJvm.call(() -> i * i)).toList();
        for (int i = 0; i < children.size(); i++) {
            assertThat(children.get(i).get()).isEqualTo(i * i);
        }
    }

    @Test
    void shouldForkAgainWhenCalledInChild() throws InterruptedException {
        assertThat(ForkedJvm.call(() -> ForkedJvm.call(() -> "grandchild").get()).get())
                .isEqualTo("grandchild");
    }

    @Test
    void shouldThrowWithOriginalAsCauseWhenTaskThrows() {
        ForkedJvm child =
                quiet().start(
                                () -> {
                                    throw new IllegalStateException(
                                            "böse", new IllegalArgumentException("inner"));
                                });
        for (int i = 0; i < 2; i++) {
            Throwable thrown = catchThrowable(child::join);
            assertThat(thrown)
                    .isInstanceOf(ForkedJvmException.class)
                    .hasMessageContaining("java.lang.IllegalStateException: böse")
                    .hasMessageContaining("pid=" + child.pid())
                    .extracting(each -> ((PolyshmException) each).errorName())
                    .isEqualTo("JAVA_ETASK");
            assertThat(thrown.getCause())
                    .isExactlyInstanceOf(IllegalStateException.class)
                    .hasRootCauseInstanceOf(IllegalArgumentException.class)
                    .hasStackTraceContaining("internal.fork.ChildMain.main");
        }
        assertThat(child.exitCode()).hasValue(1);
    }

    @Test
    void shouldThrowWithCauseWhenComputationThrows() {
        ForkedJvm.Call<Object> child =
                ForkedJvm.call(
                        () -> {
                            throw new java.io.IOException("no");
                        });
        assertThatThrownBy(child::get).hasCauseExactlyInstanceOf(java.io.IOException.class);
    }

    /** Cannot be serialized. */
    private static final class UntransferableException extends Exception {
        private static final long serialVersionUID = 1;
        private final Object ballast = new Object();

        UntransferableException(String message, Throwable cause) {
            super(message, cause);
        }

        @Override
        public String toString() {
            return "Untransferable! " + getMessage() + (ballast == null ? "?" : "");
        }
    }

    @Test
    void shouldThrowStandInWhenExceptionIsNotSerializable() {
        ForkedJvm child =
                quiet().start(
                                () -> {
                                    Exception thrown =
                                            new UntransferableException(
                                                    "outer", new IllegalStateException("inner"));
                                    thrown.addSuppressed(new RuntimeException("aside"));
                                    throw thrown;
                                });
        Throwable cause = catchThrowable(child::join).getCause();
        assertThat(cause).hasToString("Untransferable! outer").hasMessage("outer");
        assertThat(cause.getStackTrace()[0].getClassName()).isEqualTo(getClass().getName());
        assertThat(cause.getCause()).hasToString("java.lang.IllegalStateException: inner");
        assertThat(cause.getSuppressed()[0]).hasToString("java.lang.RuntimeException: aside");
    }

    @Test
    void shouldNamePathWhenResultIsNotSerializable() {
        ForkedJvm.Call<Object> child =
                ForkedJvm.call(() -> List.of("fine", new Object[] {1, new Thread()}));
        assertThatThrownBy(child::get)
                .isInstanceOf(ForkedJvmException.class)
                .hasMessageContaining("element 1 (java.lang.Thread) is not Serializable")
                .hasMessageContaining("JAVA_ERESULT");
    }

    @Test
    void shouldSpeakOfResultWhenThatIsNotSerializable() {
        ForkedJvm.Call<Object> child = ForkedJvm.call(() -> new Thread());
        assertThatThrownBy(child::get)
                .isInstanceOf(ForkedJvmException.class)
                .hasMessageContaining("the result itself (java.lang.Thread) is not Serializable")
                .hasMessageContaining("leave it out of the result")
                .extracting(Throwable::getMessage, as(STRING))
                .doesNotContain("the task itself", "inside the task");
    }

    /** Fails in one of the two JVMs through which it goes. */
    private static final class Fragile implements Serializable {
        private static final long serialVersionUID = 1;
        private final boolean whenWritten;

        Fragile(boolean whenWritten) {
            this.whenWritten = whenWritten;
        }

        private void writeObject(ObjectOutputStream out) {
            if (whenWritten) {
                throw new AssertionError("cannot be written");
            }
        }

        private void readObject(ObjectInputStream in) {
            throw new AssertionError("cannot be read");
        }
    }

    @Test
    void shouldThrowWithErrorAsCauseWhenResultFailsToTravel() {
        ForkedJvm.Call<Object> unwritable = quiet().call(() -> List.of(new Fragile(true)));
        assertThatThrownBy(unwritable::get)
                .isInstanceOf(ForkedJvmException.class)
                .hasMessageContaining("JAVA_ERESULT")
                .hasMessageContaining("$Fragile) failed to be written: java.lang.AssertionError")
                .hasCause(new AssertionError("cannot be written"));
        ForkedJvm.Call<Object> unreadable = quiet().call(() -> List.of(new Fragile(false)));
        assertThatThrownBy(unreadable::get)
                .isInstanceOf(ForkedJvmException.class)
                .hasMessageContaining("JAVA_ERESULT")
                .hasMessageContaining("pid=" + unreadable.pid())
                .hasCause(new AssertionError("cannot be read"));
    }

    @Test
    void shouldThrowWithErrorAsCauseWhenTaskFailsToBeRead() {
        Fragile captured = new Fragile(false);
        ForkedJvm child = quiet().start(() -> System.out.println(captured));
        assertThatThrownBy(child::join)
                .isInstanceOf(ForkedJvmException.class)
                .hasMessageContaining("JAVA_EREAD")
                .hasCause(new AssertionError("cannot be read"));
    }

    @Test
    void shouldNameClassWhenChildDoesNotHaveIt() {
        ForkedJvm child =
                quiet().classPath(Processes.library().toArray(new Path[0]))
                        .modulePath(Processes.library().toArray(new Path[0]))
                        .start(new OnlyInTests());
        Throwable thrown = catchThrowable(child::join);
        if (ForkedJvm.class.getModule().isNamed()) {
            // The tests are patched into the module and are found in every child.
            assertThat(thrown).isNull();
            return;
        }
        assertThat(thrown)
                .isInstanceOf(ForkedJvmException.class)
                .hasMessageContaining("OnlyInTests")
                .hasMessageContaining("builder().classPath")
                .hasMessageContaining("JAVA_EREAD")
                .hasCauseInstanceOf(ClassNotFoundException.class);
    }

    private static final class OnlyInTests implements ForkedJvm.Task {
        private static final long serialVersionUID = 1;

        @Override
        public void run() {}
    }

    @Test
    void shouldReadNothingWhenTaskReadsStandardInput() throws InterruptedException {
        assertThat(ForkedJvm.call(() -> System.in.read()).get()).isEqualTo(-1);
    }

    @Test
    void shouldWriteToFileWhenOutputIsRedirected(@TempDir Path folder) throws Exception {
        Path file = folder.resolve("out");
        ForkedJvm.builder()
                .redirectOutput(ProcessBuilder.Redirect.to(file.toFile()))
                .start(() -> System.out.write("Grüße".getBytes(StandardCharsets.UTF_8)))
                .join();
        assertThat(file).usingCharset(StandardCharsets.UTF_8).hasContent("Grüße");
    }

    @Test
    void shouldPassOnAllOfStderrWhenJoined() throws Exception {
        PrintStream original = System.err;
        // Slow, so that much is still to be passed on when the child has ended.
        ByteArrayOutputStream bytes =
                new ByteArrayOutputStream() {
                    @Override
                    public void write(byte[] buffer, int from, int length) {
                        super.write(buffer, from, length);
                        LockSupport.parkNanos(20_000_000);
                    }
                };
        System.setErr(new PrintStream(bytes, true, StandardCharsets.UTF_8));
        try {
            ForkedJvm.start(
                            () -> {
                                for (int i = 0; i < 20_000; i++) {
                                    System.err.println("line " + i);
                                }
                            })
                    .join();
        } finally {
            System.setErr(original);
        }
        assertThat(bytes.toString(StandardCharsets.UTF_8).lines())
                .contains("line 0", "line 10000", "line 19999");
    }

    @Test
    void shouldSetUpChildWhenBuilderSays(@TempDir Path folder) throws Exception {
        List<String> seen =
                ForkedJvm.builder()
                        .jvmOptions("-Dmode=a \"b\" \\ c", "-Xmx77m")
                        .environment("POLYSHM_TEST", "val ue")
                        .environment("HOME", null)
                        .environment("LC_ALL", "C.UTF-8")
                        .directory(folder)
                        .call(
                                () ->
                                        List.of(
                                                System.getProperty("mode"),
                                                "" + (Runtime.getRuntime().maxMemory() >> 20 < 100),
                                                Files.readString(
                                                        Path.of("/proc/self/environ"),
                                                        StandardCharsets.ISO_8859_1),
                                                Path.of("").toRealPath().toString()))
                        .get();
        assertThat(seen.get(0)).isEqualTo("a \"b\" \\ c");
        assertThat(seen.get(1)).isEqualTo("true");
        assertThat(seen.get(2).split("\0"))
                .contains("POLYSHM_TEST=val ue")
                .noneMatch(variable -> variable.startsWith("HOME="));
        assertThat(seen.get(3)).isEqualTo(folder.toRealPath().toString());
    }

    @Test
    void shouldStartAnyNumberWhenBuilderIsReused() throws InterruptedException {
        ForkedJvm.Builder builder = ForkedJvm.builder().jvmOptions("-Dmode=reused");
        for (int i = 0; i < 2; i++) {
            assertThat(builder.call(() -> System.getProperty("mode")).get()).isEqualTo("reused");
        }
    }

    @Test
    void shouldRefuseWhenBuilderGetsNonsense() {
        ForkedJvm.Builder builder = ForkedJvm.builder();
        assertThatThrownBy(() -> builder.jvmOptions("@file"))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("@file");
        assertThatThrownBy(() -> builder.jvmOptions(""))
                .isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> builder.jvmOptions("-Dlone=\uD800"))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("locale");
        assertThatThrownBy(() -> builder.environment("A=B", "C"))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("A=B");
        assertThatThrownBy(() -> builder.redirectOutput(ProcessBuilder.Redirect.PIPE))
                .isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> builder.redirectError(ProcessBuilder.Redirect.PIPE))
                .isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> builder.start(null)).isInstanceOf(NullPointerException.class);
        assertThatThrownBy(() -> builder.call(null)).isInstanceOf(NullPointerException.class);
    }
}
