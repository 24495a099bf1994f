// SPDX-License-Identifier: Apache-2.0
package io.polyshm.storm;

import java.io.IOException;
import java.io.Writer;

/** A shell that stops processes for a while. They go on even if this JVM is killed meanwhile. */
final class Stopper implements AutoCloseable {
    private final Process shell;
    private final Writer commands;

    Stopper() throws IOException {
        shell = new ProcessBuilder("sh").redirectError(ProcessBuilder.Redirect.DISCARD).start();
        commands = shell.outputWriter();
    }

    /** Stops the process, and continues it later; does not wait for that. */
    void stop(long pid, int millis) throws IOException {
        commands.write(
                "{ kill -STOP %d && sleep %d.%03d; kill -CONT %d; } &%n"
                        .formatted(pid, millis / 1000, millis % 1000, pid));
        commands.flush();
    }

    /** Waits until all are continued. */
    @Override
    public void close() throws IOException {
        commands.write("wait\n");
        commands.close();
        shell.onExit().join();
    }
}
