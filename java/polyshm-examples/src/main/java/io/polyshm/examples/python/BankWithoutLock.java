// SPDX-License-Identifier: Apache-2.0
package io.polyshm.examples.python;

import io.polyshm.Barrier;
import io.polyshm.SharedProcess;
import io.polyshm.SharedValue;
import java.util.concurrent.BrokenBarrierException;

/**
 * This JVM and a child in Python use one bank account at the same time, and updates get lost: one
 * overwrites what the other has stored since it read the balance.
 */
public final class BankWithoutLock {
    private static final int START = 200;
    private static final int TIMES = 100;

    private BankWithoutLock() {}

    /**
     * Repeats rounds of 100 deposits and 100 withdrawals until the balance is not 200 after one.
     *
     * @param args none for the parent; two handles for a child of {@code bank_without_lock.py}
     * @throws InterruptedException if interrupted
     * @throws BrokenBarrierException if the parent has died
     */
    public static void main(String... args) throws InterruptedException, BrokenBarrierException {
        if (args.length > 0) {
            child(args[0], args[1]);
        } else {
            parent();
        }
    }

    private static void parent() throws InterruptedException, BrokenBarrierException {
        try (var balance = SharedValue.ofInt(START);
                var both = Barrier.create(2)) {
            SharedProcess child =
                    SharedProcess.start(
                            "python3",
                            "python/examples/bank_without_lock.py",
                            balance.handle(),
                            both.handle());
            child.onExit().thenRun(both::abort); // this JVM waits no more for the child
            int rounds = 0;
            try {
                rounds = work(balance, -1, both);
            } finally {
                child.join(); // throws if it has failed
            }
            System.out.println("expected: " + START);
            System.out.println("found:    " + balance.get() + " (in round " + rounds + ")");
        }
    }

    private static void child(String balanceHandle, String bothHandle)
            throws InterruptedException, BrokenBarrierException {
        try (var balance = SharedValue.OfInt.attach(balanceHandle);
                var both = Barrier.attach(bothHandle)) {
            work(balance, +1, both);
        }
    }

    /** Returns the number of the round in which updates were lost. */
    private static int work(SharedValue.OfInt balance, int amount, Barrier both)
            throws InterruptedException, BrokenBarrierException {
        for (int round = 1; ; round++) {
            both.await(); // they begin together
            for (int i = 0; i < TIMES; i++) {
                int before = balance.getVolatile();
                think(round - 1);
                balance.setVolatile(before + amount); // whatever the other has stored since
            }
            both.await(); // they are done
            if (balance.getVolatile() != START) {
                return round;
            }
        }
    }

    /** A bank that takes its time: longer in each round, for machines with only one processor. */
    private static void think(int times) {
        for (int i = 0; i < times; i++) {
            Thread.onSpinWait();
        }
    }
}
