// SPDX-License-Identifier: Apache-2.0
package io.polyshm.programs;

import io.polyshm.ForkedJvm;
import java.lang.management.ManagementFactory;
import java.util.List;

/**
 * Started by tests in every way that a JVM can be started: forks a child and prints what that saw.
 * It stands in a package of its own, so that the library can be a module while this is not.
 */
public final class ForkAndPrint {
    private ForkAndPrint() {}

    /** Prints one line: the module of this class, of the library, and what was asked for. */
    public static void main(String[] args) throws InterruptedException {
        List<String> captured = List.of(args);
        System.out.println(ForkedJvm.call(() -> describe(captured)).get());
    }

    private static String describe(List<String> captured) {
        StringBuilder text = new StringBuilder();
        text.append("module=").append(ForkAndPrint.class.getModule().getName());
        text.append(" library=").append(ForkedJvm.class.getModule().getName());
        text.append(" mode=").append(System.getProperty("mode"));
        text.append(" open=")
                .append(
                        String.class
                                .getModule()
                                .isOpen("java.lang", ForkAndPrint.class.getModule()));
        text.append(" sql=").append(ModuleLayer.boot().findModule("java.sql").isPresent());
        boolean assertions = ForkAndPrint.class.desiredAssertionStatus();
        text.append(" assertions=").append(assertions);
        text.append(" agentsOrHeap=")
                .append(
                        ManagementFactory.getRuntimeMXBean().getInputArguments().stream()
                                .anyMatch(each -> each.startsWith("-Xm")));
        return text.append(" args=").append(captured).toString();
    }
}
