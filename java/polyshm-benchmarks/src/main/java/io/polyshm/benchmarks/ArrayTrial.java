// SPDX-License-Identifier: Apache-2.0
package io.polyshm.benchmarks;

import java.util.Comparator;
import org.openjdk.jmh.results.IterationResult;
import org.openjdk.jmh.runner.RunnerException;
import org.openjdk.jmh.runner.options.ChainedOptionsBuilder;

/**
 * Passes over a shared array and one of the heap in one fork of JMH: of its iterations the one in
 * the middle by the ratio. The figures are of one element.
 */
final class ArrayTrial implements Round {
    private static final int ITERATIONS = 15; // each on pages of its own
    private static final int LARGE_ITERATIONS = 5;
    private static final long MILLIS = 100;
    private static final long LARGE_MILLIS = 500;

    private final Class<?> benchmark;
    private final String operation;
    private final int length;
    private final int reads;

    /**
     * Describes one.
     *
     * @param benchmark a class of {@link ArrayBenchmark}
     * @param operation the method's name
     * @param length elements of either array
     * @param reads how many of them are read at random
     */
    ArrayTrial(Class<?> benchmark, String operation, int length, int reads) {
        this.benchmark = benchmark;
        this.operation = operation;
        this.length = length;
        this.reads = reads;
    }

    @Override
    public double[] nanos() throws RunnerException {
        boolean large = Pass.isLarge(length);
        ChainedOptionsBuilder options =
                JmhTrial.options(
                                benchmark,
                                operation,
                                large ? LARGE_ITERATIONS : ITERATIONS,
                                large ? LARGE_MILLIS : MILLIS)
                        .threads(1) // the counters of several would be added up
                        .param("length", "" + length)
                        .param("reads", "" + reads);
        if (large) {
            options.jvmArgsAppend("-Xmx4g"); // else as much as users' JVMs have
        }
        double[][] sorted =
                JmhTrial.fork(options).stream()
                        .map(ArrayTrial::perElement)
                        .sorted(Comparator.comparingDouble(each -> each[0] / each[1]))
                        .toArray(double[][]::new);
        return sorted[sorted.length / 2];
    }

    private static double[] perElement(IterationResult iteration) {
        double elements = counter(iteration, "elements");
        return new double[] {
            counter(iteration, "shared") / elements, counter(iteration, "heap") / elements
        };
    }

    private static double counter(IterationResult iteration, String name) {
        return iteration.getSecondaryResults().get(name).getScore();
    }
}
