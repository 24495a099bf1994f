// SPDX-License-Identifier: Apache-2.0
package io.polyshm;

/**
 * The segment cannot be closed, because a thread of this process holds the lock that the message
 * names. Nothing has changed; release it and close again.
 */
public final class LockHeldException extends PolyshmException {
    private static final long serialVersionUID = 1;

    /**
     * Creates an exception.
     *
     * @param errorName what {@link #errorName()} returns; not null
     * @param message operation, inputs and remedy; not null
     * @param cause what led to it; may be null
     */
    public LockHeldException(String errorName, String message, Throwable cause) {
        super(errorName, message, cause);
    }
}
