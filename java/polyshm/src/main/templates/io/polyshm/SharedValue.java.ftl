// SPDX-License-Identifier: Apache-2.0
package io.polyshm;

import io.polyshm.internal.SegmentInfo;
import io.polyshm.internal.binding.Natives;
import java.io.InvalidObjectException;
import java.io.ObjectInputStream;
import java.io.Serial;
import java.io.Serializable;
import java.lang.invoke.VarHandle;
import java.util.Objects;
import java.util.function.DoubleUnaryOperator;
import java.util.function.IntUnaryOperator;
import java.util.function.LongUnaryOperator;
import java.util.function.UnaryOperator;

/**
 * A single cell, of one of the eight primitive types, that processes share.
 *
 * <pre>{@code
 * try (SharedValue.OfInt sum = SharedValue.ofInt(0)) {
 *     ForkedJvm child = ForkedJvm.start(() -> sum.updateAndGet(value -> value + 42));
 *     child.join();
 *     System.out.println(sum.get()); // 42
 * }
 * }</pre>
 *
 * <p>Threads, memory effects, close and serialization are as with {@link SharedArray}: a value is an
 * array of one element, without the index.
 */
public abstract sealed class SharedValue implements AutoCloseable, Serializable
        permits <#list types as t>SharedValue.Of${t.name}<#sep>, </#list> {
    @Serial private static final long serialVersionUID = 1;

    private static final String ANONYMOUS = "value";

    SharedValue() {}

    /** The array of one element. */
    abstract SharedArray array();

    /**
     * The name within its segment.
     *
     * @return the name, also after close
     */
    public final String name() {
        return array().name();
    }

    /**
     * What any program attaches it by, as {@code attach} does: {@code <segment name>/<object
     * name>}. It can be an argument of a command. It is good for as long as the segment is there, so
     * this value stays open until whoever gets it has attached.
     *
     * @return the handle, also after close
     */
    public final String handle() {
        return array().handle();
    }

    /**
     * The lock that belongs to the value. Of the value's own methods only {@code updateAndGet} takes
     * it.
     *
     * @return a lock that travels with the value
     */
    public final Lock lock() {
        return array().lock();
    }

    /**
     * Closes the segment of a value that was made with an initial value alone, or attached by a
     * handle, and ends this object only for one in a segment of the caller's. Does nothing if it is closed already.
     *
     * @throws LockHeldException if the segment is its own and a thread of this JVM holds the lock;
     *     nothing has changed then
     */
    @Override
    public final void close() {
        array().close();
    }

    @Override
    public final String toString() {
        return "SharedValue."
                + getClass().getSimpleName()
                + "[name="
                + name()
                + ", memory="
                + array().memory.name()
                + "]";
    }

    @Serial
    private void readObject(ObjectInputStream stream) throws InvalidObjectException {
        throw new InvalidObjectException("a value travels as a handle");
    }

    // ---- how to get one ----
<#list types as t>

    /**
     * A new cell of {@code ${t.primitive}} in an anonymous segment of its own.
     *
     * @param initial what it holds at first
     * @return the value, to be closed by the caller
     * @throws MemoryFullException if the host's shared memory is full
     * @throws PermissionDeniedException if this user may not make files in the host's shared memory
     * @throws UnavailableException if the native library or the host's shared memory is missing
     */
    public static Of${t.name} of${t.name}(${t.primitive} initial) {
        SharedMemory memory =
                SharedArray.segmentFor(Natives.PSHM_VALUE, Natives.${t.pshmType}, 1);
        Of${t.name} value = new Of${t.name}(
                        new SharedArray.Of${t.name}(
                                memory, ANONYMOUS, Natives.PSHM_VALUE, 1, true));
        value.set(initial);
        return value;
    }

    /**
     * The cell of {@code ${t.primitive}} of that name in a segment, created if there is none.
     *
     * @param memory where; stays the caller's
     * @param name 1 to 95 characters out of {@code A-Z a-z 0-9 . _ -}, the first not a dot
     * @return the value; zero if it is new
     * @throws TypeMismatchException if that name has another kind or element type
     * @throws MemoryFullException if the segment has no room left
     * @throws ClosedException if the segment is closed
     * @throws IllegalArgumentException if the name is not valid
     */
    public static Of${t.name} of${t.name}(SharedMemory memory, String name) {
        return new Of${t.name}(
                new SharedArray.Of${t.name}(
                        memory,
                        Objects.requireNonNull(name, "name"),
                        Natives.PSHM_VALUE,
                        1,
                        false));
    }
</#list>
<#list types as t>
<#assign p = t.primitive>
<#assign operator = {"int": "IntUnaryOperator", "long": "LongUnaryOperator", "double": "DoubleUnaryOperator"}[p]!("UnaryOperator<" + t.boxed + ">")>
<#assign apply = {"int": "applyAsInt", "long": "applyAsLong", "double": "applyAsDouble"}[p]!"apply">

    // ---- ${p} ----

    /** A shared cell of {@code ${p}}; see {@link SharedValue}. */
    public static final class Of${t.name} extends SharedValue {
        @Serial private static final long serialVersionUID = 1;

        private final transient SharedArray.Of${t.name} cell;

        private Of${t.name}(SharedArray.Of${t.name} cell) {
            this.cell = cell;
        }

        /**
         * The value of {@code ${p}} that another program has made known by its {@link #handle}, as it is. This opens
         * the segment, and {@link #close} closes it.
         *
         * @param handle {@code <segment name>/<object name>}
         * @return the value of {@code ${p}}, to be closed by the caller
         * @throws NotFoundException if there is no such segment, or no such object in it
         * @throws TypeMismatchException if the object is something else; the message says what
         * @throws IllegalArgumentException if the handle does not have that form
         * @throws PolyshmException as {@link SharedMemory#open}: only segments of this user are
         *     opened
         */
        public static Of${t.name} attach(String handle) {
            return TextHandle.attach(handle, Of${t.name}::existing);
        }

        /**
         * The value of {@code ${p}} of that name in a segment, as it is; never creates one.
         *
         * @param memory where; stays the caller's
         * @param name of the object
         * @return the value of {@code ${p}}
         * @throws NotFoundException if there is no object of that name
         * @throws TypeMismatchException if the object is something else; the message says what
         * @throws ClosedException if the segment is closed
         * @throws IllegalArgumentException if the name is not valid
         */
        public static Of${t.name} attach(SharedMemory memory, String name) {
            return existing(memory, Objects.requireNonNull(name, "name"), false);
        }

        private static Of${t.name} existing(SharedMemory memory, String name, boolean owned) {
            SegmentInfo.find(
                    memory.attachment(), name, Natives.PSHM_VALUE, Natives.${t.pshmType});
            return new Of${t.name}(
                    new SharedArray.Of${t.name}(memory, name, Natives.PSHM_VALUE, 1, owned));
        }

        @Override
        SharedArray array() {
            return cell;
        }
<#list [["", "by plain access"], ["Acquire", ""], ["Volatile", ""]] as mode>

        /**
         * The value, ${(mode[1] != "")?then(mode[1], "with the memory effects of {@link VarHandle#get" + mode[0] + "}")}.
         *
         * @return the value
         * @throws ClosedException after close
         */
        public ${p} get${mode[0]}() {
            return cell.get${mode[0]}(0);
        }
</#list>
<#list [["", "by plain access"], ["Release", ""], ["Volatile", ""]] as mode>

        /**
         * Sets the value, ${(mode[1] != "")?then(mode[1], "with the memory effects of {@link VarHandle#set" + mode[0] + "}")}.
         *
         * @param value the new value
         * @throws ClosedException after close
         */
        public void set${mode[0]}(${p} value) {
            cell.set${mode[0]}(0, value);
        }
</#list>
<#if t.cas>

        /**
         * Sets the value if it is the expected one, atomically, with the memory effects of {@link
         * VarHandle#compareAndSet}.
<#if p == "float" || p == "double">
         * Values are compared by their bits: a NaN equals itself, 0.0 does not equal -0.0.
</#if>
         *
         * @param expected what the value has to be
         * @param value the new value
         * @return whether it was the expected one, and has been set
         * @throws ClosedException after close
         */
        public boolean compareAndSet(${p} expected, ${p} value) {
            return cell.compareAndSet(0, expected, value);
        }

        /**
         * Sets the value and returns the one before, atomically, with the memory effects of {@link
         * VarHandle#getAndSet}.
         *
         * @param value the new value
         * @return the value before
         * @throws ClosedException after close
         */
        public ${p} getAndSet(${p} value) {
            return cell.getAndSet(0, value);
        }
</#if>
<#if t.add>

        /**
         * Adds to the value and returns the one before, atomically, with the memory effects of {@link
         * VarHandle#getAndAdd}.
         *
         * @param delta what is added; the sum wraps around
         * @return the value before
         * @throws ClosedException after close
         */
        public ${p} getAndAdd(${p} delta) {
            return cell.getAndAdd(0, delta);
        }
</#if>

        /**
         * Updates the value holding its lock, so that of any number of processes that update it like
         * this none is lost.
         *
         * @param update gets the value and returns the new one; runs once
         * @return the new value
         * @throws OwnerDiedException if an owner died in the lock and nobody has repaired it; nothing
         *     has changed
         * @throws ClosedException after close
         */
        public ${p} updateAndGet(${operator} update) {
            Lock lock = lock();
            lock.lock();
            try {
                ${p} value = update.${apply}(get());
                set(value);
                return value;
            } finally {
                lock.unlock();
            }
        }

        @Serial
        private Object writeReplace() {
            return new Handle(cell);
        }

        private record Handle(SharedArray.Of${t.name} cell) implements Serializable {
            @Serial
            private Object readResolve() {
                return new Of${t.name}(cell);
            }
        }
    }
</#list>
}
