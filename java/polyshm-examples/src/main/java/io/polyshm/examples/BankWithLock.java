// SPDX-License-Identifier: Apache-2.0
package io.polyshm.examples;

import io.polyshm.ForkedJvm;
import io.polyshm.Lock;
import io.polyshm.SharedArray;
import io.polyshm.SharedValue;
import java.util.Arrays;

/** Two JVMs use one bank account at the same time under a lock, and no update is lost. */
public final class BankWithLock {
    private static final int START = 200;
    private static final int TIMES = 100;
    private static final int RUNS = 20;

    private BankWithLock() {}

    /**
     * Prints the balances after twenty runs of 100 deposits and 100 withdrawals each.
     *
     * @param args none
     * @throws InterruptedException if interrupted
     */
    public static void main(String... args) throws InterruptedException {
        try (var balance = SharedValue.ofInt(0);
                var lock = Lock.create();
                var meeting = new Meeting();
                var results = SharedArray.ofInts(RUNS)) {
            ForkedJvm depositor =
                    ForkedJvm.start(
                            () -> {
                                for (int run = 0; run < RUNS; run++) {
                                    balance.set(START);
                                    work(balance, +1, lock, meeting);
                                    results.set(run, balance.get());
                                }
                            });
            ForkedJvm withdrawer =
                    ForkedJvm.start(
                            () -> {
                                for (int run = 0; run < RUNS; run++) {
                                    work(balance, -1, lock, meeting);
                                }
                            });
            depositor.join();
            withdrawer.join();

            System.out.println("balances: " + Arrays.toString(results.toArray()));
            long right = results.stream().filter(result -> result == START).count();
            System.out.println("right:    " + right + " of " + RUNS);
        }
    }

    private static void work(SharedValue.OfInt balance, int amount, Lock lock, Meeting meeting) {
        meeting.await(); // both begin together
        for (int i = 0; i < TIMES; i++) {
            lock.lock();
            try {
                int seen = balance.get();
                Thread.yield(); // the same time to come between, but now nobody can
                balance.set(seen + amount);
            } finally {
                lock.unlock();
            }
        }
        meeting.await(); // both are done
    }
}
