// SPDX-License-Identifier: Apache-2.0
package io.polyshm;

/**
 * There is no room: in the host's shared memory for another segment, or in the segment for another
 * object. The message says how much was needed and how much was free. Nothing has been made.
 */
public final class MemoryFullException extends PolyshmException {
    private static final long serialVersionUID = 1;

    /**
     * Creates an exception.
     *
     * @param errorName what {@link #errorName()} returns; not null
     * @param message operation, inputs and remedy; not null
     * @param cause what led to it; may be null
     */
    public MemoryFullException(String errorName, String message, Throwable cause) {
        super(errorName, message, cause);
    }
}
