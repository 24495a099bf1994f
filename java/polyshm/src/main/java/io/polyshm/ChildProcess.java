// SPDX-License-Identifier: Apache-2.0
package io.polyshm;

import io.polyshm.internal.fork.Child;
import io.polyshm.internal.fork.LaunchOptions;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;
import java.util.OptionalInt;
import java.util.concurrent.CompletableFuture;

/**
 * A process that this one has started: a {@link ForkedJvm}, which runs a task, or a {@link
 * SharedProcess}, which is any program.
 *
 * <p>A child never outlives its parent unless {@linkplain Builder#mayOutliveParent asked to}, so a
 * parent {@linkplain #join joins} children whose work it wants done. Once a child has ended it
 * takes neither a thread nor a descriptor of this process, joined or not, unless a process that it
 * left behind still has its standard error.
 *
 * <p>Instances are safe for use by several threads.
 */
public abstract sealed class ChildProcess permits ForkedJvm, SharedProcess {
    private final Child child;

    ChildProcess(Child child) {
        this.child = child;
    }

    /**
     * Waits until the child has ended. Returns if a program exited with code 0, or if a JVM's task
     * ended well and the JVM then exited with code 0; throws otherwise, at every call.
     *
     * @throws SharedProcessException if a program exited with another code or was ended by a
     *     signal, also by {@link #kill}
     * @throws ForkedJvmException if a JVM's task threw (that is the cause), if the JVM could not
     *     read it, or if it ended in another way: by {@link System#exit} before the end of the
     *     task, even with code 0, by a signal or a crash, by {@link #kill}
     * @throws InterruptedException if this thread was interrupted before or while waiting; the
     *     child goes on and can be joined again
     */
    public void join() throws InterruptedException {
        child.await();
        child.check();
    }

    /**
     * Waits until the child has ended, for a limited time.
     *
     * @param timeout not null; zero or less does not wait
     * @return true if the child has ended well, false if it still runs after that time
     * @throws SharedProcessException as of {@link #join()}
     * @throws ForkedJvmException as of {@link #join()}
     * @throws InterruptedException as of {@link #join()}
     */
    public boolean join(Duration timeout) throws InterruptedException {
        if (!child.await(nanos(timeout))) {
            return false;
        }
        child.check();
        return true;
    }

    /**
     * Returns the exit code, however the child ended; never waits.
     *
     * @return empty while the child runs; otherwise what it exited with, or 128 + n if signal n
     *     ended it; a JVM exits with 0 if all went well, with 1 if its task threw
     */
    public OptionalInt exitCode() {
        return child.exitCode();
    }

    /**
     * Tells whether the process still runs; never waits.
     *
     * @return true from {@code start} until the process has ended
     */
    public boolean isAlive() {
        return child.isAlive();
    }

    /**
     * Returns the process id.
     *
     * @return the id, which another process may have once this one has ended
     */
    public long pid() {
        return child.pid();
    }

    /**
     * Asks the process to end (SIGTERM): the shutdown hooks of a JVM run, its task is not
     * interrupted. Does not wait, and has no effect on a child that has ended.
     */
    public void terminate() {
        child.terminate();
    }

    /**
     * Ends the process at once (SIGKILL), whatever it is doing. Locks that it holds become
     * abandoned. Does not wait, and has no effect on a child that has ended.
     */
    public void kill() {
        child.kill();
    }

    /**
     * Returns a future of the exit code. It is completed normally however the child ended, by a
     * thread of this child's own; cancelling it does nothing to the child.
     *
     * @return a new future at each call, completed with what {@link #exitCode} then returns
     */
    public CompletableFuture<Integer> onExit() {
        return child.onExit();
    }

    /**
     * Names the process and its task or command.
     *
     * @return for people, in no fixed format
     */
    @Override
    public String toString() {
        OptionalInt code = exitCode();
        return getClass().getSimpleName()
                + "[pid="
                + pid()
                + ", "
                + child.description()
                + (code.isPresent() ? ", exitCode=" + code.getAsInt() : ", running")
                + "]";
    }

    private static long nanos(Duration timeout) {
        try {
            return timeout.toNanos();
        } catch (ArithmeticException centuries) {
            return timeout.isNegative() ? 0 : Long.MAX_VALUE;
        }
    }

    /**
     * What can be said of any child before it is started. What is not set is as in this process.
     *
     * <p>Not safe for use by several threads at once.
     *
     * @param <B> the builder itself
     */
    public abstract static sealed class Builder<B extends Builder<B>>
            permits ForkedJvm.Builder, SharedProcess.Builder {
        final LaunchOptions options = new LaunchOptions();

        Builder() {}

        abstract B self();

        /**
         * Sets an environment variable, or removes it.
         *
         * @param name not empty, without {@code =} and NUL
         * @param value without NUL; null removes the variable
         * @return this
         * @throws IllegalArgumentException if the name or the value is not allowed
         */
        public B environment(String name, String value) {
            if (name.isEmpty()
                    || name.indexOf('=') >= 0
                    || name.indexOf('\0') >= 0
                    || value != null && value.indexOf('\0') >= 0) {
                throw new IllegalArgumentException(
                        "environment: not a variable: name=" + name + ", value=" + value);
            }
            options.environment.put(name, value);
            return self();
        }

        /**
         * Sets environment variables, or removes them.
         *
         * @param variables names and values as of {@link #environment(String, String)}
         * @return this
         * @throws IllegalArgumentException if a name or a value is not allowed
         */
        public B environment(Map<String, String> variables) {
            variables.forEach(this::environment);
            return self();
        }

        /**
         * Sets the folder in which the child works.
         *
         * @param directory an existing folder
         * @return this
         */
        public B directory(Path directory) {
            options.directory = directory.toAbsolutePath();
            return self();
        }

        /**
         * Sends the standard output of the child elsewhere.
         *
         * @param destination anything but a pipe; by default {@code INHERIT}
         * @return this
         * @throws IllegalArgumentException if it is a pipe or a source
         */
        public B redirectOutput(ProcessBuilder.Redirect destination) {
            options.output = checked("redirectOutput", destination);
            return self();
        }

        /**
         * Sends the standard error of the child elsewhere. Without this it is copied to {@link
         * System#err}, and its end is in the message of an exception that tells of an exit or a
         * crash. That is so for files, too, and for {@code DISCARD} if the child does not
         * {@linkplain #mayOutliveParent outlive its parent}, but not for {@code INHERIT}.
         *
         * @param destination anything but a pipe
         * @return this
         * @throws IllegalArgumentException if it is a pipe or a source
         */
        public B redirectError(ProcessBuilder.Redirect destination) {
            options.error = checked("redirectError", destination);
            return self();
        }

        private static ProcessBuilder.Redirect checked(
                String operation, ProcessBuilder.Redirect destination) {
            ProcessBuilder.Redirect.Type type = destination.type();
            if (type == ProcessBuilder.Redirect.Type.PIPE
                    || type == ProcessBuilder.Redirect.Type.READ) {
                throw new IllegalArgumentException(
                        operation + ": needs a file, DISCARD or INHERIT: destination=" + type);
            }
            return destination;
        }

        /**
         * Lets the child go on when this process ends; by default it ends as well. The result of a
         * JVM is lost then, and what a child writes to its standard error, unless that is
         * redirected; a program is ended by that write (SIGPIPE) if it is not prepared for it.
         *
         * @param mayOutliveParent true if it may
         * @return this
         */
        public B mayOutliveParent(boolean mayOutliveParent) {
            options.mayOutliveParent = mayOutliveParent;
            return self();
        }
    }
}
