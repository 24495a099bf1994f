// SPDX-License-Identifier: Apache-2.0
package io.polyshm.benchmarks;

import io.polyshm.ForkedJvm;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.IntStream;

/** JVMs that stay on one core each, as the programs in C that they are compared with do. */
final class Pinned {
    private Pinned() {}

    /** A child with the tuning of this JVM, which children do not inherit by themselves. */
    static ForkedJvm.Builder builder() {
        return ForkedJvm.builder()
                .jvmOptions(
                        ManagementFactory.getRuntimeMXBean().getInputArguments().stream()
                                .filter(option -> option.startsWith("-XX:"))
                                .toArray(String[]::new));
    }

    /** Keeps this JVM, and whom it starts from now on, on one of the cores that it may use. */
    static void pin(int turn) throws IOException, InterruptedException {
        int[] cores = allowed();
        ProcessTrial.output(
                List.of(
                        "taskset",
                        "--all-tasks",
                        "--cpu-list",
                        "--pid",
                        "" + cores[turn % cores.length],
                        "" + ProcessHandle.current().pid()));
    }

    private static int[] allowed() throws IOException {
        String ranges = // such as 0-3,8
                Files.readAllLines(Path.of("/proc/self/status")).stream()
                        .filter(line -> line.startsWith("Cpus_allowed_list:"))
                        .map(line -> line.substring(line.indexOf(':') + 1).strip())
                        .findFirst()
                        .orElseThrow();
        return List.of(ranges.split(",")).stream()
                .map(range -> range.split("-"))
                .flatMapToInt(
                        ends ->
                                IntStream.rangeClosed(
                                        Integer.parseInt(ends[0]),
                                        Integer.parseInt(ends[ends.length - 1])))
                .toArray();
    }
}
