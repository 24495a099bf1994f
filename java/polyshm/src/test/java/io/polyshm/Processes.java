// SPDX-License-Identifier: Apache-2.0
package io.polyshm;

import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.File;
import java.io.IOException;
import java.net.URI;
import java.net.URISyntaxException;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;

/** What the tests that look at processes from outside have in common. */
final class Processes {
    static final Path JAVA = Path.of(System.getProperty("java.home"), "bin", "java");

    /** The id of a user, and of his group, that owns nothing. */
    static final int NOBODY = 65534;

    private Processes() {}

    /** Skips a test that has to mount, to give a file away or to become another user. */
    static void assumeRoot() throws IOException {
        Object uid = Files.getAttribute(Path.of("/proc/self"), "unix:uid");
        assumeTrue(uid.equals(0), "it takes root");
    }

    /** A command as another user runs it. */
    static List<String> asNobody(List<String> command) {
        return concat(
                List.of(
                        "setpriv",
                        "--reuid=" + NOBODY,
                        "--regid=" + NOBODY,
                        "--clear-groups",
                        "--pdeathsig=KILL"),
                command);
    }

    /**
     * The beginning of a command that starts a JVM.
     *
     * @param nativeModules the modules that may call native code, or {@code ALL-UNNAMED}
     */
    static List<String> java(String nativeModules) {
        List<String> command = new ArrayList<>();
        command.add(JAVA.toString());
        if (Runtime.version().feature() >= 24) {
            command.add("--enable-native-access=" + nativeModules);
        }
        return command;
    }

    /** Jars and folders from which a class and the library can be loaded in another JVM. */
    static List<Path> classPathOf(Class<?>... types) {
        Set<Path> all = new LinkedHashSet<>();
        try {
            for (Class<?> type : types) {
                // Under a build tool that patches the module, a class is not where its module is.
                String file = type.getName().replace('.', '/') + ".class";
                String url = type.getResource("/" + file).toString();
                if (url.startsWith("jar:")) {
                    url = url.substring("jar:".length(), url.indexOf("!/"));
                    all.add(Path.of(new URI(url)));
                } else {
                    Path path = Path.of(new URI(url));
                    for (int i = 0; i < type.getName().split("\\.").length; i++) {
                        path = path.getParent();
                    }
                    all.add(path);
                }
            }
        } catch (URISyntaxException e) {
            throw new AssertionError(e);
        }
        return List.copyOf(all);
    }

    /** The library and what it needs. */
    static List<Path> library() {
        List<Path> all = new ArrayList<>(classPathOf(ForkedJvm.class));
        for (String entry : System.getProperty("java.class.path").split(File.pathSeparator)) {
            if (Path.of(entry).getFileName().toString().startsWith("javacpp")) {
                all.add(Path.of(entry));
            }
        }
        return all;
    }

    static String joined(List<Path> paths) {
        return paths.stream().map(Path::toString).collect(Collectors.joining(File.pathSeparator));
    }

    static <T> List<T> concat(List<T> first, List<T> second) {
        List<T> all = new ArrayList<>(first);
        all.addAll(second);
        return all;
    }

    /** Runs to its end and returns what it printed, both streams. */
    static String output(ProcessBuilder builder) throws IOException, InterruptedException {
        builder.environment().put("LC_ALL", "C.UTF-8");
        Process process = builder.redirectErrorStream(true).start();
        process.getOutputStream().close();
        String text = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        process.waitFor();
        return text;
    }

    static void signal(String name, long pid) throws IOException, InterruptedException {
        new ProcessBuilder("sh", "-c", "kill -" + name + " " + pid).start().waitFor();
    }

    /** A process that nobody has waited for is as good as gone. */
    static boolean isGone(long pid) {
        try {
            String stat = Files.readString(Path.of("/proc/" + pid + "/stat"));
            return stat.charAt(stat.lastIndexOf(')') + 2) == 'Z';
        } catch (IOException absent) {
            return true;
        }
    }

    static void awaitGone(long pid) {
        await().atMost(Duration.ofSeconds(30)).until(() -> isGone(pid));
    }

    static void awaitFile(Path file) {
        await().atMost(Duration.ofSeconds(30)).until(() -> Files.exists(file));
    }

    /** Threads of the library in this JVM. */
    static List<String> threads() {
        return Thread.getAllStackTraces().keySet().stream()
                .map(Thread::getName)
                .filter(name -> name.startsWith("polyshm-"))
                .toList();
    }

    /** Those that look after a child. */
    static List<String> childThreads() {
        return threads().stream()
                .filter(
                        name ->
                                name.startsWith("polyshm-child")
                                        || name.startsWith("polyshm-stderr"))
                .toList();
    }

    /** Descriptors of this process that can belong to a child. */
    static long descriptors() throws IOException {
        long count = 0;
        try (DirectoryStream<Path> all = Files.newDirectoryStream(Path.of("/proc/self/fd"))) {
            for (Path each : all) {
                try {
                    String target = Files.readSymbolicLink(each).toString();
                    if (target.startsWith("pipe:")
                            || target.contains("polyshm")
                            || target.contains("memfd:")) {
                        count++;
                    }
                } catch (IOException closedMeanwhile) {
                    // That of the listing.
                }
            }
        }
        return count;
    }
}
