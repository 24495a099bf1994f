// SPDX-License-Identifier: Apache-2.0
package io.polyshm.internal.fork;

import io.polyshm.PolyshmException;
import io.polyshm.UnavailableException;
import io.polyshm.internal.Native;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.atomic.AtomicBoolean;

/**
 * A file without a name that hands bytes to a child and gets some back. It is reached by its path
 * as long as it is open here, by this process and by its children, and is gone without a trace when
 * the last process that has it open is.
 */
final class ScratchFile implements AutoCloseable {
    private final Path path;
    private final int descriptor;
    private final AtomicBoolean closed = new AtomicBoolean();

    private ScratchFile(Path path, int descriptor) {
        this.path = path;
        this.descriptor = descriptor;
    }

    static ScratchFile create() throws IOException {
        String[] path = new String[1];
        try {
            int descriptor = Native.createScratch(path);
            return new ScratchFile(Path.of(path[0]), descriptor);
        } catch (UnavailableException missing) {
            throw missing;
        } catch (PolyshmException e) {
            throw LaunchOptions.refused("a scratch file", e);
        }
    }

    OutputStream output() throws IOException {
        try {
            return Files.newOutputStream(path);
        } catch (IOException e) {
            throw LaunchOptions.refused("a scratch file", e);
        }
    }

    void write(byte[] bytes) throws IOException {
        try (OutputStream out = output()) {
            out.write(bytes);
        }
    }

    /** The path under which this process and its children can open the file. */
    Path path() {
        return path;
    }

    @Override
    public void close() {
        if (closed.compareAndSet(false, true)) {
            Native.closeScratch(descriptor);
        }
    }
}
