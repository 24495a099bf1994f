/* SPDX-License-Identifier: Apache-2.0
 *
 * For the generator alone, in the place of the C library's: that these are types. */
typedef int int8_t, int16_t, int32_t, int64_t;
typedef int uint8_t, uint16_t, uint32_t, uint64_t;
typedef int size_t;
