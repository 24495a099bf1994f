// SPDX-License-Identifier: Apache-2.0
package io.polyshm.examples;

import static org.assertj.core.api.Assertions.assertThat;

import io.polyshm.ForkedJvm;
import io.polyshm.SharedMemory;
import java.nio.file.Path;
import java.util.Collections;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The tutorial prints what it says it does, whatever it is called with, and leaves nothing. */
class DemoTest {
    private static final Pattern FOUND = Pattern.compile("found: +(-?\\d+) \\(in round (\\d+)\\)");

    @TempDir Path folder;

    @Test
    void shouldRunAllPartsWhenNoneIsNamed() throws Exception {
        Program demo = Program.demo(folder);

        assertThat(demo.errors()).isEmpty();
        assertThat(demo.exitCode()).isZero();
        assertThat(demo.lines())
                .filteredOn(line -> line.startsWith("== "))
                .extracting(line -> line.replaceAll("== (\\w+): .*", "$1"))
                .containsExactly("list", "squares", "race", "bank", "phases", "catalogue");
        assertThat(demo.lines())
                .containsSubsequence(
                        "in the parent: []",
                        "[25, 36, 49, 64]",
                        "174",
                        "right:    20 of 20",
                        "right:   12 of 12",
                        "half changed: 0");
        assertThat(demo.sharedMemory()).isEmpty();
    }

    @Test
    void shouldShowBothSidesWhenChildFillsPlainList() throws Exception {
        Program demo = Program.demo(folder, "list");

        assertThat(demo.lines())
                .endsWith("in the child:  [25, 36, 49, 64]", "in the parent: []")
                .hasSize(3);
        assertThat(demo.exitCode()).isZero();
    }

    @ParameterizedTest
    @CsvSource({
        "squares,             '[25, 36, 49, 64]', 174",
        "squares 3 1 4,       '[9, 1, 16]',       26",
        "squares -3,          '[9]',              9",
        "squares 46340 0 1,   '[2147395600, 0, 1]', 2147395601",
    })
    void shouldPrintSquaresAndSumWhenGivenNumbers(String args, String squares, String sum)
            throws Exception {
        Program demo = Program.demo(folder, args.split(" "));

        assertThat(demo.lines()).endsWith(squares, sum).hasSize(3);
        assertThat(demo.exitCode()).isZero();
        assertThat(demo.sharedMemory()).isEmpty();
    }

    @Test
    void shouldLoseUpdatesWhenBankHasNoLock() throws Exception {
        Program demo = Program.demo(folder, "race");

        List<String> lines = demo.lines();
        assertThat(lines).hasSize(3).element(1).isEqualTo("expected: 200");
        Matcher found = FOUND.matcher(lines.get(2));
        assertThat(found.matches()).as(lines.get(2)).isTrue();
        assertThat(Integer.parseInt(found.group(1))).isBetween(100, 300).isNotEqualTo(200);
        assertThat(Integer.parseInt(found.group(2))).isPositive();
        assertThat(demo.exitCode()).isZero();
        assertThat(demo.sharedMemory()).isEmpty();
    }

    @Test
    void shouldLoseNothingWhenBankHasLock() throws Exception {
        Program demo = Program.demo(folder, "bank");

        assertThat(demo.lines())
                .endsWith("balances: " + Collections.nCopies(20, 200), "right:    20 of 20")
                .hasSize(3);
        assertThat(demo.exitCode()).isZero();
        assertThat(demo.sharedMemory()).isEmpty();
    }

    @Test
    void shouldHaveExactSumsAfterEachPhase() throws Exception {
        Program demo = Program.demo(folder, "phases");

        assertThat(demo.lines())
                .endsWith(
                        "phase 1: [1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23]",
                        "phase 2: [1, 3, 6, 10, 14, 18, 22, 26, 30, 34, 38, 42]",
                        "phase 3: [1, 3, 6, 10, 15, 21, 28, 36, 44, 52, 60, 68]",
                        "phase 4: [1, 3, 6, 10, 15, 21, 28, 36, 45, 55, 66, 78]",
                        "right:   12 of 12")
                .hasSize(6);
        assertThat(demo.exitCode()).isZero();
        assertThat(demo.sharedMemory()).isEmpty();
    }

    @Test
    void shouldPassEveryItemOnceAndInOrderWhenJvmsShareABuffer() throws Exception {
        Program demo = Program.demo(folder, "buffer");

        assertThat(demo.errors()).isEmpty();
        assertThat(demo.lines())
                .endsWith("arrived:  400 of 400", "in order: 400 of 400")
                .hasSize(3);
        assertThat(demo.exitCode()).isZero();
        assertThat(demo.sharedMemory()).isEmpty();
    }

    @Test
    void shouldNeverReadWhatIsHalfChanged() throws Exception {
        Program demo = Program.demo(folder, "catalogue");

        assertThat(demo.lines()).endsWith("changes:      200", "half changed: 0").hasSize(3);
        assertThat(demo.exitCode()).isZero();
        assertThat(demo.sharedMemory()).isEmpty();
    }

    @Test
    void shouldFeedAllPhilosophersWhenTheyTakeTheForksInOrder() throws Exception {
        Program demo = Program.demo(folder, "philosophers");

        assertThat(demo.errors()).isEmpty();
        assertThat(demo.lines())
                .endsWith("meals:      [40, 40, 40, 40, 40]", "collisions: 0")
                .hasSize(3);
        assertThat(demo.exitCode()).isZero();
        assertThat(demo.sharedMemory()).isEmpty();
    }

    @ParameterizedTest
    @CsvSource({
        "squares x,            'squares: ''x'' is not a whole number'",
        "squares 1 2.5,        'squares: ''2.5'' is not a whole number'",
        "squares 3 --verbose,  'squares: ''--verbose'' is not a whole number'",
        "squares 99999999999,  'squares: ''99999999999'' is not a whole number'",
        "squares 46340 301,    'larger than 2147483647 at 301; take smaller or fewer numbers'",
        "race 5,               'race: takes no arguments: 5'",
        "poker,                'demo: there is no such part: poker'",
        "--poker,              'demo: there is no such part: --poker'",
    })
    void shouldSayWhatIsWrongWhenArgumentIs(String args, String message) throws Exception {
        Program demo = Program.demo(folder, args.split(" "));

        assertThat(demo.errors()).contains(message).doesNotContain("\tat ");
        assertThat(demo.lines()).isEmpty();
        assertThat(demo.exitCode()).isEqualTo(2);
    }

    @ParameterizedTest
    @CsvSource({"--help", "race -h", "squares --help"})
    void shouldShowUsageWhenAskedForHelp(String args) throws Exception {
        Program demo = Program.demo(folder, args.split(" "));

        assertThat(demo.lines()).element(0).asString().startsWith("Usage: demo ");
        assertThat(demo.exitCode()).isZero();
    }

    @Test
    void shouldLeaveNothingInSharedMemoryWhenKilled() throws Exception {
        Program demo = Program.start(folder, ForkedJvm.builder(), () -> Demo.main("race"));
        while (demo.sharedMemory().isEmpty() && demo.jvm().isAlive()) {
            Thread.sleep(5);
        }
        List<ProcessHandle> children =
                ProcessHandle.of(demo.jvm().pid()).stream()
                        .flatMap(ProcessHandle::descendants)
                        .toList();
        demo.jvm().kill();
        demo.exitCode();
        for (ProcessHandle child : children) {
            child.onExit().join(); // it ends by itself
        }

        SharedMemory.reap(); // as the next process does that creates a segment
        assertThat(demo.sharedMemory()).isEmpty();
    }
}
