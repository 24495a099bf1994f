// SPDX-License-Identifier: Apache-2.0
package io.polyshm.stress;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.openjdk.jcstress.Main;
import org.openjdk.jcstress.infra.runners.TestList;

/**
 * The short run: every test for a moment, in the code of C2, which reorders most. {@code
 * scripts/stress} is the long one.
 */
@Timeout(600)
class StressTest {
    @TempDir Path report;

    @Test
    void shouldSeeNothingForbiddenWhenRunForAMoment() throws Exception {
        assumeTrue(Runtime.getRuntime().availableProcessors() > 1, "it takes two processors");
        // Throws if a test fails. It starts its JVMs as this one was started.
        Main.main(
                ("-m quick -time 50 -iters 3 -hs 64 -pth false -sc false"
                                + " -jvmArgs -XX:-TieredCompilation -r "
                                + report)
                        .split(" "));
        // But returns if it could run none of them.
        for (String test : TestList.tests()) {
            assertThat(report.resolve(test + ".html")).exists();
        }
    }
}
