// SPDX-License-Identifier: Apache-2.0
package io.polyshm.internal.fork;

import io.polyshm.ForkedJvmException;
import java.io.IOException;
import java.util.List;

/** A child that runs a task, and tells its outcome in a file. */
public final class ChildJvm extends Child {
    private final ScratchFile outcomeFile;
    private final List<ScratchFile> scratch;
    private volatile JvmEnding ending;

    /**
     * Takes over a process that was just started.
     *
     * @param scratch the files to be closed at its end, the outcome among them
     */
    ChildJvm(
            Process process,
            String task,
            ScratchFile outcomeFile,
            List<ScratchFile> scratch,
            LaunchOptions options) {
        super(process, "task=" + task, options);
        this.outcomeFile = outcomeFile;
        this.scratch = scratch;
    }

    @Override
    void end(Ending how) {
        Outcome outcome = null;
        Throwable problem = null;
        try {
            outcome = Outcome.read(outcomeFile.path());
        } catch (IOException | RuntimeException | OutOfMemoryError e) {
            problem = e;
        }
        scratch.forEach(ScratchFile::close);
        String child = "pid=" + pid() + ", " + description();
        ending = new JvmEnding(child, how, outcome, problem);
    }

    @Override
    public void check() {
        ending.check(loader());
    }

    /** After {@link #check()}: the result. Once it was read its bytes are dropped. */
    public Object takeResult() {
        JvmEnding last = ending;
        try {
            Object result = LoadingInputStream.read(last.outcome().payload(), loader());
            ending = last.withoutPayload();
            return result;
        } catch (Throwable e) { // its objects' own code is at work
            throw new ForkedJvmException(
                    "JAVA_ERESULT",
                    "get: the result of the child JVM cannot be read here: "
                            + last.child()
                            + ": "
                            + StandInException.of(e),
                    e);
        }
    }

    private static ClassLoader loader() {
        ClassLoader context = Thread.currentThread().getContextClassLoader();
        return context != null ? context : ChildJvm.class.getClassLoader();
    }
}
