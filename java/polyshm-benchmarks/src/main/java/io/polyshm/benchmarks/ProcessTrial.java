// SPDX-License-Identifier: Apache-2.0
package io.polyshm.benchmarks;

import io.polyshm.ForkedJvm;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** Trials that start a process. */
final class ProcessTrial {
    private ProcessTrial() {}

    /** One measurement in C: an operation of native/bench/baseline.c. */
    static Trial ofC(String... operation) {
        String program = System.getenv("POLYSHM_BASELINE");
        if (program == null) {
            throw new IllegalStateException(
                    "POLYSHM_BASELINE is not set: it is to name the program that the CMake target"
                            + " bench_baseline makes; scripts/bench does all that");
        }
        List<String> command = new ArrayList<>(List.of(operation));
        command.add(0, program);
        return () -> Double.parseDouble(output(command));
    }

    /** From the call of {@code ForkedJvm} to the task's first line. */
    static double fork() throws InterruptedException {
        long start = System.nanoTime();
        return ForkedJvm.call(System::nanoTime).get() - start;
    }

    /**
     * From the start of a JVM as the user of a {@code ProcessBuilder} starts it to its first line.
     */
    static double hello() throws IOException, InterruptedException {
        List<String> command = new ArrayList<>();
        command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
        command.add("-cp");
        command.add(System.getProperty("java.class.path"));
        command.add(Hello.class.getName());
        long start = System.nanoTime();
        return Long.parseLong(output(command)) - start;
    }

    /** What a program prints, once it has ended well. */
    static String output(List<String> command) throws IOException, InterruptedException {
        Process process =
                new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.INHERIT).start();
        process.getOutputStream().close();
        String text =
                new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8).strip();
        int code = process.waitFor();
        if (code != 0) {
            throw new IOException("exit code " + code + " from " + String.join(" ", command));
        }
        return text;
    }
}
