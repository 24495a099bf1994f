// SPDX-License-Identifier: Apache-2.0
package io.polyshm.stress;

import static org.openjdk.jcstress.annotations.Expect.ACCEPTABLE;

import io.polyshm.Lock;
import io.polyshm.stress.SharedArrayStress.LongCells;
import org.openjdk.jcstress.annotations.Actor;
import org.openjdk.jcstress.annotations.Arbiter;
import org.openjdk.jcstress.annotations.JCStressTest;
import org.openjdk.jcstress.annotations.Outcome;
import org.openjdk.jcstress.annotations.State;
import org.openjdk.jcstress.infra.results.II_Result;
import org.openjdk.jcstress.infra.results.I_Result;

/** What {@link Lock} promises for plain accesses that it guards. All states share one lock. */
public final class LockStress {
    private static final Lock LOCK = LongCells.CELLS.lock();

    private LockStress() {}

    /** One at a time, and each sees what the one before has done. */
    @JCStressTest
    @Outcome(id = "2", expect = ACCEPTABLE)
    @State
    public static class Exclusion extends LongCells {
        @Actor
        public void first() {
            increment();
        }

        @Actor
        public void second() {
            increment();
        }

        private void increment() {
            LOCK.lock();
            try {
                CELLS.set(x, CELLS.get(x) + 1);
            } finally {
                LOCK.unlock();
            }
        }

        @Arbiter
        public void result(I_Result result) {
            result.r1 = (int) CELLS.get(x);
        }
    }

    /** All that is done in the lock is seen together, by those who get it without waiting, too. */
    @JCStressTest
    @Outcome(
            id = {"0, 0", "1, 1"},
            expect = ACCEPTABLE)
    @Outcome(id = "-1, -1", expect = ACCEPTABLE, desc = "the lock was taken")
    @State
    public static class Visibility extends LongCells {
        @Actor
        public void write() {
            LOCK.lock();
            try {
                CELLS.set(x, 1);
                CELLS.set(y, 1);
            } finally {
                LOCK.unlock();
            }
        }

        @Actor
        public void read(II_Result result) {
            if (!LOCK.tryLock()) {
                result.r1 = -1;
                result.r2 = -1;
                return;
            }
            try {
                result.r1 = (int) CELLS.get(y);
                result.r2 = (int) CELLS.get(x);
            } finally {
                LOCK.unlock();
            }
        }
    }
}
