// SPDX-License-Identifier: Apache-2.0
package io.polyshm.internal.fork;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.ObjectInputStream;
import java.io.ObjectStreamClass;

/** Reads objects whose classes one given loader finds; the default would take the caller's. */
final class LoadingInputStream extends ObjectInputStream {
    private final ClassLoader loader;

    LoadingInputStream(InputStream in, ClassLoader loader) throws IOException {
        super(in);
        this.loader = loader;
    }

    static Object read(byte[] bytes, ClassLoader loader)
            throws IOException, ClassNotFoundException {
        try (LoadingInputStream in =
                new LoadingInputStream(new ByteArrayInputStream(bytes), loader)) {
            return in.readObject();
        }
    }

    @Override
    protected Class<?> resolveClass(ObjectStreamClass described)
            throws IOException, ClassNotFoundException {
        try {
            return Class.forName(described.getName(), false, loader);
        } catch (ClassNotFoundException primitiveOrAbsent) {
            return super.resolveClass(described);
        }
    }
}
