// SPDX-License-Identifier: Apache-2.0
package io.polyshm;

/**
 * Root of everything that Polyshm throws by itself. The message says the operation, its inputs as
 * {@code key=value} and, where there is one, the remedy; it ends with the {@linkplain #errorName()
 * name of the error}.
 *
 * <p>What a caller may want to handle has a subclass of its own. What is a mistake of the program
 * has the JDK's exception: {@link IllegalArgumentException} for a name or a size that is not valid,
 * {@link IndexOutOfBoundsException} for an index, {@link IllegalMonitorStateException} for an
 * unlock by a thread that does not hold the lock, {@link IllegalStateException} for more permits
 * than a semaphore can have; their messages say the same things.
 */
public class PolyshmException extends RuntimeException {
    private static final long serialVersionUID = 1;

    private final String errorName;

    /**
     * Creates an exception.
     *
     * @param errorName what {@link #errorName()} returns; not null
     * @param message operation, inputs and remedy; not null
     * @param cause what led to it; may be null
     */
    public PolyshmException(String errorName, String message, Throwable cause) {
        super(message + " [" + errorName + "]", cause);
        this.errorName = errorName;
    }

    /**
     * The error's stable name: that of the C API's code, such as {@code PSHM_EFULL}, or one that
     * begins with {@code JAVA_} if the error did not come from there.
     *
     * @return the name, never null
     */
    public final String errorName() {
        return errorName;
    }
}
