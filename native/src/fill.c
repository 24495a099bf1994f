/* SPDX-License-Identifier: Apache-2.0
 *
 * Setting memory to one element, in whole cache lines.
 */
#include <string.h>

#include "internal.h"

#define LINE_WORDS 8

/* Compilers make vector stores of the inner loop, as its length is known. The name's prefix is for
 * clang, which makes a global symbol of it. */
PSHM__FOR_EACH_CPU static void pshm__fill_lines(uint64_t *words, uint64_t lines, uint64_t pattern) {
    for (uint64_t line = 0; line < lines; line++) {
        for (int i = 0; i < LINE_WORDS; i++)
            words[line * LINE_WORDS + (uint64_t)i] = pattern;
    }
}

void pshm_fill(void *data, uint64_t bytes, uint64_t pattern) {
    uint64_t line[LINE_WORDS];
    for (int i = 0; i < LINE_WORDS; i++)
        line[i] = pattern;
    uint8_t *start = data;
    uint64_t before = -(uintptr_t)start % sizeof(line); /* the first whole line */
    if (before > bytes)
        before = bytes;
    uint64_t lines = (bytes - before) / sizeof(line);
    uint8_t *rest = start + before + lines * sizeof(line);
    memcpy(start, line, before);
    pshm__fill_lines((uint64_t *)(void *)(start + before), lines, pattern);
    memcpy(rest, line, (size_t)(start + bytes - rest));
}
