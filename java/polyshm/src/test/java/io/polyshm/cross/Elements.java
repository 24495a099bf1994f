// SPDX-License-Identifier: Apache-2.0
package io.polyshm.cross;

import io.polyshm.Lock;
import io.polyshm.SharedArray;
import io.polyshm.SharedMemory;
import io.polyshm.SharedValue;
import java.lang.reflect.Array;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.util.Arrays;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/** An array or a value of any type, with its elements as bits in hexadecimal. */
final class Elements {
    private static final Map<String, Class<?>> TYPES =
            Map.of(
                    "boolean", boolean.class,
                    "int8", byte.class,
                    "int16", short.class,
                    "char16", char.class,
                    "int32", int.class,
                    "int64", long.class,
                    "float32", float.class,
                    "float64", double.class);

    private final Object shared;
    private final Class<?> type;

    private Elements(Object shared, Class<?> type) {
        this.shared = shared;
        this.type = type;
    }

    // ---- how to get one ----

    static Elements array(String type, SharedMemory memory, String name, long length) {
        Class<?> element = TYPES.get(type);
        String factory = "of" + capital(element) + "s";
        return new Elements(
                call(method(SharedArray.class, factory, 3), null, memory, name, length), element);
    }

    static Elements value(String type, SharedMemory memory, String name) {
        Class<?> element = TYPES.get(type);
        return new Elements(
                call(method(SharedValue.class, "of" + capital(element), 2), null, memory, name),
                element);
    }

    /** By its handle. */
    static Elements attach(Class<?> kind, String type, String handle) {
        Class<?> element = TYPES.get(type);
        for (Class<?> each : kind.getPermittedSubclasses()) {
            if (each.getSimpleName().equals("Of" + capital(element))) {
                return new Elements(call(method(each, "attach", 1), null, handle), element);
            }
        }
        throw new AssertionError(kind + " of " + element);
    }

    /** What the listing calls a type. */
    static String nameOf(Class<?> element) {
        return TYPES.entrySet().stream()
                .filter(each -> each.getValue() == element)
                .map(Map.Entry::getKey)
                .findFirst()
                .orElse("-");
    }

    // ---- what is done with it ----

    Lock lock() {
        return shared instanceof SharedArray array ? array.lock() : ((SharedValue) shared).lock();
    }

    AutoCloseable closeable() {
        return (AutoCloseable) shared;
    }

    String get(long index) {
        return text(element(index));
    }

    void set(long index, String bits) {
        store(index, element(bits));
    }

    void fill(String bits) {
        call(method(shared.getClass(), "fill", 1), shared, element(bits));
    }

    String read() {
        if (shared instanceof SharedValue) {
            return get(0);
        }
        Object all = call(method(shared.getClass(), "toArray", 0), shared);
        return IntStream.range(0, Array.getLength(all))
                .mapToObj(i -> text(Array.get(all, i)))
                .collect(Collectors.joining());
    }

    void write(String bits) {
        int digits = text(element("0")).length();
        Object all = Array.newInstance(type, bits.length() / digits);
        for (int i = 0; i < Array.getLength(all); i++) {
            Array.set(all, i, element(bits.substring(i * digits, (i + 1) * digits)));
        }
        call(method(shared.getClass(), "copyFrom", 1), shared, all);
    }

    /** To be called with the lock. */
    void add(long index) {
        Object before = element(index);
        store(
                index,
                type == int.class ? (Object) ((int) before + 1) : (Object) ((long) before + 1));
    }

    void addAtomically(long index) {
        Object one = type == int.class ? (Object) 1 : (Object) 1L;
        if (shared instanceof SharedArray) {
            call(method(shared.getClass(), "getAndAdd", 2), shared, index, one);
        } else {
            call(method(shared.getClass(), "getAndAdd", 1), shared, one);
        }
    }

    private Object element(long index) {
        return shared instanceof SharedArray
                ? call(method(shared.getClass(), "get", 1), shared, index)
                : call(method(shared.getClass(), "get", 0), shared);
    }

    private void store(long index, Object element) {
        if (shared instanceof SharedArray) {
            call(method(shared.getClass(), "set", 2), shared, index, element);
        } else {
            call(method(shared.getClass(), "set", 1), shared, element);
        }
    }

    // ---- bits ----

    private Object element(String text) {
        long bits = Long.parseUnsignedLong(text, 16);
        return switch (type.getName()) {
            case "boolean" -> bits != 0;
            case "byte" -> (byte) bits;
            case "short" -> (short) bits;
            case "char" -> (char) bits;
            case "int" -> (int) bits;
            case "long" -> bits;
            case "float" -> Float.intBitsToFloat((int) bits);
            default -> Double.longBitsToDouble(bits);
        };
    }

    private static String text(Object element) {
        if (element instanceof Boolean is) {
            return is ? "01" : "00";
        } else if (element instanceof Byte number) {
            return String.format("%02x", number);
        } else if (element instanceof Short number) {
            return String.format("%04x", number);
        } else if (element instanceof Character character) {
            return String.format("%04x", (int) character);
        } else if (element instanceof Integer number) {
            return String.format("%08x", number);
        } else if (element instanceof Long number) {
            return String.format("%016x", number);
        } else if (element instanceof Float number) {
            return String.format("%08x", Float.floatToRawIntBits(number));
        }
        return String.format("%016x", Double.doubleToRawLongBits((Double) element));
    }

    // ---- the classes that the templates make, which differ in the type only ----

    private static String capital(Class<?> element) {
        return element.getName().substring(0, 1).toUpperCase() + element.getName().substring(1);
    }

    private static Method method(Class<?> owner, String name, int parameters) {
        return Arrays.stream(owner.getMethods())
                .filter(each -> each.getName().equals(name))
                .filter(each -> each.getParameterCount() == parameters)
                .findFirst()
                .orElseThrow();
    }

    private static Object call(Method method, Object target, Object... arguments) {
        try {
            return method.invoke(target, arguments);
        } catch (InvocationTargetException thrown) {
            throw (RuntimeException) thrown.getCause();
        } catch (IllegalAccessException impossible) {
            throw new AssertionError(impossible);
        }
    }
}
