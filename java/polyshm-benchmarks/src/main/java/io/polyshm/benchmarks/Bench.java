// SPDX-License-Identifier: Apache-2.0
package io.polyshm.benchmarks;

import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.stream.Stream;
import org.openjdk.jmh.runner.RunnerException;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** Measures all operations beside their references and prints one table. */
@Command(
        name = "bench",
        description = "Measures Polyshm against C and the JDK, and prints one table of ratios.")
public final class Bench implements Callable<Integer> {
    private static final int SMALL = 1 << 16;
    private static final int MEDIUM = 1 << 20;
    private static final long LARGE_BYTES = (1L << 31) + (1 << 22);

    /** For the shared array, the array on the heap, and the rest of the JVMs that have them. */
    private static final long NEEDED_BYTES = 6L << 30;

    @Option(names = "--quick", description = "Measure everything once instead of several times.")
    private boolean quick;

    @Option(
            names = "--plot",
            paramLabel = "FILE",
            defaultValue = "${env:POLYSHM_PLOT:-processes.svg}",
            description =
                    "Where to plot the throughput of a lock by the number of processes that want"
                            + " it, if all of these are measured: ${DEFAULT-VALUE}.")
    private Path plot;

    @Option(
            names = {"-h", "--help"},
            usageHelp = true,
            description = "Show this help and exit.")
    private boolean help;

    @Parameters(
            paramLabel = "WORD",
            description = "Measure only the operations that have one of these in their names.")
    private List<String> words = List.of();

    /** By the number of processes. */
    private final Map<Integer, Comparison> contended = new LinkedHashMap<>();

    @Spec private CommandLine.Model.CommandSpec spec;

    /**
     * Measures, and ends the JVM: with code 0 if everything could be measured, bars held or not.
     *
     * @param args see {@code --help}
     */
    public static void main(String... args) {
        CommandLine bench = new CommandLine(new Bench());
        bench.setExecutionExceptionHandler(Bench::report);
        System.exit(bench.execute(args));
    }

    /**
     * What JMH throws says enough, that another one is running, for example; if not, its causes do.
     */
    private static int report(
            Exception failure, CommandLine command, CommandLine.ParseResult arguments)
            throws Exception {
        if (!(failure instanceof RunnerException)) {
            throw failure;
        }
        command.getErr().println("bench: " + failure.getMessage());
        causes(failure).forEach(cause -> command.getErr().println("bench: because of " + cause));
        return CommandLine.ExitCode.SOFTWARE;
    }

    private static Stream<Throwable> causes(Throwable failure) {
        return Stream.concat(
                        Stream.of(failure.getSuppressed()), Stream.ofNullable(failure.getCause()))
                .flatMap(cause -> Stream.concat(Stream.of(cause), causes(cause)));
    }

    @Override
    public Integer call() throws Exception {
        List<Comparison> wanted = new ArrayList<>(all());
        wanted.removeIf(
                each -> !words.isEmpty() && words.stream().noneMatch(each.operation()::contains));
        if (wanted.isEmpty()) {
            throw new ParameterException(
                    spec.commandLine(),
                    "bench: no operation has any of these in its name: " + words);
        }
        List<Comparison> measured = new ArrayList<>();
        try {
            for (Comparison each : wanted) {
                System.out.println("measuring: " + each.operation());
                each.run(quick ? 1 : Integer.MAX_VALUE);
                measured.add(each);
            }
        } finally {
            print(measured);
        }
        if (wanted.containsAll(contended.values())) {
            Plot.write(plot, contended);
            System.out.println("Throughput by the number of processes: " + plot);
        }
        return CommandLine.ExitCode.OK;
    }

    private static void print(List<Comparison> measured) {
        System.out.println();
        System.out.printf(
                "JDK %s, %d cores, %s%n",
                Runtime.version(),
                Runtime.getRuntime().availableProcessors(),
                System.getProperty("os.arch"));
        System.out.println(Comparison.HEADING);
        measured.forEach(each -> each.rows().forEach(System.out::println));
        System.out.println(
                "Times are of one operation or element; they and the ratios are medians of several"
                        + " JVMs or runs.");
    }

    private List<Comparison> all() throws IOException {
        List<Comparison> all = new ArrayList<>();
        all.add(
                new Comparison("lock + unlock", JmhTrial.of(LockBenchmark.class, "ours"), 5)
                        .with("the same in C", ProcessTrial.ofC("lock"), 1.5)
                        .with("bare pthread mutex in C", ProcessTrial.ofC("mutex"), 0)
                        .with(
                                "ReentrantLock",
                                JmhTrial.of(LockBenchmark.class, "reentrantLock"),
                                0));
        addContended();
        all.addAll(contended.values());
        addSynchronizer(all, "semaphore acquire + release", "semaphore", "Semaphore");
        addSynchronizer(all, "read lock + unlock", "read", "ReentrantReadWriteLock");
        addSynchronizer(all, "write lock + unlock", "write", "ReentrantReadWriteLock");
        addSynchronizer(all, "event set + clear", "event", "AtomicBoolean");
        addSynchronizer(all, "latch countDown", "latch", "CountDownLatch");
        addSynchronizer(all, "barrier await of 1 party", "barrier", "CyclicBarrier");
        addSynchronizer(all, "lock + signal + unlock", "signal", "ReentrantLock's Condition");
        addWakeUp(all, "Semaphore", Tokens.BySemaphore::new, 1.3);
        addWakeUp(all, "Event", Tokens.ByEvent::new, 1.3);
        addWakeUp(all, "Condition", Tokens.ByCondition::new, 0); // takes a lock as well
        all.add(
                new Comparison("int getAndAdd", JmhTrial.of(AtomicBenchmark.class, "ours"), 3)
                        .with(
                                "AtomicInteger",
                                JmhTrial.of(AtomicBenchmark.class, "atomicInteger"),
                                1.1));
        for (String operation : List.of("sum", "fill", "random")) {
            addArrays(all, operation, "64 Ki", SMALL, SMALL, SMALL, 1.1);
            addArrays(all, operation, "1 Mi", MEDIUM, MEDIUM, SMALL, 1.1);
        }
        if (hasRoomForLargeArrays()) {
            int ints = (int) (LARGE_BYTES / Integer.BYTES);
            int doubles = (int) (LARGE_BYTES / Double.BYTES);
            for (String operation : List.of("sum", "fill", "random")) {
                addArrays(all, operation, "2^31+ bytes", ints, doubles, MEDIUM, 2);
            }
        }
        all.add(
                new Comparison("attach", JmhTrial.of(AttachBenchmark.class, "ours"), 3)
                        .with("the same in C", ProcessTrial.ofC("attach"), 0));
        all.add(
                new Comparison("fork to the task's first line", ProcessTrial::fork, 11)
                        .with("java Hello to its first line", ProcessTrial::hello, 0));
        return all;
    }

    private static void addSynchronizer(
            List<Comparison> all, String operation, String method, String twin) {
        all.add(
                new Comparison(
                                operation,
                                JmhTrial.of(SynchronizerBenchmark.class, method + "Ours"),
                                3)
                        .with(twin, JmhTrial.of(SynchronizerBenchmark.class, method + "Jdk"), 0));
    }

    private static void addWakeUp(
            List<Comparison> all, String by, PingPong.Maker maker, double bar) {
        all.add(
                new Comparison("wake-up by " + by, PingPong.of(maker), 5)
                        .with("futex in C", ProcessTrial.ofC("futex"), bar)
                        .with("sem_t in C", ProcessTrial.ofC("sem"), 0));
    }

    private void addContended() {
        for (int processes : List.of(1, 2, 4, 8, 16)) {
            boolean barred = processes == 2;
            Comparison comparison =
                    new Comparison(
                                    "lock + unlock, processes: " + processes,
                                    ContendedLock.of(processes),
                                    barred ? 7 : 3)
                            .with(
                                    "the same in C",
                                    ProcessTrial.ofC("lock", "" + processes),
                                    barred ? 1.25 : 0); // 0.8 of its throughput
            if (barred) {
                comparison.with(
                        "bare pthread mutex in C", ProcessTrial.ofC("mutex", "" + processes), 0);
            }
            contended.put(processes, comparison);
        }
    }

    private static void addArrays(
            List<Comparison> all,
            String operation,
            String size,
            int ints,
            int doubles,
            int reads,
            double bar) {
        all.add(arrays(ArrayBenchmark.OfInt.class, operation, "int, " + size, ints, reads, bar));
        all.add(
                arrays(
                        ArrayBenchmark.OfDouble.class,
                        operation,
                        "double, " + size,
                        doubles,
                        reads,
                        bar));
    }

    private static Comparison arrays(
            Class<?> benchmark, String operation, String what, int length, int reads, double bar) {
        return new Comparison(
                operation + " of " + what,
                new ArrayTrial(benchmark, operation, length, reads),
                Pass.isLarge(length) ? 3 : 5,
                "heap array",
                bar);
    }

    private static boolean hasRoomForLargeArrays() throws IOException {
        long available =
                Files.readAllLines(Path.of("/proc/meminfo")).stream()
                        .filter(line -> line.startsWith("MemAvailable:"))
                        .mapToLong(line -> Long.parseLong(line.replaceAll("\\D", "")) << 10)
                        .findFirst()
                        .orElse(0);
        long shared = new File("/dev/shm").getUsableSpace();
        if (available >= NEEDED_BYTES && shared >= LARGE_BYTES + (1 << 20)) {
            return true;
        }
        System.out.printf(
                "Left out: arrays past 2^31 bytes, as there are %d MiB of memory, %d of them in"
                        + " /dev/shm; wanted: %d and %d%n",
                available >> 20, shared >> 20, NEEDED_BYTES >> 20, LARGE_BYTES >> 20);
        return false;
    }
}
