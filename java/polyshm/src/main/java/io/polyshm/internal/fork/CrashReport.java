// SPDX-License-Identifier: Apache-2.0
package io.polyshm.internal.fork;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * The report that HotSpot leaves when it crashes, under its usual name in the folder of the
 * process. HotSpot prints its summary to standard output, which is not kept.
 */
final class CrashReport {
    private static final int SUMMARY_LINES = 30;

    private CrashReport() {}

    /** The lines at its beginning that sum it up, or empty if there is no such file. */
    static String summary(Path directory, long pid) {
        Path file = directory.resolve("hs_err_pid" + pid + ".log");
        try (Stream<String> lines = Files.lines(file, StandardCharsets.ISO_8859_1)) {
            return lines.limit(SUMMARY_LINES)
                    .takeWhile(line -> line.startsWith("#"))
                    .filter(line -> line.length() > 2)
                    .collect(Collectors.joining("\n", "crash report " + file + ":\n", ""));
        } catch (IOException | RuntimeException none) {
            return "";
        }
    }
}
