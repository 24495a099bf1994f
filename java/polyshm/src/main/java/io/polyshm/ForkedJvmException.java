// SPDX-License-Identifier: Apache-2.0
package io.polyshm;

/**
 * A child JVM could not be started, or its task did not end well. The {@linkplain #errorName()
 * error name} tells which:
 *
 * <table>
 * <caption>Error names</caption>
 * <tr><td>{@code JAVA_ECAPTURE}</td><td>the task captures something that is not serializable, or
 *     fails to be written; no process was started</td></tr>
 * <tr><td>{@code JAVA_ESTART}</td><td>no process could be started</td></tr>
 * <tr><td>{@code JAVA_ETASK}</td><td>the task threw; the {@linkplain #getCause() cause} is what it
 *     threw, with the stack trace of the child</td></tr>
 * <tr><td>{@code JAVA_EREAD}</td><td>the child could not read the task</td></tr>
 * <tr><td>{@code JAVA_ERESULT}</td><td>the result is not serializable, or cannot be read
 *     here</td></tr>
 * <tr><td>{@code JAVA_EENDED}</td><td>the JVM ended in another way: the message gives its exit code
 *     or the name of its signal, and the last lines of its standard error</td></tr>
 * </table>
 *
 * <p>If what the task threw could not travel, because it or something it refers to is not
 * serializable, or its class is absent here or fails to tell its text or causes, the cause is a
 * stand-in that prints the same: type, message, stack traces, causes and suppressed exceptions. The
 * last of its suppressed exceptions says what kept the original away.
 */
public final class ForkedJvmException extends PolyshmException {
    private static final long serialVersionUID = 1;

    /**
     * Creates an exception.
     *
     * @param errorName what {@link #errorName()} returns; not null
     * @param message operation, inputs and remedy; not null
     * @param cause what led to it; may be null
     */
    public ForkedJvmException(String errorName, String message, Throwable cause) {
        super(errorName, message, cause);
    }
}
