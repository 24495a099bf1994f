// SPDX-License-Identifier: Apache-2.0
package io.polyshm.benchmarks;

import io.polyshm.ForkedJvm;
import java.io.Serializable;

/**
 * Two JVMs on one core that wake each other by turns: the time of one wake-up, in the fastest of
 * several slices. The other half of it is in baseline.c.
 */
final class PingPong {
    private static final int SLICES = 10;
    private static final int WARM_UPS = 5;
    private static final int TURNS = 10_000;

    private PingPong() {}

    /** One JVM gives it and so wakes the other, which waits in order to take it. */
    interface Token extends Serializable, AutoCloseable {
        void give() throws Exception;

        void take() throws Exception;

        @Override
        void close();
    }

    /** Makes a token that has not been given. */
    interface Maker extends Serializable {
        Token make() throws Exception;
    }

    static Trial of(Maker maker) {
        return () -> Pinned.builder().call(() -> play(maker)).get();
    }

    private static double play(Maker maker) throws Exception {
        Pinned.pin(0);
        try (Token ping = maker.make();
                Token pong = maker.make()) {
            ForkedJvm peer =
                    Pinned.builder()
                            .start(
                                    () -> {
                                        for (int i = 0; i < SLICES * TURNS; i++) {
                                            ping.take();
                                            pong.give();
                                        }
                                    });
            peer.onExit()
                    .thenAccept(
                            code -> {
                                if (code != 0) { // then nobody will wake this JVM
                                    Runtime.getRuntime().halt(code);
                                }
                            });
            double lowest = Double.MAX_VALUE;
            for (int slice = 0; slice < SLICES; slice++) {
                long start = System.nanoTime();
                for (int i = 0; i < TURNS; i++) {
                    ping.give();
                    pong.take();
                }
                double nanos = (System.nanoTime() - start) / (2.0 * TURNS); // each wakes the other
                if (slice >= WARM_UPS) {
                    lowest = Math.min(lowest, nanos);
                }
            }
            peer.join();
            return lowest;
        }
    }
}
