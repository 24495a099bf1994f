// SPDX-License-Identifier: Apache-2.0
package io.polyshm;

/** The segment, or an object in it, was used after its {@code close()}. */
public final class ClosedException extends PolyshmException {
    private static final long serialVersionUID = 1;

    /**
     * Creates an exception.
     *
     * @param errorName what {@link #errorName()} returns; not null
     * @param message operation, inputs and remedy; not null
     * @param cause what led to it; may be null
     */
    public ClosedException(String errorName, String message, Throwable cause) {
        super(errorName, message, cause);
    }
}
