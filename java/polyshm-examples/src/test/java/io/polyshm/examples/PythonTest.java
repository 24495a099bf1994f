// SPDX-License-Identifier: Apache-2.0
package io.polyshm.examples;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.polyshm.ForkedJvm;
import io.polyshm.SharedMemory;
import io.polyshm.SharedProcessException;
import io.polyshm.examples.python.BankWithLock;
import io.polyshm.examples.python.BankWithoutLock;
import io.polyshm.examples.python.PlainList;
import io.polyshm.examples.python.Squares;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Collections;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * The tutorial between Java and Python, from Java's side: {@code python/tests/test_examples.py} has
 * the other.
 */
class PythonTest {
    private enum Parent {
        LIST(PlainList::main),
        SQUARES(Squares::main),
        RACE(BankWithoutLock::main),
        BANK(BankWithLock::main);

        private final Main main;

        Parent(Main main) {
            this.main = main;
        }

        private interface Main {
            void main(String... args) throws Exception;
        }
    }

    @TempDir Path folder;

    @Test
    void shouldRunEachPartBothWaysWhenDemoIsCalledWithPython() throws Exception {
        Program demo = Program.start(folder, Python.jvm(folder), () -> Demo.main("python"));

        assertThat(demo.exitCode()).as(demo.errors()).isZero();
        assertThat(demo.errors()).isEmpty();
        assertThat(demo.lines())
                .filteredOn(line -> line.startsWith("== "))
                .extracting(line -> line.replaceAll("== ([^:]*): .*", "$1"))
                .containsExactly(
                        "list, Java starts Python",
                        "list, Python starts Java",
                        "squares, Java starts Python",
                        "squares, Python starts Java",
                        "race, Java starts Python",
                        "race, Python starts Java",
                        "bank, Java starts Python",
                        "bank, Python starts Java");
        for (String line :
                new String[] {
                    "in the child:  [25, 36, 49, 64]",
                    "in the parent: []",
                    "[25, 36, 49, 64]",
                    "174",
                    "expected: 200",
                    "balances: " + Collections.nCopies(20, 200),
                    "right:    20 of 20"
                }) {
            assertThat(Collections.frequency(demo.lines(), line)).as(line).isEqualTo(2);
        }
        assertThat(demo.lines())
                .filteredOn(line -> line.matches("found: +-?\\d+ \\(in round [1-9]\\d*\\)"))
                .hasSize(2)
                .noneMatch(line -> line.matches("found: +200 .*"));
        assertThat(demo.sharedMemory()).isEmpty();
    }

    @ParameterizedTest
    @CsvSource({"3 1 -4, '[9, 1, 16]', 26", "46340, [2147395600], 2147395600"})
    void shouldSquareOwnNumbersInPython(String numbers, String squares, String sum)
            throws Exception {
        String[] args = numbers.split(" ");
        Program parent = Program.start(folder, Python.jvm(folder), () -> Squares.main(args));

        assertThat(parent.exitCode()).as(parent.errors()).isZero();
        assertThat(parent.lines()).containsExactly(squares, sum);
    }

    @Test
    void shouldHaveTracebackWhenPythonRaises() throws Exception {
        Program parent = Program.start(folder, Python.jvm(folder), () -> Squares.main("46341"));

        assertThat(parent.exitCode()).isEqualTo(1);
        assertThat(parent.errors()).contains("Traceback", "OverflowError: value=2147488281");
        assertThatThrownBy(parent.jvm()::join)
                .cause()
                .isInstanceOf(SharedProcessException.class)
                .hasMessageContaining("exit code 1")
                .hasMessageContaining("OverflowError: value=2147488281");
        assertThat(parent.lines()).isEmpty();
        assertThat(parent.sharedMemory()).isEmpty();
    }

    @ParameterizedTest
    @EnumSource
    void shouldFailWhenPythonDoesBeforeItHasAttached(Parent part) throws Exception {
        Program parent = withChild(part, "#!/bin/sh\necho no such module >&2\nexit 3\n");

        assertThat(parent.exitCode()).isEqualTo(1);
        assertThatThrownBy(parent.jvm()::join)
                .cause()
                .isInstanceOf(SharedProcessException.class)
                .hasMessageContaining("exit code 3")
                .hasMessageContaining("no such module");
        assertThat(parent.lines()).isEmpty();
        assertThat(parent.sharedMemory()).isEmpty();
    }

    @ParameterizedTest
    @EnumSource
    void shouldFailWhenPythonIsKilledBeforeItHasAttached(Parent part) throws Exception {
        Program parent = withChild(part, "#!/bin/sh\nkill -9 $$\n");

        assertThat(parent.exitCode()).isEqualTo(1);
        assertThatThrownBy(parent.jvm()::join)
                .cause()
                .isInstanceOf(SharedProcessException.class)
                .hasMessageContaining("SIGKILL");
        assertThat(parent.lines()).isEmpty();
        assertThat(parent.sharedMemory()).isEmpty();
    }

    @ParameterizedTest
    @CsvSource({
        "RACE, ''",
        "BANK, ''",
        "BANK, 'both.wait(); balance.lock.acquire()'", // the parent works, or waits for the lock
    })
    void shouldFailWhenPythonIsKilledAtWork(Parent part, String work) throws Exception {
        Program parent =
                withChild(part, attaching(work + "\nos.kill(os.getpid(), signal.SIGKILL)"));

        assertThat(parent.exitCode()).isEqualTo(1);
        assertThatThrownBy(parent.jvm()::join)
                .cause()
                .isInstanceOf(SharedProcessException.class)
                .hasMessageContaining("SIGKILL");
        assertThat(parent.lines()).isEmpty();
        assertThat(parent.sharedMemory()).isEmpty();
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "both.wait(); balance.lock.acquire()"})
    void shouldLeaveNothingWhenParentIsKilled(String work) throws Exception {
        Path told = folder.resolve("told");
        Program parent =
                withChild(
                        Parent.BANK,
                        attaching(
                                work
                                        + "\npathlib.Path('"
                                        + told
                                        + ".new').write_text(str(os.getpid()))"
                                        + "\nos.rename('"
                                        + told
                                        + ".new', '"
                                        + told
                                        + "')\nsignal.pause()"));
        while (!Files.exists(told) && parent.jvm().isAlive()) {
            Thread.sleep(5);
        }
        assertThat(told).as(parent.errors()).exists();
        long child = Long.parseLong(Files.readString(told));
        parent.jvm().kill();
        parent.exitCode();
        Optional<ProcessHandle> left = ProcessHandle.of(child);
        if (left.isPresent()) {
            try {
                left.get().onExit().get(60, TimeUnit.SECONDS); // the kernel ends it
            } finally {
                left.get().destroyForcibly();
            }
        }

        SharedMemory.reap(); // as the next process does that creates a segment
        assertThat(parent.sharedMemory()).isEmpty();
    }

    /** Runs the parent with a script that is its {@code python3}. */
    private Program withChild(Parent part, String script) throws Exception {
        ForkedJvm.Builder jvm = Python.jvm(folder);
        Path child = Files.writeString(folder.resolve("python3"), script);
        Files.setPosixFilePermissions(child, PosixFilePermissions.fromString("rwx------"));
        return Program.start(folder, jvm, () -> part.main.main());
    }

    /** A script that has the account and the barrier of a bank, and does some work. */
    private static String attaching(String work) {
        return String.join(
                "\n",
                "#!" + Python.interpreter(),
                "import os, pathlib, signal, sys, polyshm",
                "balance, both = map(polyshm.attach, sys.argv[2:])",
                work);
    }
}
