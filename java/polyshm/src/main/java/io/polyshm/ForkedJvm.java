// SPDX-License-Identifier: Apache-2.0
package io.polyshm;

import io.polyshm.internal.fork.ChildJvm;
import io.polyshm.internal.fork.JvmLauncher;
import io.polyshm.internal.fork.LaunchOptions;
import java.io.Serializable;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.Callable;
import java.util.concurrent.TimeoutException;

/**
 * A new JVM that runs one task: a lambda, or any serializable object, with what it captures.
 *
 * <pre>{@code
 * try (var squares = SharedArray.ofInts(4)) {
 *     ForkedJvm child = ForkedJvm.start(() -> {
 *         for (int i = 0; i < 4; i++) squares.set(i, i * i);
 *     });
 *     child.join();                                   // throws if the task did
 *     System.out.println(Arrays.toString(squares.toArray()));
 * }
 *
 * long primes = ForkedJvm.call(() -> countPrimes(1_000_000)).get();
 * }</pre>
 *
 * <p><b>What travels.</b> The task is copied by Java serialization: changes that the child makes to
 * a captured object stay in the child. Objects of this package are the exception: they refer to the
 * same memory in both. If something captured is not serializable, {@code start} throws before there
 * is any process, and says by which variables and fields it is reached. Statics are those of a
 * fresh JVM.
 *
 * <p><b>The child's JVM</b> is started as this one was: the same Java home, class path, module
 * path, system properties given on the command line, assertions and module options ({@code
 * --add-opens} and the like), environment and folder. Not inherited are sizes and tuning ({@code
 * -Xmx}, {@code -XX}), agents, debuggers, remote management and what was set by {@link
 * System#setProperty}. A {@link #builder() builder} changes any of it.
 *
 * <p><b>Streams.</b> The child's standard output is that of this process; its standard error is
 * copied to this JVM's {@link System#err}; its {@link System#in} is empty.
 *
 * <p><b>The end.</b> The JVM ends as any does: when the task and all threads that are not daemons
 * have ended, or by {@link System#exit}. A child never outlives its parent unless {@linkplain
 * Builder#mayOutliveParent asked to}: it halts, without shutdown hooks, as soon as the parent has
 * ended, normally or by a {@code kill -9}. So a parent {@linkplain #join joins} children whose work
 * it wants done.
 *
 * <p><b>Memory effects.</b> What this thread did before {@code start} is visible to the task, and
 * what the task did is visible to a thread after its {@code join} or {@code get}, shared memory
 * included. After a child was killed its stores up to that moment are visible.
 *
 * <p>A program that is not a task of this one is started by {@link SharedProcess}.
 */
public sealed class ForkedJvm extends ChildProcess permits ForkedJvm.Call {
    ForkedJvm(ChildJvm child) {
        super(child);
    }

    /** What a child JVM runs. A lambda given for it is serializable by itself. */
    @FunctionalInterface
    public interface Task extends Serializable {
        /**
         * Runs in the main thread of the child JVM.
         *
         * @throws Exception whatever {@link ForkedJvm#join} is to report
         */
        void run() throws Exception;
    }

    /**
     * What a child JVM computes. A lambda given for it is serializable by itself.
     *
     * @param <T> the type of the result, whose objects have to be serializable
     */
    @FunctionalInterface
    public interface Computation<T> extends Callable<T>, Serializable {
        /**
         * Runs in the main thread of the child JVM.
         *
         * @return the result, which may be null
         * @throws Exception whatever {@link Call#get()} is to report
         */
        @Override
        T call() throws Exception;
    }

    /**
     * Starts a JVM that runs {@code task}; short for {@code builder().start(task)}.
     *
     * @param task not null, serializable with all that it refers to
     * @return the child, which may not have begun yet
     * @throws ForkedJvmException if the task cannot travel, or no process could be started
     * @throws UnavailableException if the native library is missing
     */
    public static ForkedJvm start(Task task) {
        return builder().start(task);
    }

    /**
     * Starts a JVM that computes a result; short for {@code builder().call(computation)}.
     *
     * @param <T> the type of the result
     * @param computation not null, serializable with all that it refers to
     * @return the child, which may not have begun yet
     * @throws ForkedJvmException if the computation cannot travel, or no process could be started
     * @throws UnavailableException if the native library is missing
     */
    public static <T> Call<T> call(Computation<T> computation) {
        return builder().call(computation);
    }

    /**
     * Returns a builder for a child JVM that differs from this one.
     *
     * @return a new builder
     */
    public static Builder builder() {
        return new Builder();
    }

    /**
     * A child JVM that computes a result.
     *
     * <pre>{@code
     * ForkedJvm.Call<Long> primes = ForkedJvm.call(() -> countPrimes(1_000_000));
     * long n = primes.get();
     * }</pre>
     *
     * <p>The result travels when the child has ended, so what it refers to must outlive the child:
     * a shared object in it has to belong to a segment that another process has open, too.
     *
     * @param <T> the type of the result
     */
    public static final class Call<T> extends ForkedJvm {
        private final ChildJvm child;
        private Object result;
        private boolean read;

        Call(ChildJvm child) {
            super(child);
            this.child = child;
        }

        /**
         * Waits until the child has ended and returns its result.
         *
         * @return the same object at every call; may be null
         * @throws ForkedJvmException as of {@link #join()}, or if the result, or what it refers to,
         *     is not serializable or cannot be read here; what came of that is the cause
         * @throws InterruptedException as of {@link #join()}
         */
        public T get() throws InterruptedException {
            join();
            return result();
        }

        /**
         * Waits for a limited time until the child has ended and returns its result.
         *
         * @param timeout not null; zero or less does not wait
         * @return the same object at every call; may be null
         * @throws TimeoutException if the child still runs after that time
         * @throws ForkedJvmException as of {@link #get()}
         * @throws InterruptedException as of {@link #join()}
         */
        public T get(Duration timeout) throws InterruptedException, TimeoutException {
            if (!join(timeout)) {
                throw new TimeoutException("get: the child JVM still runs: " + this);
            }
            return result();
        }

        @SuppressWarnings("unchecked")
        private synchronized T result() {
            if (!read) {
                result = child.takeResult();
                read = true;
            }
            return (T) result;
        }
    }

    /**
     * Describes a child JVM and starts it, any number of times. What is not set is as in this JVM.
     *
     * <pre>{@code
     * ForkedJvm child = ForkedJvm.builder()
     *         .jvmOptions("-Xmx64m", "-Dmode=worker")
     *         .redirectError(ProcessBuilder.Redirect.appendTo(new File("worker.log")))
     *         .start(() -> work());
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
         * Adds options of the {@code java} command, after those that are inherited, so that these
         * win.
         *
         * @param jvmOptions one token each, for example {@code "-Xmx64m"}; argument files are not
         *     expanded
         * @return this
         * @throws IllegalArgumentException if one is empty, begins with {@code @}, has a NUL, or
         *     has a character that the charset of the locale does not
         */
        public Builder jvmOptions(String... jvmOptions) {
            for (String option : jvmOptions) {
                if (option.isEmpty() || option.startsWith("@") || option.indexOf('\0') >= 0) {
                    throw new IllegalArgumentException(
                            "jvmOptions: not one option of the java command: option=" + option);
                }
                if (!LaunchOptions.isExpressible(option)) {
                    throw new IllegalArgumentException(
                            "jvmOptions: the charset of this locale does not have all characters;"
                                    + " use a UTF-8 locale: option="
                                    + option);
                }
            }
            options.jvmOptions.addAll(List.of(jvmOptions));
            return this;
        }

        /**
         * Sets the class path, in the place of this JVM's. It needs the classes of the task, and
         * this library unless that is on the module path.
         *
         * @param entries jars and folders, relative ones to the folder of this process
         * @return this
         */
        public Builder classPath(Path... entries) {
            options.classPath = List.of(entries);
            return this;
        }

        /**
         * Sets the module path, in the place of this JVM's.
         *
         * @param entries modules and folders of modules, relative ones to the folder of this
         *     process
         * @return this
         */
        public Builder modulePath(Path... entries) {
            options.modulePath = List.of(entries);
            return this;
        }

        /**
         * Sets the Java runtime, which has to be version 17 or later.
         *
         * @param javaHome the folder that has {@code bin/java}
         * @return this
         */
        public Builder javaHome(Path javaHome) {
            options.javaHome = javaHome.toAbsolutePath();
            return this;
        }

        /**
         * Starts a JVM that runs {@code task}.
         *
         * @param task not null, serializable with all that it refers to
         * @return the child, which may not have begun yet
         * @throws ForkedJvmException if the task cannot travel, or no process could be started:
         *     nothing is left of the attempt
         * @throws UnavailableException if the native library is missing
         */
        public ForkedJvm start(Task task) {
            Objects.requireNonNull(task, "task");
            return new ForkedJvm(JvmLauncher.start(options, task, false));
        }

        /**
         * Starts a JVM that computes a result.
         *
         * @param <T> the type of the result
         * @param computation not null, serializable with all that it refers to
         * @return the child, which may not have begun yet
         * @throws ForkedJvmException if the computation cannot travel, or no process could be
         *     started: nothing is left of the attempt
         * @throws UnavailableException if the native library is missing
         */
        public <T> Call<T> call(Computation<T> computation) {
            Objects.requireNonNull(computation, "computation");
            return new Call<>(JvmLauncher.start(options, computation, true));
        }
    }
}
