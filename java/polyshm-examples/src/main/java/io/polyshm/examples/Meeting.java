// SPDX-License-Identifier: Apache-2.0
package io.polyshm.examples;

import io.polyshm.SharedValue;
import java.io.Serializable;
import java.util.concurrent.TimeUnit;

/**
 * Where two JVMs wait for each other, any number of times: a counter of arrivals in shared memory,
 * and nothing else.
 */
final class Meeting implements AutoCloseable, Serializable {
    private static final long serialVersionUID = 1;

    private static final int MEMBERS = 2;
    private static final long PATIENCE = TimeUnit.SECONDS.toNanos(60);

    private final SharedValue.OfInt arrivals = SharedValue.ofInt(0);

    /** Returns when the other one is here, too. Both see what the other did before. */
    void await() {
        int before = arrivals.getAndAdd(1);
        int complete = before - before % MEMBERS + MEMBERS;
        long start = System.nanoTime();
        while (arrivals.getVolatile() < complete) {
            if (System.nanoTime() - start > PATIENCE) {
                throw new IllegalStateException("The other JVM has not come. Has it been killed?");
            }
            Thread.yield();
        }
    }

    @Override
    public void close() {
        arrivals.close();
    }
}
