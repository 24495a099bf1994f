// SPDX-License-Identifier: Apache-2.0
package io.polyshm.internal.fork;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

/** The child's arguments for kinds of parents that are laborious to start. */
class CommandLineTest {
    private static final Path HOME = Path.of(System.getProperty("java.home"));
    private static final String MAIN = ChildMain.class.getName();

    private static List<String> arguments(ParentJvm parent, Map<String, String> environment) {
        return CommandLine.arguments(parent, new LaunchOptions(), environment);
    }

    private static ParentJvm onClassPath(String... arguments) {
        return new ParentJvm(
                HOME, List.of(arguments), List.of(), "/a:/b", null, null, null, "ALL-UNNAMED");
    }

    @Test
    void shouldInheritWhatDecidesAboutCode() {
        String[] inherited = {
            "-Dx=y",
            "-ea",
            "-da:foo...",
            "-Xcheck:jni",
            "--enable-preview",
            "--add-opens=java.base/java.lang=ALL-UNNAMED",
            "--patch-module=m=/p",
        };
        assertThat(arguments(onClassPath(inherited), Map.of())).startsWith(inherited);
    }

    @Test
    void shouldNotInheritWhatBelongsToOneJvm() {
        List<String> arguments =
                arguments(
                        onClassPath(
                                "-Xmx1g",
                                "-XX:+UseZGC",
                                "-agentlib:jdwp=transport=dt_socket,server=y",
                                "-javaagent:/agent.jar",
                                "-Xrunjdwp:x",
                                "-Xlog:gc",
                                "-Dcom.sun.management.jmxremote.port=9999",
                                "-Djava.class.path=/x"),
                        Map.of());
        assertThat(arguments.toString())
                .doesNotContain("1g", "ZGC", "jdwp", "agent", "Xlog", "9999", "/x");
        assertThat(arguments).endsWith("-cp", "/a:/b", MAIN);
    }

    @Test
    void shouldMakePathsAbsolute() {
        String here = Path.of("").toAbsolutePath().toString();
        ParentJvm parent =
                new ParentJvm(
                        HOME,
                        List.of("--patch-module=m=p:/q", "-Xbootclasspath/a:b"),
                        List.of(),
                        "a::/c",
                        "mods",
                        null,
                        null,
                        "ALL-UNNAMED");
        assertThat(arguments(parent, Map.of()))
                .contains(
                        "--patch-module=m=" + here + "/p:/q",
                        "-Xbootclasspath/a:" + here + "/b",
                        "--module-path=" + here + "/mods")
                .containsSequence("-cp", here + "/a:" + here + ":/c");
    }

    @Test
    void shouldNotPatchTwiceWhenVariableDoes() {
        ParentJvm parent = onClassPath("--patch-module=m=/p", "--patch-module=n=/q");
        assertThat(arguments(parent, Map.of("JDK_JAVA_OPTIONS", "--patch-module m=/p")))
                .contains("--patch-module=n=/q")
                .doesNotContain("--patch-module=m=/p");
    }

    @Test
    void shouldStartLibraryModuleWhenItIsOne() {
        ParentJvm parent =
                new ParentJvm(
                        HOME, List.of(), List.of(), "", "/m", "app", "io.polyshm", "io.polyshm,x");
        assertThat(arguments(parent, Map.of()))
                .contains("--add-modules=app", "--module-path=/m")
                .doesNotContain("-cp")
                .endsWith("-m", "io.polyshm/" + MAIN);
    }

    @Test
    void shouldAddDefaultModulesWhenApplicationIsOnClassPath() {
        ParentJvm parent =
                new ParentJvm(
                        HOME, List.of(), List.of(), "/a", "/m", null, "io.polyshm", "io.polyshm");
        assertThat(arguments(parent, Map.of()))
                .contains("--add-modules=ALL-DEFAULT")
                .endsWith("-cp", "/a", "-m", "io.polyshm/" + MAIN);
    }

    @Test
    void shouldAllowNativeAccessOnlyWhereItIsAskedFor() {
        List<String> arguments = arguments(onClassPath(), Map.of());
        boolean asked = Runtime.version().feature() >= 24;
        assertThat(arguments.contains("--enable-native-access=ALL-UNNAMED")).isEqualTo(asked);
    }

    @Test
    void shouldQuoteWhenArgumentsAreOdd() {
        byte[] file = CommandLine.argumentFile(List.of("a b", "\"", "\\", "#", "\n\t", ""));
        assertThat(new String(file, CommandLine.CHARSET))
                .isEqualTo("\"a b\"\n\"\\\"\"\n\"\\\\\"\n\"#\"\n\"\\n\\t\"\n\"\"\n");
    }
}
