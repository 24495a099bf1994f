// SPDX-License-Identifier: Apache-2.0
package io.polyshm;

/**
 * The segment belongs to another user, its permissions do not admit this one, a symbolic link
 * stands in its place, or this user may not use the host's shared memory at all.
 */
public final class PermissionDeniedException extends PolyshmException {
    private static final long serialVersionUID = 1;

    /**
     * Creates an exception.
     *
     * @param errorName what {@link #errorName()} returns; not null
     * @param message operation, inputs and remedy; not null
     * @param cause what led to it; may be null
     */
    public PermissionDeniedException(String errorName, String message, Throwable cause) {
        super(errorName, message, cause);
    }
}
