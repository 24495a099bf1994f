// SPDX-License-Identifier: Apache-2.0
package io.polyshm.storm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.polyshm.ForkedJvm;
import io.polyshm.SharedMemory;
import java.io.File;
import java.lang.ProcessBuilder.Redirect;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.ThreadLocalRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(300)
class StormTest {
    private static final int SECONDS = Integer.getInteger("polyshm.stormSeconds", 6);

    @Test
    void shouldKeepTheSumWhenWorkersAreStoppedAndKilled() throws Exception {
        long seed = Long.getLong("polyshm.stormSeed", ThreadLocalRandom.current().nextInt(1 << 30));
        Storm storm = new Storm(SECONDS, seed, 5, Storm.languages());
        assertThat(storm.run()).as("the storm passed; its seed is %d", seed).isTrue();
        assertThat(storm.repairs()).isPositive();
        assertThat(storm.drills()).isPositive();
    }

    /** Where the workers are. */
    private static String[] workerOptions() {
        return System.getProperties().stringPropertyNames().stream()
                .filter(name -> name.matches("polyshm\\.(native\\.tests|python.*)"))
                .map(name -> "-D" + name + "=" + System.getProperty(name))
                .toArray(String[]::new);
    }

    @Test
    void shouldLeaveNothingWhenTheStormItselfIsKilled() throws Exception {
        ForkedJvm storm =
                ForkedJvm.builder()
                        .jvmOptions(workerOptions())
                        .redirectOutput(Redirect.DISCARD)
                        .redirectError(Redirect.DISCARD) // the last to end see deaths unannounced
                        .start(() -> Storm.main("--workers", "3"));
        ProcessHandle handle = ProcessHandle.of(storm.pid()).orElseThrow();
        await().atMost(Duration.ofSeconds(60)).until(() -> handle.descendants().count() >= 4);
        List<ProcessHandle> workers = handle.descendants().toList();
        try {
            storm.kill();
            String prefix = "polyshm.anonymous-" + storm.pid() + "-";
            await().atMost(Duration.ofSeconds(60))
                    .untilAsserted(
                            () -> {
                                assertThat(workers).noneMatch(ProcessHandle::isAlive);
                                SharedMemory.reap();
                                assertThat(new File("/dev/shm").list())
                                        .noneMatch(name -> name.startsWith(prefix));
                            });
        } finally {
            workers.forEach(ProcessHandle::destroyForcibly);
        }
    }
}
