// SPDX-License-Identifier: Apache-2.0
package io.polyshm.benchmarks;

import java.util.List;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.results.IterationResult;
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
    private static final long MILLIS = 100;

    private final Class<?> benchmark;
    private final String method;

    private JmhTrial(Class<?> benchmark, String method) {
        this.benchmark = benchmark;
        this.method = method;
    }

    /** Measures a benchmark that has no parameters. */
    static JmhTrial of(Class<?> benchmark, String method) {
        return new JmhTrial(benchmark, method);
    }

    @Override
    public double nanos() throws RunnerException {
        return fork(options(benchmark, method, ITERATIONS, MILLIS)).stream()
                .mapToDouble(iteration -> iteration.getPrimaryResult().getScore())
                .min()
                .orElseThrow();
    }

    /** To run a benchmark in one JVM that has the options of this one. */
    static ChainedOptionsBuilder options(
            Class<?> benchmark, String method, int iterations, long iterationMillis) {
        TimeValue time = TimeValue.milliseconds(iterationMillis);
        return new OptionsBuilder()
                .include("^" + benchmark.getCanonicalName() + "." + method + "$")
                .forks(1)
                .mode(Mode.AverageTime)
                .timeUnit(TimeUnit.NANOSECONDS)
                .warmupIterations(WARMUPS)
                .warmupTime(time)
                .measurementIterations(iterations)
                .measurementTime(time)
                .verbosity(VerboseMode.SILENT)
                .shouldFailOnError(true);
    }

    /** Runs one benchmark. */
    static List<IterationResult> fork(ChainedOptionsBuilder options) throws RunnerException {
        return new Runner(options.build())
                .runSingle().getBenchmarkResults().stream()
                        .flatMap(fork -> fork.getIterationResults().stream())
                        .toList();
    }
}
