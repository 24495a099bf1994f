// SPDX-License-Identifier: Apache-2.0
package io.polyshm;

import io.polyshm.internal.Attachment;
import io.polyshm.internal.ForeignMemory;
import io.polyshm.internal.Native;
import io.polyshm.internal.SegmentInfo;
import io.polyshm.internal.binding.Natives;
import java.io.InvalidObjectException;
import java.io.ObjectInputStream;
import java.io.Serial;
import java.io.Serializable;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.lang.ref.Reference;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.CharBuffer;
import java.nio.DoubleBuffer;
import java.nio.FloatBuffer;
import java.nio.IntBuffer;
import java.nio.LongBuffer;
import java.nio.ShortBuffer;
import java.util.Objects;
import java.util.stream.DoubleStream;
import java.util.stream.IntStream;
import java.util.stream.LongStream;
import java.util.stream.Stream;

/**
 * An array of fixed length, of one of the eight primitive types, that processes share.
 *
 * <pre>{@code
 * try (SharedArray.OfInt result = SharedArray.ofInts(4)) {
 *     ForkedJvm child = ForkedJvm.start(() -> result.set(0, 42));
 *     child.join();
 *     System.out.println(result.get(0)); // 42
 * }
 * }</pre>
 *
 * <p>An access to an element costs what it does in a heap array, and takes no native call. All
 * elements are zero at first. An index is a {@code long} from 0 to {@code length() - 1}; arrays may
 * be larger than 2 GiB.
 *
 * <p><b>Threads and memory effects.</b> All methods may be called by any thread at any time. The
 * name of an access says its memory order, with the meaning that {@link VarHandle} gives it, between
 * processes as between threads; a bare name means plain access, and so do the bulk operations. A plain
 * access to a {@code long} or {@code double} is a single one on the 64-bit platforms that the library
 * runs on. Plain accesses become visible to others by a lock, an ordered access, or the start and end
 * of a {@link ForkedJvm}.
 *
 * <p><b>Close.</b> An array made with a length alone has a segment of its own, and one attached by a
 * handle has opened the segment for itself: {@link #close} closes it. For one in a segment of the
 * caller's, {@code close} ends this object only. The close of the
 * segment ends it as well. After that each access throws {@link ClosedException}. A thread that races
 * with the close either gets that or accesses the real memory; it never faults.
 *
 * <p><b>Serialization.</b> An array travels as a handle, not as a copy: whoever reads it gets the same
 * memory.
 */
public abstract sealed class SharedArray implements AutoCloseable, Serializable
        permits <#list types as t>SharedArray.Of${t.name}<#sep>, </#list> {
    @Serial private static final long serialVersionUID = 1;

    private static final String ANONYMOUS = "array";

    /** Bytes of all chunks but the last, for an array that one buffer cannot span. */
    private static final int CHUNK_BYTES = 1 << 30;

    /** The most that one buffer can have, in whole cache lines. */
    static final int SPAN_BYTES = Integer.MAX_VALUE & -64;

    /** JDK 22 has it; from 24 on it needs no other permission than the native library does. */
    static final boolean HAS_FOREIGN_MEMORY = Runtime.version().feature() >= 24;

    /** From this many elements on a fill by one native call is faster than a loop. */
    static final int NATIVE_FILL = 64;

    final transient SharedMemory memory;
    final transient long length;

    /** One buffer spans the array. */
    final transient boolean flat;

    /** An array that is not flat, as one segment of {@link ForeignMemory} if there is that. */
    transient Object region;

    private final transient String name;
    private final transient int kind;
    private final transient boolean owned;
    private final transient long address;
    private final transient int shift;
    private final transient Lock lock;
    private final transient Attachment.View view;
    private transient volatile boolean closed;

    SharedArray(
            SharedMemory memory,
            String name,
            int kind,
            int type,
            int shift,
            long length,
            boolean owned) {
        Attachment attachment = memory.attachment();
        attachment.ensureOpen("array");
        Native.ObjectHandles handles =
                Native.object(attachment.segment(), kind, name, type, length);
        this.memory = memory;
        this.name = name;
        this.kind = kind;
        this.length = length;
        this.owned = owned;
        this.address = handles.data();
        this.shift = shift;
        this.flat = length << shift <= Integer.MAX_VALUE;
        this.lock = Lock.of(memory, name, this, attachment.lock(handles.lock()));
        this.view = this::invalidate;
        if (HAS_FOREIGN_MEMORY && !flat) {
            region = attachment.region(address, length << shift);
        }
    }

    /** An anonymous segment with room for one object. */
    static SharedMemory segmentFor(int kind, int type, long length) {
        return SharedMemory.anonymous(Native.objectBytes(kind, type, length));
    }

    // ---- what all types have in common ----

    /**
     * The number of elements.
     *
     * @return at least 1; also after close
     */
    public final long length() {
        return length;
    }

    /**
     * The name within its segment.
     *
     * @return the name, also after close
     */
    public final String name() {
        return name;
    }

    /**
     * What any program attaches it by, as {@code attach} does: {@code <segment name>/<object
     * name>}. It can be an argument of a command. It is good for as long as the segment is there, so
     * this array stays open until whoever gets it has attached.
     *
     * @return the handle, also after close
     */
    public final String handle() {
        return TextHandle.of(memory, name);
    }

    /**
     * The lock that belongs to the array. The array's own methods do not take it.
     *
     * @return always the same object
     */
    public final Lock lock() {
        return lock;
    }

    /**
     * Ends the use of this object; see the class comment. Does nothing if it is closed already.
     *
     * @throws LockHeldException if the segment is its own and a thread of this JVM holds the lock;
     *     nothing has changed then
     */
    @Override
    public final void close() {
        if (owned) {
            memory.close();
        } else {
            invalidate();
        }
    }

    @Override
    public final String toString() {
        return "SharedArray."
                + getClass().getSimpleName()
                + "[name="
                + name
                + ", memory="
                + memory.name()
                + ", length="
                + length
                + "]";
    }

    /** Takes the buffers away. */
    void invalidate() {
        closed = true;
        if (region != null) {
            region = ForeignMemory.EMPTY;
        }
    }

    /** To be called when the buffers are there: from now on a close of the segment takes them away. */
    final void register() {
        memory.attachment().add(view);
    }

    final ByteBuffer[] buffers() {
        long bytes = length << shift;
        if (flat) {
            return new ByteBuffer[] {memory.attachment().window(address, bytes)};
        }
        ByteBuffer[] chunks =
                new ByteBuffer[Math.toIntExact((bytes + CHUNK_BYTES - 1) / CHUNK_BYTES)];
        for (int i = 0; i < chunks.length; i++) {
            long start = (long) i * CHUNK_BYTES;
            chunks[i] =
                    memory.attachment()
                            .window(address + start, Math.min(CHUNK_BYTES, bytes - start));
        }
        return chunks;
    }

    /** As much as one buffer can have from an offset on; nothing past the end. */
    final ByteBuffer span(long start) {
        long bytes = Math.max(0, Math.min(SPAN_BYTES, (length << shift) - start));
        return memory.attachment().window(address + Math.min(start, length << shift), bytes);
    }

    /** Sets elements to what {@code pattern} repeats to eight bytes; nothing is checked. */
    final void fillNatively(long index, int count, long pattern) {
        Natives.pshm_fill(address + (index << shift), (long) count << shift, pattern);
    }

    final ByteBuffer window(long index, int count) {
        memory.attachment().ensureOpen("asBuffer");
        checkRange("asBuffer", index, count);
        long bytes = (long) count << shift;
        if (bytes > Integer.MAX_VALUE) {
            throw new IllegalArgumentException(
                    "asBuffer: count="
                            + count
                            + " elements do not fit a buffer; take at most "
                            + (Integer.MAX_VALUE >> shift));
        }
        return memory.attachment().window(address + (index << shift), bytes);
    }

    final void ensureOpen(String operation) {
        if (closed) {
            throw closedException(operation);
        }
    }

    private ClosedException closedException(String operation) {
        return new ClosedException(
                "PSHM_ECLOSED",
                operation + ": " + this + " is closed; open its segment again to use it",
                null);
    }

    /** Why an access was refused. */
    final RuntimeException refused(String operation, long index) {
        if (closed) {
            return closedException(operation);
        }
        return new IndexOutOfBoundsException(
                operation
                        + ": index="
                        + index
                        + ", length="
                        + length
                        + "; take 0 to "
                        + (length - 1));
    }

    /** Of this array, which is to be open even if the range is empty. */
    final void checkRange(String operation, long index, long count) {
        ensureOpen(operation);
        checkRange(operation, index, count, length);
    }

    static void checkRange(String operation, long index, long count, long length) {
        if (index < 0 || count < 0 || index > length - count) {
            throw new IndexOutOfBoundsException(
                    operation
                            + ": index="
                            + index
                            + ", count="
                            + count
                            + ", length="
                            + length
                            + "; take a range within 0 to "
                            + (length - 1));
        }
    }

    final int arrayLength() {
        if (length > Integer.MAX_VALUE - 8) {
            throw new IllegalStateException(
                    "toArray: length="
                            + length
                            + " does not fit a Java array; copy ranges with copyTo");
        }
        ensureOpen("toArray");
        return (int) length;
    }

    final int kind() {
        return kind;
    }

    final boolean owned() {
        return owned;
    }

    @Serial
    private void readObject(ObjectInputStream stream) throws InvalidObjectException {
        throw new InvalidObjectException("an array travels as a handle");
    }

    // ---- how to get one ----
<#list types as t>
<#assign an = ["a", "e", "i", "o", "u"]?seq_contains(t.primitive[0])?then("an", "a")>

    /**
     * A new array of {@code ${t.primitive}} in an anonymous segment of its own.
     *
     * @param length elements, at least 1
     * @return the array, all zero, to be closed by the caller
     * @throws IllegalArgumentException if the length is not valid
     * @throws MemoryFullException if the host's shared memory does not have that much left
     * @throws PermissionDeniedException if this user may not make files in the host's shared memory
     * @throws UnavailableException if the native library or the host's shared memory is missing
     */
    public static Of${t.name} of${t.name}s(long length) {
        SharedMemory memory = segmentFor(Natives.PSHM_ARRAY, Natives.${t.pshmType}, length);
        return new Of${t.name}(memory, ANONYMOUS, Natives.PSHM_ARRAY, length, true);
    }

    /**
     * The array of {@code ${t.primitive}} of that name in a segment, created if there is none.
     *
     * @param memory where; stays the caller's
     * @param name 1 to 95 characters out of {@code A-Z a-z 0-9 . _ -}, the first not a dot
     * @param length elements, at least 1
     * @return the array; all zero if it is new
     * @throws TypeMismatchException if that name has another kind, element type or length
     * @throws MemoryFullException if the segment has no room left
     * @throws ClosedException if the segment is closed
     * @throws IllegalArgumentException if the name or the length is not valid
     */
    public static Of${t.name} of${t.name}s(SharedMemory memory, String name, long length) {
        return new Of${t.name}(
                memory, Objects.requireNonNull(name, "name"), Natives.PSHM_ARRAY, length, false);
    }
</#list>
<#list types as t>
<#assign p = t.primitive>
<#assign isBoolean = (p == "boolean")>
<#assign isByte = (t.bytes == 1)>
<#assign shift = {"1": 0, "2": 1, "4": 2, "8": 3}[t.bytes?c]>
<#assign cell = isBoolean?then("byte", p)>
<#assign fromCell = isBoolean?then(" != 0", "")>
<#assign bits = {
    "byte": "Byte.toUnsignedLong(value)",
    "short": "Short.toUnsignedLong(value)",
    "char": "(long) value",
    "int": "Integer.toUnsignedLong(value)",
    "long": "value",
    "float": "Integer.toUnsignedLong(Float.floatToRawIntBits(value))",
    "double": "Double.doubleToRawLongBits(value)"}[cell]>
<#assign repeated = {
    "1": "0x0101010101010101L",
    "2": "0x0001000100010001L",
    "4": "0x0000000100000001L",
    "8": "1"}[t.bytes?c]>
<#function toCell value><#return isBoolean?then("(byte) (" + value + " ? 1 : 0)", value)></#function>

    // ---- ${p} ----

    /** A shared array of {@code ${p}}; see {@link SharedArray}. */
    public static final class Of${t.name} extends SharedArray {
        @Serial private static final long serialVersionUID = 1;

        private static final int SHIFT = ${shift};
        private static final int SPAN = SPAN_BYTES >> SHIFT;
        private static final int MOST_FLAT = Integer.MAX_VALUE >> SHIFT; // elements
        private static final int CHUNK_SHIFT = 30 - SHIFT;
        private static final int CHUNK_MASK = (1 << CHUNK_SHIFT) - 1;

        // Of the same classes as the real ones, or an access after a close would slow down all others.
        private static final ByteBuffer NO_BYTES =
                ByteBuffer.allocateDirect(0).order(ByteOrder.nativeOrder());
        private static final ${t.buffer} NO_ELEMENTS = view(NO_BYTES);
        private static final ${t.buffer}[] NO_CHUNKS = {};
<#if t.ordered>
        private static final ByteBuffer[] NO_BYTE_CHUNKS = {};
        private static final VarHandle HANDLE =
                MethodHandles.byteBufferViewVarHandle(${p}[].class, ByteOrder.nativeOrder());
</#if>

        // Plain fields, so that a loop need not load them anew each time. Of a flat array the first is
        // in use, of another the chunks; after close none. Plain access to a large array is by its
        // region. Where there is none the first two spans have buffers of their own, as a
        // comparison costs a loop less than a load from an array.
        private transient ${t.buffer} elements = NO_ELEMENTS;
        private transient ${t.buffer}[] chunks = NO_CHUNKS;
        private transient ${t.buffer} first = NO_ELEMENTS;
        private transient ${t.buffer} second = NO_ELEMENTS;
<#if t.ordered>
        private transient ByteBuffer bytes = NO_BYTES; // of the same memory
        private transient ByteBuffer[] byteChunks = NO_BYTE_CHUNKS;
</#if>

        Of${t.name}(SharedMemory memory, String name, int kind, long length, boolean owned) {
            super(memory, name, kind, Natives.${t.pshmType}, SHIFT, length, owned);
            ByteBuffer[] buffers = buffers();
            if (flat) {
                elements = view(buffers[0]);
<#if t.ordered>
                bytes = buffers[0];
</#if>
            } else {
                chunks = new ${t.buffer}[buffers.length];
                for (int i = 0; i < buffers.length; i++) {
                    chunks[i] = view(buffers[i]);
                }
                if (!HAS_FOREIGN_MEMORY) {
                    first = view(span(0));
                    second = view(span(SPAN_BYTES));
                }
<#if t.ordered>
                byteChunks = buffers;
</#if>
            }
            register();
        }

        /**
         * The array of {@code ${p}} that another program has made known by its {@link #handle}, as it is. This opens
         * the segment, and {@link #close} closes it.
         *
         * @param handle {@code <segment name>/<object name>}
         * @return the array of {@code ${p}}, to be closed by the caller
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
         * The array of {@code ${p}} of that name in a segment, as it is; never creates one.
         *
         * @param memory where; stays the caller's
         * @param name of the object
         * @return the array of {@code ${p}}
         * @throws NotFoundException if there is no object of that name
         * @throws TypeMismatchException if the object is something else; the message says what
         * @throws ClosedException if the segment is closed
         * @throws IllegalArgumentException if the name is not valid
         */
        public static Of${t.name} attach(SharedMemory memory, String name) {
            return existing(memory, Objects.requireNonNull(name, "name"), false);
        }

        private static Of${t.name} existing(SharedMemory memory, String name, boolean owned) {
            long length =
                    SegmentInfo.find(
                                    memory.attachment(),
                                    name,
                                    Natives.PSHM_ARRAY,
                                    Natives.${t.pshmType})
                            .parameter();
            return new Of${t.name}(memory, name, Natives.PSHM_ARRAY, length, owned);
        }

        private static ${t.buffer} view(ByteBuffer buffer) {
            return buffer<#if !isByte>.as${t.buffer}()</#if>;
        }

        @Override
        void invalidate() {
            super.invalidate();
            elements = NO_ELEMENTS;
            chunks = NO_CHUNKS;
            first = NO_ELEMENTS;
            second = NO_ELEMENTS;
<#if t.ordered>
            bytes = NO_BYTES;
            byteChunks = NO_BYTE_CHUNKS;
</#if>
        }

        /**
         * The index as an int, if a flat array can have it. The buffer checks it anyway; of a constant
         * the compiler learns that the offset in bytes is an int, too, and folds it into the address of
         * the access.
         */
        private static int flatIndex(long index) {
            int narrow = (int) index;
            return Objects.checkIndex(narrow == index ? narrow : -1, MOST_FLAT);
        }

        private ${t.buffer} chunkAt(long index) {
            return flat ? elements : chunks[(int) (index >> CHUNK_SHIFT)];
        }

        private int positionAt(long index) {
            return flat ? (int) index : (int) index & CHUNK_MASK;
        }

        /** How many of {@code count} elements from {@code index} on are in the same chunk. */
        private int inChunk(long index, long count) {
            return (int) (flat ? count : Math.min(count, CHUNK_MASK + 1 - positionAt(index)));
        }
<#if t.ordered>

        private ByteBuffer bytesAt(long index) {
            Objects.checkIndex(index, length);
            return flat ? bytes : byteChunks[(int) (index >> CHUNK_SHIFT)];
        }

        private int offsetAt(long index) {
            return positionAt(index) << SHIFT;
        }
</#if>

        /** In a class of its own, as most programs have no array that is so large. */
        private static final class InRegion {
            static final MethodHandle GETTER = ForeignMemory.getter(${cell}.class);
            static final MethodHandle SETTER = ForeignMemory.setter(${cell}.class);
        }

        // ---- plain ----

        /**
         * The element, by plain access.
         *
         * @param index 0 to {@code length() - 1}
         * @return the element
         * @throws IndexOutOfBoundsException if the index is out of that range
         * @throws ClosedException after close
         */
        public ${p} get(long index) {
            try {
                return flat ? elements.get(flatIndex(index))${fromCell} : getOfLarge(index);
            } catch (IndexOutOfBoundsException outside) {
                throw refused("get", index);
            }
        }

        private ${p} getOfLarge(long index) {
            if (HAS_FOREIGN_MEMORY) {
                // The segment's own check misses an overflow of index times size.
                Objects.checkIndex(index, length);
                try {
                    return (${cell}) InRegion.GETTER.invokeExact(region, index)${fromCell};
                } catch (Throwable thrown) {
                    throw ForeignMemory.rethrow(thrown);
                }
            }
            if (index < SPAN) {
                return first.get(flatIndex(index))${fromCell};
            }
            if (index < 2L * SPAN) {
                return second.get((int) (index - SPAN))${fromCell};
            }
            Objects.checkIndex(index, length);
            return chunkAt(index).get(positionAt(index))${fromCell};
        }

        /**
         * Sets the element, by plain access.
         *
         * @param index 0 to {@code length() - 1}
         * @param value the new element
         * @throws IndexOutOfBoundsException if the index is out of that range
         * @throws ClosedException after close
         */
        public void set(long index, ${p} value) {
            try {
                if (flat) {
                    elements.put(flatIndex(index), ${toCell("value")});
                } else {
                    setOfLarge(index, ${toCell("value")});
                }
            } catch (IndexOutOfBoundsException outside) {
                throw refused("set", index);
            }
        }

        private void setOfLarge(long index, ${cell} value) {
            if (HAS_FOREIGN_MEMORY) {
                Objects.checkIndex(index, length);
                try {
                    InRegion.SETTER.invokeExact(region, index, value);
                } catch (Throwable thrown) {
                    throw ForeignMemory.rethrow(thrown);
                }
            } else if (index < SPAN) {
                first.put(flatIndex(index), value);
            } else if (index < 2L * SPAN) {
                second.put((int) (index - SPAN), value);
            } else {
                Objects.checkIndex(index, length);
                chunkAt(index).put(positionAt(index), value);
            }
        }

        // ---- ordered ----
<#list ["Acquire", "Volatile"] as mode>

        /**
         * The element, with the memory effects of {@link VarHandle#get${mode}}.
         *
         * @param index 0 to {@code length() - 1}
         * @return the element
         * @throws IndexOutOfBoundsException if the index is out of that range
         * @throws ClosedException after close
         */
        public ${p} get${mode}(long index) {
<#if t.ordered>
            try {
                return (${p}) HANDLE.get${mode}(bytesAt(index), offsetAt(index));
            } catch (IndexOutOfBoundsException outside) {
                throw refused("get${mode}", index);
            }
<#else>
<#if mode == "Volatile">
            VarHandle.fullFence();
</#if>
            ${p} value = get(index);
            VarHandle.acquireFence();
            return value;
</#if>
        }
</#list>
<#list ["Release", "Volatile"] as mode>

        /**
         * Sets the element, with the memory effects of {@link VarHandle#set${mode}}.
         *
         * @param index 0 to {@code length() - 1}
         * @param value the new element
         * @throws IndexOutOfBoundsException if the index is out of that range
         * @throws ClosedException after close
         */
        public void set${mode}(long index, ${p} value) {
<#if t.ordered>
            try {
                HANDLE.set${mode}(bytesAt(index), offsetAt(index), value);
            } catch (IndexOutOfBoundsException outside) {
                throw refused("set${mode}", index);
            }
<#else>
            VarHandle.releaseFence();
            set(index, value);
<#if mode == "Volatile">
            VarHandle.fullFence();
</#if>
</#if>
        }
</#list>
<#if t.cas>

        // ---- atomic ----

        /**
         * Sets the element if it is the expected one, atomically, with the memory effects of {@link
         * VarHandle#compareAndSet}.
<#if p == "float" || p == "double">
         * Elements are compared by their bits: a NaN equals itself, 0.0 does not equal -0.0.
</#if>
         *
         * @param index 0 to {@code length() - 1}
         * @param expected what the element has to be
         * @param value the new element
         * @return whether it was the expected one, and has been set
         * @throws IndexOutOfBoundsException if the index is out of that range
         * @throws ClosedException after close
         */
        public boolean compareAndSet(long index, ${p} expected, ${p} value) {
            try {
                return HANDLE.compareAndSet(bytesAt(index), offsetAt(index), expected, value);
            } catch (IndexOutOfBoundsException outside) {
                throw refused("compareAndSet", index);
            }
        }

        /**
         * Sets the element and returns the one before, atomically, with the memory effects of {@link
         * VarHandle#getAndSet}.
         *
         * @param index 0 to {@code length() - 1}
         * @param value the new element
         * @return the element before
         * @throws IndexOutOfBoundsException if the index is out of that range
         * @throws ClosedException after close
         */
        public ${p} getAndSet(long index, ${p} value) {
            try {
                return (${p}) HANDLE.getAndSet(bytesAt(index), offsetAt(index), value);
            } catch (IndexOutOfBoundsException outside) {
                throw refused("getAndSet", index);
            }
        }
</#if>
<#if t.add>

        /**
         * Adds to the element and returns the one before, atomically, with the memory effects of {@link
         * VarHandle#getAndAdd}.
         *
         * @param index 0 to {@code length() - 1}
         * @param delta what is added; the sum wraps around
         * @return the element before
         * @throws IndexOutOfBoundsException if the index is out of that range
         * @throws ClosedException after close
         */
        public ${p} getAndAdd(long index, ${p} delta) {
            try {
                return (${p}) HANDLE.getAndAdd(bytesAt(index), offsetAt(index), delta);
            } catch (IndexOutOfBoundsException outside) {
                throw refused("getAndAdd", index);
            }
        }
</#if>

        // ---- bulk, by plain access ----

        /**
         * Sets all elements.
         *
         * @param value the new element
         * @throws ClosedException after close
         */
        public void fill(${p} value) {
            fill(0, length, value);
        }

        /**
         * Sets a range of elements.
         *
         * @param from the first index
         * @param to one past the last index
         * @param value the new element
         * @throws IndexOutOfBoundsException if the range is not within the array
         * @throws ClosedException after close
         */
        public void fill(long from, long to, ${p} value) {
            ensureOpen("fill");
            if (from < 0 || from > to || to > length) {
                throw new IndexOutOfBoundsException(
                        "fill: from="
                                + from
                                + ", to="
                                + to
                                + ", length="
                                + length
                                + "; take 0 to "
                                + length
                                + ", and not the larger one first");
            }
            try {
                for (long index = from; index < to; ) {
                    int count = inChunk(index, to - index);
                    fill(chunkAt(index), index, count, ${toCell("value")});
                    index += count;
                }
            } catch (IndexOutOfBoundsException gone) {
                throw refused("fill", from);
            }
        }

        private void fill(${t.buffer} chunk, long index, int count, ${cell} value) {
            int position = positionAt(index);
            if (count < NATIVE_FILL) {
                for (int i = 0; i < count; i++) {
                    chunk.put(position + i, value);
                }
            } else {
                Objects.checkFromIndexSize(position, count, chunk.capacity());
                fillNatively(index, count, ${bits} * ${repeated});
                Reference.reachabilityFence(chunk); // which keeps the memory mapped
            }
        }

        /**
         * A copy on the heap.
         *
         * @return a new array of {@code length()} elements
         * @throws IllegalStateException if there are more than a Java array can have
         * @throws ClosedException after close
         */
        public ${p}[] toArray() {
            ${p}[] copy = new ${p}[arrayLength()];
            copyTo(copy);
            return copy;
        }

        /**
         * Copies the first elements to an array.
         *
         * @param target where to; as many elements are copied as it has
         * @throws IndexOutOfBoundsException if it has more than this one
         * @throws ClosedException after close
         */
        public void copyTo(${p}[] target) {
            copyTo(0, target, 0, target.length);
        }

        /**
         * Copies a range of elements to an array.
         *
         * @param index of the first element here
         * @param target where to
         * @param offset of the first element there
         * @param count how many elements
         * @throws IndexOutOfBoundsException if a range is not within its array
         * @throws ClosedException after close
         */
        public void copyTo(long index, ${p}[] target, int offset, int count) {
            checkRange("copyTo", index, count);
            checkRange("copyTo: target", offset, count, target.length);
            try {
                for (int done = 0; done < count; ) {
                    int some = inChunk(index + done, count - done);
                    ${t.buffer} chunk = chunkAt(index + done);
                    int position = positionAt(index + done);
<#if isBoolean>
                    for (int i = 0; i < some; i++) {
                        target[offset + done + i] = chunk.get(position + i) != 0;
                    }
<#else>
                    chunk.get(position, target, offset + done, some);
</#if>
                    done += some;
                }
            } catch (IndexOutOfBoundsException gone) {
                throw refused("copyTo", index);
            }
        }

        /**
         * Copies an array to the first elements.
         *
         * @param source where from; all of its elements are copied
         * @throws IndexOutOfBoundsException if it has more than this one
         * @throws ClosedException after close
         */
        public void copyFrom(${p}[] source) {
            copyFrom(0, source, 0, source.length);
        }

        /**
         * Copies a range of an array's elements to this one.
         *
         * @param index of the first element here
         * @param source where from
         * @param offset of the first element there
         * @param count how many elements
         * @throws IndexOutOfBoundsException if a range is not within its array
         * @throws ClosedException after close
         */
        public void copyFrom(long index, ${p}[] source, int offset, int count) {
            checkRange("copyFrom", index, count);
            checkRange("copyFrom: source", offset, count, source.length);
            try {
                for (int done = 0; done < count; ) {
                    int some = inChunk(index + done, count - done);
                    ${t.buffer} chunk = chunkAt(index + done);
                    int position = positionAt(index + done);
<#if isBoolean>
                    for (int i = 0; i < some; i++) {
                        chunk.put(position + i, (byte) (source[offset + done + i] ? 1 : 0));
                    }
<#else>
                    chunk.put(position, source, offset + done, some);
</#if>
                    done += some;
                }
            } catch (IndexOutOfBoundsException gone) {
                throw refused("copyFrom", index);
            }
        }
<#assign map = {"boolean": "mapToObj", "byte": "mapToInt", "short": "mapToInt", "char": "mapToInt", "int": "mapToInt", "long": "map", "float": "mapToDouble", "double": "mapToDouble"}[p]>

        /**
         * The elements in their order, each read by plain access when the stream comes to it.
         *
         * @return a new stream; its end operation throws {@link ClosedException} if it reads after close
         * @throws ClosedException after close
         */
        public ${t.stream} stream() {
            ensureOpen("stream");
            return LongStream.range(0, length).${map}(this::get);
        }

        /**
         * The array itself as a buffer, without a copy.
<#if isBoolean>
         * An element is a byte: 0 is false, 1 is true.
</#if>
         *
         * @return a new buffer of all elements in native byte order
         * @throws IllegalArgumentException if a buffer cannot span the array; take ranges then
         * @throws ClosedException after close
         */
        public ${t.buffer} asBuffer() {
            return asBuffer(0, flatLength());
        }

        private int flatLength() {
            if (flat) {
                return (int) length;
            }
            throw new IllegalArgumentException(
                    "asBuffer: length="
                            + length
                            + " elements do not fit a buffer; take ranges with asBuffer(index,"
                            + " count)");
        }

        /**
         * A range of the array as a buffer, without a copy. The buffer knows nothing of a close: what
         * is read and written through it after that is still the same memory, which stays for as long
         * as the buffer can be reached.
         *
         * @param index of the first element
         * @param count how many elements; of at most 2<sup>31</sup> - 1 bytes
         * @return a new buffer in native byte order
         * @throws IndexOutOfBoundsException if the range is not within the array
         * @throws IllegalArgumentException if the range is too large for a buffer
         * @throws ClosedException after close
         */
        public ${t.buffer} asBuffer(long index, int count) {
            return view(window(index, count));
        }

        // ---- as a handle ----

        @Serial
        private Object writeReplace() {
            return new Handle(memory, name(), kind(), length, owned());
        }

        private record Handle(
                SharedMemory memory, String name, int kind, long length, boolean owned)
                implements Serializable {
            @Serial
            private Object readResolve() {
                return new Of${t.name}(memory, name, kind, length, owned);
            }
        }
    }
</#list>
}
