// SPDX-License-Identifier: Apache-2.0
package io.polyshm.storm;

import io.polyshm.Lock;
import io.polyshm.OwnerDiedException;
import io.polyshm.SharedArray;
import java.util.SplittableRandom;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;

/** One thread that transfers amounts; the protocol stands at {@link Bank}. */
final class Teller {
    private static final String NAME = "storm-";
    private static final int AMOUNT = 100;
    private static final int TRANSFERS_PER_AUDIT = 1_000;
    private static final int MOST_TRANSFERS_PER_DRILL = 64;
    private static final int TIMEOUT_MILLIS = 5;
    private static final int STEPS_PER_NAP = 20;
    private static final int LONGEST_NAP_NANOS = 500_000;

    private final Bank bank;
    private final int serial;
    private final int record;
    private final SplittableRandom random;
    private final int transfersPerDrill;
    private final Drill drill;

    Teller(Bank bank, int serial, long seed) {
        this.bank = bank;
        this.serial = serial;
        record = serial * Bank.RECORD;
        random = new SplittableRandom(seed);
        transfersPerDrill = 1 + random.nextInt(MOST_TRANSFERS_PER_DRILL);
        drill = new Drill(bank, this, serial, random);
    }

    /** Until all are to stop. */
    void work() throws InterruptedException {
        Thread.currentThread().setName(NAME + serial);
        while (!bank.isStopping()) {
            transfer();
            if (random.nextInt(transfersPerDrill) == 0) {
                drill.run();
            }
            if (random.nextInt(TRANSFERS_PER_AUDIT) == 0) {
                audit();
            }
        }
        bank.end();
    }

    /** Has the waits of others end, until they are over. */
    void drive(CountDownLatch over) throws InterruptedException {
        Thread.currentThread().setName(NAME + serial);
        drill.drive(over);
    }

    /** Nobody else is there any more. */
    void auditAlone() throws InterruptedException {
        audit();
        drill.audit();
    }

    /** Takes all locks and adds up. */
    void audit() throws InterruptedException {
        for (int group = 0; group < Bank.GROUPS; group++) {
            take(group);
        }
        long missing = bank.missing();
        for (int group = Bank.GROUPS - 1; group >= 0; group--) {
            give(group);
        }
        expect(missing == 0, "the sum of all accounts is short of " + missing);
    }

    private void transfer() throws InterruptedException {
        int from = random.nextInt(Bank.ACCOUNTS);
        int to = (from + 1 + random.nextInt(Bank.ACCOUNTS - 1)) % Bank.ACCOUNTS;
        int lower = Math.min(Bank.group(from), Bank.group(to));
        int upper = Math.max(Bank.group(from), Bank.group(to));
        linger();
        take(lower);
        linger();
        if (upper != lower) {
            take(upper);
        }
        move(from, to, random.nextInt(AMOUNT));
        if (upper != lower) {
            give(upper);
        }
        give(lower);
    }

    private void move(int from, int to, int amount) {
        SharedArray.OfLong journal = bank.journal;
        SharedArray.OfLong accounts = bank.accounts;
        long fromBefore = accounts.get(from);
        long toBefore = accounts.get(to);
        journal.setRelease(record + Bank.FROM, from);
        journal.setRelease(record + Bank.TO, to);
        journal.setRelease(record + Bank.FROM + Bank.BEFORE, fromBefore);
        journal.setRelease(record + Bank.TO + Bank.BEFORE, toBefore);
        journal.setRelease(record + Bank.STATE, 1);
        linger();
        accounts.setRelease(from, fromBefore - amount);
        linger();
        accounts.setRelease(to, toBefore + amount);
        linger();
        journal.setRelease(record + Bank.STATE, 0);
        count(journal, record + Bank.TRANSFERS);
    }

    /** Others get their turn, and a death can come between any two steps. */
    private void linger() {
        if (random.nextInt(STEPS_PER_NAP) == 0) {
            nap(LONGEST_NAP_NANOS);
        }
    }

    /** The same for sure. */
    void nap(int longestNanos) {
        LockSupport.parkNanos(random.nextInt(longestNanos));
    }

    // ---- locks, in one of the ways in which they can be taken and repaired ----

    void take(int group) throws InterruptedException {
        Lock plain = bank.locks.get(group);
        Lock lock = random.nextBoolean() ? plain : plain.withRepair(death -> repair(group, death));
        boolean timed = random.nextInt(4) == 0;
        boolean held = false;
        while (!held) {
            long repaired = bank.cells.getAcquire(group * Bank.CELL + Bank.REPAIRED);
            try {
                if (timed) {
                    held = lock.tryLock(TIMEOUT_MILLIS, TimeUnit.MILLISECONDS);
                } else {
                    lock.lock();
                    held = true;
                }
            } catch (OwnerDiedException told) {
                hear(group, told.death(), repaired);
                plain.repair(death -> repair(group, death));
            }
        }
        comeIn(group);
    }

    void give(int group) {
        goOut(group);
        bank.locks.get(group).unlock();
    }

    /** Says that the lock is the caller's. */
    void comeIn(int group) {
        long inside = bank.cells.get(group * Bank.CELL + Bank.INSIDE);
        expect(inside == 0, "lock-" + group + ": was given away with " + inside + " inside");
        bank.cells.setRelease(group * Bank.CELL + Bank.INSIDE, serial);
    }

    void goOut(int group) {
        long inside = bank.cells.get(group * Bank.CELL + Bank.INSIDE);
        expect(inside == serial, "lock-" + group + ": " + inside + " came in meanwhile");
        bank.cells.setRelease(group * Bank.CELL + Bank.INSIDE, 0);
    }

    void repair(int group, Lock.Death death) {
        int cell = group * Bank.CELL;
        hear(group, death, bank.cells.get(cell + Bank.REPAIRED));
        int dead = (int) bank.cells.get(cell + Bank.INSIDE);
        expect(
                dead == 0 || bank.doomed(dead) != 0,
                "lock-" + group + ": " + dead + " was cut off alive");
        if (group >= Bank.GROUPS) {
            drill.mend(group);
        } else if (dead != 0 && bank.journal.get(dead * Bank.RECORD + Bank.STATE) == 1) {
            restore(group, dead * Bank.RECORD + Bank.FROM);
            restore(group, dead * Bank.RECORD + Bank.TO);
            count(bank.cells, cell + Bank.UNDONE);
        }
        bank.cells.setRelease(cell + Bank.INSIDE, 0);
        bank.cells.setRelease(cell + Bank.REPAIRED, death.deaths());
        count(bank.cells, cell + Bank.REPAIRS);
        bank.journal.getAndAdd(serialOf(death.threadName()) * Bank.RECORD + Bank.LEFT, 1);
    }

    private void restore(int group, int word) {
        int account = (int) bank.journal.get(word);
        if (Bank.group(account) == group) {
            bank.accounts.setRelease(account, bank.journal.get(word + Bank.BEFORE));
        }
    }

    /** A death was told: it has to be a true one, and later than what had been repaired. */
    void hear(int group, Lock.Death death, long repaired) {
        count(bank.journal, record + Bank.TOLD);
        expect(
                death.pid() == bank.doomed(serialOf(death.threadName())),
                "lock-" + group + ": was told of a death that never was: " + death);
        expect(
                death.deaths() > repaired,
                "lock-" + group + ": " + repaired + " deaths are repaired, and was told " + death);
    }

    private static int serialOf(String threadName) {
        return threadName.matches(NAME + "\\d{1,9}")
                ? Integer.parseInt(threadName.substring(NAME.length()))
                : 0;
    }

    void countDrill() {
        count(bank.journal, record + Bank.DRILLS);
    }

    private static void count(SharedArray.OfLong words, int index) {
        words.setRelease(index, words.get(index) + 1);
    }

    void expect(boolean good, String violation) {
        if (!good) {
            bank.violation("java " + NAME + serial + ": " + violation);
        }
    }
}
