// SPDX-License-Identifier: Apache-2.0
package io.polyshm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.FileStore;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Closed segments wait for the garbage collector, but not without a limit. */
@Timeout(120)
class LingeringTest {
    @Test
    void shouldGiveMemoryBackWhenMuchIsClosed() throws Exception {
        long mapped =
                ForkedJvm.builder()
                        .jvmOptions("-Xmx64m")
                        .call(
                                () -> {
                                    long most = 0;
                                    for (int i = 0; i < 200; i++) {
                                        SharedArray.ofBytes(8 << 20).close();
                                        most = Math.max(most, mappings());
                                    }
                                    return most;
                                })
                        .get();
        assertThat(mapped)
                .as("segments of 8 MiB mapped at a time, with a limit of 64 MiB")
                .isLessThan(20);
    }

    @Test
    void shouldKeepTheNumberOfMappingsSmallWhenManyAreClosed() throws Exception {
        long mapped =
                ForkedJvm.call(
                                () -> {
                                    for (int i = 0; i < 6000; i++) {
                                        SharedValue.ofInt(i).close();
                                    }
                                    return mappings();
                                })
                        .get();
        assertThat(mapped).isLessThan(5000);
    }

    @Test
    void shouldUnmapWhenAnArrayTooLargeForABufferIsClosed() throws Exception {
        FileStore store = Files.getFileStore(Path.of("/dev/shm"));
        assumeTrue(store.getUsableSpace() > 3L << 30, "/dev/shm has no 3 GiB left");
        long mapped =
                ForkedJvm.call(
                                () -> {
                                    try (var array = SharedArray.ofBytes(1L << 31)) {
                                        array.set(1L << 30, (byte) 1);
                                    }
                                    for (int i = 0; i < 1000 && mappings() > 0; i++) {
                                        System.gc();
                                        Thread.sleep(10);
                                    }
                                    return mappings();
                                })
                        .get();
        assertThat(mapped).isZero();
    }

    private static long mappings() throws IOException {
        try (var lines = Files.lines(Path.of("/proc/self/maps"))) {
            return lines.filter(line -> line.contains("/dev/shm/polyshm.")).count();
        }
    }
}
