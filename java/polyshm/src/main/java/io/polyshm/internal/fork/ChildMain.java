// SPDX-License-Identifier: Apache-2.0
package io.polyshm.internal.fork;

import io.polyshm.ForkedJvm;
import java.io.BufferedInputStream;
import java.io.FileInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.util.Arrays;

/**
 * The main class of a child JVM. It is on the way of every start, so it stays away from whatever
 * loads many classes: no lambdas, no streams, no management, no java.nio.file.
 *
 * <p>Arguments, made by {@link JvmLauncher}: the process id of the parent that must not be
 * outlived, or {@code outlive}; {@code run} or {@code call}; the path of the task, the path of the
 * outcome, and the task's description, which is for whoever lists processes.
 *
 * <p>What is deserialized here comes from the parent alone. The kernel lets no other user open the
 * files of a parent, and both of them begin with a random token, which the parent writes to the
 * pipe at standard input: whoever has taken the parent's process id since then does not know it.
 */
public final class ChildMain {
    /** The exit code of a child whose parent is gone; as a shell gives for SIGHUP. */
    static final int PARENT_GONE = 129;

    private ChildMain() {}

    /**
     * Runs the task of a child JVM.
     *
     * @param args see the class
     * @throws Throwable what the task threw, for the launcher to print and to exit with 1
     */
    public static void main(String[] args) throws Throwable {
        byte[] token = System.in.readNBytes(Outcome.TOKEN_BYTES);
        if (!args[0].equals("outlive")) {
            new ParentWatch(Long.parseLong(args[0])).begin();
        }
        // The pipe at standard input is the bond to the parent, not input for the task.
        System.setIn(InputStream.nullInputStream());
        boolean call = args[1].equals("call");

        try (Outcome.Writer outcome = new Outcome.Writer(args[3])) {
            checkToken(outcome.token(), token);
            runTask(readTask(args[2], token, outcome), call, outcome);
        }
    }

    private static Object readTask(String path, byte[] token, Outcome.Writer outcome)
            throws IOException {
        try (InputStream file = new BufferedInputStream(new FileInputStream(path), 1 << 16)) {
            checkToken(file.readNBytes(Outcome.TOKEN_BYTES), token);
            ClassLoader loader = Thread.currentThread().getContextClassLoader();
            try (LoadingInputStream in = new LoadingInputStream(file, loader)) {
                return in.readObject();
            }
        } catch (Throwable failure) { // its objects' own code is at work
            outcome.failed(Outcome.Kind.TASK_UNREADABLE, "", failure);
            System.exit(1);
            throw new AssertionError(failure);
        }
    }

    private static void runTask(Object task, boolean call, Outcome.Writer outcome)
            throws Throwable {
        Object result = null;
        try {
            outcome.running();
            if (call) {
                result = ((ForkedJvm.Computation<?>) task).call();
            } else {
                ((ForkedJvm.Task) task).run();
            }
        } catch (Throwable thrown) {
            outcome.failed(Outcome.Kind.THREW, "", thrown);
            if (call) {
                // Whoever asks for the result is told; nobody has to ask after a task, so that one
                // is printed, as of any main method.
                Thread.currentThread().setUncaughtExceptionHandler(new Silence());
            }
            throw thrown;
        }
        if (!call) {
            outcome.completed();
            return;
        }
        try {
            outcome.completed(result);
        } catch (Throwable failure) { // as above
            String text = CaptureDiagnosis.of("result", result, failure);
            outcome.failed(Outcome.Kind.RESULT_UNWRITABLE, text, failure);
            System.exit(1);
        }
    }

    private static void checkToken(byte[] read, byte[] expected) {
        if (expected.length != Outcome.TOKEN_BYTES || !Arrays.equals(read, expected)) {
            Runtime.getRuntime().halt(PARENT_GONE);
        }
    }

    private static final class Silence implements Thread.UncaughtExceptionHandler {
        @Override
        public void uncaughtException(Thread thread, Throwable thrown) {}
    }
}
