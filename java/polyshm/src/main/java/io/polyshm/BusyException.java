// SPDX-License-Identifier: Apache-2.0
package io.polyshm;

/**
 * A live process has been creating, opening or closing the segment for ten seconds and is not done,
 * perhaps because it is stopped. The segment is left as it is.
 */
public final class BusyException extends PolyshmException {
    private static final long serialVersionUID = 1;

    /**
     * Creates an exception.
     *
     * @param errorName what {@link #errorName()} returns; not null
     * @param message operation, inputs and remedy; not null
     * @param cause what led to it; may be null
     */
    public BusyException(String errorName, String message, Throwable cause) {
        super(errorName, message, cause);
    }
}
