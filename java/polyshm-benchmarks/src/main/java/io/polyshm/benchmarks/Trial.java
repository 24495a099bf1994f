// SPDX-License-Identifier: Apache-2.0
package io.polyshm.benchmarks;

/** One way to measure one operation. */
interface Trial {
    /**
     * Measures once, in a process of its own.
     *
     * @return nanoseconds of one operation
     */
    double nanos() throws Exception;
}
