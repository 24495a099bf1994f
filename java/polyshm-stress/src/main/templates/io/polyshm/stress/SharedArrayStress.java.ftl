// SPDX-License-Identifier: Apache-2.0
package io.polyshm.stress;

import static org.openjdk.jcstress.annotations.Expect.ACCEPTABLE;

import io.polyshm.SharedArray;
import java.util.concurrent.atomic.AtomicInteger;
import org.openjdk.jcstress.annotations.Actor;
import org.openjdk.jcstress.annotations.Arbiter;
import org.openjdk.jcstress.annotations.JCStressTest;
import org.openjdk.jcstress.annotations.Outcome;
import org.openjdk.jcstress.annotations.State;
import org.openjdk.jcstress.infra.results.III_Result;
import org.openjdk.jcstress.infra.results.II_Result;
import org.openjdk.jcstress.infra.results.I_Result;
import org.openjdk.jcstress.infra.results.ZZI_Result;

/**
 * What {@link SharedArray} promises of its ordered and atomic operations, and of plain ones, for one
 * type of each way in which these are made: {@code byte}, as {@code boolean}, has fences around plain
 * access; {@code short}, as {@code char}, has a VarHandle without atomic operations; {@code long}, as
 * {@code int}, has them all; {@code double}, as {@code float}, compares by bits. An outcome that is not
 * listed is forbidden.
 *
 * <p>What a plain access may do beyond that is not listed as forbidden: the reader of {@code
 * Publication} may see plain values in any order until it has acquired.
 */
public final class SharedArrayStress {
    private SharedArrayStress() {}

    /**
     * Places in an array of its JVM, which runs one test: jcstress has too many states for a segment
     * each. They take turns, which is safe as long as there are more places than states: jcstress has
     * {@code strideSize * strideCount} of them, 10,240 unless it is told otherwise, and up to twice
     * as many while it exchanges them for new ones.
     */
    static final class Places {
        static final int COUNT = 1 << 15;

        /** Two cache lines for each state. */
        static final int BYTES = 128;

        private static final AtomicInteger NEXT = new AtomicInteger();

        private Places() {}

        static int next() {
            return NEXT.getAndIncrement() & (COUNT - 1);
        }
    }
<#list types?filter(t -> ["byte", "short", "long", "double"]?seq_contains(t.primitive)) as t>
<#assign p = t.primitive>
<#assign publications = [["Release", "setRelease(y, (" + p + ") 1)", "getAcquire"], ["Volatile", "setVolatile(y, (" + p + ") 1)", "getVolatile"]]>
<#if t.cas>
<#assign publications += [["CompareAndSet", "compareAndSet(y, 0, 1)", "getAcquire"], ["GetAndSet", "getAndSet(y, 1)", "getAcquire"]]>
</#if>
<#if t.add>
<#assign publications += [["GetAndAdd", "getAndAdd(y, 1)", "getAcquire"]]>
</#if>

    // ---- ${p} ----

    /** Two cells of {@code ${p}}, zero at first, in two cache lines. */
    public abstract static class ${t.name}Cells {
        static final SharedArray.Of${t.name} CELLS =
                SharedArray.of${t.name}s((long) Places.COUNT * Places.BYTES / ${t.bytes});

        final long x = (long) Places.next() * Places.BYTES / ${t.bytes};
        final long y = x + Places.BYTES / 2 / ${t.bytes};

        ${t.name}Cells() {
            CELLS.set(x, (${p}) 0);
            CELLS.set(x + 1, (${p}) 0);
            CELLS.set(y, (${p}) 0);
        }
    }
<#list publications as how>

    /**
     * Who has seen y sees what was written to x before it. The writes and reads around it give a
     * compiler the wish to drop the first write and the last read.
     */
    @JCStressTest
    @Outcome(id = "[012], 0, [012]", expect = ACCEPTABLE, desc = "not published yet")
    @Outcome(id = "[012], 1, [12]", expect = ACCEPTABLE, desc = "published, and there")
    @State
    public static class ${t.name}PublicationBy${how[0]} extends ${t.name}Cells {
        @Actor
        public void write() {
            CELLS.set(x, (${p}) 1);
            CELLS.${how[1]};
            CELLS.set(x, (${p}) 2);
        }

        @Actor
        public void read(III_Result result) {
            result.r1 = (int) CELLS.get(x);
            result.r2 = (int) CELLS.${how[2]}(y);
            result.r3 = (int) CELLS.get(x);
        }
    }
</#list>

    /** Dekker's algorithm: of two that write first and read then, one sees the other. */
    @JCStressTest
    @Outcome(id = {"0, 1", "1, 0", "1, 1"}, expect = ACCEPTABLE)
    @State
    public static class ${t.name}StoreBuffering extends ${t.name}Cells {
        @Actor
        public void first(II_Result result) {
            CELLS.setVolatile(x, (${p}) 1);
            result.r1 = (int) CELLS.getVolatile(y);
        }

        @Actor
        public void second(II_Result result) {
            CELLS.setVolatile(y, (${p}) 1);
            result.r2 = (int) CELLS.getVolatile(x);
        }
    }

    /** A cell does not go back. */
    @JCStressTest
    @Outcome(id = {"0, 0", "0, 1", "1, 1"}, expect = ACCEPTABLE)
    @State
    public static class ${t.name}Coherence extends ${t.name}Cells {
        @Actor
        public void write() {
            CELLS.setRelease(x, (${p}) 1);
        }

        @Actor
        public void read(II_Result result) {
            result.r1 = (int) CELLS.getAcquire(x);
            result.r2 = (int) CELLS.getAcquire(x);
        }
    }

    /** A plain write of a cell leaves its neighbour alone. */
    @JCStressTest
    @Outcome(id = "1, 2", expect = ACCEPTABLE)
    @State
    public static class ${t.name}Neighbours extends ${t.name}Cells {
        @Actor
        public void left() {
            CELLS.set(x, (${p}) 1);
        }

        @Actor
        public void right() {
            CELLS.set(x + 1, (${p}) 2);
        }

        @Arbiter
        public void result(II_Result result) {
            result.r1 = (int) CELLS.get(x);
            result.r2 = (int) CELLS.get(x + 1);
        }
    }
<#if t.bytes == 8>
<#assign whole = (p == "double")?then("1 / 3.0", "-1L")>

    /** A plain access is a single one: a value is seen whole or not at all. */
    @JCStressTest
    @Outcome(id = {"0", "1"}, expect = ACCEPTABLE)
    @State
    public static class ${t.name}Tearing extends ${t.name}Cells {
        @Actor
        public void write() {
            CELLS.set(x, ${whole});
        }

        @Actor
        public void read(I_Result result) {
            ${p} value = CELLS.get(x);
            result.r1 = value == 0 ? 0 : value == ${whole} ? 1 : -1;
        }
    }
</#if>
<#if t.cas>

    /** One of two succeeds, and its value stays. */
    @JCStressTest
    @Outcome(id = {"true, false, 1", "false, true, 2"}, expect = ACCEPTABLE)
    @State
    public static class ${t.name}CompareAndSet extends ${t.name}Cells {
        @Actor
        public void first(ZZI_Result result) {
            result.r1 = CELLS.compareAndSet(x, 0, 1);
        }

        @Actor
        public void second(ZZI_Result result) {
            result.r2 = CELLS.compareAndSet(x, 0, 2);
        }

        @Arbiter
        public void result(ZZI_Result result) {
            result.r3 = (int) CELLS.get(x);
        }
    }
</#if>
<#list [["GetAndSet", "getAndSet", 2, t.cas], ["GetAndAdd", "getAndAdd", 3, t.add]] as how>
<#if how[3]>

    /** The second of two gets what the first has left. */
    @JCStressTest
    @Outcome(id = {"0, 1, ${how[2]}", "2, 0, ${(how[2] == 2)?then(1, 3)}"}, expect = ACCEPTABLE)
    @State
    public static class ${t.name}${how[0]} extends ${t.name}Cells {
        @Actor
        public void first(III_Result result) {
            result.r1 = (int) CELLS.${how[1]}(x, 1);
        }

        @Actor
        public void second(III_Result result) {
            result.r2 = (int) CELLS.${how[1]}(x, 2);
        }

        @Arbiter
        public void result(III_Result result) {
            result.r3 = (int) CELLS.get(x);
        }
    }
</#if>
</#list>
</#list>
}
