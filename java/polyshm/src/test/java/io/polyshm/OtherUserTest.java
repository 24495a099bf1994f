// SPDX-License-Identifier: Apache-2.0
package io.polyshm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.BufferedReader;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;

/** What one user can do to another's segments and children: nothing, unless both want it. */
@Timeout(120)
class OtherUserTest {
    @RegisterExtension final Segments segments = new Segments();
    @TempDir Path folder;

    /** Run as another user, in a JVM of its own. */
    static final class Program {
        private Program() {}

        /** Opens a private and a public segment, then makes one that stays until the input ends. */
        public static void main(String[] names) throws IOException {
            for (String name : List.of(names[0], names[1])) {
                for (SharedMemory.Builder how :
                        List.of(SharedMemory.builder(), SharedMemory.builder().allowOtherOwner())) {
                    try (SharedMemory memory = how.open(name)) {
                        System.out.println(SharedValue.ofInt(memory, "x").getAndAdd(1));
                    } catch (PolyshmException refused) {
                        System.out.println(refused);
                    }
                }
            }
            SharedMemory.builder()
                    .permissions(0666)
                    .lifetime(SharedMemory.Lifetime.LAST_OUT)
                    .create(names[2], 1000);
            System.out.println("made");
            System.in.read();
        }
    }

    @BeforeEach
    void openFolder() throws IOException {
        Processes.assumeRoot();
        Files.setPosixFilePermissions(folder, PosixFilePermissions.fromString("rwxr-xr-x"));
    }

    @Test
    void shouldOpenAnothersSegmentOnlyWhenBothAllowIt() throws Exception {
        String mine = segments.name();
        String open = segments.name();
        String theirs = segments.name();
        try (SharedMemory secret = SharedMemory.create(mine, 1000);
                SharedMemory common = SharedMemory.builder().permissions(0666).create(open, 1000)) {
            SharedValue.ofInt(secret, "x").set(41);
            SharedValue.ofInt(common, "x").set(42);
            Process other = startAsNobody(mine, open, theirs);
            try (BufferedReader lines = other.inputReader()) {
                String refused = PermissionDeniedException.class.getName();
                assertThat(lines.readLine()).startsWith(refused).contains(mine);
                assertThat(lines.readLine()).startsWith(refused).contains(mine);
                assertThat(lines.readLine()).startsWith(refused).contains(open, "uid=0");
                assertThat(lines.readLine()).isEqualTo("42");
                assertThat(SharedValue.ofInt(common, "x").get()).isEqualTo(43);
                assertThat(lines.readLine()).isEqualTo("made");

                assertThatThrownBy(() -> SharedMemory.open(theirs))
                        .isInstanceOf(PermissionDeniedException.class)
                        .hasMessageContaining("uid=" + Processes.NOBODY);
                assertThatThrownBy(() -> SharedMemory.openOrCreate(theirs, 1000))
                        .isInstanceOf(PermissionDeniedException.class);
                SharedMemory.builder().allowOtherOwner().open(theirs).close();
            } finally {
                other.destroyForcibly().waitFor();
            }
        }
    }

    @Test
    void shouldKeepWhatTravelsToAChildFromOtherUsers() throws Exception {
        ForkedJvm child = ForkedJvm.start(() -> Thread.sleep(Long.MAX_VALUE));
        try {
            String arguments = Files.readString(Path.of("/proc/" + child.pid() + "/cmdline"));
            List<String> files =
                    Stream.of(arguments.split("\0"))
                            .map(each -> each.replaceFirst("^@", ""))
                            .filter(each -> each.startsWith("/proc/"))
                            .toList();
            assertThat(files).hasSize(3).allSatisfy(each -> assertThat(Path.of(each)).exists());
            for (String file : files) {
                for (String attempt : List.of("cat <$0", "echo >$0", "ls $(dirname $0)")) {
                    Process other =
                            new ProcessBuilder(
                                            Processes.asNobody(List.of("sh", "-c", attempt, file)))
                                    .redirectErrorStream(true)
                                    .start();
                    String said = new String(other.getInputStream().readAllBytes());
                    assertThat(said).as(attempt).contains("ermission denied");
                    assertThat(other.waitFor()).isNotZero();
                }
            }
        } finally {
            child.kill();
            child.onExit().join();
        }
    }

    private Process startAsNobody(String... names) throws IOException {
        List<Path> classPath = new ArrayList<>();
        List<Path> sources =
                Processes.concat(Processes.library(), Processes.classPathOf(Program.class));
        for (Path source : sources) { // which may be where only root can read
            classPath.add(copy(source, folder.resolve("" + classPath.size())));
        }
        List<String> command = Processes.java("ALL-UNNAMED");
        command.addAll(
                List.of(
                        "-Duser.home=/proc/none",
                        "-Djava.io.tmpdir=" + Files.createDirectory(folder.resolve("tmp")),
                        "-cp",
                        Processes.joined(classPath),
                        Program.class.getName()));
        command.addAll(List.of(names));
        Files.setAttribute(folder.resolve("tmp"), "unix:uid", Processes.NOBODY);
        return new ProcessBuilder(Processes.asNobody(command)).redirectErrorStream(true).start();
    }

    private static Path copy(Path source, Path target) throws IOException {
        try (Stream<Path> all = Files.walk(source)) {
            for (Path each : all.toList()) {
                Files.copy(each, target.resolve(source.relativize(each).toString()));
            }
        }
        return target;
    }
}
