// SPDX-License-Identifier: Apache-2.0
package io.polyshm;

import java.util.Objects;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * What a shared object is told to any program by: {@code <segment name>/<object name>}. No name has
 * a slash.
 */
final class TextHandle {
    private static final Pattern FORM = Pattern.compile("([^/]+)/([^/]+)");

    private TextHandle() {}

    /** How a type opens an object that exists. */
    @FunctionalInterface
    interface Opener<T> {
        T open(SharedMemory memory, String name, boolean owned);
    }

    static String of(SharedMemory memory, String name) {
        return memory.name() + "/" + name;
    }

    /** Opens the segment for the object alone, which closes it. */
    static <T> T attach(String handle, Opener<T> opener) {
        Matcher parts = FORM.matcher(Objects.requireNonNull(handle, "handle"));
        if (!parts.matches()) {
            throw new IllegalArgumentException(
                    "attach: handle=\""
                            + handle
                            + "\" is not of the form <segment name>/<object name>; take what"
                            + " handle() of the object returns");
        }
        SharedMemory memory = SharedMemory.open(parts.group(1));
        T attached = null;
        try {
            attached = opener.open(memory, parts.group(2), true);
            return attached;
        } finally {
            if (attached == null) {
                memory.close();
            }
        }
    }
}
