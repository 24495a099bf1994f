// SPDX-License-Identifier: Apache-2.0
package io.polyshm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.BufferedReader;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.jar.JarEntry;
import java.util.jar.JarOutputStream;
import org.bytedeco.javacpp.Loader;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.condition.EnabledForJreRange;
import org.junit.jupiter.api.condition.JRE;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;

@Timeout(300)
class LoadTest {
    private static final String CACHE = "-Dorg.bytedeco.javacpp.cachedir=";
    private static final String TEMP = "-Djava.io.tmpdir=";
    private static final String NO_HOME =
            "-Duser.home=/proc/none"; // root cannot write there either

    @RegisterExtension final Segments segments = new Segments();
    @TempDir Path folder;

    /** The library as a jar, because what is in a folder is loaded from there. */
    private Path jar;

    /** Run in a JVM of its own. */
    static final class Program {
        private Program() {}

        public static void main(String[] arguments) throws InterruptedException {
            for (int i = 0; i < 2; i++) {
                try {
                    SharedArray.ofInts(1).close();
                    SharedProcess.start("true").join();
                    System.out.println("loaded");
                } catch (UnavailableException told) {
                    System.out.println(told.getMessage());
                }
            }
        }
    }

    /**
     * One of many that come at the same time: says what it sees, and stays until its input ends.
     */
    static final class OneOfMany {
        private OneOfMany() {}

        public static void main(String[] arguments) throws IOException, InterruptedException {
            System.out.println("started");
            System.in.read();
            SharedProcess.start("true").join();
            SharedMemory memory = SharedMemory.openOrCreate(arguments[0], 1 << 16);
            SharedArray.OfLong met = SharedArray.ofLongs(memory, "met", 1);
            System.out.println("number " + met.getAndAdd(0, 1));
            while (System.in.read() >= 0) {
                continue;
            }
            System.out.println("met " + met.getVolatile(0));
            memory.close();
        }
    }

    @BeforeEach
    void makeJar() throws IOException {
        jar = folder.resolve("natives.jar");
        String path = "io/polyshm/internal/binding/" + Loader.getPlatform() + "/";
        try (JarOutputStream out = new JarOutputStream(Files.newOutputStream(jar))) {
            for (String file : List.of("libjnipolyshm.so", "polyshm-launch")) {
                try (var in = ForkedJvm.class.getResourceAsStream("/" + path + file)) {
                    out.putNextEntry(new JarEntry(path + file));
                    in.transferTo(out);
                }
            }
        }
    }

    @Test
    void shouldNameThePlatformAndTheArtifactWhenThereAreNoNatives() throws Exception {
        assertThat(told(run("-Dorg.bytedeco.javacpp.platform=plan9-pdp11")))
                .contains("platform=plan9-pdp11", "io.polyshm:polyshm", "JAVA_ENATIVES");
    }

    @Test
    @EnabledForJreRange(min = JRE.JAVA_24)
    void shouldNameTheOptionWhenTheJvmDeniesNativeAccess() throws Exception {
        List<String> command = command(Program.class, "--illegal-native-access=deny");
        command.removeIf(each -> each.startsWith("--enable-native-access"));

        assertThat(told(Processes.output(new ProcessBuilder(command))))
                .contains("--enable-native-access=ALL-UNNAMED")
                .doesNotContain(CACHE);
    }

    @Test
    void shouldLoadFromTheFolderForTemporaryFilesWhenHomeCannotBeWritten() throws Exception {
        assertThat(run(NO_HOME, TEMP + folder)).isEqualTo("loaded\nloaded\n");
        assertThat(folder.resolve(".javacpp-" + System.getProperty("user.name")))
                .isDirectoryRecursivelyContaining("glob:**/libjnipolyshm.so");
    }

    @Test
    void shouldNameTheFoldersAndTheOptionWhenNeitherCanBeWritten() throws Exception {
        assertThat(told(run(NO_HOME, TEMP + "/proc/none")))
                .contains("user.home=/proc/none", "java.io.tmpdir=/proc/none", CACHE);
    }

    @Test
    void shouldNameTheFolderAndTheOptionWhenItCannotBeExecuted() throws Exception {
        Processes.assumeRoot();
        Path mounted = Files.createDirectory(folder.resolve("noexec"));
        String output = runWhereMounted("noexec", mounted, CACHE + mounted);

        assertThat(told(output)).contains("folder=" + mounted, "shared object", CACHE);
    }

    @Test
    void shouldNameTheFolderAndTheOptionWhenItIsFull() throws Exception {
        Processes.assumeRoot();
        Path mounted = Files.createDirectory(folder.resolve("full"));
        String output = runWhereMounted("size=16k", mounted, CACHE + mounted);

        assertThat(told(output)).contains("folder=" + mounted, "No space left", CACHE);
    }

    @Test
    void shouldRefuseTheFolderForTemporaryFilesWhenAnotherUserHasMadeIt() throws Exception {
        Processes.assumeRoot();
        Path made = folder.resolve(".javacpp-" + System.getProperty("user.name"));
        Files.createDirectories(made.resolve("cache"));
        Files.setAttribute(made, "unix:uid", Processes.NOBODY);

        assertThat(told(run(NO_HOME, TEMP + folder)))
                .contains(made + " belongs to uid=" + Processes.NOBODY, CACHE);
        assertThat(made.resolve("cache")).isEmptyDirectory();
    }

    @Test
    void shouldRefuseTheFolderForTemporaryFilesWhenALinkLeadsElsewhere() throws Exception {
        Path made = folder.resolve(".javacpp-" + System.getProperty("user.name"));
        Path elsewhere = Files.createDirectory(folder.resolve("elsewhere"));
        Files.createDirectory(made);
        Files.createSymbolicLink(made.resolve("cache"), elsewhere);

        assertThat(told(run(NO_HOME, TEMP + folder))).contains(made + " leads to " + elsewhere);
        assertThat(elsewhere).isEmptyDirectory();
    }

    @Test
    void shouldLoadWithoutAFolderForTemporaryFilesWhenHomeCanBeWritten() throws Exception {
        // Newer JVMs warn of the folder before.
        assertThat(run("-Duser.home=" + folder, TEMP + "/proc/none")).endsWith("loaded\nloaded\n");
        assertThat(run(CACHE + folder.resolve("own"), TEMP + "/proc/none"))
                .endsWith("loaded\nloaded\n");
    }

    private List<String> command(Class<?> program, String... options) {
        List<String> command = Processes.java("ALL-UNNAMED");
        // Without files in the temporary folder, which JVMs that start together dispute in public.
        command.addAll(List.of("-Xmx32m", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData"));
        command.addAll(List.of(options));
        command.add("-cp");
        command.add(
                Processes.joined(
                        Processes.concat(
                                List.of(jar),
                                Processes.concat(
                                        Processes.library(), Processes.classPathOf(program)))));
        command.add(program.getName());
        return command;
    }

    private String run(String... options) throws Exception {
        return Processes.output(new ProcessBuilder(command(Program.class, options)));
    }

    /** In a mount namespace of its own, so that the folder is gone with the JVM. */
    private String runWhereMounted(String how, Path mounted, String... options) throws Exception {
        assumeTrue(
                new ProcessBuilder("unshare", "-m", "true").start().waitFor() == 0,
                "it takes a mount namespace");
        List<String> inside =
                List.of(
                        "unshare",
                        "-m",
                        "sh",
                        "-c",
                        "mount -t tmpfs -o $0 tmpfs $1 && shift && exec \"$@\"",
                        how,
                        mounted.toString());
        return Processes.output(
                new ProcessBuilder(Processes.concat(inside, command(Program.class, options))));
    }

    /** What the program was told, the same each time. */
    private static String told(String output) {
        List<String> lines = output.lines().filter(line -> line.startsWith("load:")).toList();
        assertThat(lines).as(output).hasSize(2);
        assertThat(lines.get(1)).isEqualTo(lines.get(0));
        return lines.get(0);
    }

    @Test
    void shouldLoadAndMeetWhenManyStartAtOnceWithNothingExtracted() throws Exception {
        int jvms = Integer.getInteger("polyshm.test.jvms", 50);
        String name = segments.name();
        Path cache = folder.resolve("cache");
        List<Process> all = new ArrayList<>();
        try {
            for (int i = 0; i < jvms; i++) {
                List<String> command = command(OneOfMany.class, CACHE + cache);
                command.add(name);
                all.add(new ProcessBuilder(command).redirectErrorStream(true).start());
            }
            List<BufferedReader> outputs = all.stream().map(Process::inputReader).toList();
            for (BufferedReader output : outputs) {
                assertThat(output.readLine()).isEqualTo("started");
            }
            assertThat(cache).doesNotExist();
            for (Process each : all) {
                each.getOutputStream().write('\n');
                each.getOutputStream().flush();
            }
            List<String> numbers = new ArrayList<>();
            for (BufferedReader output : outputs) {
                numbers.add(output.readLine());
            }
            assertThat(numbers)
                    .doesNotHaveDuplicates()
                    .allMatch(each -> each.startsWith("number "));
            for (int i = 0; i < jvms; i++) {
                all.get(i).getOutputStream().close();
                assertThat(outputs.get(i).readLine()).isEqualTo("met " + jvms);
                assertThat(outputs.get(i).readLine()).isNull();
                assertThat(all.get(i).waitFor()).isZero();
            }
        } finally {
            all.forEach(Process::destroyForcibly);
        }
    }
}
