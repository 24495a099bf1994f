// SPDX-License-Identifier: Apache-2.0
package io.polyshm.internal.fork;

import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.io.RandomAccessFile;
import java.nio.charset.Charset;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

/**
 * Empties a child's standard error as fast as it comes, passes it on to this JVM's {@code
 * System.err} if so asked, and keeps the end of it.
 */
final class StderrTail implements Runnable {
    static final int TAIL_BYTES = 8 << 10;

    private final InputStream in;
    private final boolean passOn;
    private final CountDownLatch ended = new CountDownLatch(1);
    private final byte[] tail = new byte[TAIL_BYTES];
    private long total;

    StderrTail(InputStream in, boolean passOn) {
        this.in = in;
        this.passOn = passOn;
    }

    @Override
    public void run() {
        try (in) {
            byte[] buffer = new byte[TAIL_BYTES];
            for (int n; (n = in.read(buffer)) >= 0; ) {
                keep(buffer, n);
                if (passOn) {
                    passOn(buffer, n);
                }
            }
        } catch (IOException closed) {
            // The process is gone.
        } finally {
            ended.countDown();
        }
    }

    private static void passOn(byte[] bytes, int count) {
        try {
            System.err.write(bytes, 0, count);
            System.err.flush();
        } catch (RuntimeException foreignStream) {
            // Whatever was put in the place of System.err, the child must not block.
        }
    }

    private synchronized void keep(byte[] bytes, int count) {
        for (int i = 0; i < count; i++) {
            tail[(int) (total++ % TAIL_BYTES)] = bytes[i];
        }
    }

    /** False if someone else, as a process that the child left behind, still has it open. */
    boolean awaitEnd(long timeoutMillis) throws InterruptedException {
        return ended.await(timeoutMillis, TimeUnit.MILLISECONDS);
    }

    /** What came last, from the beginning of a line on. */
    synchronized String text() {
        int length = (int) Math.min(total, TAIL_BYTES);
        byte[] last = new byte[length];
        for (int i = 0; i < length; i++) {
            last[i] = tail[(int) ((total - length + i) % TAIL_BYTES)];
        }
        return text(last, total > TAIL_BYTES);
    }

    /** The same for a child whose standard error went to a file. */
    static String ofFile(File file) {
        try (RandomAccessFile in = new RandomAccessFile(file, "r")) {
            long from = Math.max(0, in.length() - TAIL_BYTES);
            byte[] last = new byte[(int) (in.length() - from)];
            in.seek(from);
            in.readFully(last);
            return text(last, from > 0);
        } catch (IOException notReadable) {
            return "";
        }
    }

    private static String text(byte[] last, boolean cut) {
        String encoding = System.getProperty("native.encoding", "UTF-8");
        String text = new String(last, Charset.forName(encoding));
        int line = text.indexOf('\n') + 1;
        return (cut && line > 0 && line < text.length() ? text.substring(line) : text)
                .stripTrailing();
    }
}
