// SPDX-License-Identifier: Apache-2.0
package io.polyshm.internal.fork;

import java.io.File;
import java.io.IOException;
import java.io.Reader;
import java.nio.charset.Charset;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.stream.Collectors;

/**
 * Builds the arguments of a child's {@code java} from those of this JVM, and writes them as an
 * argument file, which has no limit of length. What decides which code is found and how it is
 * linked is inherited; what sizes or watches this one JVM (heap, collectors, agents, debugger,
 * remote management) is not.
 */
final class CommandLine {
    /** The charset in which a launcher reads its arguments: that of the locale. */
    static final Charset CHARSET = Charset.forName(System.getProperty("sun.jnu.encoding"));

    // A version from which calling native code without being allowed to prints a warning.
    private static final int NATIVE_ACCESS_WARNS = 24;

    private static final List<String> INHERITED_EXACTLY =
            List.of("--enable-preview", "-ea", "-da", "-esa", "-dsa", "-Xcheck:jni");

    private static final List<String> INHERITED_PREFIXES =
            List.of(
                    "-D",
                    "-ea:",
                    "-da:",
                    "-enableassertions",
                    "-disableassertions",
                    "-enablesystemassertions",
                    "-disablesystemassertions",
                    "-Xbootclasspath/a:",
                    "--add-modules=",
                    "--add-exports=",
                    "--add-opens=",
                    "--add-reads=",
                    "--limit-modules=",
                    "--patch-module=",
                    "--upgrade-module-path=",
                    "--enable-native-access=",
                    "--illegal-native-access=",
                    "--enable-final-field-mutation=",
                    "--illegal-final-field-mutation=",
                    "--sun-misc-unsafe-memory-access=",
                    "--finalization=");

    // Each of these describes one JVM, or takes something that only one process can have.
    private static final List<String> OWN_PROPERTIES =
            List.of("-Dcom.sun.management.", "-Djava.class.path=", "-Djdk.module.", "-Dsun.java.");

    private CommandLine() {}

    /**
     * The arguments up to and including the main class.
     *
     * @param environment of the child
     */
    static List<String> arguments(
            ParentJvm parent, LaunchOptions options, Map<String, String> environment) {
        Set<String> inherited = new LinkedHashSet<>();
        for (String argument : parent.arguments()) {
            if (isInherited(argument) && !isRepeatedByVariable(argument, environment)) {
                inherited.add(withAbsolutePaths(argument));
            }
        }
        inherited.addAll(parent.manifestArguments());
        if (parent.mainModule() != null) {
            inherited.add("--add-modules=" + parent.mainModule());
        } else if (parent.libraryModule() != null) {
            // Starting a module resolves only what it requires; this JVM has the default modules.
            inherited.add("--add-modules=ALL-DEFAULT");
        }
        if (featureOf(options.javaHome, parent) >= NATIVE_ACCESS_WARNS) {
            inherited.add("--enable-native-access=" + parent.nativeModules());
        }

        List<String> all = new ArrayList<>(inherited);
        String modulePath =
                options.modulePath != null
                        ? joined(options.modulePath)
                        : absolute(parent.modulePath());
        if (modulePath != null && !modulePath.isEmpty()) {
            all.add("--module-path=" + modulePath);
        }
        boolean modular = parent.libraryModule() != null;
        String classPath =
                options.classPath != null ? joined(options.classPath) : parent.classPath();
        if (!classPath.isEmpty() || !modular) {
            all.add("-cp");
            all.add(absolute(classPath));
        }
        all.addAll(options.jvmOptions);
        if (modular) {
            all.add("-m");
            all.add(parent.libraryModule() + "/" + ChildMain.class.getName());
        } else {
            all.add(ChildMain.class.getName());
        }
        return all;
    }

    /** The content of an argument file, in {@link #CHARSET}. */
    static byte[] argumentFile(Collection<String> arguments) {
        StringBuilder text = new StringBuilder();
        for (String argument : arguments) {
            text.append('"');
            for (int i = 0; i < argument.length(); i++) {
                char c = argument.charAt(i);
                switch (c) {
                    case '"', '\\' -> text.append('\\').append(c);
                    case '\n' -> text.append("\\n");
                    case '\r' -> text.append("\\r");
                    case '\t' -> text.append("\\t");
                    case '\f' -> text.append("\\f");
                    default -> text.append(c);
                }
            }
            text.append("\"\n");
        }
        return text.toString().getBytes(CHARSET);
    }

    static boolean isInherited(String argument) {
        return (INHERITED_EXACTLY.contains(argument)
                        || INHERITED_PREFIXES.stream().anyMatch(argument::startsWith))
                && OWN_PROPERTIES.stream().noneMatch(argument::startsWith);
    }

    /** A module must not be patched twice, and the launcher reads these variables again. */
    private static boolean isRepeatedByVariable(String argument, Map<String, String> environment) {
        String option = "--patch-module=";
        if (!argument.startsWith(option)) {
            return false;
        }
        String patch = argument.substring(option.length());
        return environment.getOrDefault("JDK_JAVA_OPTIONS", "").contains(patch)
                || environment.getOrDefault("JAVA_TOOL_OPTIONS", "").contains(patch);
    }

    /** The child may run in another folder. */
    private static String withAbsolutePaths(String argument) {
        for (String option : List.of("-Xbootclasspath/a:", "--upgrade-module-path=")) {
            if (argument.startsWith(option)) {
                return option + absolute(argument.substring(option.length()));
            }
        }
        if (argument.startsWith("--patch-module=")) {
            int paths = argument.indexOf('=', "--patch-module=".length()) + 1;
            return argument.substring(0, paths) + absolute(argument.substring(paths));
        }
        return argument;
    }

    private static String joined(List<Path> paths) {
        return paths.stream()
                .map(path -> path.toAbsolutePath().toString())
                .collect(Collectors.joining(File.pathSeparator));
    }

    private static String absolute(String paths) {
        if (paths == null) {
            return null;
        }
        StringBuilder all = new StringBuilder();
        for (String path : paths.split(File.pathSeparator, -1)) {
            all.append(all.length() == 0 ? "" : File.pathSeparator);
            all.append(new File(path).getAbsolutePath());
        }
        return all.toString();
    }

    private static int featureOf(Path javaHome, ParentJvm parent) {
        if (javaHome == null || javaHome.equals(parent.javaHome())) {
            return Runtime.version().feature();
        }
        Properties release = new Properties();
        try (Reader reader = Files.newBufferedReader(javaHome.resolve("release"))) {
            release.load(reader);
            String version = release.getProperty("JAVA_VERSION", "").replace("\"", "");
            return Runtime.Version.parse(version).feature();
        } catch (IOException | IllegalArgumentException unknown) {
            return Runtime.version().feature();
        }
    }
}
