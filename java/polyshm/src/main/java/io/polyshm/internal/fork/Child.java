// SPDX-License-Identifier: Apache-2.0
package io.polyshm.internal.fork;

import java.io.File;
import java.io.IOException;
import java.nio.file.Path;
import java.util.OptionalInt;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

/**
 * One child process as its parent sees it. A thread of its own waits for its end and gives
 * everything back at that moment, whether anybody joins or not. Safe for use by several threads.
 */
public abstract sealed class Child permits ChildJvm, ChildProgram {
    // How long the end of a dead child's standard error is waited for. It comes at once unless the
    // child left a process behind that has it open, too.
    private static final long STDERR_GRACE_MILLIS = 1_000;

    private final Process process;
    private final String description;
    private final StderrTail stderr;
    private final File stderrFile;
    private final Path directory;
    private final CountDownLatch ended = new CountDownLatch(1);
    private final CompletableFuture<Integer> exit = new CompletableFuture<>();
    private volatile String requestedBy;

    /**
     * Takes over a process that was just started.
     *
     * @param description what it runs, as a key and its value
     */
    Child(Process process, String description, LaunchOptions options) {
        ProcessBuilder.Redirect error = options.error;
        this.process = process;
        this.description = description;
        boolean piped = options.hasErrorPiped();
        this.stderr = piped ? new StderrTail(process.getErrorStream(), error == null) : null;
        this.stderrFile = piped ? null : error.file();
        this.directory = options.directory != null ? options.directory : Path.of("");
    }

    /** Begins to look after what the process writes. */
    void startStderr() {
        if (stderr != null) {
            startThread(stderr, "polyshm-stderr-" + pid());
        }
    }

    /**
     * A thread for a child; its stack has room for what others run there, at an exit or an output.
     */
    static void startThread(Runnable work, String name) {
        Thread thread = new Thread(null, work, name, 0, false);
        thread.setDaemon(true);
        thread.setContextClassLoader(null);
        thread.start();
    }

    /** The work of this child's own thread. */
    void awaitExit() {
        int exitCode = exitCodeOfOwnThread();
        try {
            if (stderr != null) {
                stderr.awaitEnd(STDERR_GRACE_MILLIS);
            }
        } catch (InterruptedException nobodysBusiness) {
            // As above.
        }
        closeStdin();
        end(new Ending(exitCode, requestedBy, lastWords(exitCode)));
        ended.countDown();
        exit.complete(exitCode);
    }

    /** The process has ended: gives back what belongs to it. */
    abstract void end(Ending how);

    private int exitCodeOfOwnThread() {
        while (true) {
            try {
                return process.waitFor();
            } catch (InterruptedException nobodysBusiness) {
                // Only a stranger who lists all threads can have done this.
            }
        }
    }

    private void closeStdin() {
        try {
            process.getOutputStream().close();
        } catch (IOException alreadyBroken) {
            // It was never written to.
        }
    }

    private String stderrText() {
        if (stderr != null) {
            return stderr.text();
        }
        return stderrFile != null ? StderrTail.ofFile(stderrFile) : "";
    }

    private String lastWords(int exitCode) {
        String text = stderrText();
        String report =
                exitCode == Signals.ABORTED ? CrashReport.summary(directory, process.pid()) : "";
        return text.isEmpty() || report.isEmpty() ? text + report : text + "\n" + report;
    }

    /** Waits for the end of the process and of everything that belongs to it. */
    public void await() throws InterruptedException {
        ended.await();
    }

    /** Waits at most that long; false if it has not ended. Zero or less does not wait. */
    public boolean await(long timeoutNanos) throws InterruptedException {
        return ended.await(timeoutNanos, TimeUnit.NANOSECONDS);
    }

    /** After {@link #await()}: returns if all went well, throws what happened otherwise. */
    public abstract void check();

    public CompletableFuture<Integer> onExit() {
        // Whoever has joined finds it completed.
        return ended.getCount() == 0
                ? CompletableFuture.completedFuture(process.exitValue())
                : exit.copy();
    }

    public OptionalInt exitCode() {
        return process.isAlive() ? OptionalInt.empty() : OptionalInt.of(process.exitValue());
    }

    public boolean isAlive() {
        return process.isAlive();
    }

    public long pid() {
        return process.pid();
    }

    /** What it runs, as a key and its value. */
    public String description() {
        return description;
    }

    // Process.destroy() would close the pipes as well: the child would take that for the death of
    // its parent, and its last words would be lost.

    public void terminate() {
        noteRequest("terminate()");
        process.toHandle().destroy();
    }

    public void kill() {
        noteRequest("kill()");
        process.toHandle().destroyForcibly();
    }

    private void noteRequest(String by) {
        if (process.isAlive()) {
            requestedBy = by;
        }
    }
}
