// SPDX-License-Identifier: Apache-2.0
package io.polyshm.examples;

import static org.assertj.core.api.Assertions.assertThat;

import io.polyshm.ForkedJvm;
import io.polyshm.SharedMemory;
import io.polyshm.SharedProcess;
import java.io.File;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import javax.tools.JavaCompiler;
import javax.tools.StandardJavaFileManager;
import javax.tools.ToolProvider;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What the README shows compiles, runs, and prints what it says. */
class ReadmeTest {
    private static final Path ROOT = Path.of("..", "..");
    private static final Path LIBRARY = Path.of("../polyshm/target/cmake/native/libpolyshm.a");

    @TempDir Path folder;

    @Test
    void shouldPrintSquaresWhenFirstProgramIsRun() throws Exception {
        String code = blocks("java").get(0);

        List<String> printed = runJava("Squares", code);

        assertThat(printed).containsExactly("[25, 36, 49, 64]", "174");
        assertThat(code).contains("// [25, 36, 49, 64]", "// 174");
        assertThat(code.lines().filter(line -> line.matches(".*\\w.*")).count())
                .isLessThanOrEqualTo(15);
    }

    @Test
    void shouldMeetInOneSegmentWhenJavaAndCAreRun() throws Exception {
        String name = "readme-" + ProcessHandle.current().pid();
        String java = blocks("java").get(1).replace("\"market\"", '"' + name + '"');
        String c = blocks("c").get(0).replace("\"market\"", '"' + name + '"');

        try {
            runJava(
                    "Market",
                    "import io.polyshm.*; public class Market { public static void main(String[] a) {"
                            + java
                            + "}}");
            assertThat(runC(c)).containsExactly("2");
        } finally {
            SharedMemory.unlink(name);
        }
    }

    @Test
    void shouldPrintSquaresWhenPythonStartsJava() throws Exception {
        String code = blocks("python").get(0);
        String script = Files.writeString(folder.resolve("squares.py"), code).toString();
        ForkedJvm.Builder jvm = Python.jvm(folder);
        compile("Squares", blocks("java").get(2));
        String classPath = folder + File.pathSeparator + System.getProperty("java.class.path");

        Program program =
                Program.start(
                        folder,
                        jvm,
                        () ->
                                SharedProcess.builder()
                                        .environment("CLASSPATH", classPath)
                                        .start("python3", script)
                                        .join());

        assertThat(program.exitCode()).as(program.errors()).isZero();
        assertThat(program.errors()).isEmpty();
        assertThat(program.lines()).containsExactly("[25, 36, 49, 64]", "174");
        assertThat(code).contains("# [25, 36, 49, 64]", "# 174");
    }

    /** The code blocks of one language, in their order. */
    private static List<String> blocks(String language) throws Exception {
        String readme = Files.readString(ROOT.resolve("README.md"));
        return Pattern.compile(
                        "^```" + language + "\n(.*?)^```$", Pattern.DOTALL | Pattern.MULTILINE)
                .matcher(readme)
                .results()
                .map(block -> block.group(1))
                .toList();
    }

    private void compile(String name, String code) throws Exception {
        Path source = Files.writeString(folder.resolve(name + ".java"), code);
        JavaCompiler compiler = ToolProvider.getSystemJavaCompiler();
        StringWriter messages = new StringWriter();
        try (StandardJavaFileManager files = compiler.getStandardFileManager(null, null, null)) {
            boolean compiled =
                    compiler.getTask(
                                    messages,
                                    files,
                                    null,
                                    List.of("-d", folder.toString(), "-Xlint:all,-processing"),
                                    null,
                                    files.getJavaFileObjects(source))
                            .call();
            assertThat(compiled).as(messages.toString()).isTrue();
        }
        assertThat(messages.toString()).isEmpty();
    }

    private List<String> runJava(String name, String code) throws Exception {
        compile(name, code);
        Path[] classPath =
                Stream.concat(
                                Stream.of(folder),
                                Stream.of(
                                                System.getProperty("java.class.path")
                                                        .split(File.pathSeparator))
                                        .map(Path::of))
                        .toArray(Path[]::new);
        ForkedJvm.Builder jvm = ForkedJvm.builder().classPath(classPath);
        Program program =
                Program.start(
                        folder,
                        jvm,
                        () ->
                                Class.forName(name)
                                        .getMethod("main", String[].class)
                                        .invoke(null, (Object) new String[0]));
        assertThat(program.exitCode()).as(program.errors()).isZero();
        assertThat(program.errors()).isEmpty();
        return program.lines();
    }

    private List<String> runC(String code) throws Exception {
        Path source = Files.writeString(folder.resolve("market.c"), code);
        Path program = folder.resolve("market");
        run(
                "cc",
                "-Wall",
                "-Wextra",
                "-Werror",
                "-I" + ROOT.resolve("native/include"),
                source.toString(),
                LIBRARY.toString(),
                "-pthread",
                "-lrt",
                "-o",
                program.toString());
        return run(program.toString());
    }

    private List<String> run(String... command) throws Exception {
        Path output = folder.resolve("output");
        Process process =
                new ProcessBuilder(command)
                        .redirectErrorStream(true)
                        .redirectOutput(output.toFile())
                        .start();
        if (!process.waitFor(60, TimeUnit.SECONDS)) {
            process.destroyForcibly();
        }
        assertThat(process.waitFor()).as(Files.readString(output)).isZero();
        return Files.readAllLines(output);
    }
}
