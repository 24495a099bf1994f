// SPDX-License-Identifier: Apache-2.0
package io.polyshm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicReference;
import java.util.stream.Stream;

/**
 * How often the kernel has had the threads of another process run: who waits without using the
 * processor is never switched to, and who polls, however seldom, is.
 */
final class ContextSwitches {
    private static final int COMM_LENGTH = 15; // what the kernel keeps of a thread's name

    private ContextSwitches() {}

    /**
     * Expects threads to sleep for five seconds once they have come to rest; one switch each is
     * granted, as the kernel may have its own reasons.
     *
     * @param count of at least so many threads
     * @param names what their names begin with
     */
    static void assertNone(long pid, int count, String... names) throws InterruptedException {
        AtomicReference<Map<Path, Long>> last = new AtomicReference<>();
        await("all are there and come to rest")
                .pollInterval(Duration.ofMillis(200))
                .atMost(Duration.ofSeconds(60))
                .until(
                        () -> {
                            Map<Path, Long> now = of(pid, names);
                            return now.size() >= count && now.equals(last.getAndSet(now));
                        });
        Map<Path, Long> before = last.get();
        Thread.sleep(5_000);
        Map<Path, Long> after = of(pid, names);
        after.replaceAll((thread, switches) -> switches - before.getOrDefault(thread, 0L));
        assertThat(after).allSatisfy((thread, switches) -> assertThat(switches).isLessThan(2));
    }

    /** By thread, those that it left the processor for and those that it was made to. */
    private static Map<Path, Long> of(long pid, String... names) {
        Map<Path, Long> switches = new HashMap<>();
        try (Stream<Path> threads = Files.list(Path.of("/proc/" + pid + "/task"))) {
            for (Path thread : threads.toList()) {
                try {
                    if (isNamed(thread, names)) {
                        switches.put(thread, count(thread));
                    }
                } catch (IOException endedMeanwhile) {
                    // One that the JVM does not need any more.
                }
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return switches;
    }

    private static boolean isNamed(Path thread, String... names) throws IOException {
        String name = Files.readString(thread.resolve("comm"));
        return Stream.of(names)
                .map(each -> each.substring(0, Math.min(each.length(), COMM_LENGTH)))
                .anyMatch(name::startsWith);
    }

    private static long count(Path thread) throws IOException {
        List<String> lines = Files.readAllLines(thread.resolve("status"));
        return lines.stream()
                .filter(line -> line.contains("_ctxt_switches:"))
                .mapToLong(line -> Long.parseLong(line.split("\\s+")[1]))
                .sum();
    }
}
