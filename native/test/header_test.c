/* SPDX-License-Identifier: Apache-2.0
 *
 * What a damaged, shortened or foreign head gets: PSHM_ELAYOUT, with both values where there are
 * two, and the file stays as it is. And heaps of random bytes, which must be walked without harm.
 */
#include "check.h"

#include "reseal.h"

#define ROOM 65536

static int create_closed(const char *name, uint32_t lifetime) {
    const pshm_options options = {.lifetime = lifetime};
    pshm_segment *segment;
    CHECK_OK(pshm_segment_create(name, ROOM, &options, &segment));
    int fd = open(path_of_name(name), O_RDWR | O_CLOEXEC);
    CHECK(fd >= 0);
    if (lifetime == PSHM_PERSISTENT)
        CHECK_OK(pshm_segment_close(segment));
    return fd;
}

static void should_refuse(const char *name, ino_t inode) {
    pshm_segment *segment;
    struct stat status;
    CHECK_CODE(pshm_segment_open(name, NULL, &segment), PSHM_ELAYOUT);
    CHECK_DETAIL(name);
    CHECK(segment == NULL);
    CHECK_EQ(lstat(path_of_name(name), &status), 0);
    CHECK_EQ(status.st_ino, inode);
}

static ino_t inode_of(int fd) {
    struct stat status;
    CHECK_EQ(fstat(fd, &status), 0);
    return status.st_ino;
}

static void shouldRefuseAnyWrongByte(void) {
    const char *name = name_of("flip");
    int fd = create_closed(name, PSHM_PERSISTENT);
    ino_t inode = inode_of(fd);
    uint8_t head[sizeof(pshm__header)];
    CHECK_EQ(pread(fd, head, sizeof(head), 0), sizeof(head));
    for (size_t at = 0; at < sizeof(head); at++) {
        for (int value = 0; value < 256; value++) {
            uint8_t byte = (uint8_t)value;
            if (byte == head[at])
                continue;
            CHECK_EQ(pwrite(fd, &byte, 1, (off_t)at), 1);
            should_refuse(name, inode);
        }
        pshm_segment *segment;
        CHECK(pshm_reap() >= 0);
        CHECK_CODE(pshm_segment_create(name, 64, NULL, &segment), PSHM_EEXIST);
        CHECK_CODE(pshm_segment_open_or_create(name, 64, NULL, &segment), PSHM_ELAYOUT);
        CHECK_EQ(pwrite(fd, &head[at], 1, (off_t)at), 1);
    }
    pshm_segment *segment;
    CHECK_OK(pshm_segment_open(name, NULL, &segment));
    CHECK_OK(pshm_segment_close(segment));
    close(fd);
    CHECK_OK(pshm_segment_unlink(name));
}

/* One that is in use and whose ready word is gone is damaged, and not a dead creator's. */
static void shouldNotTakeADamagedOneForUnfinished(void) {
    const char *name = name_of("unready");
    const pshm_options options = {.lifetime = PSHM_LAST_OUT};
    pshm_segment *segment, *other;
    CHECK_OK(pshm_segment_create(name, ROOM, &options, &segment));
    int fd = open(path_of_name(name), O_RDWR | O_CLOEXEC);
    const uint32_t zero = 0;
    CHECK_EQ(pwrite(fd, &zero, 4, offsetof(pshm__header, ready)), 4);
    CHECK_CODE(pshm_segment_open(name, NULL, &other), PSHM_ELAYOUT);
    CHECK_CODE(pshm_segment_create(name, 64, NULL, &other), PSHM_EEXIST);
    CHECK(pshm_reap() >= 0);
    CHECK(exists(name));
    close(fd);
    CHECK_OK(pshm_segment_close(segment));
    CHECK(!exists(name));
}

static void shouldRefuseAResizedOne(void) {
    const char *name = name_of("cut");
    const off_t total = (off_t)(PSHM_HEAP_OFFSET + ROOM);
    const off_t sizes[] = {1,    7,    8,    12,   64,   127,  128,       129,       255,      256,
                           4095, 4096, 4097, 8447, 8448, 8449, total - 1, total + 1, total * 2};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        int fd = create_closed(name, PSHM_PERSISTENT);
        CHECK_EQ(ftruncate(fd, sizes[i]), 0);
        should_refuse(name, inode_of(fd));
        CHECK_DETAIL(sizes[i] >= 128 ? "resized" : sizes[i] >= 8 ? "truncated" : "not a polyshm");
        close(fd);
        CHECK_OK(pshm_segment_unlink(name));
    }
    /* Nothing at all is what a killed creator leaves. */
    int fd = create_closed(name, PSHM_PERSISTENT);
    pshm_segment *segment;
    CHECK_EQ(ftruncate(fd, 0), 0);
    CHECK_CODE(pshm_segment_open(name, NULL, &segment), PSHM_ENOENT);
    CHECK(!exists(name));
    close(fd);
}

static void try_header(pshm__header *header, const char *what, uint64_t theirs, uint64_t ours) {
    const char *name = name_of("other");
    int fd = create_closed(name, PSHM_PERSISTENT);
    char both[100];
    reseal(header);
    CHECK_EQ(pwrite(fd, header, sizeof(*header), 0), sizeof(*header));
    should_refuse(name, inode_of(fd));
    CHECK_DETAIL(what);
    snprintf(both, sizeof(both), "segment=%" PRIu64 ", here=%" PRIu64, theirs, ours);
    CHECK_DETAIL(both);
    CHECK(pshm_reap() >= 0);
    CHECK(exists(name));
    close(fd);
    CHECK_OK(pshm_segment_unlink(name));
}

static pshm__header good_header(void) {
    pshm__header header;
    int fd = create_closed(name_of("good"), PSHM_PERSISTENT);
    CHECK_EQ(pread(fd, &header, sizeof(header), 0), sizeof(header));
    close(fd);
    CHECK_OK(pshm_segment_unlink(name_of("good")));
    return header;
}

#define TRY(field, what, value)                                  \
    do {                                                         \
        pshm__header changed = header;                           \
        changed.field = (value);                                 \
        try_header(&changed, what, changed.field, header.field); \
    } while (0)

static void shouldTellBothValuesOfAMismatch(void) {
    const pshm__header header = good_header();
    TRY(byte_order, "byte order", 2);
    TRY(word_bytes, "word size", 4);
    TRY(libc, "C library", header.libc == 1 ? 2 : 1);
    TRY(architecture, "architecture", 9);
    TRY(mutex_bytes, "size of a mutex", 44);
    TRY(pid_namespace, "PID namespace", header.pid_namespace + 1);
    for (int i = 0; i < 2; i++) {
        const char *name = name_of("version");
        pshm__header changed = header;
        changed.layout_major = (uint16_t)(changed.layout_major + (i == 0));
        changed.layout_minor = (uint16_t)(changed.layout_minor + (i == 1));
        int fd = create_closed(name, PSHM_PERSISTENT);
        char both[100];
        reseal(&changed);
        CHECK_EQ(pwrite(fd, &changed, sizeof(changed), 0), sizeof(changed));
        should_refuse(name, inode_of(fd));
        snprintf(both, sizeof(both), "segment=%d.%d, here=%d.%d", changed.layout_major,
                 changed.layout_minor, PSHM_LAYOUT_MAJOR, PSHM_LAYOUT_MINOR);
        CHECK_DETAIL(both);
        close(fd);
        CHECK_OK(pshm_segment_unlink(name));
    }
}

/* A checksum can be made to fit: fields that would lead out of the mapping are refused as well. */
static void shouldRefuseContradictionsUnderAGoodChecksum(void) {
    const pshm__header header = good_header();
    const char *name = name_of("malice");
    for (int i = 0; i < 8; i++) {
        pshm__header changed = header;
        switch (i) {
        case 0: changed.heap_offset = 0; break;
        case 1: changed.heap_offset = header.total_bytes + 64; break;
        case 2: changed.heap_offset = UINT64_MAX - 63; break;
        case 3: changed.participant_offset = 0; break;
        case 4: changed.participant_capacity = UINT32_MAX; break;
        case 5: changed.participant_capacity = 0; break;
        case 6: changed.lifetime = 0; break;
        default: changed.lifetime = 3; break;
        }
        int fd = create_closed(name, PSHM_PERSISTENT);
        reseal(&changed);
        CHECK_EQ(pwrite(fd, &changed, sizeof(changed), 0), sizeof(changed));
        should_refuse(name, inode_of(fd));
        CHECK_DETAIL("contradict");
        close(fd);
        CHECK_OK(pshm_segment_unlink(name));
    }
    /* A heap that would begin behind the end of a file that is shorter than all heads. */
    int fd = create_closed(name, PSHM_PERSISTENT);
    pshm__header changed = header;
    changed.total_bytes = 4096;
    reseal(&changed);
    CHECK_EQ(pwrite(fd, &changed, sizeof(changed), 0), sizeof(changed));
    CHECK_EQ(ftruncate(fd, 4096), 0);
    should_refuse(name, inode_of(fd));
    close(fd);
    CHECK_OK(pshm_segment_unlink(name));
}

/* ---- heaps ---- */

static uint64_t pick(uint64_t *seed) {
    static const uint64_t special[] = {0,
                                       1,
                                       2,
                                       3,
                                       63,
                                       64,
                                       65,
                                       319,
                                       320,
                                       321,
                                       384,
                                       448,
                                       4096,
                                       ROOM,
                                       ROOM - 64,
                                       ROOM + 64,
                                       INT64_MAX,
                                       UINT64_MAX,
                                       UINT64_MAX - 63,
                                       (uint64_t)1 << 63,
                                       (uint64_t)1 << 61};
    uint64_t chance = random_next(seed);
    return chance % 4 == 0 ? random_next(seed)
                           : special[(chance >> 8) % (sizeof(special) / sizeof(special[0]))];
}

static void walk(pshm_segment *segment) {
    uint64_t cursor = 0;
    pshm_object_info object;
    int code, steps = 0;
    while ((code = pshm_segment_next_object(segment, &cursor, &object)) == 1) {
        CHECK(++steps <= ROOM / 320);
        CHECK(cursor <= ROOM);
        CHECK(memchr(object.name, 0, sizeof(object.name)) != NULL);
    }
    CHECK(code == 0 || code == PSHM_ELAYOUT);
    int64_t free_bytes = pshm_segment_free_bytes(segment);
    CHECK(free_bytes >= 0 && free_bytes <= ROOM);
}

static void shouldSurviveRandomHeaps(void) {
    enum { ROUNDS = CHECK_TSAN ? 2000 : 20000 };
    const char *name = name_of("heap");
    uint64_t seed = 20240601;
    pshm_segment *segment;
    CHECK_OK(pshm_segment_create(name, ROOM, NULL, &segment));
    int fd = open(path_of_name(name), O_RDWR | O_CLOEXEC);
    uint8_t *base = mmap(NULL, PSHM_HEAP_OFFSET + ROOM, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(base != MAP_FAILED);
    pshm__directory *directory = (void *)(base + PSHM_DIRECTORY_OFFSET);
    uint8_t *heap = base + PSHM_HEAP_OFFSET;
    int walked = 0;
    printf("    seed=%" PRIu64 "\n", seed);
    for (int round = 0; round < ROUNDS; round++) {
        /* A run of objects, sound at first and then less and less so. */
        uint64_t offset = 0;
        for (int i = 0; i < 20 && offset + sizeof(pshm__object) <= ROOM; i++) {
            pshm__object *object = (void *)(heap + offset);
            memset(object, 0, sizeof(*object));
            uint64_t damage = random_next(&seed) % 12;
            object->kind = damage == 0 ? (uint32_t)pick(&seed) : 1 + (uint32_t)(pick(&seed) % 3);
            object->type = damage == 1 ? (uint32_t)pick(&seed) : 1 + (uint32_t)(pick(&seed) % 8);
            object->length = damage == 2 ? pick(&seed) : 1;
            int64_t bytes =
                pshm_object_bytes((int)object->kind, (int)object->type, (int64_t)object->length);
            object->bytes = damage == 3 || bytes < 0 ? pick(&seed) : (uint64_t)bytes;
            memset(object->name, 'n', damage == 4 ? sizeof(object->name) : 5);
            offset += bytes > 0 && (uint64_t)bytes < ROOM ? (uint64_t)bytes : 384;
        }
        directory->heap_used = random_next(&seed) % 3 == 0 ? pick(&seed) : offset;
        walk(segment);
        pshm_array *array;
        int code = pshm_array_open(segment, "nnnnn", PSHM_INT32, 1, &array);
        CHECK(code == 0 || code == PSHM_ELAYOUT || code == PSHM_ETYPE || code == PSHM_ENOSPACE);
        if (code == 0) {
            walked++;
            *(volatile int32_t *)pshm_array_data(array) = 1; /* inside */
        }
    }
    CHECK(walked > ROUNDS / 100);
    directory->heap_used = 0;
    munmap(base, PSHM_HEAP_OFFSET + ROOM);
    close(fd);
    CHECK_OK(pshm_segment_close(segment));
    CHECK_OK(pshm_segment_unlink(name));
}

/* Whatever a file holds, opening it comes to an end. */
static void shouldSurviveRandomFiles(void) {
    enum { ROUNDS = CHECK_TSAN ? 300 : 3000 };
    const char *name = name_of("random");
    const pshm__header header = good_header();
    uint64_t seed = 77;
    for (int round = 0; round < ROUNDS; round++) {
        pshm__header changed = header;
        for (uint64_t hits = 1 + random_next(&seed) % 3; hits > 0; hits--)
            ((uint8_t *)&changed)[random_next(&seed) % 120] = (uint8_t)random_next(&seed);
        reseal(&changed);
        int fd = open(path_of_name(name), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        CHECK(fd >= 0);
        CHECK_EQ(write(fd, &changed, sizeof(changed)), sizeof(changed));
        CHECK_EQ(ftruncate(fd, (off_t)(PSHM_HEAP_OFFSET + ROOM)), 0);
        close(fd);
        pshm_segment *segment;
        int code = pshm_segment_open(name, NULL, &segment);
        CHECK(code == 0 || code == PSHM_ELAYOUT || code == PSHM_ENOENT);
        if (code == 0) {
            walk(segment);
            CHECK_OK(pshm_segment_close(segment));
        }
        unlink(path_of_name(name));
    }
}

int main(void) {
    check_begin(110);
    RUN(shouldRefuseAnyWrongByte);
    RUN(shouldNotTakeADamagedOneForUnfinished);
    RUN(shouldRefuseAResizedOne);
    RUN(shouldTellBothValuesOfAMismatch);
    RUN(shouldRefuseContradictionsUnderAGoodChecksum);
    RUN(shouldSurviveRandomHeaps);
    RUN(shouldSurviveRandomFiles);
    return check_end();
}
