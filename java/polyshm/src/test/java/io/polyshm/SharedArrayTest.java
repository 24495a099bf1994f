// SPDX-License-Identifier: Apache-2.0
package io.polyshm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.lang.reflect.Array;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.nio.Buffer;
import java.nio.IntBuffer;
import java.nio.file.FileStore;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.stream.BaseStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** The eight types have the same methods, so one test calls them all by reflection. */
@Timeout(120)
class SharedArrayTest {
    @RegisterExtension final Segments segments = new Segments();

    /** A type with values at its edges; the first is what a new element holds. */
    record Type(String name, Class<?> primitive, Object... edges) {
        SharedArray create(long length) {
            return (SharedArray)
                    invokeStatic("of" + name + "s", new Class<?>[] {long.class}, length);
        }

        SharedArray in(SharedMemory memory, String name, long length) {
            return (SharedArray)
                    invokeStatic(
                            "of" + this.name + "s",
                            new Class<?>[] {SharedMemory.class, String.class, long.class},
                            memory,
                            name,
                            length);
        }

        int bytes() {
            return switch (name) {
                case "Short", "Char" -> 2;
                case "Int", "Float" -> 4;
                case "Long", "Double" -> 8;
                default -> 1;
            };
        }

        @Override
        public String toString() {
            return name;
        }
    }

    static final List<Type> TYPES =
            List.of(
                    new Type("Boolean", boolean.class, false, true),
                    new Type(
                            "Byte",
                            byte.class,
                            (byte) 0,
                            Byte.MIN_VALUE,
                            Byte.MAX_VALUE,
                            (byte) -1),
                    new Type("Short", short.class, (short) 0, Short.MIN_VALUE, Short.MAX_VALUE),
                    new Type("Char", char.class, '\0', Character.MAX_VALUE, '\u20ac', 'A'),
                    new Type("Int", int.class, 0, Integer.MIN_VALUE, Integer.MAX_VALUE, -1),
                    new Type("Long", long.class, 0L, Long.MIN_VALUE, Long.MAX_VALUE, -1L),
                    new Type(
                            "Float",
                            float.class,
                            0f,
                            -0f,
                            Float.NaN,
                            Float.MIN_VALUE,
                            Float.NEGATIVE_INFINITY),
                    new Type(
                            "Double",
                            double.class,
                            0d,
                            -0d,
                            Double.NaN,
                            Double.MIN_VALUE,
                            Double.POSITIVE_INFINITY));

    static List<Type> types() {
        return TYPES;
    }

    static Stream<Type> typesWith(String method) {
        return TYPES.stream()
                .filter(
                        type ->
                                Arrays.stream(arrayClass(type).getMethods())
                                        .anyMatch(each -> each.getName().equals(method)));
    }

    static Stream<Type> atomicTypes() {
        return typesWith("compareAndSet");
    }

    @ParameterizedTest
    @MethodSource("types")
    void shouldHoldEveryEdgeValueInEveryWayOfAccess(Type type) {
        try (SharedArray array = type.create(100)) {
            for (String order : List.of("", "Release", "Volatile")) {
                String read = order.equals("Release") ? "Acquire" : order;
                for (Object edge : type.edges()) {
                    for (long index : new long[] {0, 57, 99}) {
                        call(array, "set" + order, index, edge);
                        assertThat(call(array, "get" + read, index)).isEqualTo(edge);
                        call(array, "set", index, type.edges()[0]);
                    }
                }
            }
        }
    }

    @ParameterizedTest
    @MethodSource("types")
    void shouldBeZeroAndKeepNeighboursApart(Type type) {
        try (SharedArray array = type.create(9)) {
            Object zero = type.edges()[0];
            Object one = type.edges()[1];
            for (long set = 0; set < 9; set++) {
                call(array, "set", set, one);
                for (long index = 0; index < 9; index++) {
                    assertThat(call(array, "get", index)).isEqualTo(index <= set ? one : zero);
                }
            }
        }
    }

    @ParameterizedTest
    @MethodSource("types")
    void shouldRefuseIndexesOutsideAndChangeNothing(Type type) {
        try (SharedArray array = type.create(10)) {
            Object one = type.edges()[1];
            for (long index :
                    new long[] {
                        -1, 10, 1L << 32, 1L << 31, Long.MAX_VALUE, Long.MIN_VALUE, 1L << 61
                    }) {
                for (String order : List.of("", "Release", "Volatile")) {
                    assertThatThrownBy(() -> call(array, "set" + order, index, one))
                            .isInstanceOf(IndexOutOfBoundsException.class)
                            .hasMessageContainingAll("index=" + index, "length=10", "0 to 9");
                    String read = order.equals("Release") ? "Acquire" : order;
                    assertThatThrownBy(() -> call(array, "get" + read, index))
                            .isInstanceOf(IndexOutOfBoundsException.class)
                            .hasMessageContaining("index=" + index);
                }
            }
            for (long index = 0; index < 10; index++) {
                assertThat(call(array, "get", index)).isEqualTo(type.edges()[0]);
            }
        }
    }

    @ParameterizedTest
    @MethodSource("types")
    void shouldCopyBothWays(Type type) {
        try (SharedArray array = type.create(20)) {
            Object source = Array.newInstance(type.primitive(), 20);
            for (int i = 0; i < 20; i++) {
                Array.set(source, i, type.edges()[i % type.edges().length]);
            }
            call(array, "copyFrom", source);
            assertThat(call(array, "toArray")).isEqualTo(source);

            Object part = Array.newInstance(type.primitive(), 10);
            call(array, "copyTo", 5L, part, 2, 7);
            for (int i = 0; i < 10; i++) {
                Object expected = i < 2 || i > 8 ? type.edges()[0] : Array.get(source, i + 3);
                assertThat(Array.get(part, i)).isEqualTo(expected);
            }
            assertThatThrownBy(() -> call(array, "copyTo", 15L, part, 0, 6))
                    .isInstanceOf(IndexOutOfBoundsException.class)
                    .hasMessageContainingAll("copyTo", "index=15", "count=6", "length=20");
            assertThatThrownBy(() -> call(array, "copyFrom", 0L, part, 5, 6))
                    .isInstanceOf(IndexOutOfBoundsException.class);
            assertThatThrownBy(() -> call(array, "copyFrom", Long.MAX_VALUE, part, 0, 1))
                    .isInstanceOf(IndexOutOfBoundsException.class);
        }
    }

    @ParameterizedTest
    @MethodSource("types")
    void shouldFillAllOrARange(Type type) {
        int length = 4 * SharedArray.NATIVE_FILL;
        try (SharedArray array = type.create(length)) {
            Object zero = type.edges()[0];
            for (Object edge : type.edges()) {
                for (int count : new int[] {0, 1, length / 4 - 1, length / 4, length / 2 + 1}) {
                    for (int from : new int[] {0, 1, 13, length - count}) {
                        call(array, "fill", zero);
                        call(array, "fill", (long) from, (long) from + count, edge);
                        Object copy = call(array, "toArray");
                        for (int i = 0; i < length; i++) {
                            boolean filled = i >= from && i < from + count;
                            assertThat(Array.get(copy, i)).isEqualTo(filled ? edge : zero);
                        }
                    }
                }
            }
            for (long[] range : new long[][] {{5, 4}, {-1, 100}, {1, length + 1}}) {
                assertThatThrownBy(() -> call(array, "fill", range[0], range[1], zero))
                        .isInstanceOf(IndexOutOfBoundsException.class)
                        .hasMessageContainingAll("fill", "length=" + length);
            }
            array.close();
            assertThatThrownBy(() -> call(array, "fill", zero)).isInstanceOf(ClosedException.class);
            assertThatThrownBy(() -> call(array, "fill", 1L, 2L, zero))
                    .isInstanceOf(ClosedException.class);
            assertThatThrownBy(() -> call(array, "fill", 1L, 1L, zero))
                    .isInstanceOf(ClosedException.class);
        }
    }

    @ParameterizedTest
    @MethodSource("types")
    void shouldShareMemoryWithItsBufferAndStreamItsElements(Type type) {
        try (SharedArray array = type.create(10)) {
            Object one = type.edges()[1];
            Buffer buffer = (Buffer) call(array, "asBuffer");
            assertThat(buffer.isDirect()).isTrue();
            assertThat(buffer.remaining()).isEqualTo(10);
            assertThat(((Buffer) call(array, "asBuffer", 4L, 3)).remaining()).isEqualTo(3);
            for (long start : new long[] {0, 4, 10}) {
                assertThat(((Buffer) call(array, "asBuffer", start, 0)).capacity()).isZero();
            }
            call(array, "set", 9L, one);
            if (buffer instanceof IntBuffer ints) {
                assertThat(ints.get(9)).isEqualTo(one);
                ints.put(0, 77);
                assertThat(call(array, "get", 0L)).isEqualTo(77);
            }
            BaseStream<?, ?> stream = (BaseStream<?, ?>) call(array, "stream");
            long count = 0;
            for (var each = stream.iterator(); each.hasNext(); each.next()) {
                count++;
            }
            assertThat(count).isEqualTo(10);
        }
    }

    @ParameterizedTest
    @MethodSource("atomicTypes")
    void shouldSwapOnlyWhenAsExpected(Type type) {
        try (SharedArray array = type.create(3)) {
            Object zero = type.edges()[0];
            Object one = type.edges()[1];
            assertThat(call(array, "compareAndSet", 1L, one, one)).isEqualTo(false);
            assertThat(call(array, "compareAndSet", 1L, zero, one)).isEqualTo(true);
            assertThat(call(array, "getAndSet", 1L, zero)).isEqualTo(one);
            assertThat(call(array, "getVolatile", 1L)).isEqualTo(zero);
            assertThatThrownBy(() -> call(array, "compareAndSet", 3L, zero, one))
                    .isInstanceOf(IndexOutOfBoundsException.class)
                    .hasMessageContaining("compareAndSet: index=3");
            assertThatThrownBy(() -> call(array, "getAndSet", 1L << 30, one))
                    .isInstanceOf(IndexOutOfBoundsException.class);
        }
    }

    @Test
    void shouldLoseNoAdditionWhenThreadsAdd() throws InterruptedException {
        try (SharedArray.OfInt ints = SharedArray.ofInts(2);
                SharedArray.OfLong longs = SharedArray.ofLongs(2)) {
            Runnable add =
                    () -> {
                        for (int i = 0; i < 50_000; i++) {
                            ints.getAndAdd(1, 2);
                            longs.getAndAdd(1, -1);
                        }
                    };
            Thread other = new Thread(add);
            other.start();
            add.run();
            other.join();
            assertThat(ints.get(1)).isEqualTo(200_000);
            assertThat(longs.get(1)).isEqualTo(-100_000);
            assertThat(ints.get(0)).isZero();
        }
    }

    @ParameterizedTest
    @MethodSource("types")
    void shouldShowBothWhenTheObjectIsAnother(Type type) {
        try (SharedMemory memory = SharedMemory.anonymous(100_000)) {
            type.in(memory, "x", 10);
            type.in(memory, "x", 10);
            assertThat(memory.objects()).hasSize(1);
            assertThatThrownBy(() -> type.in(memory, "x", 11))
                    .isInstanceOf(TypeMismatchException.class)
                    .hasMessageContainingAll("name=x", "length=10", "length=11");
            for (Type other : TYPES) {
                if (other != type) {
                    assertThatThrownBy(() -> other.in(memory, "x", 10))
                            .isInstanceOf(TypeMismatchException.class);
                }
            }
            assertThatThrownBy(() -> SharedValue.ofInt(memory, "x"))
                    .isInstanceOf(TypeMismatchException.class)
                    .hasMessageContainingAll("array", "value");
            assertThatThrownBy(() -> Lock.in(memory, "x"))
                    .isInstanceOf(TypeMismatchException.class)
                    .hasMessageContaining("lock");
        }
    }

    @Test
    void shouldRefuseALengthWhenItCannotBe() {
        for (long length : new long[] {0, -1, Long.MIN_VALUE, Long.MAX_VALUE}) {
            assertThatThrownBy(() -> SharedArray.ofInts(length))
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessageContainingAll("length=" + length, "take 1 to");
        }
    }

    @Test
    void shouldEndOnlyThisObjectWhenClosedInACallersSegment() {
        try (SharedMemory memory = SharedMemory.anonymous(10_000)) {
            SharedArray.OfInt first = SharedArray.ofInts(memory, "x", 10);
            SharedArray.OfInt second = SharedArray.ofInts(memory, "x", 10);
            first.set(0, 5);
            first.close();
            assertThatThrownBy(() -> first.get(0)).isInstanceOf(ClosedException.class);
            assertThat(second.get(0)).isEqualTo(5);
        }
    }

    @Test
    void shouldKeepABufferReadableWhenClosed() {
        SharedArray.OfInt array = SharedArray.ofInts(1000);
        array.fill(3);
        IntBuffer buffer = array.asBuffer();
        array.close();
        System.gc();
        for (int i = 0; i < 1000; i++) {
            assertThat(buffer.get(i)).isEqualTo(3);
        }
    }

    /** Past what one buffer spans: the borders of the chunks, and the ends. */
    @Test
    void shouldReachEveryElementWhenLargerThanTwoGibibytes() throws Exception {
        FileStore store = Files.getFileStore(Path.of("/dev/shm"));
        assumeTrue(store.getUsableSpace() > 6L << 30, "/dev/shm has no 6 GiB left");
        long chunk = 1L << 27; // elements of 8 bytes in a chunk of 1 GiB
        long length = 4 * chunk + 3;
        try (SharedArray.OfLong array = SharedArray.ofLongs(length)) {
            long span = SharedArray.SPAN_BYTES / 8; // elements that one buffer can have
            long[] borders = {
                0,
                1,
                span - 1,
                span,
                chunk - 1,
                chunk,
                chunk + 1,
                2 * chunk - 1,
                2 * chunk,
                length - 1,
                2 * span - 1,
                2 * span,
                4 * chunk - 1,
                4 * chunk
            };
            for (long index : borders) {
                array.set(index, ~index);
            }
            for (long index : borders) {
                assertThat(array.get(index)).isEqualTo(~index);
                assertThat(array.getVolatile(index)).isEqualTo(~index);
                assertThat(array.getAndAdd(index, 1)).isEqualTo(~index);
            }
            long[] across = new long[6];
            array.copyTo(chunk - 3, across, 0, 6);
            assertThat(across)
                    .containsExactly(0, 0, ~(chunk - 1) + 1, ~chunk + 1, ~(chunk + 1) + 1, 0);
            array.copyFrom(2 * chunk - 3, across, 0, 6);
            assertThat(array.get(2 * chunk - 1)).isEqualTo(~(chunk - 1) + 1);
            array.fill(chunk - 10_000, chunk + 10_000, 7);
            assertThat(array.get(chunk - 10_000)).isEqualTo(7);
            assertThat(array.get(chunk + 9_999)).isEqualTo(7);
            assertThat(array.get(chunk + 10_000)).isZero();
            assertThat(array.asBuffer(chunk - 1, 2).get(1)).isEqualTo(7);
            for (long outside : new long[] {length, -1, 1L << 59, Long.MIN_VALUE, Long.MAX_VALUE}) {
                assertThatThrownBy(() -> array.get(outside))
                        .isInstanceOf(IndexOutOfBoundsException.class);
                assertThatThrownBy(() -> array.setVolatile(outside, 1))
                        .isInstanceOf(IndexOutOfBoundsException.class);
            }
            assertThatThrownBy(array::asBuffer)
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessageContaining("asBuffer(index, count)");
        }
    }

    @ParameterizedTest
    @MethodSource("types")
    void shouldHoldEveryEdgeValueWhenTooLargeForABuffer(Type type) throws Exception {
        FileStore store = Files.getFileStore(Path.of("/dev/shm"));
        assumeTrue(store.getUsableSpace() > 3L << 30, "/dev/shm has no 3 GiB left");
        int bytes = type.bytes();
        long length = (1L << 31) / bytes + 3;
        long span = SharedArray.SPAN_BYTES / bytes;
        Object zero = type.edges()[0];
        Object one = type.edges()[1];
        try (SharedArray array = type.create(length)) {
            for (long index : new long[] {0, span - 1, span, length - 1}) {
                for (Object edge : type.edges()) {
                    call(array, "set", index, edge);
                    assertThat(call(array, "get", index)).isEqualTo(edge);
                    assertThat(call(array, "getVolatile", index)).isEqualTo(edge);
                }
                call(array, "set", index, zero);
            }
            call(array, "fill", span - 100, length - 1, one);
            assertThat(call(array, "get", span - 101)).isEqualTo(zero);
            assertThat(call(array, "get", span - 100)).isEqualTo(one);
            assertThat(call(array, "get", length - 2)).isEqualTo(one);
            assertThat(call(array, "get", length - 1)).isEqualTo(zero);
            // Among them indexes that are 0 when they are multiplied by the size of an element.
            for (long index :
                    new long[] {
                        length, -1, 1L << 32, 1L << 61, 1L << 62, Long.MIN_VALUE, Long.MAX_VALUE
                    }) {
                assertThatThrownBy(() -> call(array, "get", index))
                        .isInstanceOf(IndexOutOfBoundsException.class)
                        .hasMessageContainingAll("get: index=" + index, "length=" + length);
                assertThatThrownBy(() -> call(array, "set", index, one))
                        .isInstanceOf(IndexOutOfBoundsException.class)
                        .hasMessageContainingAll("set: index=" + index, "length=" + length);
            }
            array.close();
            assertThatThrownBy(() -> call(array, "get", 0L)).isInstanceOf(ClosedException.class);
            assertThatThrownBy(() -> call(array, "set", length - 1, one))
                    .isInstanceOf(ClosedException.class);
            assertThatThrownBy(() -> call(array, "fill", one)).isInstanceOf(ClosedException.class);
        }
    }

    // ---- reflection ----

    private static Class<?> arrayClass(Type type) {
        return Arrays.stream(SharedArray.class.getPermittedSubclasses())
                .filter(each -> each.getSimpleName().equals("Of" + type.name()))
                .findFirst()
                .orElseThrow();
    }

    static Object invokeStatic(String method, Class<?>[] parameters, Object... arguments) {
        try {
            return invoke(SharedArray.class.getMethod(method, parameters), null, arguments);
        } catch (NoSuchMethodException absent) {
            throw new AssertionError(absent);
        }
    }

    private static Object call(SharedArray array, String name, Object... arguments) {
        Method method =
                Arrays.stream(array.getClass().getMethods())
                        .filter(
                                each ->
                                        each.getName().equals(name)
                                                && each.getParameterCount() == arguments.length)
                        .findFirst()
                        .orElseThrow(() -> new AssertionError("no method " + name));
        return invoke(method, array, arguments);
    }

    private static Object invoke(Method method, Object target, Object... arguments) {
        try {
            return method.invoke(target, arguments);
        } catch (InvocationTargetException thrown) {
            if (thrown.getCause() instanceof RuntimeException cause) {
                throw cause;
            }
            throw new AssertionError(thrown.getCause());
        } catch (IllegalAccessException impossible) {
            throw new AssertionError(impossible);
        }
    }
}
