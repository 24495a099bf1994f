// SPDX-License-Identifier: Apache-2.0
package io.polyshm.benchmarks;

import java.util.List;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.runner.Runner;
import org.openjdk.jmh.runner.RunnerException;
import org.openjdk.jmh.runner.options.ChainedOptionsBuilder;
import org.openjdk.jmh.runner.options.OptionsBuilder;
import org.openjdk.jmh.runner.options.TimeValue;
import org.openjdk.jmh.runner.options.VerboseMode;

/**
 * One fork of a JMH benchmark: its fastest iteration, as other work of the machine only ever adds
 * to one. The compiler's luck is another matter, so there have to be several trials.
 */
final class JmhTrial implements Trial {
    private static final int WARMUPS = 3;
    private static final int ITERATIONS = 5;

    private final Class<?> benchmark;
    private final String method;
    private final List<String> jvmOptions;
    private final long iterationMillis;
    private final int length;
    private final int reads;
    private final int perInvocation;

    private JmhTrial(
            Class<?> benchmark,
            String method,
            List<String> jvmOptions,
            long iterationMillis,
            int length,
            int reads,
            int perInvocation) {
        this.benchmark = benchmark;
        this.method = method;
        this.jvmOptions = jvmOptions;
        this.iterationMillis = iterationMillis;
        this.length = length;
        this.reads = reads;
        this.perInvocation = perInvocation;
    }

    /** A benchmark without parameters. */
    static JmhTrial of(Class<?> benchmark, String method) {
        return new JmhTrial(benchmark, method, List.of(), 100, 0, 0, 1);
    }

    /** A benchmark of passes over an array; the figure is that of one element. */
    static JmhTrial ofArray(Class<?> benchmark, String method, int length, int reads) {
        boolean large = Pass.isLarge(length);
        return new JmhTrial(
                benchmark,
                method,
                large ? List.of("-Xmx4g") : List.of(), // else as much as users' JVMs have
                large ? 250 : 100,
                length,
                reads,
                method.startsWith("random") ? reads : length);
    }

    @Override
    public double nanos() throws RunnerException {
        TimeValue time = TimeValue.milliseconds(iterationMillis);
        ChainedOptionsBuilder options =
                new OptionsBuilder()
                        .include("^" + benchmark.getCanonicalName() + "." + method + "$")
                        .forks(1)
                        .jvmArgsAppend(jvmOptions.toArray(String[]::new)) // to those of this JVM
                        .mode(Mode.AverageTime)
                        .timeUnit(TimeUnit.NANOSECONDS)
                        .warmupIterations(WARMUPS)
                        .warmupTime(time)
                        .measurementIterations(ITERATIONS)
                        .measurementTime(time)
                        .verbosity(VerboseMode.SILENT)
                        .shouldFailOnError(true);
        if (length > 0) {
            options.param("length", "" + length).param("reads", "" + reads);
        }
        return new Runner(options.build())
                        .runSingle().getBenchmarkResults().stream()
                                .flatMap(fork -> fork.getIterationResults().stream())
                                .mapToDouble(iteration -> iteration.getPrimaryResult().getScore())
                                .min()
                                .orElseThrow()
                / perInvocation;
    }
}
