/* SPDX-License-Identifier: Apache-2.0
 *
 * pshm_fill: every size of an element, every place in a cache line, and not a byte beside.
 */
#include "check.h"

#define LINE 64

static void shouldSetExactlyTheRange(void) {
    static _Alignas(LINE) uint8_t memory[6 * LINE];
    static const uint64_t patterns[] = {0x5a5a5a5a5a5a5a5a, 0x1234123412341234, 0x1234567812345678,
                                        0x123456789abcdef0};
    for (size_t kind = 0; kind < 4; kind++) {
        size_t element = (size_t)1 << kind;
        for (size_t start = LINE; start < 2 * LINE; start += element) {
            for (size_t bytes = 0; bytes <= 3 * LINE; bytes += element) {
                memset(memory, 0xee, sizeof(memory));
                pshm_fill(memory + start, bytes, patterns[kind]);
                for (size_t i = 0; i < sizeof(memory); i++) {
                    bool inside = i >= start && i < start + bytes;
                    const uint8_t *pattern = (const uint8_t *)&patterns[kind];
                    CHECK_EQ(memory[i], inside ? pattern[i % element] : 0xee);
                }
            }
        }
    }
}

int main(void) {
    check_begin(60);
    RUN(shouldSetExactlyTheRange);
    return check_end();
}
