// SPDX-License-Identifier: Apache-2.0
package io.polyshm.internal;

import io.polyshm.AlreadyExistsException;
import io.polyshm.BusyException;
import io.polyshm.ClosedException;
import io.polyshm.LockHeldException;
import io.polyshm.MemoryFullException;
import io.polyshm.NotFoundException;
import io.polyshm.PermissionDeniedException;
import io.polyshm.PolyshmException;
import io.polyshm.TooManyParticipantsException;
import io.polyshm.TypeMismatchException;
import io.polyshm.UnavailableException;
import io.polyshm.WrongLayoutException;
import io.polyshm.internal.binding.Natives;

/** From a native code to an exception: the one place where that is known. */
final class Errors {
    private Errors() {}

    /** The code if it says success, otherwise its exception. */
    static int check(int code) {
        return (int) check((long) code);
    }

    static long check(long code) {
        if (code < 0) {
            throw exception((int) code);
        }
        return code;
    }

    /** What a code means, with the detail of the calling thread's last failed call. */
    static RuntimeException exception(int code) {
        String detail = Natives.pshm_error_detail();
        String text = Natives.pshm_error_text(code);
        return exception(Natives.pshm_error_name(code), detail.isEmpty() ? text : detail);
    }

    /** By name, so that no number stands in two places. */
    static RuntimeException exception(String name, String message) {
        return switch (name) {
            case "PSHM_EINVAL", "PSHM_ENAME" -> new IllegalArgumentException(message);
            case "PSHM_ENOTOWNER" -> new IllegalMonitorStateException(message);
            case "PSHM_EOVERFLOW" -> new IllegalStateException(message);
            case "PSHM_EEXIST" -> new AlreadyExistsException(name, message, null);
            case "PSHM_ENOENT" -> new NotFoundException(name, message, null);
            case "PSHM_EACCES" -> new PermissionDeniedException(name, message, null);
            case "PSHM_EFULL", "PSHM_ENOSPACE" -> new MemoryFullException(name, message, null);
            case "PSHM_ELAYOUT" -> new WrongLayoutException(name, message, null);
            case "PSHM_ETYPE" -> new TypeMismatchException(name, message, null);
            case "PSHM_EBUSY" -> new BusyException(name, message, null);
            case "PSHM_ECLOSED" -> new ClosedException(name, message, null);
            case "PSHM_EHELD" -> new LockHeldException(name, message, null);
            case "PSHM_EPARTICIPANTS" -> new TooManyParticipantsException(name, message, null);
            case "PSHM_EUNAVAILABLE" -> new UnavailableException(name, message, null);
            case "PSHM_ENOMEM" ->
                    new PolyshmException(name, message, new OutOfMemoryError(message));
            // EOWNERDIED has its death added by NativeLock; ETIMEDOUT, EINTERRUPTED, EBROKEN,
            // EUNNAMED and EGOOD are outcomes that are handled where they come. What a later
            // library may add gets the root.
            default -> new PolyshmException(name, message, null);
        };
    }
}
