// SPDX-License-Identifier: Apache-2.0
package io.polyshm.cross;

import io.polyshm.Barrier;
import io.polyshm.Condition;
import io.polyshm.Event;
import io.polyshm.Latch;
import io.polyshm.Lock;
import io.polyshm.OwnerDiedException;
import io.polyshm.PolyshmException;
import io.polyshm.ReadWriteLock;
import io.polyshm.Semaphore;
import io.polyshm.SharedArray;
import io.polyshm.SharedMemory;
import io.polyshm.SharedMemory.Kind;
import io.polyshm.SharedValue;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Consumer;
import java.util.stream.Collectors;

/**
 * Does what each line of its input says, and answers with a line. The tests across languages start
 * one of each language; the commands stand in {@code python/tests/cross/peers.py}.
 */
public final class Peer {
    private final Map<String, SharedMemory> segments = new HashMap<>();
    private final Map<String, Object> objects = new HashMap<>(); // by handle
    private final List<AutoCloseable> opened = new ArrayList<>();
    private final Map<String, Command> commands = new HashMap<>();
    private String[] words;

    private interface Command {
        Object run() throws Exception;
    }

    private interface Action {
        void run() throws Exception;
    }

    private Peer() {
        addSegments();
        addObjects();
        addLocks();
        addSynchronizers();
    }

    public static void main(String[] arguments) throws IOException {
        Peer peer = new Peer();
        var input = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = input.readLine(); line != null; line = input.readLine()) {
            System.out.println(peer.answer(line));
        }
    }

    private String answer(String line) {
        words = line.split(" ");
        try {
            return "ok " + commands.get(words[0]).run();
        } catch (OwnerDiedException died) {
            return "error "
                    + died.errorName()
                    + " OwnerDiedException pid="
                    + died.death().pid()
                    + " deaths="
                    + died.death().deaths();
        } catch (Exception error) {
            return "error "
                    + (error instanceof PolyshmException named ? named.errorName() : "-")
                    + " "
                    + error.getClass().getSimpleName()
                    + " "
                    + error.getMessage();
        }
    }

    private void add(String name, Command command) {
        commands.put(name, command);
    }

    /** One that has no value to tell. */
    private void does(String name, Action action) {
        commands.put(
                name,
                () -> {
                    action.run();
                    return "";
                });
    }

    private long number(int index) {
        return Long.parseLong(words[index]);
    }

    private static int flag(boolean value) {
        return value ? 1 : 0;
    }

    // ---- segments ----

    private void addSegments() {
        does("segment.create", () -> keep(SharedMemory.create(words[1], number(2))));
        does("segment.open", () -> keep(SharedMemory.open(words[1])));
        does("segment.openOrCreate", () -> keep(SharedMemory.openOrCreate(words[1], number(2))));
        add("segment.anonymous", () -> keep(SharedMemory.anonymous(number(1))));
        does("segment.close", () -> segments.get(words[1]).close());
        does("segment.unlink", () -> SharedMemory.unlink(words[1]));
        add(
                "segment.objects",
                () ->
                        segments.get(words[1]).objects().stream()
                                .map(Peer::text)
                                .collect(Collectors.joining(" ")));
        add(
                "segment.participants",
                () ->
                        segments.get(words[1]).participants().stream()
                                .map(each -> "" + each.pid())
                                .collect(Collectors.joining(" ")));
        does("reset", this::reset);
    }

    private String keep(SharedMemory memory) {
        segments.put(memory.name(), memory);
        opened.add(memory);
        return memory.name();
    }

    private static String text(SharedMemory.ObjectInfo info) {
        String kind =
                info.kind() == Kind.READ_WRITE_LOCK
                        ? "rwlock"
                        : info.kind().name().toLowerCase(Locale.ROOT);
        return String.join(
                ":",
                info.name(),
                kind,
                Elements.nameOf(info.elementType()),
                "" + info.length(),
                "" + info.sizeBytes());
    }

    private void reset() throws Exception {
        for (AutoCloseable each : opened) {
            each.close();
        }
        opened.clear();
        segments.clear();
        objects.clear();
    }

    // ---- objects ----

    /** The segment that the handle names. */
    private SharedMemory memory() {
        return segments.get(words[1].split("/")[0]);
    }

    private String name() {
        return words[1].split("/")[1];
    }

    private <T> T object(Class<T> type) {
        return type.cast(objects.get(words[1]));
    }

    private void opens(String kind, Command open) {
        does(kind + ".open", () -> objects.put(words[1], open.run()));
    }

    private Elements elements() {
        return object(Elements.class);
    }

    private void addObjects() {
        opens("array", () -> Elements.array(words[2], memory(), name(), number(3)));
        opens("value", () -> Elements.value(words[2], memory(), name()));
        does("attach", this::attach);
        add("get", () -> elements().get(number(2)));
        does("set", () -> elements().set(number(2), words[3]));
        does("fill", () -> elements().fill(words[2]));
        add("read", () -> elements().read());
        does("write", () -> elements().write(words[2]));
        does(
                "atomic.add",
                () -> {
                    for (long i = number(3); i > 0; i--) {
                        elements().addAtomically(number(2));
                    }
                });
    }

    private void attach() {
        String handle = words[1];
        Object attached =
                switch (words[2]) {
                    case "array" -> Elements.attach(SharedArray.class, words[3], handle);
                    case "value" -> Elements.attach(SharedValue.class, words[3], handle);
                    case "lock" -> Lock.attach(handle);
                    case "semaphore" -> Semaphore.attach(handle);
                    case "event" -> Event.attach(handle);
                    case "latch" -> Latch.attach(handle);
                    case "barrier" -> Barrier.attach(handle);
                    default -> ReadWriteLock.attach(handle);
                };
        objects.put(handle, attached);
        opened.add(
                attached instanceof Elements elements
                        ? elements.closeable()
                        : (AutoCloseable) attached);
    }

    // ---- locks ----

    private Lock lock(String handle) {
        Object object = objects.get(handle);
        return object instanceof Elements elements ? elements.lock() : (Lock) object;
    }

    private Lock lock() {
        return lock(words[1]);
    }

    private void addLocks() {
        opens("lock", () -> Lock.in(memory(), name()));
        does("lock.acquire", () -> lock().lock());
        add("lock.try", () -> flag(lock().tryLock()));
        add("lock.timed", () -> flag(lock().tryLock(number(2), TimeUnit.MILLISECONDS)));
        does("lock.release", () -> lock().unlock());
        add("lock.repair", () -> repaired(lock()::repair));
        add(
                "lock.info",
                () ->
                        "owner="
                                + lock().owner().map(Lock.Owner::pid).orElse(0L)
                                + state(lock().isAbandoned(), lock().lastDeath()));
        does("lock.add", this::addLocked);
    }

    private void addLocked() {
        for (long i = number(3); i > 0; i--) {
            lock().lock();
            try {
                elements().add(number(2));
            } finally {
                lock().unlock();
            }
        }
    }

    /** The process that had died, 0 if the lock was not abandoned. */
    private static long repaired(Consumer<Consumer<Lock.Death>> repair) {
        AtomicLong dead = new AtomicLong();
        repair.accept(death -> dead.set(death.pid()));
        return dead.get();
    }

    private static String state(boolean abandoned, Optional<Lock.Death> death) {
        return " abandoned="
                + flag(abandoned)
                + " dead="
                + death.map(Lock.Death::pid).orElse(0L)
                + " deaths="
                + death.map(Lock.Death::deaths).orElse(0L);
    }

    // ---- synchronizers ----

    /** A wait that may have an end: by the number of milliseconds, below 0 without. */
    private interface Timed {
        boolean run(long time, TimeUnit unit) throws Exception;
    }

    private int waits(int index, Action forever, Timed timed) throws Exception {
        if (number(index) >= 0) {
            return flag(timed.run(number(index), TimeUnit.MILLISECONDS));
        }
        forever.run();
        return 1;
    }

    private Semaphore semaphore() {
        return object(Semaphore.class);
    }

    private Event event() {
        return object(Event.class);
    }

    private Latch latch() {
        return object(Latch.class);
    }

    private Barrier barrier() {
        return object(Barrier.class);
    }

    private Condition condition() {
        return object(Condition.class);
    }

    private ReadWriteLock readWriteLock() {
        return object(ReadWriteLock.class);
    }

    private java.util.concurrent.locks.Lock side() {
        return words[2].equals("read") ? readWriteLock().readLock() : readWriteLock().writeLock();
    }

    private void addSynchronizers() {
        opens(
                "semaphore",
                () ->
                        number(3) == 0
                                ? Semaphore.in(memory(), name(), number(2))
                                : Semaphore.boundedIn(memory(), name(), number(2)));
        add(
                "semaphore.acquire",
                () ->
                        waits(
                                3,
                                () -> semaphore().acquire(number(2)),
                                (time, unit) -> semaphore().tryAcquire(number(2), time, unit)));
        does("semaphore.release", () -> semaphore().release(number(2)));
        add("semaphore.available", () -> semaphore().availablePermits());

        opens("event", () -> Event.in(memory(), name()));
        does("event.set", () -> event().set());
        does("event.clear", () -> event().clear());
        add("event.isSet", () -> flag(event().isSet()));
        add("event.wait", () -> waits(2, () -> event().await(), event()::await));

        opens("latch", () -> Latch.in(memory(), name(), number(2)));
        does("latch.countDown", () -> latch().countDown(number(2)));
        add("latch.count", () -> latch().getCount());
        add("latch.wait", () -> waits(2, () -> latch().await(), latch()::await));

        opens("barrier", () -> Barrier.in(memory(), name(), (int) number(2)));
        add(
                "barrier.wait",
                () ->
                        number(2) < 0
                                ? barrier().await()
                                : barrier().await(number(2), TimeUnit.MILLISECONDS));
        does("barrier.abort", () -> barrier().abort());
        does("barrier.reset", () -> barrier().reset());
        add("barrier.info", this::barrierInfo);

        opens("rwlock", () -> ReadWriteLock.in(memory(), name()));
        add("rwlock.acquire", () -> waits(3, () -> side().lock(), side()::tryLock));
        does("rwlock.release", () -> side().unlock());
        add("rwlock.repair", () -> repaired(readWriteLock()::repair));
        add("rwlock.info", this::readWriteLockInfo);

        opens("condition", () -> lock(words[2]).condition(name()));
        add("condition.wait", () -> waits(2, () -> condition().await(), condition()::await));
        add("condition.signal", () -> condition().signal((int) number(2)));
        add("condition.waiting", () -> condition().getWaitQueueLength());
    }

    private String barrierInfo() {
        Optional<Barrier.Break> last = barrier().lastBreak();
        return "waiting="
                + barrier().getNumberWaiting()
                + " broken="
                + flag(barrier().isBroken())
                + " cause="
                + last.map(each -> each.cause().name()).orElse("NONE")
                + " pid="
                + last.map(Barrier.Break::pid).orElse(0L);
    }

    private String readWriteLockInfo() {
        return "writer="
                + readWriteLock().owner().map(Lock.Owner::pid).orElse(0L)
                + " readers="
                + readWriteLock().getReadLockCount()
                + state(readWriteLock().isAbandoned(), readWriteLock().lastDeath());
    }
}
