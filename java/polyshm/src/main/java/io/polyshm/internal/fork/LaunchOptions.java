// SPDX-License-Identifier: Apache-2.0
package io.polyshm.internal.fork;

import java.io.File;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.nio.charset.Charset;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * What the caller asked for, of a child JVM or of a program; a null or an empty list stands for "as
 * in this JVM". Filled by the public builder, copied at each start.
 */
public final class LaunchOptions {
    public Path javaHome;
    public List<Path> classPath;
    public List<Path> modulePath;
    public Path directory;

    /** What a program reads; null: nothing. */
    public File input;

    public ProcessBuilder.Redirect output = ProcessBuilder.Redirect.INHERIT;

    /** Null: passed on to this JVM's System.err. */
    public ProcessBuilder.Redirect error;

    public boolean mayOutliveParent;
    public final List<String> jvmOptions = new ArrayList<>();

    /** Changes to the inherited environment; a null value removes the variable. */
    public final Map<String, String> environment = new LinkedHashMap<>();

    public LaunchOptions() {}

    /** Whether a child can be told this on its command line. */
    public static boolean isExpressible(String argument) {
        return CommandLine.CHARSET.newEncoder().canEncode(argument);
    }

    /** Whether a program gets this as it is: Java 17 encodes its arguments as it does files. */
    public static boolean reachesProgram(String argument) {
        return isExpressible(argument)
                && (Runtime.version().feature() > 17
                        || Arrays.equals(
                                argument.getBytes(CommandLine.CHARSET),
                                argument.getBytes(Charset.defaultCharset())));
    }

    LaunchOptions(LaunchOptions other) {
        javaHome = other.javaHome;
        classPath = other.classPath;
        modulePath = other.modulePath;
        directory = other.directory;
        input = other.input;
        output = other.output;
        error = other.error;
        mayOutliveParent = other.mayOutliveParent;
        jvmOptions.addAll(other.jvmOptions);
        environment.putAll(other.environment);
    }

    /**
     * Whether this process reads the standard error: to pass it on, or to keep the end of what is
     * discarded. One that goes on alone would be ended by what it discards.
     */
    boolean hasErrorPiped() {
        return error == null || error == ProcessBuilder.Redirect.DISCARD && !mayOutliveParent;
    }

    /** What is set up in the same way for all children. */
    void prepare(ProcessBuilder builder) {
        Map<String, String> variables = builder.environment();
        environment.forEach(
                (name, value) -> {
                    if (value == null) {
                        variables.remove(name);
                    } else {
                        variables.put(name, value);
                    }
                });
        if (directory != null) {
            builder.directory(directory.toFile());
        }
        builder.redirectOutput(output);
        if (!hasErrorPiped()) {
            builder.redirectError(error);
        }
    }

    /** Starts it; other than {@link ProcessBuilder}, tells a file from a process. */
    static Process start(ProcessBuilder builder) throws IOException {
        try {
            return builder.start();
        } catch (IOException e) {
            if (e.getCause() instanceof FileNotFoundException redirect) {
                throw new IOException(
                        "the file of a redirect cannot be opened: " + redirect.getMessage(), e);
            }
            throw refused("another process", e);
        }
    }

    /** The operating system refused what it could have given. */
    static IOException refused(String what, Exception why) {
        return new IOException(
                "the operating system refused "
                        + what
                        + "; if it is for lack of memory, processes or descriptors, see ulimit -u,"
                        + " ulimit -n and the limits of the container: "
                        + why.getMessage(),
                why);
    }
}
