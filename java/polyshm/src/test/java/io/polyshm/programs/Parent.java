// SPDX-License-Identifier: Apache-2.0
package io.polyshm.programs;

import io.polyshm.ChildProcess;
import io.polyshm.ForkedJvm;
import io.polyshm.SharedProcess;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/** A parent that tests kill: starts children that would run for ever, and prints their ids. */
public final class Parent {
    /** The same as {@link #answer}, and it writes what nobody reads. */
    private static final String ANSWER =
            ": > begun; while [ ! -e question ]; do sleep 0.01; done; echo >&2; : > answer";

    private Parent() {}

    /**
     * Starts and waits.
     *
     * @param args {@code sleep}; {@code nest}, for a child with a child of its own; {@code hook},
     *     for one whose shutdown never ends; {@code outlive} and a folder, for one that may go on;
     *     {@code program} and {@code program-outlive}, for a program instead of a JVM
     */
    public static void main(String[] args) throws InterruptedException {
        ChildProcess child =
                switch (args[0]) {
                    case "sleep" -> ForkedJvm.start(Parent::sleep);
                    case "nest" ->
                            ForkedJvm.start(
                                    () -> {
                                        System.out.println(ForkedJvm.start(Parent::sleep).pid());
                                        sleep();
                                    });
                    case "hook" -> ForkedJvm.start(Parent::neverShutDown);
                    case "outlive" -> {
                        String folder = args[1];
                        yield ForkedJvm.builder()
                                .mayOutliveParent(true)
                                .start(() -> answer(Path.of(folder)));
                    }
                    case "program" -> SharedProcess.start("sleep", "1000000");
                    case "program-outlive" ->
                            SharedProcess.builder()
                                    .mayOutliveParent(true)
                                    .directory(Path.of(args[1]))
                                    .redirectError(ProcessBuilder.Redirect.DISCARD)
                                    .start("sh", "-c", ANSWER);
                    default -> throw new IllegalArgumentException(args[0]);
                };
        System.out.println(child.pid());
        if (!args[0].endsWith("outlive")) {
            sleep();
        }
    }

    private static void sleep() throws InterruptedException {
        Thread.sleep(Long.MAX_VALUE);
    }

    private static void neverShutDown() {
        Runtime.getRuntime()
                .addShutdownHook(
                        new Thread(
                                () -> {
                                    System.out.println("in hook");
                                    try {
                                        sleep();
                                    } catch (InterruptedException never) {
                                        throw new AssertionError(never);
                                    }
                                }));
        System.exit(0);
    }

    private static void answer(Path folder) throws IOException, InterruptedException {
        Files.createFile(folder.resolve("begun"));
        while (!Files.exists(folder.resolve("question"))) {
            Thread.sleep(10);
        }
        Files.createFile(folder.resolve("answer"));
    }
}
