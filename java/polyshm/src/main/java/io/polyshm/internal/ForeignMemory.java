// SPDX-License-Identifier: Apache-2.0
package io.polyshm.internal;

import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.lang.reflect.Field;
import java.util.Locale;
import java.util.function.Consumer;

/**
 * Memory of any size as one {@code java.lang.foreign.MemorySegment}; for JDKs that have those. The
 * library is compiled for one that has not, so here a segment is an {@link Object} and its methods
 * are handles: called by {@code invokeExact} out of a constant, they cost what the methods do.
 */
public final class ForeignMemory {
    private static final Class<?> SEGMENT = type("MemorySegment");
    private static final Class<?> ARENA = type("Arena");
    private static final MethodHandle AUTO_ARENA = method(ARENA, "ofAuto");
    private static final MethodHandle OF_ADDRESS = method(SEGMENT, "ofAddress", long.class);
    private static final MethodHandle REINTERPRET =
            method(SEGMENT, "reinterpret", long.class, ARENA, Consumer.class);

    /** A segment without any memory, of the same class as the others. */
    public static final Object EMPTY = segment(0, 0, () -> {});

    private ForeignMemory() {}

    /**
     * A segment over native memory.
     *
     * @param atEnd is run when the segment is unreachable and no access to it goes on
     */
    static Object segment(long address, long bytes, Runnable atEnd) {
        Consumer<Object> cleanup = segment -> atEnd.run();
        try {
            Object start = OF_ADDRESS.invoke(address);
            return REINTERPRET.invoke(start, bytes, AUTO_ARENA.invoke(), cleanup);
        } catch (Throwable thrown) {
            throw rethrow(thrown);
        }
    }

    /** {@code (Object segment, long index)element}. */
    public static MethodHandle getter(Class<?> element) {
        Field layout = layout(element);
        return bind(method(SEGMENT, "getAtIndex", layout.getType(), long.class), layout);
    }

    /** {@code (Object segment, long index, element)void}. */
    public static MethodHandle setter(Class<?> element) {
        Field layout = layout(element);
        return bind(method(SEGMENT, "setAtIndex", layout.getType(), long.class, element), layout);
    }

    private static Field layout(Class<?> element) {
        try {
            return type("ValueLayout")
                    .getField("JAVA_" + element.getName().toUpperCase(Locale.ROOT));
        } catch (ReflectiveOperationException absent) {
            throw new LinkageError(element.getName(), absent);
        }
    }

    private static MethodHandle bind(MethodHandle access, Field layout) {
        try {
            MethodHandle bound = MethodHandles.insertArguments(access, 1, layout.get(null));
            return bound.asType(bound.type().changeParameterType(0, Object.class));
        } catch (ReflectiveOperationException absent) {
            throw new LinkageError(layout.getName(), absent);
        }
    }

    private static Class<?> type(String name) {
        try {
            return Class.forName("java.lang.foreign." + name);
        } catch (ReflectiveOperationException absent) {
            throw new LinkageError(name, absent);
        }
    }

    private static MethodHandle method(Class<?> type, String name, Class<?>... parameters) {
        try {
            return MethodHandles.lookup().unreflect(type.getMethod(name, parameters));
        } catch (ReflectiveOperationException absent) {
            throw new LinkageError(name, absent);
        }
    }

    /** What a handle has thrown; the methods behind them declare nothing. */
    @SuppressWarnings("unchecked")
    public static <T extends Throwable> RuntimeException rethrow(Throwable thrown) throws T {
        throw (T) thrown;
    }
}
