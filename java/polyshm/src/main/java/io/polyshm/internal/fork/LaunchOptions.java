// SPDX-License-Identifier: Apache-2.0
package io.polyshm.internal.fork;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * What the caller asked for; a null or an empty list stands for "as in this JVM". Filled by the
 * public builder, copied at each start.
 */
public final class LaunchOptions {
    public Path javaHome;
    public List<Path> classPath;
    public List<Path> modulePath;
    public Path directory;
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

    LaunchOptions(LaunchOptions other) {
        javaHome = other.javaHome;
        classPath = other.classPath;
        modulePath = other.modulePath;
        directory = other.directory;
        output = other.output;
        error = other.error;
        mayOutliveParent = other.mayOutliveParent;
        jvmOptions.addAll(other.jvmOptions);
        environment.putAll(other.environment);
    }
}
