// SPDX-License-Identifier: Apache-2.0
package io.polyshm.storm;

import static io.polyshm.storm.Drills.AMOUNT;
import static io.polyshm.storm.Drills.BEGUN;
import static io.polyshm.storm.Drills.BUFFER;
import static io.polyshm.storm.Drills.CAPACITY;
import static io.polyshm.storm.Drills.DONE;
import static io.polyshm.storm.Drills.FIRST;
import static io.polyshm.storm.Drills.PERMITS;
import static io.polyshm.storm.Drills.PLACES;
import static io.polyshm.storm.Drills.PUTS;
import static io.polyshm.storm.Drills.RWLOCK;
import static io.polyshm.storm.Drills.SECOND;
import static io.polyshm.storm.Drills.TAKES;

import io.polyshm.Barrier;
import io.polyshm.Condition;
import io.polyshm.Latch;
import io.polyshm.Lock;
import io.polyshm.OwnerDiedException;
import io.polyshm.ReadWriteLock;
import io.polyshm.SharedArray;
import java.util.SplittableRandom;
import java.util.concurrent.BrokenBarrierException;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/** One thread's use of the synchronizers; the protocol stands at {@link Drills}. */
final class Drill {
    private static final int NAP_NANOS = 2_000_000;
    private static final int TIMEOUT_MILLIS = 5;
    private static final int BARRIER_TIMEOUT_MILLIS = 20;
    private static final int WAITS_PER_ENDLESS = 2;
    private static final int AWAITS_PER_ABORT = 16;
    private static final int REPAIRS_PER_REFUSAL = 8;
    private static final int BEAT_MILLIS = 10;

    /** A wait that has an end, and tells whether it was in vain. */
    private interface Timed {
        boolean await(long time, TimeUnit unit) throws InterruptedException;
    }

    private interface Endless {
        void await() throws InterruptedException;
    }

    /** A repair that is given up. */
    private static final class NotNow extends RuntimeException {
        private static final long serialVersionUID = 1;
    }

    private final Bank bank;
    private final Teller teller;
    private final Drills drills;
    private final SharedArray.OfLong words;
    private final int serial;
    private final SplittableRandom random;
    private final Lock bufferLock;
    private final ReadWriteLock rwlock;
    private final ReadWriteLock repairing;
    private long entries;

    Drill(Bank bank, Teller teller, int serial, SplittableRandom random) {
        this.bank = bank;
        this.teller = teller;
        this.serial = serial;
        this.random = random;
        drills = bank.drills;
        words = drills.words;
        bufferLock = bank.locks.get(BUFFER);
        rwlock = drills.rwlock;
        repairing = rwlock.withRepair(death -> teller.repair(RWLOCK, death));
    }

    /** Any one of them. */
    void run() throws InterruptedException {
        switch (random.nextInt(8)) {
            case 0 -> usePermits();
            case 1 -> readPair();
            case 2 -> writePair();
            case 3 -> meet();
            case 4 -> useEvent();
            case 5 -> feelPulse();
            case 6 -> countDown();
            default -> useBuffer();
        }
        teller.countDrill();
    }

    /** Now and then without end. Returns whether what was waited for is there. */
    private boolean await(Timed timed, Endless endless, int millis) throws InterruptedException {
        if (random.nextInt(WAITS_PER_ENDLESS) != 0) {
            return timed.await(millis, TimeUnit.MILLISECONDS);
        }
        endless.await();
        return true;
    }

    private void expect(boolean good, String violation) {
        teller.expect(good, violation);
    }

    // ---- semaphore ----

    private void usePermits() throws InterruptedException {
        int wanted = 1 + random.nextInt(2);
        boolean acquired =
                random.nextInt(4) == 0
                        ? drills.semaphore.tryAcquire(wanted)
                        : await(
                                (time, unit) -> drills.semaphore.tryAcquire(wanted, time, unit),
                                () -> drills.semaphore.acquire(wanted),
                                TIMEOUT_MILLIS);
        if (!acquired) {
            return;
        }
        long[] mine = new long[wanted];
        int[] places = new int[wanted];
        for (int i = 0; i < wanted; i++) {
            mine[i] = (long) serial << 32 | ++entries;
            places[i] = occupy(mine[i]);
        }
        teller.nap(NAP_NANOS);
        for (int i = 0; i < wanted; i++) {
            boolean displaced =
                    places[i] >= 0 && !words.compareAndSet(PLACES + places[i], mine[i], 0);
            expect(!displaced || bank.doomed(serial) != 0, "semaphore: displaced, and lives");
        }
        drills.semaphore.release(wanted);
    }

    /** Returns the place that is the caller's now; -1 if the living have taken all. */
    private int occupy(long mine) {
        long[] before = new long[PERMITS];
        while (true) {
            boolean same = true;
            for (int i = 0; i < PERMITS; i++) {
                long other = words.getAcquire(PLACES + i);
                if (other == 0 || bank.doomed(other >>> 32) != 0) {
                    if (words.compareAndSet(PLACES + i, other, mine)) {
                        return i;
                    }
                    other = 0;
                }
                same = same && other != 0 && other == before[i];
                before[i] = other;
            }
            if (same) {
                expect(false, "semaphore: more inside than permits");
                return -1;
            }
        }
    }

    // ---- read-write lock ----

    private boolean enter(boolean writes) throws InterruptedException {
        ReadWriteLock way = random.nextBoolean() ? rwlock : repairing;
        java.util.concurrent.locks.Lock lock = writes ? way.writeLock() : way.readLock();
        int kind = random.nextInt(8);
        while (true) {
            long repaired = bank.cells.getAcquire(RWLOCK * Bank.CELL + Bank.REPAIRED);
            try {
                return kind == 0
                        ? lock.tryLock()
                        : await(lock::tryLock, lock::lock, TIMEOUT_MILLIS);
            } catch (OwnerDiedException told) {
                teller.hear(RWLOCK, told.death(), repaired);
                try {
                    rwlock.repair(death -> repairOrNot(RWLOCK, death));
                } catch (NotNow others) {
                    // it stays abandoned
                }
            }
        }
    }

    private void repairOrNot(int cell, Lock.Death death) {
        if (random.nextInt(REPAIRS_PER_REFUSAL) == 0) {
            throw new NotNow();
        }
        teller.repair(cell, death);
    }

    private void expectPair(long first) {
        long second = words.getAcquire(SECOND);
        expect(first == second, "rwlock: its cells differ: " + first + ", " + second);
    }

    private void lookAtPair() {
        long first = words.getAcquire(FIRST);
        teller.nap(NAP_NANOS);
        expectPair(first);
        long writer = bank.cells.getAcquire(RWLOCK * Bank.CELL + Bank.INSIDE);
        expect(writer == 0, "rwlock: " + writer + " writes while others read");
    }

    private void readPair() throws InterruptedException {
        if (enter(false)) {
            lookAtPair();
            rwlock.readLock().unlock();
        }
    }

    private void writePair() throws InterruptedException {
        if (!enter(true)) {
            return;
        }
        teller.comeIn(RWLOCK);
        long next = words.getAcquire(FIRST) + 1;
        expectPair(next - 1);
        words.setRelease(FIRST, next);
        teller.nap(NAP_NANOS);
        words.setRelease(SECOND, next);
        boolean goesOnReading = random.nextInt(4) == 0;
        if (goesOnReading) {
            rwlock.readLock().lock();
        }
        teller.goOut(RWLOCK);
        rwlock.writeLock().unlock();
        if (goesOnReading) {
            lookAtPair();
            rwlock.readLock().unlock();
        }
    }

    // ---- barriers ----

    private void meet() throws InterruptedException {
        int which = random.nextInt(Drills.BARRIERS);
        Barrier barrier = drills.barriers.get(which);
        int trips = Drills.TRIPS + 4 * which;
        if (random.nextInt(AWAITS_PER_ABORT) == 0) {
            barrier.abort();
        }
        try {
            int index =
                    random.nextInt(WAITS_PER_ENDLESS) == 0
                            ? barrier.await()
                            : barrier.await(BARRIER_TIMEOUT_MILLIS, TimeUnit.MILLISECONDS);
            expect(index >= 0 && index < which + 2, "barrier: no such index: " + index);
            long told = words.getAndAdd(trips + 1 + index, 1) + 1;
            long all = words.getAcquire(trips);
            expect(told <= all, "barrier: " + all + " trips, and told " + index + ": " + told);
        } catch (TimeoutException over) {
            // it is broken by now
        } catch (BrokenBarrierException broken) {
            barrier.lastBreak().ifPresent(this::hear);
            if (random.nextBoolean()) {
                barrier.reset();
                if (bank.isStopping()) {
                    barrier.abort();
                }
            }
        }
    }

    private void hear(Barrier.Break told) {
        if (told.cause() == Barrier.Cause.DEATH) {
            words.getAndAdd(Drills.DEATHS_OF_PARTIES, 1);
            expect(bank.wasKilled(told.pid()), "barrier: broken by what never was: " + told);
        }
    }

    // ---- events ----

    private void useEvent() throws InterruptedException {
        switch (random.nextInt(4)) {
            case 0 -> drills.event.set();
            case 1 -> {
                drills.event.clear();
                if (bank.isStopping()) {
                    drills.event.set();
                }
            }
            default -> await(drills.event::await, drills.event::await, TIMEOUT_MILLIS);
        }
    }

    private void feelPulse() throws InterruptedException {
        long begun = words.getAcquire(BEGUN);
        boolean isQuiet = words.getAcquire(DONE) == begun;
        if (await(drills.pulse::await, drills.pulse::await, BARRIER_TIMEOUT_MILLIS)) {
            long now = words.getAcquire(BEGUN);
            expect(!isQuiet || now > begun, "pulse: was felt before it came: " + now);
        }
    }

    // ---- latches ----

    private void countDown() throws InterruptedException {
        int which = 0;
        while (which < Drills.LATCHES - 1 && drills.latches.get(which).getCount() == 0) {
            which++;
        }
        countDown(which, 1 + random.nextInt(3));
        Latch latch = drills.latches.get(which);
        if (await(latch::await, latch::await, TIMEOUT_MILLIS)) {
            expect(latch.getCount() == 0, "latch: does not hold: " + latch.getCount());
        }
    }

    private void countDown(int which, int by) {
        int begun = Drills.COUNTED + 2 * which;
        int done = begun + 1;
        words.getAndAdd(begun, by);
        drills.latches.get(which).countDown(by);
        words.getAndAdd(done, by);
        long most = Math.max(0, Drills.LATCH_COUNT - words.getAcquire(done));
        long left = drills.latches.get(which).getCount();
        long least = Math.max(0, Drills.LATCH_COUNT - words.getAcquire(begun));
        expect(
                left >= least && left <= most,
                "latch: " + left + " left, and not " + least + " to " + most);
    }

    // ---- conditions ----

    /** After the death of who held the lock: any number of signals may be missing. */
    void mend(int cell) {
        if (cell == BUFFER) {
            words.setRelease(AMOUNT, words.getAcquire(PUTS) - words.getAcquire(TAKES));
            notEmpty(bufferLock).signalAll();
            notFull(bufferLock).signalAll();
        } else {
            words.setRelease(SECOND, words.getAcquire(FIRST));
        }
    }

    private static Condition notEmpty(Lock lock) {
        return lock.condition("not-empty");
    }

    private static Condition notFull(Lock lock) {
        return lock.condition("not-full");
    }

    private void useBuffer() throws InterruptedException {
        boolean puts = random.nextBoolean();
        long inVain = puts ? CAPACITY : 0;
        teller.take(BUFFER);
        expectAmount();
        if (words.getAcquire(AMOUNT) == inVain && !bank.isStopping()) {
            if (!awaitChange(puts)) {
                return;
            }
            expectAmount();
        }
        if (words.getAcquire(AMOUNT) != inVain) {
            change(puts);
        }
        teller.give(BUFFER);
    }

    private void change(boolean puts) {
        long number = words.getAcquire(puts ? PUTS : TAKES);
        int item = Drills.ITEMS + (int) (number % CAPACITY);
        if (puts) {
            words.setRelease(item, number);
        }
        expect(words.getAcquire(item) == number, "buffer: not the next item: " + number);
        words.setRelease(puts ? PUTS : TAKES, number + 1);
        teller.nap(NAP_NANOS);
        words.setRelease(AMOUNT, words.getAcquire(AMOUNT) + (puts ? 1 : -1));
        teller.nap(NAP_NANOS);
        (puts ? notEmpty(bufferLock) : notFull(bufferLock)).signal();
    }

    /** Returns whether the lock is held, and what it guards is whole. */
    private boolean awaitChange(boolean puts) throws InterruptedException {
        Lock lock =
                random.nextBoolean()
                        ? bufferLock
                        : bufferLock.withRepair(death -> teller.repair(BUFFER, death));
        Condition condition = puts ? notFull(lock) : notEmpty(lock);
        long repaired = bank.cells.getAcquire(BUFFER * Bank.CELL + Bank.REPAIRED);
        teller.goOut(BUFFER);
        try {
            await(condition::await, condition::await, TIMEOUT_MILLIS);
        } catch (OwnerDiedException told) {
            teller.hear(BUFFER, told.death(), repaired);
            try {
                bufferLock.repair(death -> repairOrNot(BUFFER, death));
            } catch (NotNow others) {
                bufferLock.unlock();
                return false;
            }
        }
        teller.comeIn(BUFFER);
        return true;
    }

    private void expectAmount() {
        long there = words.getAcquire(AMOUNT);
        expect(there >= 0 && there <= CAPACITY, "buffer: no such amount: " + there);
        long right = words.getAcquire(PUTS) - words.getAcquire(TAKES);
        expect(there == right, "buffer: " + there + " there, and not " + right);
    }

    // ---- the driver ----

    /** Keeps waits from lasting for ever, until they are over. */
    void drive(CountDownLatch over) throws InterruptedException {
        while (!bank.isStopping()) {
            words.getAndAdd(BEGUN, 1);
            drills.pulse.set();
            drills.pulse.clear();
            words.getAndAdd(DONE, 1);
            drills.event.set();
            for (int i = 0; i < Drills.LATCHES; i++) {
                if (drills.latches.get(i).getCount() > 0) {
                    countDown(i, 1);
                    break;
                }
            }
            signalIfInVain();
            Thread.sleep(BEAT_MILLIS);
        }
        words.getAndAdd(BEGUN, 1);
        drills.pulse.set();
        drills.event.set();
        drills.barriers.forEach(Barrier::abort);
        for (int i = 0; i < Drills.LATCHES; i++) {
            countDown(i, Drills.LATCH_COUNT);
        }
        do {
            signalIfInVain();
        } while (!over.await(BEAT_MILLIS, TimeUnit.MILLISECONDS));
    }

    private void signalIfInVain() throws InterruptedException {
        teller.take(BUFFER);
        expectAmount();
        if (words.getAcquire(AMOUNT) == 0) {
            notEmpty(bufferLock).signalAll();
        }
        if (words.getAcquire(AMOUNT) == CAPACITY) {
            notFull(bufferLock).signalAll();
        }
        teller.give(BUFFER);
    }

    /** Nobody else is there any more. */
    void audit() throws InterruptedException {
        long permits = drills.semaphore.availablePermits();
        expect(permits == PERMITS, "semaphore: " + permits + " permits have come back");
        while (!enter(true)) { // nobody has it, but it may have to be repaired
            continue;
        }
        expectPair(words.getAcquire(FIRST));
        rwlock.writeLock().unlock();
        long readers = rwlock.getReadLockCount();
        expect(readers == 0, "rwlock: " + readers + " still read");
        for (Barrier barrier : drills.barriers) {
            long waiting = barrier.getNumberWaiting();
            expect(waiting == 0, "barrier: " + waiting + " still wait");
        }
        teller.take(BUFFER);
        expectAmount();
        long waiting =
                notEmpty(bufferLock).getWaitQueueLength()
                        + notFull(bufferLock).getWaitQueueLength();
        expect(waiting == 0, "buffer: " + waiting + " still wait");
        teller.give(BUFFER);
    }
}
