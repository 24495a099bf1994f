// SPDX-License-Identifier: Apache-2.0
package io.polyshm;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.File;
import java.nio.charset.StandardCharsets;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(120)
class LoadTest {
    /** Run in a JVM of its own. */
    static final class Program {
        private Program() {}

        public static void main(String[] arguments) {
            for (int i = 0; i < 2; i++) {
                try {
                    SharedArray.ofInts(1).close();
                } catch (UnavailableException told) {
                    System.out.println(told.getMessage());
                }
            }
        }
    }

    @Test
    void shouldNameThePlatformAndTheArtifactWhenThereAreNoNatives() throws Exception {
        String classPath =
                String.join(
                        File.pathSeparator,
                        java.util.stream.Stream.concat(
                                        Processes.library().stream(),
                                        Processes.classPathOf(Program.class).stream())
                                .map(Object::toString)
                                .toList());
        Process process =
                new ProcessBuilder(
                                Processes.JAVA.toString(),
                                "-Dorg.bytedeco.javacpp.platform=plan9-pdp11",
                                "-cp",
                                classPath,
                                Program.class.getName())
                        .redirectErrorStream(true)
                        .start();
        String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertThat(process.waitFor()).isZero();
        List<String> told = output.lines().filter(line -> line.startsWith("load:")).toList();
        assertThat(told)
                .as(output)
                .hasSize(2)
                .allSatisfy(
                        line ->
                                assertThat(line)
                                        .contains(
                                                "platform=plan9-pdp11",
                                                "io.polyshm:polyshm",
                                                "JAVA_ENATIVES"));
    }
}
