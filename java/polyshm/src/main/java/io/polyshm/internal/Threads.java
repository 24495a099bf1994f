// SPDX-License-Identifier: Apache-2.0
package io.polyshm.internal;

import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;

/** Virtual threads, as far as a library for JDK 17 can know of them. */
final class Threads {
    /** {@code Thread.isVirtual()}, of JDK 21; null before. */
    private static final MethodHandle IS_VIRTUAL = isVirtualMethod();

    private Threads() {}

    private static MethodHandle isVirtualMethod() {
        try {
            return MethodHandles.publicLookup()
                    .findVirtual(Thread.class, "isVirtual", MethodType.methodType(boolean.class));
        } catch (NoSuchMethodException olderJdk) {
            return null;
        } catch (IllegalAccessException impossible) {
            throw new LinkageError(impossible.getMessage(), impossible);
        }
    }

    /** Whether the thread may go on in another thread of the operating system. */
    static boolean isVirtual(Thread thread) {
        if (IS_VIRTUAL == null) {
            return false;
        }
        try {
            return (boolean) IS_VIRTUAL.invokeExact(thread);
        } catch (Throwable impossible) {
            throw new LinkageError(impossible.getMessage(), impossible);
        }
    }
}
