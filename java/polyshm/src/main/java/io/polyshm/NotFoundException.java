// SPDX-License-Identifier: Apache-2.0
package io.polyshm;

/** There is no segment of that name, or none that is alive, or no such object in it. */
public final class NotFoundException extends PolyshmException {
    private static final long serialVersionUID = 1;

    /**
     * Creates an exception.
     *
     * @param errorName what {@link #errorName()} returns; not null
     * @param message operation, inputs and remedy; not null
     * @param cause what led to it; may be null
     */
    public NotFoundException(String errorName, String message, Throwable cause) {
        super(errorName, message, cause);
    }
}
