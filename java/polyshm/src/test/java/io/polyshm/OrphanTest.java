// SPDX-License-Identifier: Apache-2.0
package io.polyshm;

import static org.assertj.core.api.Assertions.assertThat;

import io.polyshm.programs.Parent;
import java.io.BufferedReader;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** A child, JVM or program, never outlives its parent, whatever ends that, unless it may. */
@Timeout(120)
class OrphanTest {
    private final List<Long> started = new ArrayList<>();
    private Process parent;
    private BufferedReader lines;

    private void startParent(String... arguments) throws IOException {
        List<String> command = Processes.java("ALL-UNNAMED");
        command.add("-cp");
        command.add(
                Processes.joined(
                        Processes.concat(
                                Processes.library(), Processes.classPathOf(Parent.class))));
        command.add(Parent.class.getName());
        command.addAll(List.of(arguments));
        parent = new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.INHERIT).start();
        lines = parent.inputReader();
    }

    private long pid() throws IOException {
        long pid = Long.parseLong(lines.readLine());
        started.add(pid);
        return pid;
    }

    @AfterEach
    void leaveNothing() throws Exception {
        parent.destroyForcibly().waitFor();
        for (long pid : started) {
            if (!Processes.isGone(pid)) {
                Processes.signal("KILL", pid);
            }
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"sleep", "program"})
    void shouldVanishWhenParentIsKilled(String what) throws Exception {
        startParent(what);
        long child = pid();
        assertThat(Processes.isGone(child)).isFalse();
        parent.destroyForcibly().waitFor();
        Processes.awaitGone(child);
    }

    @ParameterizedTest
    @ValueSource(strings = {"sleep", "program"})
    void shouldVanishWhenParentIsKilledDuringStart(String what) throws Exception {
        for (int i = 0; i < 8; i++) {
            startParent(what);
            long child = pid();
            Thread.sleep(10L * i);
            parent.destroyForcibly().waitFor();
            Processes.awaitGone(child);
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"sleep", "program"})
    void shouldVanishWhenParentExits(String what) throws Exception {
        startParent(what);
        long child = pid();
        parent.destroy();
        parent.waitFor();
        Processes.awaitGone(child);
    }

    @Test
    void shouldVanishWhenContinuedAfterParentWasKilled() throws Exception {
        startParent("sleep");
        long child = pid();
        Processes.signal("STOP", child);
        parent.destroyForcibly().waitFor();
        assertThat(Processes.isGone(child)).isFalse();
        Processes.signal("CONT", child);
        Processes.awaitGone(child);
    }

    @ParameterizedTest
    @ValueSource(strings = {"sleep", "program"})
    void shouldGoOnWhenParentIsStoppedAndContinued(String what) throws Exception {
        startParent(what);
        long child = pid();
        Processes.signal("STOP", parent.pid());
        Thread.sleep(500);
        assertThat(Processes.isGone(child)).isFalse();
        Processes.signal("CONT", parent.pid());
        assertThat(Processes.isGone(child)).isFalse();
    }

    @Test
    void shouldVanishWhenStoppedIfItIsAProgram() throws Exception {
        startParent("program");
        long child = pid();
        Processes.signal("STOP", child);
        parent.destroyForcibly().waitFor();
        Processes.awaitGone(child);
    }

    @Test
    void shouldVanishWithChildrenOfItsOwnWhenParentIsKilled() throws Exception {
        startParent("nest");
        long one = pid();
        long other = pid();
        parent.destroyForcibly().waitFor();
        Processes.awaitGone(one);
        Processes.awaitGone(other);
    }

    @Test
    void shouldVanishWhenParentIsKilledDuringShutdown() throws Exception {
        startParent("hook");
        long child = pid();
        assertThat(lines.readLine()).isEqualTo("in hook");
        parent.destroyForcibly().waitFor();
        Processes.awaitGone(child);
    }

    @ParameterizedTest
    @ValueSource(strings = {"outlive", "program-outlive"})
    void shouldGoOnWhenItMayOutliveParent(String what, @TempDir Path folder) throws Exception {
        startParent(what, folder.toString());
        long child = pid();
        Processes.awaitFile(folder.resolve("begun"));
        parent.destroyForcibly().waitFor();
        assertThat(folder.resolve("question").toFile().mkdir()).isTrue();
        Processes.awaitFile(folder.resolve("answer"));
        Processes.awaitGone(child);
    }
}
