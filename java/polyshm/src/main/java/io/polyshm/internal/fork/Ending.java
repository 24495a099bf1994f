// SPDX-License-Identifier: Apache-2.0
package io.polyshm.internal.fork;

/**
 * How a process ended.
 *
 * @param exitCode as {@link Process#exitValue()} gives it
 * @param requestedBy {@code kill()} or {@code terminate()} if this process asked for the end, or
 *     null
 * @param lastWords the end of its standard error and of a crash report, empty if there is none
 */
record Ending(int exitCode, String requestedBy, String lastWords) {

    /** For a message: what has ended, with all that is known of the end. */
    String describe(String what, String child) {
        return what
                + ", with exit code "
                + Signals.describe(exitCode)
                + (requestedBy == null ? "" : ", asked for by " + requestedBy)
                + ": "
                + values(child)
                + (lastWords.isEmpty()
                        ? "; nothing of its standard error was kept"
                        : "; its last words:\n" + lastWords);
    }

    String values(String child) {
        return child + ", exitCode=" + exitCode;
    }
}
