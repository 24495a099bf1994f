// SPDX-License-Identifier: Apache-2.0
package io.polyshm;

import io.polyshm.internal.fork.ChildProgram;
import io.polyshm.internal.fork.LaunchOptions;
import io.polyshm.internal.fork.ProgramLauncher;
import java.util.List;

/**
 * Any program, in whatever language, which gets what is shared by its handle.
 *
 * <pre>{@code
 * try (var squares = SharedArray.ofInts(4);
 *         var sum = SharedValue.ofInt(0)) {
 *     SharedProcess child =
 *             SharedProcess.start("python3", "squares.py", squares.handle(), sum.handle());
 *     child.join();                                   // throws unless it exited with 0
 *     System.out.println(sum.get());
 * }
 * }</pre>
 *
 * <p><b>The program</b> is a path, or a name that is looked for in the {@code PATH} of the child.
 * It gets its arguments as they are: no shell is involved. Its environment and its folder are those
 * of this process. A {@link #builder() builder} changes that.
 *
 * <p><b>Streams.</b> The program's standard output is that of this process; its standard error is
 * copied to this JVM's {@link System#err}; its standard input is empty.
 *
 * <p><b>The end.</b> A program never outlives its parent unless {@linkplain
 * ChildProcess.Builder#mayOutliveParent asked to}: the kernel kills it (SIGKILL) as soon as the
 * parent has ended, normally or by a {@code kill -9}, though it knows nothing of this library. That
 * does not reach the processes which the program has started, nor a program that runs as another
 * user, as one that is set-uid does. What is to go on after the program needs a standard error of
 * its own: that of the program is read until its end only, and to write to it then may end the
 * writer (SIGPIPE). Locks that it held become abandoned. Other than with {@link ProcessBuilder},
 * the thread that starts it may end.
 *
 * <p><b>Memory effects.</b> What this thread did before {@code start} is visible to the program,
 * and what the program did is visible to a thread after its {@code join}, in shared memory. After
 * it was killed its stores up to that moment are visible.
 *
 * <p>A task in Java, with what it captures, is run by {@link ForkedJvm}.
 */
public final class SharedProcess extends ChildProcess {
    SharedProcess(ChildProgram child) {
        super(child);
    }

    /**
     * Starts a program; short for {@code builder().start(command)}.
     *
     * @param command the program and its arguments; none of them null
     * @return the child, in which the program runs
     * @throws SharedProcessException if it could not be started
     * @throws IllegalArgumentException if the command is empty, has a NUL, or has a character that
     *     the charset of the locale does not or, with Java 17, {@code file.encoding} has otherwise
     * @throws UnavailableException if the native library is missing
     */
    public static SharedProcess start(String... command) {
        return builder().start(command);
    }

    /**
     * Returns a builder for a program that differs in its environment, folder or streams.
     *
     * @return a new builder
     */
    public static Builder builder() {
        return new Builder();
    }

    /**
     * Describes how a program is started and starts it, any number of times. What is not set is as
     * in this process.
     *
     * <pre>{@code
     * SharedProcess child = SharedProcess.builder()
     *         .environment("MODE", "worker")
     *         .redirectOutput(ProcessBuilder.Redirect.to(new File("worker.txt")))
     *         .start("./worker", jobs.handle());
     * }</pre>
     *
     * <p>Not safe for use by several threads at once.
     */
    public static final class Builder extends ChildProcess.Builder<Builder> {
        Builder() {}

        @Override
        Builder self() {
            return this;
        }

        /**
         * Has the program read a file; by default its standard input is empty. Of a FIFO {@code
         * start} waits for a writer.
         *
         * @param source {@link ProcessBuilder.Redirect#from}
         * @return this
         * @throws IllegalArgumentException if it is not a file to be read from
         */
        public Builder redirectInput(ProcessBuilder.Redirect source) {
            if (source.type() != ProcessBuilder.Redirect.Type.READ) {
                throw new IllegalArgumentException(
                        "redirectInput: needs a file to be read from: source=" + source.type());
            }
            options.input = source.file().getAbsoluteFile();
            return this;
        }

        /**
         * Starts a program.
         *
         * @param command the program and its arguments; none of them null
         * @return the child, in which the program runs
         * @throws SharedProcessException if it could not be started: nothing is left of the attempt
         * @throws IllegalArgumentException if the command is empty, has a NUL, or has a character
         *     that the charset of the locale does not or, with Java 17, {@code file.encoding} has
         *     otherwise
         * @throws UnavailableException if the native library is missing
         */
        public SharedProcess start(String... command) {
            if (command.length == 0 || command[0].isEmpty()) {
                throw new IllegalArgumentException(
                        "start: no program; give its name or path, then its arguments");
            }
            for (String each : command) {
                if (each.indexOf('\0') >= 0) {
                    throw new IllegalArgumentException(
                            "start: no argument can have a NUL: argument="
                                    + each.replace("\0", "\\0"));
                }
                if (!LaunchOptions.reachesProgram(each)) {
                    throw new IllegalArgumentException(
                            "start: the charset of this locale does not have all characters; use"
                                    + " a UTF-8 locale, and with Java 17 the same file.encoding:"
                                    + " argument="
                                    + each);
                }
            }
            return new SharedProcess(ProgramLauncher.start(options, List.of(command)));
        }
    }
}
