// SPDX-License-Identifier: Apache-2.0
package io.polyshm.stress;

import static org.openjdk.jcstress.annotations.Expect.ACCEPTABLE;

import io.polyshm.SharedValue;
import org.openjdk.jcstress.annotations.Actor;
import org.openjdk.jcstress.annotations.Arbiter;
import org.openjdk.jcstress.annotations.JCStressTest;
import org.openjdk.jcstress.annotations.Outcome;
import org.openjdk.jcstress.annotations.State;
import org.openjdk.jcstress.infra.results.ZZ_Result;
import org.openjdk.jcstress.infra.results.Z_Result;

/**
 * What {@link SharedValue} promises. Its operations are those of an array, which {@link
 * SharedArrayStress} is about, save {@code updateAndGet}; so one type stands for all.
 *
 * <p>A value has no places for states. All states share two values that only grow: an actor comes
 * to the states in their order, so how many it has come to is the number of the state.
 */
public final class SharedValueStress {
    private static final SharedValue.OfLong X = SharedValue.ofLong(0);
    private static final SharedValue.OfLong Y = SharedValue.ofLong(0);

    private SharedValueStress() {}

    /** No update is lost: each has a result of its own. */
    @JCStressTest
    @Outcome(id = "true", expect = ACCEPTABLE)
    @State
    public static class UpdateAndGet {
        long first;
        long second;

        @Actor
        public void first() {
            first = X.updateAndGet(value -> value + 1);
        }

        @Actor
        public void second() {
            second = X.updateAndGet(value -> value + 1);
        }

        @Arbiter
        public void result(Z_Result result) {
            result.r1 = first != second;
        }
    }

    /** No addition is lost. */
    @JCStressTest
    @Outcome(id = "true", expect = ACCEPTABLE)
    @State
    public static class GetAndAdd {
        long first;
        long second;

        @Actor
        public void first() {
            first = X.getAndAdd(1);
        }

        @Actor
        public void second() {
            second = X.getAndAdd(1);
        }

        @Arbiter
        public void result(Z_Result result) {
            result.r1 = first != second;
        }
    }

    /** Who has seen Y sees what was written to X before it. */
    @JCStressTest
    @Outcome(id = "true", expect = ACCEPTABLE)
    @State
    public static class Publication {
        private static long states;

        @Actor
        public void write() {
            long state = ++states;
            X.set(state);
            Y.setRelease(state);
        }

        @Actor
        public void read(Z_Result result) {
            long published = Y.getAcquire();
            result.r1 = X.get() >= published;
        }
    }

    /** Of two that write first and read then, one sees the other. */
    @JCStressTest
    @Outcome(
            id = {"false, true", "true, false", "true, true"},
            expect = ACCEPTABLE)
    @State
    public static class StoreBuffering {
        private static long firstStates;
        private static long secondStates;

        @Actor
        public void first(ZZ_Result result) {
            long state = ++firstStates;
            X.setVolatile(state);
            result.r1 = Y.getVolatile() >= state;
        }

        @Actor
        public void second(ZZ_Result result) {
            long state = ++secondStates;
            Y.setVolatile(state);
            result.r2 = X.getVolatile() >= state;
        }
    }
}
