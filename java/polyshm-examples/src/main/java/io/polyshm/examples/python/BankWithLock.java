// SPDX-License-Identifier: Apache-2.0
package io.polyshm.examples.python;

import io.polyshm.Barrier;
import io.polyshm.SharedProcess;
import io.polyshm.SharedValue;
import java.util.ArrayList;
import java.util.Collections;
import java.util.concurrent.BrokenBarrierException;

/**
 * This JVM and a child in Python use one bank account at the same time under a lock, and no update
 * is lost.
 */
public final class BankWithLock {
    private static final int START = 200;
    private static final int TIMES = 100;
    private static final int RUNS = 20;

    private BankWithLock() {}

    /**
     * Prints the balances after twenty runs of 100 deposits and 100 withdrawals each.
     *
     * @param args none for the parent; two handles for a child of {@code bank_with_lock.py}
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
        var balances = new ArrayList<Integer>();
        try (var balance = SharedValue.ofInt(0);
                var both = Barrier.create(2)) {
            SharedProcess child =
                    SharedProcess.start(
                            "python3",
                            "python/examples/bank_with_lock.py",
                            balance.handle(),
                            both.handle());
            child.onExit().thenRun(both::abort); // this JVM waits no more for the child
            try {
                for (int run = 0; run < RUNS; run++) {
                    balance.set(START);
                    work(balance, -1, both);
                    balances.add(balance.get());
                }
            } finally {
                child.join(); // throws if it has failed
            }
        }
        System.out.println("balances: " + balances);
        System.out.println("right:    " + Collections.frequency(balances, START) + " of " + RUNS);
    }

    private static void child(String balanceHandle, String bothHandle)
            throws InterruptedException, BrokenBarrierException {
        try (var balance = SharedValue.OfInt.attach(balanceHandle);
                var both = Barrier.attach(bothHandle)) {
            for (int run = 0; run < RUNS; run++) {
                work(balance, +1, both);
            }
        }
    }

    private static void work(SharedValue.OfInt balance, int amount, Barrier both)
            throws InterruptedException, BrokenBarrierException {
        both.await(); // they begin together
        for (int i = 0; i < TIMES; i++) {
            balance.lock()
                    .withLock(
                            () -> {
                                int before = balance.get();
                                Thread.yield(); // time for the other to come between, but it cannot
                                balance.set(before + amount);
                            });
        }
        both.await(); // they are done
    }
}
