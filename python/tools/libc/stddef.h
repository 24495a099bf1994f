/* SPDX-License-Identifier: Apache-2.0
 *
 * For the generator alone, in the place of the C library's: stdint.h has it all. */
