// SPDX-License-Identifier: Apache-2.0
package io.polyshm;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Stream;
import org.junit.jupiter.api.extension.AfterEachCallback;
import org.junit.jupiter.api.extension.ExtensionContext;

/** Names for a test's segments, which are gone when it ends; a segment that it leaks fails it. */
final class Segments implements AfterEachCallback {
    private static final Path FOLDER = Path.of("/dev/shm");
    private static final AtomicInteger COUNT = new AtomicInteger();

    private final List<String> names = new ArrayList<>();

    /** A name that no other test has. */
    String name() {
        String name = "test-" + ProcessHandle.current().pid() + "-" + COUNT.incrementAndGet();
        names.add(name);
        return name;
    }

    /** The file behind a segment. */
    static Path file(String name) {
        return FOLDER.resolve("polyshm." + name);
    }

    /** Whether the segment's name exists. */
    static boolean exists(String name) {
        return Files.exists(file(name), java.nio.file.LinkOption.NOFOLLOW_LINKS);
    }

    /** The anonymous segments that this process has made and that still exist. */
    static List<String> anonymous() {
        String prefix = "polyshm.anonymous-" + ProcessHandle.current().pid() + "-";
        try (Stream<Path> files = Files.list(FOLDER)) {
            return files.map(file -> file.getFileName().toString())
                    .filter(name -> name.startsWith(prefix))
                    .toList();
        } catch (IOException unexpected) {
            throw new UncheckedIOException(unexpected);
        }
    }

    @Override
    public void afterEach(ExtensionContext context) throws IOException {
        for (String name : names) {
            Files.deleteIfExists(file(name));
        }
        names.clear();
        assertThat(anonymous()).as("anonymous segments left behind").isEmpty();
    }
}
