// SPDX-License-Identifier: Apache-2.0
package io.polyshm.examples;

import io.polyshm.ForkedJvm;
import io.polyshm.SharedValue;

/**
 * Two JVMs use one bank account at the same time, and updates get lost: one JVM overwrites what the
 * other has stored since it read the balance.
 */
public final class BankWithoutLock {
    private static final int START = 200;
    private static final int TIMES = 100;

    private BankWithoutLock() {}

    /**
     * Repeats rounds of 100 deposits and 100 withdrawals until the balance is not 200 after one.
     *
     * @param args none
     * @throws InterruptedException if interrupted
     */
    public static void main(String... args) throws InterruptedException {
        try (var balance = SharedValue.ofInt(START);
                var meeting = new Meeting()) {
            var depositor = ForkedJvm.call(() -> work(balance, +1, meeting));
            var withdrawer = ForkedJvm.call(() -> work(balance, -1, meeting));
            int rounds = depositor.get();
            withdrawer.join();

            System.out.println("expected: " + START);
            System.out.println("found:    " + balance.get() + " (in round " + rounds + ")");
        }
    }

    /** Returns the number of the round in which updates were lost. */
    private static int work(SharedValue.OfInt balance, int amount, Meeting meeting) {
        for (int round = 1; ; round++) {
            meeting.await(); // both begin together
            for (int i = 0; i < TIMES; i++) {
                int before = balance.getVolatile();
                think(round - 1);
                balance.setVolatile(before + amount); // whatever the other JVM has stored since
            }
            meeting.await(); // both are done
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
