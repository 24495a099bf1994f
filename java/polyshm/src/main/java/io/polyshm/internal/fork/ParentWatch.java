// SPDX-License-Identifier: Apache-2.0
package io.polyshm.internal.fork;

import java.io.FileDescriptor;
import java.io.FileInputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.ClosedByInterruptException;
import java.nio.channels.FileChannel;

/**
 * Ends this JVM when its parent is gone, whatever ended that: the parent holds the only write end
 * of the pipe at standard input, so the kernel closes it. The end is a halt, because shutdown hooks
 * may wait for somebody.
 *
 * <p>A HotSpot that exits waits 300 ms for threads that are in native code, as one that reads a
 * pipe is. So a shutdown hook interrupts the read, and from then on, while other hooks may still be
 * at work, the parent's process id is looked at instead: that of a process whose parent is gone
 * changes.
 */
final class ParentWatch extends Thread {
    private static final long POLL_MILLIS = 100;

    private final long parentPid;

    ParentWatch(long parentPid) {
        super(null, null, "polyshm-parent-watch", 128 << 10, false);
        this.parentPid = parentPid;
        setDaemon(true);
    }

    void begin() {
        start();
        Runtime.getRuntime().addShutdownHook(new Hook(this));
    }

    @Override
    public void run() {
        try {
            awaitEndOfInput();
            awaitOtherParent();
        } finally {
            Runtime.getRuntime().halt(ChildMain.PARENT_GONE);
        }
    }

    /** Returns at the end of standard input, or when the JVM shuts down. */
    private void awaitEndOfInput() {
        ByteBuffer nothing = ByteBuffer.allocate(1);
        try {
            FileChannel bond = new FileInputStream(FileDescriptor.in).getChannel();
            while (bond.read(nothing) >= 0) {
                nothing.clear();
            }
            Runtime.getRuntime().halt(ChildMain.PARENT_GONE);
        } catch (ClosedByInterruptException shutdown) {
            Thread.interrupted();
        } catch (IOException broken) {
            Runtime.getRuntime().halt(ChildMain.PARENT_GONE);
        }
    }

    private void awaitOtherParent() {
        while (true) {
            try {
                Thread.sleep(POLL_MILLIS);
            } catch (InterruptedException again) {
                // Nobody else has a reason to.
            }
            ProcessHandle parent = ProcessHandle.current().parent().orElse(null);
            if (parent == null || parent.pid() != parentPid) {
                return;
            }
        }
    }

    private static final class Hook extends Thread {
        private final ParentWatch watch;

        Hook(ParentWatch watch) {
            super(null, null, "polyshm-parent-watch-end", 0, false);
            this.watch = watch;
        }

        @Override
        public void run() {
            watch.interrupt();
        }
    }
}
