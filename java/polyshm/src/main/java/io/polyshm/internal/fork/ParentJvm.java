// SPDX-License-Identifier: Apache-2.0
package io.polyshm.internal.fork;

import java.io.File;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Properties;
import java.util.jar.Attributes;
import java.util.jar.JarFile;
import java.util.jar.Manifest;

/**
 * How this JVM was started, as far as its children have to be started alike. A value of its own, so
 * that every kind of start can be tested without one.
 *
 * @param javaHome the runtime's folder
 * @param arguments the JVM's arguments, one token each, argument files expanded
 * @param manifestArguments what the manifest of a {@code java -jar} start amounts to
 * @param classPath the class path as one string, empty if there is none
 * @param modulePath the module path as one string, or null
 * @param mainModule the module started by {@code -m}, or null
 * @param libraryModule the name of this library's module, or null if it is on the class path
 * @param nativeModules the modules that call native code, or {@code ALL-UNNAMED}
 */
record ParentJvm(
        Path javaHome,
        List<String> arguments,
        List<String> manifestArguments,
        String classPath,
        String modulePath,
        String mainModule,
        String libraryModule,
        String nativeModules) {

    static ParentJvm current() {
        Properties properties = System.getProperties();
        String classPath = properties.getProperty("java.class.path", "");
        String mainModule = properties.getProperty("jdk.module.main");
        Module library = ParentJvm.class.getModule();
        return new ParentJvm(
                Path.of(properties.getProperty("java.home")),
                ManagementFactory.getRuntimeMXBean().getInputArguments(),
                mainModule == null
                        ? ofManifest(classPath, properties.getProperty("sun.java.command", ""))
                        : List.of(),
                classPath,
                properties.getProperty("jdk.module.path"),
                mainModule,
                library.getName(),
                nativeModules(library));
    }

    private static String nativeModules(Module library) {
        if (!library.isNamed()) {
            return "ALL-UNNAMED";
        }
        boolean binding = library.getLayer().findModule("org.bytedeco.javacpp").isPresent();
        return library.getName() + (binding ? ",org.bytedeco.javacpp" : "");
    }

    /** What {@code java -jar} takes from a manifest and {@code java -cp} does not. */
    private static List<String> ofManifest(String classPath, String command) {
        boolean startedByJar = command.equals(classPath) || command.startsWith(classPath + " ");
        if (!startedByJar || classPath.isEmpty() || !new File(classPath).isFile()) {
            return List.of();
        }
        List<String> arguments = new ArrayList<>();
        try (JarFile jar = new JarFile(classPath)) {
            Manifest manifest = jar.getManifest();
            if (manifest != null) {
                Attributes main = manifest.getMainAttributes();
                addEach(arguments, "--add-exports=", main.getValue("Add-Exports"), "=ALL-UNNAMED");
                addEach(arguments, "--add-opens=", main.getValue("Add-Opens"), "=ALL-UNNAMED");
                addEach(
                        arguments,
                        "--enable-native-access=",
                        main.getValue("Enable-Native-Access"),
                        "");
            }
        } catch (IOException unreadable) {
            // Then it is no jar, or it is gone: the child says so when it looks for its classes.
        }
        return arguments;
    }

    private static void addEach(List<String> to, String option, String values, String target) {
        if (values != null) {
            for (String value : values.trim().split("\\s+")) {
                to.add(option + value + target);
            }
        }
    }
}
