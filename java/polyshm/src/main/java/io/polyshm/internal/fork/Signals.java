// SPDX-License-Identifier: Apache-2.0
package io.polyshm.internal.fork;

import java.util.Map;

/** Names the signal behind an exit code: Java reports a process ended by signal n as 128 + n. */
final class Signals {
    /** The exit code of a process that aborted, as a HotSpot that crashes does. */
    static final int ABORTED = 134;

    private static final Map<Integer, String> NAMES =
            Map.ofEntries(
                    Map.entry(1, "SIGHUP"),
                    Map.entry(2, "SIGINT"),
                    Map.entry(3, "SIGQUIT"),
                    Map.entry(4, "SIGILL"),
                    Map.entry(5, "SIGTRAP"),
                    Map.entry(6, "SIGABRT"),
                    Map.entry(7, "SIGBUS"),
                    Map.entry(8, "SIGFPE"),
                    Map.entry(9, "SIGKILL"),
                    Map.entry(10, "SIGUSR1"),
                    Map.entry(11, "SIGSEGV"),
                    Map.entry(12, "SIGUSR2"),
                    Map.entry(13, "SIGPIPE"),
                    Map.entry(14, "SIGALRM"),
                    Map.entry(15, "SIGTERM"),
                    Map.entry(24, "SIGXCPU"),
                    Map.entry(25, "SIGXFSZ"),
                    Map.entry(31, "SIGSYS"));

    private Signals() {}

    /** For example {@code 3}, or {@code 137 (SIGKILL)}. */
    static String describe(int exitCode) {
        String name = NAMES.get(exitCode - 128);
        return name == null ? String.valueOf(exitCode) : exitCode + " (" + name + ")";
    }
}
