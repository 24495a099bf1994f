/* SPDX-License-Identifier: Apache-2.0
 *
 * Images that libFuzzer thinks up, from nothing if need be; scripts/fuzz builds and runs it.
 */
#include "image.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *input, size_t bytes);
size_t LLVMFuzzerMutate(uint8_t *input, size_t bytes, size_t most);
size_t LLVMFuzzerCustomMutator(uint8_t *input, size_t bytes, size_t most, unsigned seed);

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    (void)argc;
    (void)argv;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    check_main_pid = getpid();
    check_isolate();
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t bytes) {
    image_try(input, bytes);
    return 0;
}

/* The input is at least `wanted` bytes long then. */
static size_t lengthen(uint8_t *input, size_t bytes, size_t wanted) {
    if (bytes < wanted)
        memset(input + bytes, 0, wanted - bytes);
    return bytes < wanted ? wanted : bytes;
}

/* A header that will be accepted. */
static size_t add_header(uint8_t *input, size_t bytes, uint64_t chance) {
    pshm__header header;
    const pshm_options options = {.lifetime = 1 + chance % 2, .permissions = 0600};
    pshm__header_fill(&header, 0, &options);
    memset(header.id, 0, sizeof(header.id));
    header.ready = PSHM_READY;
    header.created_ns = 0;
    header.creator_pid = 0;
    bytes = lengthen(input, bytes, IMAGE_USED_AT);
    input[0] =
        (uint8_t)(IMAGE_HERE | IMAGE_SIZED | IMAGE_SEALED | IMAGE_IN_USE * (chance >> 8 & 1));
    memset(input + 1, 0, IMAGE_HEADER_AT - 1);
    memcpy(input + IMAGE_HEADER_AT, &header, sizeof(header));
    return bytes;
}

/* One more object, behind what there is; it takes at most this, a header before it included. */
enum { LARGEST = 4096 };

static size_t add_object(uint8_t *input, size_t bytes, uint64_t chance) {
    pshm__object object = {.kind = 1 + chance % PSHM_CONDITION, .type = 1 + (chance >> 8) % 8};
    object.length = object.kind == PSHM_VALUE || pshm__kind_of(object.kind)->parameter != NULL;
    if (object.kind == PSHM_ARRAY)
        object.length = 1 + (chance >> 16) % 64;
    if (object.kind > PSHM_VALUE)
        object.type = object.kind == PSHM_SEMAPHORE && (chance >> 8 & 1) != 0;
    object.bytes =
        (uint64_t)pshm_object_bytes((int)object.kind, (int)object.type, (int64_t)object.length);
    object.name[0] = (char)('a' + (chance >> 24) % 8);
    object.lock.abandoned = chance >> 32 & 1;
    bytes = lengthen(input, bytes, IMAGE_HEAP_AT);
    uint64_t used = (bytes - IMAGE_HEAP_AT + PSHM_ALIGN - 1) / PSHM_ALIGN * PSHM_ALIGN;
    bytes = lengthen(input, bytes, IMAGE_HEAP_AT + used + object.bytes);
    memcpy(input + IMAGE_HEAP_AT + used, &object, sizeof(object));
    used += object.bytes;
    memcpy(input + IMAGE_USED_AT, &used, sizeof(used));
    return bytes;
}

size_t LLVMFuzzerCustomMutator(uint8_t *input, size_t bytes, size_t most, unsigned seed) {
    uint64_t state = seed, chance = random_next(&state);
    switch (random_next(&state) % 16) {
    case 0: return most < IMAGE_USED_AT ? bytes : add_header(input, bytes, chance);
    case 1:
        return most < IMAGE_HEAP_AT || most < bytes + LARGEST ? bytes
                                                              : add_object(input, bytes, chance);
    default: return LLVMFuzzerMutate(input, bytes, most);
    }
}
