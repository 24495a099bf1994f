// SPDX-License-Identifier: Apache-2.0
package io.polyshm.internal;

import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;

/**
 * Segments that this JVM has closed and whose mapping waits for the garbage collector, as memory of
 * direct buffers does. They are memory of the host, of which the collector knows nothing, so there
 * is a limit here, as the JDK has one for direct buffers: past it a collection is asked for.
 */
final class Lingering {
    /** What the JDK takes for direct buffers by default. */
    private static final long MAX_BYTES = Runtime.getRuntime().maxMemory();

    /** Far below what Linux allows a process by default, 65,530 mappings; see proc(5). */
    private static final int MAX_SEGMENTS = 4096;

    private static final int MAX_COLLECTIONS = 6;

    private static final AtomicLong BYTES = new AtomicLong();
    private static final AtomicInteger SEGMENTS = new AtomicInteger();

    private Lingering() {}

    static void add(long bytes) {
        BYTES.addAndGet(bytes);
        SEGMENTS.incrementAndGet();
    }

    static void remove(long bytes) {
        BYTES.addAndGet(-bytes);
        SEGMENTS.decrementAndGet();
    }

    /** Keeps to the limit before {@code bytes} more are mapped. */
    static void makeRoom(long bytes) {
        if (BYTES.get() > MAX_BYTES - bytes || SEGMENTS.get() >= MAX_SEGMENTS) {
            collect();
        }
    }

    /**
     * Has the collector look for what nobody can reach, until something has gone.
     *
     * @return false if nothing lingers, or nothing of it could go
     */
    static boolean collect() {
        int before = SEGMENTS.get();
        for (int i = 0; i < MAX_COLLECTIONS && before > 0; i++) {
            System.gc();
            try {
                Thread.sleep(1L << i); // the cleaner has a thread of its own
            } catch (InterruptedException interrupted) {
                Thread.currentThread().interrupt();
                return SEGMENTS.get() < before;
            }
            if (SEGMENTS.get() < before) {
                return true;
            }
        }
        return false;
    }
}
