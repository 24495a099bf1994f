// SPDX-License-Identifier: Apache-2.0
package io.polyshm;

/**
 * {@link SharedMemory#create(String, long)} found a segment of that name. {@linkplain
 * SharedMemory#open(String) Open} it, or {@linkplain SharedMemory#unlink(String) unlink} it first.
 */
public final class AlreadyExistsException extends PolyshmException {
    private static final long serialVersionUID = 1;

    /**
     * Creates an exception.
     *
     * @param errorName what {@link #errorName()} returns; not null
     * @param message operation, inputs and remedy; not null
     * @param cause what led to it; may be null
     */
    public AlreadyExistsException(String errorName, String message, Throwable cause) {
        super(errorName, message, cause);
    }
}
