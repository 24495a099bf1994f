// SPDX-License-Identifier: Apache-2.0
package io.polyshm.examples;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.polyshm.ForkedJvm;
import java.io.File;
import java.nio.file.Path;

/** The Python of the tests: {@code polyshm.python} names an interpreter that can import polyshm. */
final class Python {
    private static final Path ROOT = Path.of("..", "..");
    private static final String INTERPRETER = System.getProperty("polyshm.python");

    private Python() {}

    /**
     * A JVM that works in the root of the checkout and finds Python, or what a test has instead.
     */
    static ForkedJvm.Builder jvm(Path instead) {
        assumeTrue(
                INTERPRETER != null,
                "Without Python: -Dpolyshm.python=<an interpreter that can import polyshm>");
        String path =
                String.join(
                        File.pathSeparator,
                        instead.toString(),
                        System.getProperty("java.home") + "/bin",
                        Path.of(INTERPRETER).getParent().toString(),
                        System.getenv("PATH"));
        return ForkedJvm.builder().directory(ROOT).environment("PATH", path);
    }

    static String interpreter() {
        return INTERPRETER;
    }
}
