// SPDX-License-Identifier: Apache-2.0
package io.polyshm.internal.fork;

import io.polyshm.ForkedJvmException;
import java.io.BufferedOutputStream;
import java.io.File;
import java.io.IOException;
import java.io.NotSerializableException;
import java.io.OutputStream;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.util.List;

/**
 * Starts child JVMs: hands the task, the arguments and an empty outcome over in scratch files. What
 * was begun is undone if any step fails.
 */
public final class JvmLauncher implements AutoCloseable {
    private static final SecureRandom RANDOM = new SecureRandom();

    private final String operation;
    private final LaunchOptions options;
    private ScratchFile taskFile;
    private ScratchFile outcomeFile;
    private ScratchFile argumentFile;
    private Process process;
    private boolean handedOver;

    private JvmLauncher(String operation, LaunchOptions options) {
        this.operation = operation;
        this.options = options;
    }

    /**
     * Starts a child.
     *
     * @param call whether the task has a result
     */
    public static ChildJvm start(LaunchOptions options, Object task, boolean call) {
        String operation = call ? "ForkedJvm.call" : "ForkedJvm.start";
        try (JvmLauncher launcher = new JvmLauncher(operation, new LaunchOptions(options))) {
            return launcher.start(task, call);
        } catch (NotSerializableException e) {
            throw new ForkedJvmException(
                    "JAVA_ECAPTURE",
                    operation + ": the task cannot travel to another JVM: " + e.getMessage(),
                    e);
        } catch (IOException e) {
            throw new ForkedJvmException(
                    "JAVA_ESTART", operation + ": cannot hand over the task: " + e.getMessage(), e);
        }
    }

    private ChildJvm start(Object task, boolean call) throws IOException {
        taskFile = ScratchFile.create();
        outcomeFile = ScratchFile.create();
        argumentFile = ScratchFile.create();

        byte[] token = new byte[Outcome.TOKEN_BYTES];
        RANDOM.nextBytes(token);
        String description = writeTask(task, token);
        outcomeFile.write(Outcome.prepared(token));

        ProcessBuilder builder = builder();
        String parent = String.valueOf(ProcessHandle.current().pid());
        builder.command()
                .addAll(
                        List.of(
                                options.mayOutliveParent ? "outlive" : parent,
                                call ? "call" : "run",
                                taskFile.path().toString(),
                                outcomeFile.path().toString(),
                                description));
        process = launch(builder);
        sendToken(token);
        ChildJvm child =
                new ChildJvm(
                        process,
                        description,
                        outcomeFile,
                        List.of(taskFile, outcomeFile, argumentFile),
                        options);
        child.startStderr();
        Child.startThread(child::awaitExit, "polyshm-child-" + child.pid());
        handedOver = true;
        return child;
    }

    private String writeTask(Object task, byte[] token) throws IOException {
        try (OutputStream out = new BufferedOutputStream(taskFile.output(), 1 << 16)) {
            out.write(token);
            return TaskWriter.write(task, out);
        }
    }

    /** Not among the arguments, which every user can read. */
    private void sendToken(byte[] token) {
        OutputStream pipe = process.getOutputStream();
        try {
            pipe.write(token);
            pipe.flush();
            if (options.mayOutliveParent) {
                pipe.close();
            }
        } catch (IOException ended) {
            // Its exit code and what it has printed tell why.
        }
    }

    private ProcessBuilder builder() throws IOException {
        ParentJvm parent = ParentJvm.current();
        Path home = options.javaHome != null ? options.javaHome : parent.javaHome();
        ProcessBuilder builder =
                new ProcessBuilder(home.resolve("bin/java").toString(), "@" + argumentFile.path());
        options.prepare(builder);
        List<String> arguments = CommandLine.arguments(parent, options, builder.environment());
        argumentFile.write(CommandLine.argumentFile(arguments));
        return builder;
    }

    private Process launch(ProcessBuilder builder) {
        File java = new File(builder.command().get(0));
        File directory = builder.directory();
        String values = ": java=" + java + (directory == null ? "" : ", directory=" + directory);
        if (!java.isFile() || !java.canExecute()) {
            throw failure(
                    "there is no java to be executed; name a Java home by builder().javaHome(...)"
                            + values,
                    null);
        }
        if (directory != null && !directory.isDirectory()) {
            throw failure("the directory does not exist" + values, null);
        }
        try {
            return LaunchOptions.start(builder);
        } catch (IOException e) {
            throw failure(e.getMessage() + values, e);
        }
    }

    private ForkedJvmException failure(String text, IOException cause) {
        return new ForkedJvmException("JAVA_ESTART", operation + ": " + text, cause);
    }

    /** Undoes an attempt that has failed. */
    @Override
    public void close() {
        if (handedOver) {
            return;
        }
        if (process != null) {
            process.destroyForcibly();
        }
        close(taskFile);
        close(outcomeFile);
        close(argumentFile);
    }

    private static void close(ScratchFile file) {
        if (file != null) {
            file.close();
        }
    }
}
