// SPDX-License-Identifier: Apache-2.0
package io.polyshm.benchmarks;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;

/** One operation of ours, and what it is compared with. */
final class Comparison {
    /** The heading of {@link #rows()}. */
    static final String HEADING =
            row("operation", "ours", "reference", "", "ratio", "bar", "") + "\n" + "-".repeat(103);

    private static final int PATIENCE = 4; // times as many rounds as planned
    private static final double STEADY = 0.08; // of the ratio

    private record Reference(String name, double bar) {}

    private final String operation;
    private final Round round;
    private final int rounds;
    private final List<Trial> trials = new ArrayList<>(); // if each has one of its own
    private final List<Reference> references = new ArrayList<>();
    private final List<double[]> results =
            new ArrayList<>(); // of each round: ours, then the others

    /**
     * Describes one whose references are measured each by itself.
     *
     * @param operation its name
     * @param ours how it is measured
     * @param rounds how often, each time beside all references
     */
    Comparison(String operation, Trial ours, int rounds) {
        this.operation = operation;
        this.round = this::byTurns;
        this.rounds = rounds;
        trials.add(ours);
    }

    /**
     * Describes one whose only reference is measured together with ours.
     *
     * @param bar see {@link #with}
     */
    Comparison(String operation, Round both, int rounds, String reference, double bar) {
        this.operation = operation;
        this.round = both;
        this.rounds = rounds;
        references.add(new Reference(reference, bar));
    }

    /**
     * Adds what to compare with: ours is to take at most {@code bar} times as long; 0 for no bar.
     */
    Comparison with(String name, Trial trial, double bar) {
        references.add(new Reference(name, bar));
        trials.add(trial);
        return this;
    }

    private double[] byTurns() throws Exception {
        double[] result = new double[trials.size()];
        for (int i = 0; i < result.length; i++) {
            result[i] = trials.get(i).nanos();
        }
        return result;
    }

    String operation() {
        return operation;
    }

    /**
     * Measures, ours and the references by turns, so that a change of the machine meets both; and
     * more often than planned while the ratios disagree, whatever they are.
     */
    void run(int atMostRounds) throws Exception {
        int most = Math.min(atMostRounds, PATIENCE * rounds);
        for (int done = 0; done < most && (done < rounds || !isSteady()); done++) {
            results.add(round.nanos());
        }
    }

    /** The middle half of the ratios that count lies close together. */
    private boolean isSteady() {
        for (int i = 0; i < references.size(); i++) {
            double[] ratios = ratios(i);
            double spread = ratios[ratios.length * 3 / 4] - ratios[ratios.length / 4];
            if (references.get(i).bar() > 0 && spread > STEADY * middle(ratios)) {
                return false;
            }
        }
        return true;
    }

    /** Lines of the table, one for each reference. */
    List<String> rows() {
        List<String> rows = new ArrayList<>();
        double mine = median(0);
        for (int i = 0; i < references.size(); i++) {
            Reference reference = references.get(i);
            double other = median(1 + i);
            double ratio = middle(ratios(i));
            boolean barred = reference.bar() > 0;
            rows.add(
                    row(
                            operation,
                            time(mine),
                            reference.name(),
                            time(other),
                            String.format(Locale.ROOT, "%.2f", ratio),
                            barred ? "<= " + reference.bar() : "",
                            barred ? (ratio <= reference.bar() ? "ok" : "over") : ""));
        }
        return rows;
    }

    /** Of each round, sorted: how long ours took, as a multiple of a reference. */
    private double[] ratios(int reference) {
        return results.stream()
                .mapToDouble(result -> result[0] / result[1 + reference])
                .sorted()
                .toArray();
    }

    /** Nanoseconds: of ours by column 0, of the references by 1 and on. */
    double median(int column) {
        return middle(results.stream().mapToDouble(result -> result[column]).sorted().toArray());
    }

    private static double middle(double[] sorted) {
        int middle = sorted.length / 2;
        return sorted.length % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
    }

    private static String time(double nanos) {
        double value = nanos;
        for (String unit : Arrays.asList("ns", "us", "ms")) {
            if (value < 1000 || unit.equals("ms")) {
                String format = value < 1 ? "%.3f %s" : value < 10 ? "%.2f %s" : "%.1f %s";
                return String.format(Locale.ROOT, format, value, unit);
            }
            value /= 1000;
        }
        throw new IllegalStateException();
    }

    private static String row(String... cells) {
        return String.format("%-36s %9s  %-28s %9s %6s %7s %s", (Object[]) cells).stripTrailing();
    }
}
