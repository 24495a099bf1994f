// SPDX-License-Identifier: Apache-2.0
package io.polyshm.storm;

import io.polyshm.Lock;
import io.polyshm.SharedArray;
import io.polyshm.SharedMemory;
import java.lang.reflect.Field;
import java.util.BitSet;
import java.util.List;
import java.util.concurrent.locks.LockSupport;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/**
 * Accounts in shared memory, and what makes them survive the death of those who transfer amounts
 * between them. This comment is the protocol of all workers, in whatever language they are.
 *
 * <p><b>Threads.</b> Each thread of a worker has a serial number of its own, from 1 on, which no
 * later one gets, and tells the library the name {@code storm-<serial>} before it takes a lock.
 *
 * <p><b>Objects</b>, all arrays of longs except the locks:
 *
 * <pre>
 *   accounts            the balances; account a belongs to group a modulo the number of groups
 *   lock-0, lock-1 ...  for each group the lock that guards its accounts and its cell
 *   cells               for each lock   0 inside    serial of the one who holds it, 0 for nobody
 *                                       1 repaired  number of the last death that was repaired
 *                                       2 repairs   count of them
 *                                       3 undone    count of those that undid a transfer
 *   journal             for each serial 0 state     1 while a transfer is under way, otherwise 0
 *                                       1 from      account
 *                                       2 to        account
 *                                       3           balance of `from` before
 *                                       4           balance of `to` before
 *                                       5 transfers count of those that are done
 *                                       6 told      count of the times that a death was told to it
 *                                       7 doomed    its process id, stored before that is killed
 *                                       8 drills    count of those that are done
 *                                       9 left      count of the locks repaired after its death
 *   control             0 stop          1 when all are to end, 2 when all threads have
 *                       1 violations    count of what must never be
 *                       2 sum           of all accounts
 *                       3 serials       the first that nobody has yet
 *                       4 ended         count of threads that have ended
 *                       5 calm          1 when nobody is to start a process any more
 * </pre>
 *
 * <p><b>Transfer.</b> Take the locks of both groups, the lower first; store the serial as {@code
 * inside} of each. Write {@code from}, {@code to} and their balances; then {@code state} 1; then
 * both new balances; then {@code state} 0. Clear {@code inside} of each lock and give it back, the
 * upper first. All these stores have release order, so they are done in the order in which they
 * stand, and a death leaves exactly those before some point of it.
 *
 * <p><b>Repair</b> of one lock, holding that one only: if {@code inside} names somebody whose
 * {@code state} is 1, give the accounts of this group the balances of his record; clear {@code
 * inside}; store the number of the death as {@code repaired}.
 *
 * <p><b>Why that is right.</b> Only its thread writes of its transfers, so the record of a dead one
 * never changes in that, and says of all locks that he held the same: the transfer is done, or is
 * to be undone. So each can be repaired by itself, whoever does it and whenever. Nobody else can
 * have touched the accounts of a group in the meantime, as its lock is abandoned. A repair that is
 * itself cut by a death is begun again, and stores the same balances.
 *
 * <p><b>What is checked</b>, and counted as a violation otherwise, and printed if it is one of the
 * first hundred, at once and by the one who sees it. Who gets the lock without having been told of
 * a death finds {@code inside} 0: a death was not concealed, and nobody else is in. Whoever is told
 * of a death is told a name and process id that are {@code doomed}: nobody who lives was called
 * dead. The number of the death is higher than {@code repaired} was when he came: no death is told
 * after its repair. Who holds all locks finds the sum of all accounts unchanged.
 *
 * <p><b>The end.</b> Nobody closes the segment before all threads have ended: it would wake those
 * that wait, whom somebody else may have forgotten.
 *
 * <p>Between transfers workers use the other synchronizers; see {@link Drills}.
 */
final class Bank {
    static final int GROUPS = 8;
    static final int ACCOUNTS = 64;
    static final int SERIALS = 1 << 16; // enough for more than an hour

    static final int CELL = 4;
    static final int INSIDE = 0;
    static final int REPAIRED = 1;
    static final int REPAIRS = 2;
    static final int UNDONE = 3;

    static final int RECORD = 10;
    static final int STATE = 0;
    static final int FROM = 1;
    static final int TO = 2;
    static final int BEFORE = 2; // added to FROM or TO: the balance of that account
    static final int TRANSFERS = 5;
    static final int TOLD = 6;
    static final int DOOMED = 7;
    static final int DRILLS = 8;
    static final int LEFT = 9;

    static final int STOP = 0;
    static final int VIOLATIONS = 1;
    static final int SUM = 2;
    static final int SERIALS_GIVEN = 3;
    static final int ENDED = 4;
    static final int CALM = 5;

    static final int VIOLATIONS_TOLD = 100;
    private static final long BALANCE = 1_000;
    private static final long BYTES = SERIALS * RECORD * 8L + (1 << 17);

    final SharedMemory memory;
    final SharedArray.OfLong accounts;
    final SharedArray.OfLong cells;
    final SharedArray.OfLong journal;
    final List<Lock> locks; // one of each group, and the buffer's
    final Drills drills;
    private final SharedArray.OfLong control;

    Bank(SharedMemory memory) {
        this.memory = memory;
        accounts = SharedArray.ofLongs(memory, "accounts", ACCOUNTS);
        cells = SharedArray.ofLongs(memory, "cells", (GROUPS + 2) * CELL);
        journal = SharedArray.ofLongs(memory, "journal", SERIALS * RECORD);
        control = SharedArray.ofLongs(memory, "control", 6);
        locks =
                IntStream.rangeClosed(0, GROUPS)
                        .mapToObj(i -> Lock.in(memory, "lock-" + i))
                        .toList();
        drills = new Drills(memory);
    }

    /** A new one, which is gone with the last process that has it open. */
    static Bank create() {
        Bank bank = new Bank(SharedMemory.anonymous(BYTES));
        bank.accounts.fill(BALANCE);
        bank.control.setRelease(SUM, ACCOUNTS * BALANCE);
        return bank;
    }

    /** The numbers of both protocols, as {@code NAME=value}, for programs that read no Java. */
    static Stream<String> numbers() {
        return Stream.of(Bank.class, Drills.class)
                .flatMap(type -> Stream.of(type.getDeclaredFields()))
                .filter(field -> field.getType() == int.class)
                .map(Bank::number);
    }

    private static String number(Field field) {
        try {
            return field.getName() + "=" + field.getInt(null);
        } catch (IllegalAccessException impossible) {
            throw new AssertionError(impossible);
        }
    }

    static int group(long account) {
        return (int) (account % GROUPS);
    }

    /** The caller holds all locks, or is alone. */
    long missing() {
        return control.getAcquire(SUM) - accounts.stream().sum();
    }

    boolean isStopping() {
        return control.getAcquire(STOP) != 0;
    }

    void stop() {
        control.compareAndSet(STOP, 0, 1);
    }

    void calmDown() {
        control.setRelease(CALM, 1);
    }

    /** To be called by each thread when it is to stop and holds nothing any more. */
    void end() {
        control.getAndAdd(ENDED, 1);
        while (control.getAcquire(STOP) == 1) {
            LockSupport.parkNanos(1_000_000);
        }
    }

    long ended() {
        return control.getAcquire(ENDED);
    }

    /** Lets those go that have ended. */
    void letGo() {
        control.setRelease(STOP, 2);
    }

    /** To be called before the process is killed. */
    void doom(int serial, long pid) {
        journal.setRelease(serial * RECORD + DOOMED, pid);
    }

    /** The process id of a thread that has been, or is about to be, killed; 0 if it has not. */
    long doomed(long serial) {
        return serial > 0 && serial < SERIALS
                ? journal.getAcquire((int) serial * RECORD + DOOMED)
                : 0;
    }

    /** Whether that is a process of which a thread is doomed. */
    boolean wasKilled(long pid) {
        for (int serial = (int) control.getAcquire(SERIALS_GIVEN) - 1; serial > 0; serial--) {
            if (doomed(serial) == pid) {
                return true;
            }
        }
        return false;
    }

    /** Tells that all serials below this one have been given to somebody. */
    void giveSerials(int end) {
        control.setRelease(SERIALS_GIVEN, end);
    }

    long violations() {
        return control.getAcquire(VIOLATIONS);
    }

    /** Tells what must never be, and has everyone stop. */
    void violation(String text) {
        if (control.getAndAdd(VIOLATIONS, 1) < VIOLATIONS_TOLD) {
            System.err.println("violation: " + text);
        }
        stop();
    }

    // ---- figures ----

    /** The sum of one word of these threads' records. */
    long totalOfThreads(int word, BitSet serials) {
        return serials.stream()
                .mapToLong(serial -> journal.getAcquire(serial * RECORD + word))
                .sum();
    }

    /** The sum of one word of all cells. */
    long totalOfLocks(int word) {
        return IntStream.range(0, GROUPS)
                .mapToLong(group -> cells.getAcquire(group * CELL + word))
                .sum();
    }

    /** How many have died holding a lock, as far as anyone has noticed. */
    long deaths() {
        return locks.stream()
                .mapToLong(lock -> lock.lastDeath().map(Lock.Death::deaths).orElse(0L))
                .sum();
    }
}
