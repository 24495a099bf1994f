// SPDX-License-Identifier: Apache-2.0
package io.polyshm.examples;

import io.polyshm.ForkedJvm;
import java.io.File;
import java.io.IOException;
import java.lang.ProcessBuilder.Redirect;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.stream.Stream;

/** A program in a JVM of its own, and what it prints, its children's output included. */
final class Program {
    private static final Path SHARED_MEMORY = Path.of("/dev/shm");
    private static final int PATIENCE_SECONDS = 120;

    private final ForkedJvm jvm;
    private final Path output;
    private final Path errors;

    private Program(ForkedJvm jvm, Path output, Path errors) {
        this.jvm = jvm;
        this.output = output;
        this.errors = errors;
    }

    /**
     * Starts one in a JVM that is described by {@code builder}; its output goes to {@code folder}.
     */
    static Program start(Path folder, ForkedJvm.Builder builder, ForkedJvm.Task main) {
        File output = folder.resolve("output").toFile();
        File errors = folder.resolve("errors").toFile();
        builder.redirectOutput(Redirect.to(output)).redirectError(Redirect.to(errors));
        return new Program(builder.start(main), output.toPath(), errors.toPath());
    }

    /** Runs the demo to its end. */
    static Program demo(Path folder, String... args)
            throws InterruptedException, ExecutionException, TimeoutException {
        Program demo = start(folder, ForkedJvm.builder(), () -> Demo.main(args));
        demo.exitCode();
        return demo;
    }

    ForkedJvm jvm() {
        return jvm;
    }

    /** Waits for its end. */
    int exitCode() throws InterruptedException, ExecutionException, TimeoutException {
        return jvm.onExit().get(PATIENCE_SECONDS, TimeUnit.SECONDS);
    }

    List<String> lines() throws IOException {
        return Files.readAllLines(output);
    }

    String errors() throws IOException {
        return Files.readString(errors);
    }

    /** Names in /dev/shm that this program has made. */
    List<String> sharedMemory() throws IOException {
        String prefix = "polyshm.anonymous-" + jvm.pid() + "-";
        try (Stream<Path> files = Files.list(SHARED_MEMORY)) {
            return files.map(file -> file.getFileName().toString())
                    .filter(name -> name.startsWith(prefix))
                    .toList();
        }
    }
}
