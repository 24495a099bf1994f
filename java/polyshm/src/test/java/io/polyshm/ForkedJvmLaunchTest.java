// SPDX-License-Identifier: Apache-2.0
package io.polyshm;

import static org.assertj.core.api.Assertions.assertThat;

import io.polyshm.programs.ForkAndPrint;
import java.io.File;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.Charset;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.jar.Attributes;
import java.util.jar.JarOutputStream;
import java.util.jar.Manifest;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import javax.tools.ToolProvider;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** A child is started as its parent was, however that was. Each test starts a parent of its own. */
@Timeout(120)
class ForkedJvmLaunchTest {
    private static final String MAIN = ForkAndPrint.class.getName();
    private static final List<Path> PROGRAMS = Processes.classPathOf(ForkAndPrint.class);
    private static final List<Path> ALL = Processes.concat(Processes.library(), PROGRAMS);

    // What a locale cannot express cannot be in a path either.
    private static final String ODD =
            Charset.forName(System.getProperty("sun.jnu.encoding")).newEncoder().canEncode("ü日")
                    ? "ü日"
                    : "u";

    @TempDir private Path folder;

    // That nothing is printed but what is expected is part of each test: no JVM may warn.

    private static ProcessBuilder java(List<String> arguments) {
        return new ProcessBuilder(Processes.concat(Processes.java("ALL-UNNAMED"), arguments));
    }

    private static ProcessBuilder javaWithModules(List<String> arguments) {
        String modules = "io.polyshm,org.bytedeco.javacpp";
        return new ProcessBuilder(Processes.concat(Processes.java(modules), arguments));
    }

    private static String line(String module, String library, String mode, String args) {
        return String.format(
                "module=%s library=%s mode=%s open=false sql=true assertions=false agentsOrHeap=false"
                        + " args=%s%n",
                module, library, mode, args);
    }

    @Test
    void shouldForkWhenOnClassPath() throws Exception {
        ProcessBuilder parent =
                java(
                        List.of(
                                "-Xmx100m",
                                "-ea:io.polyshm.programs...",
                                "-Dmode=m",
                                "--add-opens",
                                "java.base/java.lang=ALL-UNNAMED",
                                "-cp",
                                Processes.joined(ALL),
                                MAIN,
                                "a b"));
        assertThat(Processes.output(parent))
                .isEqualTo(
                        "module=null library=null mode=m open=true sql=true assertions=true"
                                + " agentsOrHeap=false args=[a b]\n");
    }

    @Test
    void shouldForkWhenClassPathIsLongerThanAnArgumentMayBe() throws Exception {
        StringBuilder path = new StringBuilder();
        while (path.length() < 300_000) {
            path.append("/nowhere/").append("x".repeat(200)).append(path.length()).append(':');
        }
        path.append(Processes.joined(ALL));
        Path file = folder.resolve("arguments");
        Files.writeString(file, "-Dmode=long\n-cp \"" + path + "\"\n");
        assertThat(Processes.output(java(List.of("@" + file, MAIN))))
                .isEqualTo(line("null", "null", "long", "[]"));
    }

    @Test
    void shouldForkWhenPathsAreOdd() throws Exception {
        Path odd = Files.createDirectory(folder.resolve("a b \"q\" 'p' \\back %41 #" + ODD));
        List<String> entries = new ArrayList<>();
        for (int i = 0; i < ALL.size(); i++) {
            Path copy = odd.resolve(ODD + i + ALL.get(i).getFileName());
            copyTree(ALL.get(i), copy);
            entries.add(copy.getFileName().toString());
        }
        // Relative to the parent's folder.
        ProcessBuilder parent =
                java(
                        List.of(
                                "-Dmode=\"" + ODD + "\" \\",
                                "-cp",
                                String.join(File.pathSeparator, entries),
                                MAIN,
                                ODD + " \"x\""));
        assertThat(Processes.output(parent.directory(odd.toFile())))
                .isEqualTo(line("null", "null", "\"" + ODD + "\" \\", "[" + ODD + " \"x\"]"));
    }

    @Test
    void shouldForkWhenVariablesHoldOptions() throws Exception {
        ProcessBuilder parent = java(List.of("-cp", Processes.joined(ALL), MAIN));
        parent.environment().put("JDK_JAVA_OPTIONS", "-Dmode=variable");
        assertThat(Processes.output(parent)).endsWith(line("null", "null", "variable", "[]"));
    }

    @Test
    void shouldForkWhenStartedByJar() throws Exception {
        Manifest manifest = new Manifest();
        Attributes main = manifest.getMainAttributes();
        main.put(Attributes.Name.MANIFEST_VERSION, "1.0");
        main.put(Attributes.Name.MAIN_CLASS, MAIN);
        main.put(new Attributes.Name("Add-Opens"), "java.base/java.lang java.base/java.util");
        main.put(
                Attributes.Name.CLASS_PATH,
                ALL.stream().map(each -> each.toUri().toString()).collect(Collectors.joining(" ")));
        Path jar = folder.resolve("app with space.jar");
        try (OutputStream out = Files.newOutputStream(jar)) {
            new JarOutputStream(out, manifest).close();
        }
        assertThat(Processes.output(java(List.of("-jar", jar.toString(), "x"))))
                .isEqualTo(line("null", "null", "null", "[x]").replace("open=false", "open=true"));
    }

    @Test
    void shouldForkWhenApplicationAndLibraryAreModules() throws Exception {
        Path app = folder.resolve("an app");
        Path sources = folder.resolve("sources");
        Files.createDirectories(sources.resolve("acme"));
        Path module =
                Files.writeString(
                        sources.resolve("module-info.java"),
                        "module acme.app { requires io.polyshm; requires java.sql; }");
        Path source =
                Files.writeString(
                        sources.resolve("acme/Main.java"),
                        """
                        package acme;
                        import io.polyshm.ForkedJvm;
                        public class Main {
                            record Text(String module, String library, String sql)
                                    implements java.io.Serializable {}
                            public static void main(String[] args) throws Exception {
                                System.out.println(ForkedJvm.call(() -> new Text(
                                        Main.class.getModule().getName(),
                                        ForkedJvm.class.getModule().getName(),
                                        java.sql.Types.class.getModule().getName())).get());
                            }
                        }
                        """);
        String libraryPath = Processes.joined(Processes.library());
        assertThat(
                        ToolProvider.getSystemJavaCompiler()
                                .run(
                                        null,
                                        null,
                                        null,
                                        "-d",
                                        app.toString(),
                                        "--module-path",
                                        libraryPath,
                                        module.toString(),
                                        source.toString()))
                .isZero();
        ProcessBuilder parent =
                javaWithModules(
                        List.of(
                                "--module-path",
                                app.getFileName() + File.pathSeparator + libraryPath,
                                "-m",
                                "acme.app/acme.Main"));
        assertThat(Processes.output(parent.directory(folder.toFile())))
                .isEqualTo("Text[module=acme.app, library=io.polyshm, sql=java.sql]\n");
    }

    @Test
    void shouldForkWhenOnlyLibraryIsModule() throws Exception {
        ProcessBuilder parent =
                javaWithModules(
                        List.of(
                                "--module-path",
                                Processes.joined(Processes.library()),
                                "--add-modules",
                                "io.polyshm",
                                "-cp",
                                Processes.joined(PROGRAMS),
                                MAIN));
        assertThat(Processes.output(parent)).isEqualTo(line("null", "io.polyshm", "null", "[]"));
    }

    private static void copyTree(Path from, Path to) throws IOException {
        try (Stream<Path> all = Files.walk(from)) {
            for (Path each : (Iterable<Path>) all::iterator) {
                Files.copy(each, to.resolve(from.relativize(each).toString()));
            }
        }
    }
}
