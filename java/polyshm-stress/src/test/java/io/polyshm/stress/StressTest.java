// SPDX-License-Identifier: Apache-2.0
package io.polyshm.stress;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.openjdk.jcstress.Main;

/**
 * The short run: every test for a moment, in the code of C2, which reorders most. {@code
 * scripts/stress} is the long one.
 */
@Timeout(600)
class StressTest {
    @Test
    void shouldSeeNothingForbiddenWhenRunForAMoment() throws Exception {
        // Throws if a test fails. It starts its JVMs as this one was started.
        Main.main(
                ("-m quick -time 50 -iters 3 -hs 64 -pth false -sc false"
                                + " -jvmArgs -XX:-TieredCompilation")
                        .split(" "));
    }
}
