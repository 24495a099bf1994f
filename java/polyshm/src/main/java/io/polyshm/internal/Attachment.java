// SPDX-License-Identifier: Apache-2.0
package io.polyshm.internal;

import io.polyshm.ClosedException;
import io.polyshm.MemoryFullException;
import io.polyshm.internal.binding.Natives;
import java.lang.ref.Cleaner;
import java.lang.ref.Reference;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.Collections;
import java.util.Set;
import java.util.WeakHashMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * One opening of a segment, and the life of its mapping.
 *
 * <p>Why no access can fault. Element access goes through buffers that come from {@link #window},
 * or a region from {@link #region}; each of them pins the mapping until it and all views derived
 * from it are unreachable, and this object does the same for the native handles. {@link #close}
 * ends the participation at once and takes the buffers away from the views, so that the next access
 * throws; a thread that has loaded a buffer before that still reads and writes the real memory.
 * What this leaves open: the pages of a closed segment are given back when the garbage collector
 * finds its buffers unreachable; see {@link Lingering}.
 */
public final class Attachment {
    /** What loses its access when the segment is closed. */
    public interface View {
        /** Access no more: every later use throws {@link ClosedException}. */
        void invalidate();
    }

    private static final Cleaner CLEANER = Cleaner.create();

    /**
     * Until it is closed an attachment is reachable: without a close it lives until the JVM ends.
     */
    private static final Set<Attachment> OPEN = ConcurrentHashMap.newKeySet();

    private final long segment;
    private final String name;
    private final byte[] id;
    private final Set<View> views = Collections.newSetFromMap(new WeakHashMap<>());
    private final ConcurrentHashMap<Long, NativeLock> locks = new ConcurrentHashMap<>();
    private final ConcurrentHashMap<Long, NativeSynchronizer> synchronizers =
            new ConcurrentHashMap<>();
    private final ConcurrentHashMap<Long, NativeReadWriteLock> readWriteLocks =
            new ConcurrentHashMap<>();
    private final AtomicInteger pins = new AtomicInteger();
    private final ExitWatch exits = new ExitWatch(this);
    private final long sizeBytes;
    private boolean closed;

    private Attachment(long segment) {
        this.segment = segment;
        this.name = Natives.pshm_segment_name(segment);
        this.id = Native.segmentId(segment);
        this.sizeBytes = Natives.pshm_segment_size_bytes(segment);
        pinFor(this);
        OPEN.add(this);
    }

    /** Creates or opens a segment; parameters as {@link Native#segment}. */
    public static Attachment open(
            Native.How how,
            String name,
            long bytes,
            int permissions,
            int lifetime,
            boolean otherOwner) {
        Lingering.makeRoom(bytes);
        while (true) {
            try {
                return new Attachment(
                        Native.segment(how, name, bytes, permissions, lifetime, otherOwner));
            } catch (MemoryFullException full) {
                if (!Lingering.collect()) {
                    throw full;
                }
            }
        }
    }

    public String name() {
        return name;
    }

    /** Whether this is the very segment that has this id. */
    public boolean hasId(byte[] other) {
        return Arrays.equals(id, other);
    }

    public byte[] id() {
        return id.clone();
    }

    /** The native handle, valid while this object is reachable. */
    public long segment() {
        return segment;
    }

    /** Register a view, unless the segment is closed. */
    public synchronized void add(View view) {
        ensureOpen("attach");
        views.add(view);
    }

    /** The lock behind a native handle: always the same object. */
    public NativeLock lock(long handle) {
        return locks.computeIfAbsent(handle, each -> new NativeLock(this, each));
    }

    /** The synchronizer behind a native handle: always the same object. */
    public NativeSynchronizer synchronizer(long handle) {
        return synchronizers.computeIfAbsent(handle, each -> new NativeSynchronizer(this, each));
    }

    /** How this JVM's threads hold a read-write lock: always the same object. */
    public NativeReadWriteLock readWriteLock(NativeSynchronizer synchronizer, String name) {
        return readWriteLocks.computeIfAbsent(
                synchronizer.handle(), each -> new NativeReadWriteLock(synchronizer, name));
    }

    /** Have an action run when a participant is gone. */
    public void onExit(ParticipantInfo.Identity participant, Runnable action) {
        exits.add(participant, action);
    }

    /** For the end of the JVM: no thread waits for the end of a participant any more. */
    static void endWatches() {
        OPEN.forEach(
                each -> {
                    Natives.pshm_segment_end_watch(each.segment);
                    Reference.reachabilityFence(each); // which may be closed meanwhile
                });
    }

    /**
     * A buffer over native memory of the segment that keeps it mapped.
     *
     * @param bytes at most {@link Integer#MAX_VALUE}
     */
    public ByteBuffer window(long address, long bytes) {
        ByteBuffer buffer = Native.buffer(address, bytes);
        pinFor(buffer);
        return buffer;
    }

    /** The same of any size, as {@link ForeignMemory#segment}. */
    public Object region(long address, long bytes) {
        return ForeignMemory.segment(address, bytes, pin());
    }

    private void pinFor(Object user) {
        CLEANER.register(user, pin());
    }

    /** Keeps the segment mapped until the result is run. */
    private Runnable pin() {
        Natives.pshm_segment_pin(segment);
        pins.incrementAndGet();
        Reference.reachabilityFence(this); // whose own pin holds until here
        return unpin(segment, sizeBytes, pins);
    }

    /** Static, as it must not refer to what it cleans up after. */
    private static Runnable unpin(long segment, long sizeBytes, AtomicInteger pins) {
        return () -> {
            Natives.pshm_segment_unpin(segment);
            if (pins.decrementAndGet() == 0) {
                Lingering.remove(sizeBytes);
            }
        };
    }

    public synchronized boolean isClosed() {
        return closed;
    }

    /** Throws if the segment is closed. */
    public synchronized void ensureOpen(String operation) {
        if (closed) {
            throw closed(operation);
        }
    }

    public ClosedException closed(String operation) {
        return new ClosedException(
                "PSHM_ECLOSED",
                operation
                        + ": segment="
                        + name
                        + " is closed; close it later, or open it again if it is still there",
                null);
    }

    /**
     * Ends the participation, once; see {@code pshm_segment_close}.
     *
     * @throws io.polyshm.LockHeldException if this process holds a lock of the segment
     */
    public synchronized void close() {
        if (closed) {
            return;
        }
        Native.close(segment);
        closed = true;
        Lingering.add(sizeBytes);
        OPEN.remove(this);
        views.forEach(View::invalidate);
        locks.values().forEach(NativeLock::invalidate);
        Reference.reachabilityFence(this);
    }
}
