// SPDX-License-Identifier: Apache-2.0
package io.polyshm.benchmarks;

import java.util.List;

/** One way to measure one operation together with its reference. */
interface PairTrial {
    /**
     * Measures both by turns, in one process of their own.
     *
     * @return one or more times: nanoseconds of one operation of ours, and of the reference
     */
    List<double[]> nanos() throws Exception;
}
