// SPDX-License-Identifier: Apache-2.0
package io.polyshm.storm;

import io.polyshm.ChildProcess;
import io.polyshm.ForkedJvm;
import io.polyshm.Lock;
import io.polyshm.SharedArray;
import io.polyshm.SharedMemory;
import io.polyshm.SharedProcess;
import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.stream.Stream;

/**
 * Workers of several languages transfer amounts between accounts, while they are stopped, continued
 * and killed at random. What has to hold then, and who checks it, stands at {@link Bank}; here it
 * is seen that everyone who lives can go on to the end, and that nothing is left.
 *
 * <p>All decisions are drawn from one seed and can be repeated: whom to start with which seed of
 * its own, whom to stop for how long, whom to kill, and how long to wait in between. What cannot is
 * the order in which the kernel lets the processes run.
 */
public final class Storm {
    private static final String USAGE =
            """
            usage: storm [--seconds N] [--seed S] [--workers N] [--languages L,...]
              --seconds N        how long workers are stopped and killed; 60 by default
              --seed S           a whole number; a random one by default
              --workers N        processes at a time; 8 by default
              --languages L,...  theirs: java, c, python; one of each at least, the seed chooses
                                 the others; all that there are by default""";

    private static final int PATIENCE_SECONDS = 60;
    private static final long NEWS_NANOS = 5_000_000_000L;
    private static final int LONGEST_PAUSE_MILLIS = 40;
    private static final int LONGEST_STOP_MILLIS = 20;
    private static final int LONG_STOP_PERCENT = 3;
    private static final int LONG_STOP_FACTOR = 20;
    private static final int CALM_MILLIS = 200;
    private static final int SIGKILLED = 137;
    private static final int AUDITOR = 1; // the serial number of this process
    private static final String PYTHON = System.getProperty("polyshm.python");

    /** How to start a worker that has the serial numbers from this one on. */
    private interface Starter {
        ChildProcess start(int serial, long seed);
    }

    /** The workers in one language; those that take longer to start are killed less often. */
    private static final class Kind {
        final String language;
        final int threads;
        final int killPercent;
        final Starter starter;
        final BitSet serials = new BitSet();
        int stops;
        int kills;

        Kind(String language, int threads, int killPercent, Starter starter) {
            this.language = language;
            this.threads = threads;
            this.killPercent = killPercent;
            this.starter = starter;
        }
    }

    /** There is always one worker in it. */
    private static final class Place {
        final Kind kind;
        int serial;
        ChildProcess worker;

        Place(Kind kind) {
            this.kind = kind;
        }

        @Override
        public String toString() {
            return kind.language + " storm-" + serial + " pid=" + worker.pid();
        }
    }

    private final int seconds;
    private final int workers;
    private final SplittableRandom random;
    private final Bank bank = Bank.create();
    private final List<Kind> kinds;
    private final List<Place> places = new ArrayList<>();
    private final long start = System.nanoTime();
    private int serials = AUDITOR + 1;
    private long repairs; // as the last news had it
    private long drills; // the same

    /**
     * The storm with these decisions, not yet begun.
     *
     * @throws IllegalArgumentException if there are more languages than workers, or a language that
     *     there is not
     */
    Storm(int seconds, long seed, int workers, List<String> languages) {
        this.seconds = seconds;
        this.workers = workers;
        kinds = languages.stream().distinct().map(this::kind).toList();
        random = new SplittableRandom(seed);
        if (workers < kinds.size()) {
            throw new IllegalArgumentException("too few workers: " + workers);
        }
        System.out.printf(
                "storm: --seconds %d --seed %d --workers %d --languages %s%n",
                seconds, seed, workers, String.join(",", languages));
    }

    /** Those that there are here; the build tells where Python is. */
    static List<String> languages() {
        return PYTHON == null ? List.of("java", "c") : List.of("java", "c", "python");
    }

    private Kind kind(String language) {
        if (!languages().contains(language)) {
            throw new IllegalArgumentException("not here: " + language);
        }
        return switch (language) {
            case "java" -> new Kind(language, 2, 6, this::startJvm);
            case "c" -> new Kind(language, 1, 40, this::startC);
            default -> new Kind(language, 2, 12, this::startPython);
        };
    }

    /**
     * Runs a storm and ends the JVM, with code 0 if it passed.
     *
     * @param args see the usage
     * @throws Exception if something else failed
     */
    public static void main(String... args) throws Exception {
        Storm storm;
        int seconds = 60;
        int workers = 8;
        List<String> languages = languages();
        long seed = new SplittableRandom().nextInt(Integer.MAX_VALUE);
        try {
            for (int i = 0; i < args.length; i += 2) {
                switch (args[i]) {
                    case "--seconds" -> seconds = Integer.parseInt(args[i + 1]);
                    case "--seed" -> seed = Long.parseLong(args[i + 1]);
                    case "--workers" -> workers = Integer.parseInt(args[i + 1]);
                    case "--languages" -> languages = List.of(args[i + 1].split(","));
                    default -> throw new IllegalArgumentException(args[i]);
                }
            }
            storm = new Storm(seconds, seed, workers, languages);
        } catch (IllegalArgumentException | ArrayIndexOutOfBoundsException unknown) {
            boolean asked = List.of(args).contains("--help");
            (asked ? System.out : System.err).println(USAGE);
            System.exit(asked ? 0 : 2);
            return;
        }
        System.exit(storm.run() ? 0 : 1);
    }

    /** Returns whether all went well. */
    boolean run() throws IOException, InterruptedException {
        try {
            for (int i = 0; i < workers; i++) {
                Place place =
                        new Place(kinds.get(i < kinds.size() ? i : random.nextInt(kinds.size())));
                fill(place);
                places.add(place);
            }
            CountDownLatch over = new CountDownLatch(1);
            FutureTask<?> driver = inThread(() -> new Teller(bank, AUDITOR, 0).drive(over));
            try (Stopper stopper = new Stopper()) {
                rage(stopper);
            }
            calmDown();
            bank.stop();
            awaitThreads();
            bank.letGo();
            boolean ended = awaitAll();
            over.countDown();
            boolean passed = ended && succeeds(driver) && auditAlone() && bank.violations() == 0;
            news();
            kinds.forEach(this::tellFigures);
            passed = passed && leavesNothing();
            System.out.println(passed ? "PASSED" : "FAILED");
            return passed;
        } finally {
            places.forEach(place -> place.worker.kill());
        }
    }

    /** How many there were until the end. */
    long repairs() {
        return repairs;
    }

    /** How many there were until the end. */
    long drills() {
        return drills;
    }

    // ---- workers ----

    private void fill(Place place) {
        place.worker = place.kind.starter.start(serials, random.nextLong());
        place.serial = serials;
        serials += place.kind.threads;
        place.kind.serials.set(place.serial, serials);
        bank.giveSerials(serials);
    }

    private ChildProcess startJvm(int serial, long seed) {
        SharedMemory memory = bank.memory;
        return ForkedJvm.builder()
                .jvmOptions("-Xmx64m", "-XX:+UseSerialGC")
                .start(() -> work(memory, serial, seed));
    }

    /** In the child: one more thread, and this one. */
    private static void work(SharedMemory memory, int serial, long seed) throws Exception {
        try (memory) {
            Bank bank = new Bank(memory);
            FutureTask<?> second = inThread(() -> new Teller(bank, serial + 1, ~seed).work());
            new Teller(bank, serial, seed).work();
            second.get();
        }
    }

    private ChildProcess startC(int serial, long seed) {
        return startProgram(
                Path.of(System.getProperty("polyshm.native.tests"), "storm_worker"),
                bank.memory.name(),
                serial,
                seed,
                Bank.ACCOUNTS,
                Bank.GROUPS,
                Bank.SERIALS);
    }

    private ChildProcess startPython(int serial, long seed) {
        Object[] own = {
            PYTHON,
            "-B", // a kill while it writes a cache would leave half of that
            Path.of(System.getProperty("polyshm.python.tests"), "storm_worker.py"),
            bank.memory.name(),
            serial,
            seed
        };
        return startProgram(Stream.concat(Stream.of(own), Bank.numbers()).toArray());
    }

    private static ChildProcess startProgram(Object... command) {
        return SharedProcess.builder()
                .redirectError(ProcessBuilder.Redirect.INHERIT)
                .start(Stream.of(command).map(Object::toString).toArray(String[]::new));
    }

    // ---- the storm ----

    private void rage(Stopper stopper) throws IOException, InterruptedException {
        long end = start + TimeUnit.SECONDS.toNanos(seconds);
        long news = start + NEWS_NANOS;
        while (System.nanoTime() - end < 0 && !bank.isStopping() && serials + 2 < Bank.SERIALS) {
            Thread.sleep(random.nextInt(LONGEST_PAUSE_MILLIS));
            Place place = places.get(random.nextInt(places.size()));
            int millis = 1 + random.nextInt(LONGEST_STOP_MILLIS);
            if (random.nextInt(100) < LONG_STOP_PERCENT) {
                millis *= LONG_STOP_FACTOR;
            }
            if (random.nextInt(100) < place.kind.killPercent) {
                kill(place);
                fill(place);
                place.kind.kills++;
            } else {
                stopper.stop(place.worker.pid(), millis);
                place.kind.stops++;
            }
            for (Place each : places) {
                if (!each.worker.isAlive() && !bank.isStopping()) {
                    bank.violation(each + ": ended by itself");
                }
            }
            if (System.nanoTime() - news > 0) {
                news();
                news += NEWS_NANOS;
            }
        }
    }

    private void kill(Place place) throws InterruptedException {
        for (int i = 0; i < place.kind.threads; i++) {
            bank.doom(place.serial + i, place.worker.pid());
        }
        place.worker.kill();
        awaitEnd(place, SIGKILLED, limit());
    }

    private void news() {
        repairs = bank.totalOfLocks(Bank.REPAIRS);
        drills = total(Bank.DRILLS);
        SharedArray.OfLong words = bank.drills.words;
        System.out.printf(
                "%4d s: %,d transfers, %,d drills; %d workers stopped, %d killed; %d locks left behind,"
                        + " repaired %d times, %d of them half-way%n",
                TimeUnit.NANOSECONDS.toSeconds(System.nanoTime() - start),
                total(Bank.TRANSFERS),
                drills,
                kinds.stream().mapToInt(kind -> kind.stops).sum(),
                kinds.stream().mapToInt(kind -> kind.kills).sum(),
                bank.deaths(),
                repairs,
                bank.totalOfLocks(Bank.UNDONE));
        System.out.printf(
                "       %d items put; %d deaths of writers repaired, %d at the buffer; barriers tripped"
                        + " %d times, told deaths %d times%n",
                words.getAcquire(Drills.PUTS),
                bank.cells.getAcquire(Drills.RWLOCK * Bank.CELL + Bank.REPAIRS),
                bank.cells.getAcquire(Drills.BUFFER * Bank.CELL + Bank.REPAIRS),
                words.getAcquire(Drills.TRIPS) + words.getAcquire(Drills.TRIPS + 4),
                words.getAcquire(Drills.DEATHS_OF_PARTIES));
    }

    private void tellFigures(Kind kind) {
        System.out.printf(
                "%6s: %,d transfers, %,d drills; %d workers, %d times one was stopped, %d killed;"
                        + " told %d deaths; %d locks repaired after its own%n",
                kind.language,
                bank.totalOfThreads(Bank.TRANSFERS, kind.serials),
                bank.totalOfThreads(Bank.DRILLS, kind.serials),
                places.stream().filter(place -> place.kind == kind).count(),
                kind.stops,
                kind.kills,
                bank.totalOfThreads(Bank.TOLD, kind.serials),
                bank.totalOfThreads(Bank.LEFT, kind.serials));
    }

    /** What one word says of the work of all. */
    private long total(int word) {
        return kinds.stream().mapToLong(kind -> bank.totalOfThreads(word, kind.serials)).sum();
    }

    // ---- the end ----

    /** Who joins, or dies, wakes those that wait: from here on nobody does. */
    private void calmDown() throws InterruptedException {
        long limit = limit();
        bank.calmDown();
        while (bank.memory.participants().size() != places.size() + 1
                && !bank.isStopping()
                && System.nanoTime() - limit < 0) {
            Thread.sleep(1);
        }
        Thread.sleep(CALM_MILLIS);
    }

    /** None is left behind in a wait. */
    private void awaitThreads() throws IOException, InterruptedException {
        int threads = places.stream().mapToInt(place -> place.kind.threads).sum();
        long limit = limit();
        while (bank.ended() < threads
                && places.stream().allMatch(place -> place.worker.isAlive())) {
            if (System.nanoTime() - limit > 0) {
                bank.violation("left behind: " + (threads - bank.ended()) + " threads");
                for (Place place : places) {
                    tellWhere(place);
                }
                return;
            }
            Thread.sleep(1);
        }
    }

    /** All are to end by themselves now; where one does not, tells where it is. */
    private boolean awaitAll() throws IOException, InterruptedException {
        boolean all = true;
        long limit = limit();
        for (Place place : places) {
            if (!awaitEnd(place, 0, limit)) {
                tellWhere(place);
                all = false;
            }
        }
        return all;
    }

    /** A safety net: only something that hangs comes to it. */
    private static long limit() {
        return System.nanoTime() + TimeUnit.SECONDS.toNanos(PATIENCE_SECONDS);
    }

    private boolean awaitEnd(Place place, int expected, long limit) throws InterruptedException {
        try {
            int code = place.worker.onExit().get(limit - System.nanoTime(), TimeUnit.NANOSECONDS);
            if (code != expected) {
                bank.violation(place + ": ended by itself, with code " + code);
            }
            return true;
        } catch (TimeoutException stuck) {
            bank.violation(place + ": does not end");
            return false;
        } catch (ExecutionException unexpected) {
            throw new AssertionError(unexpected);
        }
    }

    private void tellWhere(Place place) throws IOException, InterruptedException {
        bank.locks.forEach(lock -> System.err.println(lock + ": " + lock.owner()));
        Path tasks = Path.of("/proc/" + place.worker.pid() + "/task");
        try (DirectoryStream<Path> all = Files.newDirectoryStream(tasks)) {
            for (Path task : all) {
                System.err.println(
                        place
                                + ": "
                                + Files.readString(task.resolve("comm")).strip()
                                + " waits in "
                                + Files.readString(task.resolve("wchan")));
            }
        }
        if (!place.kind.language.equals("c")) { // it prints its own stacks
            new ProcessBuilder("sh", "-c", "kill -QUIT " + place.worker.pid()).start().waitFor();
            Thread.sleep(1000);
        }
    }

    /** Nobody else is there any more, and all locks can be had. */
    private boolean auditAlone() throws InterruptedException {
        if (!succeeds(inThread(() -> new Teller(bank, AUDITOR, 0).auditAlone()))) {
            return false;
        }
        if (bank.memory.participants().size() != 1) {
            bank.violation("still there: " + bank.memory.participants());
        }
        return true;
    }

    private boolean succeeds(FutureTask<?> task) throws InterruptedException {
        try {
            task.get(PATIENCE_SECONDS, TimeUnit.SECONDS);
            return true;
        } catch (TimeoutException stuck) {
            bank.violation(
                    "a lock cannot be had: " + bank.locks.stream().map(Lock::owner).toList());
        } catch (ExecutionException failure) {
            bank.violation("this process failed: " + failure.getCause());
        }
        return false;
    }

    private boolean leavesNothing() {
        bank.memory.close();
        Path file = Path.of("/dev/shm", "polyshm." + bank.memory.name());
        if (Files.exists(file)) {
            System.err.println("violation: left behind: " + file);
            return false;
        }
        return true;
    }

    private interface Work {
        void run() throws Exception;
    }

    /** Whose end is nobody's but the caller's concern. */
    private static FutureTask<?> inThread(Work work) {
        FutureTask<?> task =
                new FutureTask<>(
                        () -> {
                            work.run();
                            return null;
                        });
        Thread thread = new Thread(task);
        thread.setDaemon(true);
        thread.start();
        return task;
    }
}
