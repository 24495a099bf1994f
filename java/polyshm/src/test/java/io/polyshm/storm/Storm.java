// SPDX-License-Identifier: Apache-2.0
package io.polyshm.storm;

import io.polyshm.ForkedJvm;
import io.polyshm.Lock;
import io.polyshm.SharedArray;
import io.polyshm.SharedMemory;
import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.CompletableFuture;
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
            usage: storm [--seconds N] [--seed S] [--jvms N] [--c N]
              --seconds N  how long workers are stopped and killed; 60 by default
              --seed S     a whole number; a random one by default
              --jvms N     JVMs, of two threads each; 4 by default
              --c N        programs in C; 4 by default""";

    private static final int PATIENCE_SECONDS = 60;
    private static final long NEWS_NANOS = 5_000_000_000L;
    private static final int LONGEST_PAUSE_MILLIS = 40;
    private static final int LONGEST_STOP_MILLIS = 20;
    private static final int LONG_STOP_PERCENT = 3;
    private static final int LONG_STOP_FACTOR = 20;
    private static final int CALM_MILLIS = 200;
    private static final int SIGKILLED = 137;
    private static final int AUDITOR = 1; // the serial number of this process

    /** How to start a worker that has the serial numbers from this one on. */
    private interface Starter {
        Worker start(int serial, long seed) throws IOException;
    }

    /** Starting a JVM takes a hundred times as long, so it is killed less often. */
    private record Kind(String name, int threads, int killPercent, Starter starter) {}

    private record Worker(long pid, Runnable kill, CompletableFuture<Integer> onExit) {}

    /** There is always one worker in it. */
    private static final class Place {
        final Kind kind;
        int serial;
        Worker worker;

        Place(Kind kind) {
            this.kind = kind;
        }

        @Override
        public String toString() {
            return kind.name + " storm-" + serial + " pid=" + worker.pid;
        }
    }

    private final int seconds;
    private final int jvms;
    private final int programs;
    private final SplittableRandom random;
    private final Bank bank = Bank.create();
    private final List<Place> places = new ArrayList<>();
    private final long start = System.nanoTime();
    private int serials = AUDITOR + 1;
    private int stops;
    private int kills;
    private long repairs; // as the last news had it
    private long drills; // the same

    /** The storm with these decisions, not yet begun. */
    Storm(int seconds, long seed, int jvms, int programs) {
        this.seconds = seconds;
        this.jvms = jvms;
        this.programs = programs;
        random = new SplittableRandom(seed);
        System.out.printf(
                "storm: --seconds %d --seed %d --jvms %d --c %d%n", seconds, seed, jvms, programs);
    }

    /**
     * Runs a storm and ends the JVM, with code 0 if it passed.
     *
     * @param args see the usage
     * @throws Exception if something else failed
     */
    public static void main(String... args) throws Exception {
        int seconds = 60;
        int jvms = 4;
        int programs = 4;
        long seed = new SplittableRandom().nextInt(Integer.MAX_VALUE);
        try {
            for (int i = 0; i < args.length; i += 2) {
                switch (args[i]) {
                    case "--seconds" -> seconds = Integer.parseInt(args[i + 1]);
                    case "--seed" -> seed = Long.parseLong(args[i + 1]);
                    case "--jvms" -> jvms = Integer.parseInt(args[i + 1]);
                    case "--c" -> programs = Integer.parseInt(args[i + 1]);
                    default -> throw new IllegalArgumentException(args[i]);
                }
            }
            if (jvms < 0 || programs < 0 || jvms + programs == 0) {
                throw new IllegalArgumentException("nobody to kill");
            }
        } catch (IllegalArgumentException | ArrayIndexOutOfBoundsException unknown) {
            boolean asked = List.of(args).contains("--help");
            (asked ? System.out : System.err).println(USAGE);
            System.exit(asked ? 0 : 2);
        }
        System.exit(new Storm(seconds, seed, jvms, programs).run() ? 0 : 1);
    }

    /** Returns whether all went well. */
    boolean run() throws IOException, InterruptedException {
        try {
            add(jvms, new Kind("JVM", 2, 6, this::startJvm));
            add(programs, new Kind("C", 1, 40, this::startProgram));
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
            passed = passed && leavesNothing();
            System.out.println(passed ? "PASSED" : "FAILED");
            return passed;
        } finally {
            places.forEach(place -> place.worker.kill.run());
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

    private void add(int count, Kind kind) throws IOException {
        for (int i = 0; i < count; i++) {
            Place place = new Place(kind);
            fill(place);
            places.add(place);
        }
    }

    private void fill(Place place) throws IOException {
        place.worker = place.kind.starter.start(serials, random.nextLong());
        place.serial = serials;
        serials += place.kind.threads;
        bank.giveSerials(serials);
    }

    private Worker startJvm(int serial, long seed) {
        SharedMemory memory = bank.memory;
        ForkedJvm jvm =
                ForkedJvm.builder()
                        .jvmOptions("-Xmx64m", "-XX:+UseSerialGC")
                        .start(() -> work(memory, serial, seed));
        return new Worker(jvm.pid(), jvm::kill, jvm.onExit());
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

    private Worker startProgram(int serial, long seed) throws IOException {
        Object[] command = {
            Path.of(System.getProperty("polyshm.native.tests"), "storm_worker"),
            bank.memory.name(),
            serial,
            seed,
            Bank.ACCOUNTS,
            Bank.GROUPS,
            Bank.SERIALS
        };
        Process process =
                new ProcessBuilder(Stream.of(command).map(Object::toString).toList())
                        .redirectOutput(ProcessBuilder.Redirect.INHERIT)
                        .redirectError(ProcessBuilder.Redirect.INHERIT)
                        .start();
        return new Worker(
                process.pid(),
                process::destroyForcibly,
                process.onExit().thenApply(Process::exitValue));
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
                kills++;
            } else {
                stopper.stop(place.worker.pid, millis);
                stops++;
            }
            for (Place each : places) {
                if (each.worker.onExit.isDone() && !bank.isStopping()) {
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
            bank.doom(place.serial + i, place.worker.pid);
        }
        place.worker.kill.run();
        awaitEnd(place, SIGKILLED, limit());
    }

    private void news() {
        repairs = bank.totalOfLocks(Bank.REPAIRS);
        System.out.printf(
                "%4d s: %,d transfers; %d workers stopped, %d killed; %d locks left behind, told %d"
                        + " times, repaired %d times, %d of them half-way%n",
                TimeUnit.NANOSECONDS.toSeconds(System.nanoTime() - start),
                bank.totalOfThreads(Bank.TRANSFERS, serials),
                stops,
                kills,
                bank.deaths(),
                bank.totalOfThreads(Bank.TOLD, serials),
                repairs,
                bank.totalOfLocks(Bank.UNDONE));
        SharedArray.OfLong words = bank.drills.words;
        drills = words.getAcquire(Drills.DRILLS);
        System.out.printf(
                "       %,d drills; %,d items put; %d deaths of writers repaired, %d at the buffer;"
                        + " barriers tripped %d times, told deaths %d times%n",
                drills,
                words.getAcquire(Drills.PUTS),
                bank.cells.getAcquire(Drills.RWLOCK * Bank.CELL + Bank.REPAIRS),
                bank.cells.getAcquire(Drills.BUFFER * Bank.CELL + Bank.REPAIRS),
                words.getAcquire(Drills.TRIPS) + words.getAcquire(Drills.TRIPS + 4),
                words.getAcquire(Drills.DEATHS_OF_PARTIES));
    }

    // ---- the end ----

    /** Who joins, or dies, wakes those that wait: from here on nobody does. */
    private void calmDown() throws InterruptedException {
        long limit = limit();
        while (bank.memory.participants().size() <= places.size()
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
                && places.stream().noneMatch(place -> place.worker.onExit.isDone())) {
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
            int code = place.worker.onExit.get(limit - System.nanoTime(), TimeUnit.NANOSECONDS);
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
        Path tasks = Path.of("/proc/" + place.worker.pid + "/task");
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
        if (place.kind.name.equals("JVM")) { // it prints its own stacks
            new ProcessBuilder("sh", "-c", "kill -QUIT " + place.worker.pid).start().waitFor();
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
