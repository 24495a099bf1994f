// SPDX-License-Identifier: Apache-2.0
package io.polyshm;

/**
 * A program could not be started, or did not end well. The {@linkplain #errorName() error name}
 * tells which:
 *
 * <table>
 * <caption>Error names</caption>
 * <tr><td>{@code JAVA_ESTART}</td><td>it could not be started: there is no such program, it cannot
 *     be executed, or the operating system refused another process</td></tr>
 * <tr><td>{@code JAVA_EENDED}</td><td>it exited with a code other than 0, or was ended by a signal:
 *     the message gives the code or the name of the signal, and the last lines of its standard
 *     error</td></tr>
 * </table>
 */
public final class SharedProcessException extends PolyshmException {
    private static final long serialVersionUID = 1;

    /**
     * Creates an exception.
     *
     * @param errorName what {@link #errorName()} returns; not null
     * @param message operation, inputs and remedy; not null
     * @param cause what led to it; may be null
     */
    public SharedProcessException(String errorName, String message, Throwable cause) {
        super(errorName, message, cause);
    }
}
