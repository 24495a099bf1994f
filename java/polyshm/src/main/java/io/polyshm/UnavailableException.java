// SPDX-License-Identifier: Apache-2.0
package io.polyshm;

/**
 * Shared memory cannot be had here: the native library is missing for this platform or cannot be
 * loaded, {@code /dev/shm} is absent, read-only or not a tmpfs, or the system does not let
 * processes be watched. The message says which, and what to do.
 */
public final class UnavailableException extends PolyshmException {
    private static final long serialVersionUID = 1;

    /**
     * Creates an exception.
     *
     * @param errorName what {@link #errorName()} returns; not null
     * @param message operation, inputs and remedy; not null
     * @param cause what led to it; may be null
     */
    public UnavailableException(String errorName, String message, Throwable cause) {
        super(errorName, message, cause);
    }
}
