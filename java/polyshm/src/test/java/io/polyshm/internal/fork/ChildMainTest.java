// SPDX-License-Identifier: Apache-2.0
package io.polyshm.internal.fork;

import static org.assertj.core.api.Assertions.assertThat;

import io.polyshm.ForkedJvm;
import java.io.IOException;
import java.io.ObjectOutputStream;
import java.io.OutputStream;
import java.io.Serial;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** A child deserializes what its parent has written, and nothing else. */
@Timeout(60)
class ChildMainTest {
    @TempDir Path folder;

    /** Leaves a trace when it is deserialized. */
    private record Canary(String trace) implements ForkedJvm.Task {
        @Serial
        private Object readResolve() throws IOException {
            Files.createFile(Path.of(trace));
            return this;
        }

        @Override
        public void run() {}
    }

    @ParameterizedTest
    @CsvSource({
        "1, 1, 16, 0", // what a parent does
        "2, 1, 16, 129", // a task from somebody else
        "1, 2, 16, 129", // an outcome for somebody else
        "1, 1, 15, 129", // a parent that has ended before it could tell
        "1, 1, 0, 129"
    })
    void shouldReadTheTaskOnlyWhenItBeginsAsTheParentSays(
            byte task, byte outcome, int said, int exitCode) throws Exception {
        Path trace = folder.resolve("trace");
        Path taskFile = folder.resolve("task");
        Path outcomeFile = folder.resolve("outcome");
        try (OutputStream out = Files.newOutputStream(taskFile)) {
            out.write(token(task));
            try (ObjectOutputStream objects = new ObjectOutputStream(out)) {
                objects.writeObject(new Canary(trace.toString()));
            }
        }
        Files.write(outcomeFile, Outcome.prepared(token(outcome)));
        Process child =
                new ProcessBuilder(
                                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                                "-cp",
                                System.getProperty("java.class.path"),
                                ChildMain.class.getName(),
                                "outlive",
                                "run",
                                taskFile.toString(),
                                outcomeFile.toString(),
                                "test")
                        .redirectError(ProcessBuilder.Redirect.INHERIT)
                        .start();
        try (OutputStream pipe = child.getOutputStream()) {
            pipe.write(token((byte) 1), 0, said);
        }
        assertThat(child.waitFor()).isEqualTo(exitCode);
        assertThat(Files.exists(trace)).isEqualTo(exitCode == 0);
    }

    private static byte[] token(byte each) {
        byte[] token = new byte[Outcome.TOKEN_BYTES];
        Arrays.fill(token, each);
        return token;
    }
}
