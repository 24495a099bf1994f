// SPDX-License-Identifier: Apache-2.0

/**
 * Typed arrays, values, locks and synchronizers in memory that processes of one host share. {@link
 * io.polyshm} is all there is to see.
 */
module io.polyshm {
    requires java.management;
    requires org.bytedeco.javacpp;

    exports io.polyshm;
}
