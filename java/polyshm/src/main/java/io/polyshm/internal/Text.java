// SPDX-License-Identifier: Apache-2.0
package io.polyshm.internal;

import java.nio.charset.StandardCharsets;
import java.time.Instant;
import org.bytedeco.javacpp.BytePointer;

/** What native structs write as characters and as nanoseconds. */
final class Text {
    private static final long NANOS_PER_SECOND = 1_000_000_000;

    private Text() {}

    /** A string that ends with a NUL; malformed UTF-8, as of a name that was cut, is replaced. */
    static String of(BytePointer text) {
        return text.getString(StandardCharsets.UTF_8);
    }

    /** Nanoseconds since 1970. */
    static Instant instant(long nanos) {
        return Instant.ofEpochSecond(
                Math.floorDiv(nanos, NANOS_PER_SECOND), Math.floorMod(nanos, NANOS_PER_SECOND));
    }
}
