// SPDX-License-Identifier: Apache-2.0
package io.polyshm;

/**
 * The object exists with another kind, element type or length than was asked for. The message gives
 * both. The object is left as it is.
 */
public final class TypeMismatchException extends PolyshmException {
    private static final long serialVersionUID = 1;

    /**
     * Creates an exception.
     *
     * @param errorName what {@link #errorName()} returns; not null
     * @param message operation, inputs and remedy; not null
     * @param cause what led to it; may be null
     */
    public TypeMismatchException(String errorName, String message, Throwable cause) {
        super(errorName, message, cause);
    }
}
