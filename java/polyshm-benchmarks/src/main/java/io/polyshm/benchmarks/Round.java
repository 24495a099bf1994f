// SPDX-License-Identifier: Apache-2.0
package io.polyshm.benchmarks;

/** One way to measure one operation beside all that it is compared with. */
interface Round {
    /**
     * Measures all by turns.
     *
     * @return nanoseconds of one operation: of ours, and of each reference
     */
    double[] nanos() throws Exception;
}
