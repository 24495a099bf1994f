// SPDX-License-Identifier: Apache-2.0
package io.polyshm;

/**
 * As many processes as there is room for have the segment open already: 128. One that has it open
 * twice counts twice, and one that was killed does not count. Close it in one of them; {@link
 * SharedMemory#participants} tells who they are.
 */
public final class TooManyParticipantsException extends PolyshmException {
    private static final long serialVersionUID = 1;

    /**
     * Creates an exception.
     *
     * @param errorName what {@link #errorName()} returns; not null
     * @param message operation, inputs and remedy; not null
     * @param cause what led to it; may be null
     */
    public TooManyParticipantsException(String errorName, String message, Throwable cause) {
        super(errorName, message, cause);
    }
}
