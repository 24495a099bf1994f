// SPDX-License-Identifier: Apache-2.0
package io.polyshm;

import io.polyshm.internal.Attachment;
import io.polyshm.internal.Native;
import io.polyshm.internal.NativeSynchronizer;
import java.io.InvalidObjectException;
import java.io.ObjectInputStream;
import java.io.Serial;
import java.io.Serializable;

/**
 * What the synchronizers that live in a segment by themselves have in common; each has a {@code
 * writeReplace} of its own.
 */
abstract class Synchronizer implements AutoCloseable, Serializable {
    @Serial private static final long serialVersionUID = 1;

    final transient SharedMemory memory;
    final transient String name;
    final transient boolean owned;
    final transient NativeSynchronizer synchronizer;

    /**
     * Gets or creates it.
     *
     * @param owned it was made with the segment, and closes it
     * @param kind a {@code pshm_kind}
     * @param parameter permits, count or parties; 0 if it has none
     */
    Synchronizer(
            SharedMemory memory,
            String name,
            boolean owned,
            int kind,
            long parameter,
            boolean bounded) {
        this.memory = memory;
        this.name = name;
        this.owned = owned;
        Attachment attachment = memory.attachment();
        attachment.ensureOpen(Native.kindName(kind));
        this.synchronizer =
                attachment.synchronizer(
                        Native.synchronizer(attachment.segment(), kind, name, parameter, bounded));
    }

    /** An anonymous segment for one object. */
    static SharedMemory segmentFor(int kind, long parameter) {
        return SharedMemory.anonymous(Native.objectBytes(kind, 0, parameter));
    }

    /**
     * The name within its segment.
     *
     * @return the name, also after close
     */
    public final String name() {
        return name;
    }

    /**
     * What any program attaches it by, as {@code attach} does: {@code <segment name>/<object
     * name>}. It can be an argument of a command. It is good for as long as the segment is there,
     * so this object stays open until whoever gets it has attached.
     *
     * @return the handle, also after close
     */
    public final String handle() {
        return TextHandle.of(memory, name);
    }

    /**
     * Closes the segment of one that was made without a segment, or attached by a handle; does
     * nothing for others. Threads of this JVM that wait get {@link ClosedException} at once.
     *
     * @throws LockHeldException if it is a lock and a thread of this JVM holds it; nothing has
     *     changed then
     */
    @Override
    public final void close() {
        if (owned) {
            memory.close();
        }
    }

    @Override
    public final String toString() {
        return getClass().getSimpleName() + "[name=" + name + ", memory=" + memory.name() + "]";
    }

    @Serial
    private void readObject(ObjectInputStream stream) throws InvalidObjectException {
        throw new InvalidObjectException("a synchronizer travels as a handle");
    }
}
