// SPDX-License-Identifier: Apache-2.0
package io.polyshm.internal.fork;

import io.polyshm.ForkedJvmException;
import java.io.IOException;

/**
 * How a child JVM ended, and how that is told.
 *
 * @param child pid and task, for messages
 * @param process how its process ended
 * @param outcome what the child wrote; null if that could not be read
 * @param problem why it could not be read; null if it was
 */
record JvmEnding(String child, Ending process, Outcome outcome, Throwable problem) {

    JvmEnding withoutPayload() {
        Outcome kept = new Outcome(outcome.kind(), new byte[0]);
        return new JvmEnding(child, process, kept, problem);
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
                if (process.exitCode() != 0) {
                    throw ended("after its task had ended well");
                }
            }
            case THREW -> {
                Outcome.Failure failure = failure(loader);
                throw new ForkedJvmException(
                        "JAVA_ETASK",
                        "join: the task of the child JVM threw "
                                + failure.standIn()
                                + ": "
                                + values(),
                        failure.thrown());
            }
            case TASK_UNREADABLE -> {
                Outcome.Failure failure = failure(loader);
                throw new ForkedJvmException(
                        "JAVA_EREAD",
                        "join: the child JVM could not read its task; if a class is missing, name "
                                + "its jar or folder by builder().classPath(...): "
                                + values()
                                + ": "
                                + failure.standIn(),
                        failure.thrown());
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
        String what =
                process.exitCode() == ChildMain.PARENT_GONE
                        ? "the child JVM ended, as its standard input was closed or by SIGHUP, "
                        : "the child JVM ended ";
        return new ForkedJvmException(
                "JAVA_EENDED", "join: " + process.describe(what + when, child), null);
    }

    private String values() {
        return process.values(child);
    }
}
