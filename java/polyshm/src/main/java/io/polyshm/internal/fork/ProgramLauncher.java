// SPDX-License-Identifier: Apache-2.0
package io.polyshm.internal.fork;

import io.polyshm.SharedProcessException;
import io.polyshm.internal.Native;
import java.io.File;
import java.io.IOException;
import java.io.OutputStream;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.regex.Pattern;

/**
 * Starts programs, by way of polyshm-launch, which has the kernel kill them when this process ends;
 * see {@code launch.c}. On Linux that comes with the end of the thread that has started the
 * process, whichever that is: so this is the child's own, which waits for it.
 *
 * <p>A program runs when polyshm-launch has become it, which closes the pipe at its standard input.
 * So this fills the pipe, and waits for room that there never is.
 */
public final class ProgramLauncher {
    private static final File NOTHING = new File("/dev/null");

    private static final Pattern FILE_BUSY = Pattern.compile("error[=:] ?26\\b"); // ETXTBSY
    private static final long BUSY_MILLIS = 10;
    private static final int BUSY_ATTEMPTS = 1000;

    private final LaunchOptions options;
    private final List<String> command;
    private final CompletableFuture<ChildProgram> started = new CompletableFuture<>();

    private ProgramLauncher(LaunchOptions options, List<String> command) {
        this.options = options;
        this.command = command;
    }

    /**
     * Starts a child, and returns when the program runs.
     *
     * @param command the program and its arguments
     */
    public static ChildProgram start(LaunchOptions options, List<String> command) {
        ProgramLauncher launcher = new ProgramLauncher(new LaunchOptions(options), command);
        try {
            String program = Native.launcher().toString();
            Child.startThread(() -> launcher.run(program), "polyshm-child");
            return launcher.started.join();
        } catch (CompletionException failure) {
            throw launcher.failed(failure.getCause());
        } catch (IOException failure) {
            throw launcher.failed(failure);
        }
    }

    private RuntimeException failed(Throwable cause) {
        if (cause instanceof RuntimeException exception) {
            return exception;
        }
        if (cause instanceof Error error) {
            throw error;
        }
        return new SharedProcessException(
                "JAVA_ESTART",
                "SharedProcess.start: the program could not be started: "
                        + cause.getMessage()
                        + ": command="
                        + command
                        + (options.directory == null ? "" : ", directory=" + options.directory),
                cause);
    }

    /** The work of the child's own thread. */
    private void run(String launcher) {
        ChildProgram child;
        try {
            child = launch(launcher);
        } catch (Throwable failure) {
            started.completeExceptionally(failure);
            return;
        }
        Thread.currentThread().setName("polyshm-child-" + child.pid());
        started.complete(child);
        child.awaitExit();
    }

    private ChildProgram launch(String launcher) throws IOException, InterruptedException {
        if (options.directory != null && !options.directory.toFile().isDirectory()) {
            throw new IOException("the directory does not exist");
        }
        try (ScratchFile report = ScratchFile.create()) {
            Process process = start(builder(launcher, report));
            ChildProgram child = null;
            try {
                awaitProgram(process.getOutputStream());
                String refused = StderrTail.ofFile(report.path().toFile());
                if (!refused.isEmpty()) {
                    throw new IOException(refused);
                }
                ChildProgram running = new ChildProgram(process, command, options);
                running.startStderr();
                child = running;
            } finally {
                if (child == null) {
                    process.destroyForcibly();
                }
            }
            return child;
        }
    }

    private ProcessBuilder builder(String launcher, ScratchFile report) {
        long parent = options.mayOutliveParent ? 0 : ProcessHandle.current().pid();
        List<String> all = new ArrayList<>();
        all.add(launcher);
        all.add(String.valueOf(parent));
        all.add(report.path().toString());
        all.add((options.input == null ? NOTHING : options.input).toString());
        all.addAll(command);
        ProcessBuilder builder = new ProcessBuilder(all);
        options.prepare(builder);
        return builder;
    }

    /**
     * A file that was just extracted cannot be executed while a process that was forked meanwhile,
     * and has not yet closed what it inherited, has it open to write.
     */
    private static Process start(ProcessBuilder builder) throws IOException, InterruptedException {
        for (int attempt = 1; ; attempt++) {
            try {
                return LaunchOptions.start(builder);
            } catch (IOException refused) {
                if (attempt == BUSY_ATTEMPTS || !FILE_BUSY.matcher(refused.toString()).find()) {
                    throw refused;
                }
            }
            Thread.sleep(BUSY_MILLIS);
        }
    }

    private static void awaitProgram(OutputStream pipe) {
        byte[] nothing = new byte[8 << 10]; // what goes to the pipe without another copy
        try (pipe) {
            while (true) {
                pipe.write(nothing);
            }
        } catch (IOException closed) {
            // The program runs, or polyshm-launch has ended.
        }
    }
}
