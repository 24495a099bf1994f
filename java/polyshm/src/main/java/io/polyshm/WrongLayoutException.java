// SPDX-License-Identifier: Apache-2.0
package io.polyshm;

/**
 * What stands under the name is not a segment that this process can use: a foreign, truncated or
 * damaged file, or one of another layout version, C library, architecture or PID namespace. The
 * message gives what was found and what was expected. The file is left as it is.
 */
public final class WrongLayoutException extends PolyshmException {
    private static final long serialVersionUID = 1;

    /**
     * Creates an exception.
     *
     * @param errorName what {@link #errorName()} returns; not null
     * @param message operation, inputs and remedy; not null
     * @param cause what led to it; may be null
     */
    public WrongLayoutException(String errorName, String message, Throwable cause) {
        super(errorName, message, cause);
    }
}
