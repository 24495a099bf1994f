// SPDX-License-Identifier: Apache-2.0
package io.polyshm.internal.fork;

import io.polyshm.ForkedJvmException;
import java.io.IOException;

/**
 * How a child JVM ended, and how that is told.
 *
 * @param child pid and task, for messages
 * @param exitCode as {@link Process#exitValue()} gives it
 * @param outcome what the child wrote; null if that could not be read
 * @param problem why it could not be read; null if it was
 * @param requestedBy {@code kill()} or {@code terminate()} if this process asked for the end, or
 *     null
 * @param lastWords the end of its standard error and of a crash report, empty if there is none
 */
record Ending(
        String child,
        int exitCode,
        Outcome outcome,
        Throwable problem,
        String requestedBy,
        String lastWords) {

    Ending withoutPayload() {
        Outcome kept = new Outcome(outcome.kind(), new byte[0]);
        return new Ending(child, exitCode, kept, problem, requestedBy, lastWords);
    }

    /** Returns if the task and its JVM ended well. */
    void check(ClassLoader loader) {
        if (outcome == null) {
            throw new ForkedJvmException(
                    "JAVA_EENDED",
                    "join: the outcome of the child JVM could not be read: " + values(),
                    problem);
        }
        switch (outcome.kind()) {
            case COMPLETED -> {
                if (exitCode != 0) {
                    throw ended("after its task had ended well");
                }
            }
            case THREW -> {
                Throwable thrown = failure(loader).thrown();
                throw new ForkedJvmException(
                        "JAVA_ETASK",
                        "join: the task of the child JVM threw " + thrown + ": " + values(),
                        thrown);
            }
            case TASK_UNREADABLE -> {
                Throwable thrown = failure(loader).thrown();
                throw new ForkedJvmException(
                        "JAVA_EREAD",
                        "join: the child JVM could not read its task; if a class is missing, name "
                                + "its jar or folder by builder().classPath(...): "
                                + values()
                                + ": "
                                + thrown,
                        thrown);
            }
            case RESULT_UNWRITABLE -> {
                Outcome.Failure failure = failure(loader);
                throw new ForkedJvmException(
                        "JAVA_ERESULT",
                        "join: the result cannot travel from the child JVM: "
                                + values()
                                + ": "
                                + failure.text(),
                        failure.thrown());
            }
            case RUNNING -> throw ended("before its task had ended");
            case NOT_STARTED -> throw ended("before its task had begun");
            default -> throw new AssertionError(outcome.kind());
        }
    }

    private Outcome.Failure failure(ClassLoader loader) {
        try {
            return outcome.failure(loader);
        } catch (IOException | RuntimeException damaged) {
            throw new ForkedJvmException(
                    "JAVA_EENDED",
                    "join: the outcome of the child JVM is damaged: " + values(),
                    damaged);
        }
    }

    private ForkedJvmException ended(String when) {
        return new ForkedJvmException(
                "JAVA_EENDED",
                "join: the child JVM ended "
                        + when
                        + ", with exit code "
                        + Signals.describe(exitCode)
                        + (requestedBy == null ? "" : ", asked for by " + requestedBy)
                        + ": "
                        + values()
                        + (lastWords.isEmpty()
                                ? "; nothing of its standard error was kept"
                                : "; its last words:\n" + lastWords),
                null);
    }

    private String values() {
        return child + ", exitCode=" + exitCode;
    }
}
