// SPDX-License-Identifier: Apache-2.0
package io.polyshm.internal;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/** The word in shared memory that has a synchronizer's state, without a native call. */
public final class StateWord implements Attachment.View {
    private static final VarHandle WORD =
            MethodHandles.byteBufferViewVarHandle(long[].class, ByteOrder.nativeOrder());

    private final Attachment attachment;
    private volatile ByteBuffer buffer; // null when the segment is closed

    /**
     * The word at an address in the segment.
     *
     * @throws io.polyshm.ClosedException if that is closed
     */
    public StateWord(Attachment attachment, long address) {
        this.attachment = attachment;
        this.buffer = attachment.window(address, Long.BYTES);
        attachment.add(this);
    }

    public long getAcquire(String operation) {
        return (long) WORD.getAcquire(open(operation), 0);
    }

    public boolean compareAndSet(String operation, long expected, long value) {
        return WORD.compareAndSet(open(operation), 0, expected, value);
    }

    private ByteBuffer open(String operation) {
        ByteBuffer open = buffer;
        if (open == null) {
            throw attachment.closed(operation);
        }
        return open;
    }

    @Override
    public void invalidate() {
        buffer = null;
    }
}
