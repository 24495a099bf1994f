// SPDX-License-Identifier: Apache-2.0
package io.polyshm.internal.fork;

import io.polyshm.SharedProcessException;
import java.util.List;

/** A child that runs any program. */
public final class ChildProgram extends Child {
    private volatile Ending ending;

    ChildProgram(Process process, List<String> command, LaunchOptions options) {
        super(process, "command=" + command, options);
    }

    @Override
    void end(Ending how) {
        ending = how;
    }

    @Override
    public void check() {
        if (ending.exitCode() != 0) {
            String child = "pid=" + pid() + ", " + description();
            throw new SharedProcessException(
                    "JAVA_EENDED", "join: " + ending.describe("the program ended", child), null);
        }
    }
}
