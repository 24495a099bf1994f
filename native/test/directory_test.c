/* SPDX-License-Identifier: Apache-2.0
 *
 * Objects by name: get-or-create, what does not match, what does not fit, and what others see.
 */
#include "check.h"

#include <sys/statvfs.h>

#include "internal.h"

static const int64_t element_bytes[] = {0, 1, 1, 2, 2, 4, 8, 4, 8};

static int64_t bytes_of_all_types(int64_t length) {
    int64_t sum = 0;
    for (int type = PSHM_BOOLEAN; type <= PSHM_FLOAT64; type++)
        sum += pshm_object_bytes(PSHM_ARRAY, type, length) + pshm_object_bytes(PSHM_VALUE, type, 1);
    return sum;
}

static void shouldMakeObjectsOfAllTypes(void) {
    const char *name = name_of("types");
    pshm_segment *segment;
    CHECK_OK(pshm_segment_create(name, bytes_of_all_types(33) + 320, NULL, &segment));
    for (int type = PSHM_BOOLEAN; type <= PSHM_FLOAT64; type++) {
        char text[8];
        pshm_array *array, *again;
        pshm_value *value;
        snprintf(text, sizeof(text), "a%d", type);
        CHECK_OK(pshm_array_open(segment, text, type, 33, &array));
        CHECK_OK(pshm_array_open(segment, text, type, 33, &again));
        CHECK(array == again);
        CHECK_EQ(pshm_array_length(array), 33);
        CHECK_EQ((uintptr_t)pshm_array_data(array) % 64, 0);
        CHECK(pshm_array_lock(array) != NULL);
        CHECK(pshm_array_lock(array) == pshm_array_lock(again));
        const uint8_t *bytes = pshm_array_data(array);
        for (int64_t i = 0; i < 33 * element_bytes[type]; i++)
            CHECK_EQ(bytes[i], 0);
        memset(pshm_array_data(array), 0xff, (size_t)(33 * element_bytes[type]));

        snprintf(text, sizeof(text), "v%d", type);
        CHECK_OK(pshm_value_open(segment, text, type, &value));
        CHECK_EQ((uintptr_t)pshm_value_data(value) % 64, 0);
        bytes = pshm_value_data(value);
        for (int64_t i = 0; i < element_bytes[type]; i++)
            CHECK_EQ(bytes[i], 0);
        memset(pshm_value_data(value), 0xff, (size_t)element_bytes[type]);
        CHECK(pshm_value_lock(value) != NULL);
    }
    pshm_lock *lock;
    CHECK_OK(pshm_lock_open(segment, "l", &lock));
    CHECK_EQ(pshm_segment_free_bytes(segment), 0);

    /* In the order of creation, with what was asked for. */
    uint64_t cursor = 0;
    pshm_object_info object;
    for (int i = 0; i < 16; i++) {
        CHECK_CODE(pshm_segment_next_object(segment, &cursor, &object), 1);
        char text[8];
        snprintf(text, sizeof(text), "%c%d", i % 2 == 0 ? 'a' : 'v', 1 + i / 2);
        CHECK_STR(object.name, text);
        CHECK_EQ(object.kind, i % 2 == 0 ? PSHM_ARRAY : PSHM_VALUE);
        CHECK_EQ(object.type, 1 + i / 2);
        CHECK_EQ(object.length, i % 2 == 0 ? 33 : 1);
        CHECK_EQ(object.bytes, pshm_object_bytes(object.kind, object.type, (int64_t)object.length));
    }
    CHECK_CODE(pshm_segment_next_object(segment, &cursor, &object), 1);
    CHECK_STR(object.name, "l");
    CHECK_EQ(object.kind, PSHM_LOCK);
    CHECK_EQ(object.type, 0);
    CHECK_EQ(object.length, 0);
    CHECK_EQ(object.bytes, 320);
    CHECK_CODE(pshm_segment_next_object(segment, &cursor, &object), 0);
    CHECK_CODE(pshm_segment_next_object(segment, &cursor, &object), 0);
    CHECK_OK(pshm_segment_close(segment));
    CHECK_OK(pshm_segment_unlink(name));
}

static void shouldFindAnObjectWhateverItIs(void) {
    pshm_segment *segment;
    pshm_semaphore *permits;
    pshm_value *value;
    pshm_condition *condition;
    pshm_object_info object;
    CHECK_OK(pshm_segment_create(NULL, 65536, NULL, &segment));
    CHECK_OK(pshm_semaphore_open(segment, "permits", 3, 1, &permits));
    CHECK_OK(pshm_value_open(segment, "pi", PSHM_FLOAT64, &value));
    CHECK_OK(pshm_condition_open(pshm_value_lock(value), "changed", &condition));
    CHECK_OK(pshm_segment_find_object(segment, "permits", &object));
    CHECK_STR(object.name, "permits");
    CHECK_EQ(object.kind, PSHM_SEMAPHORE);
    CHECK_EQ(object.type, 1);
    CHECK_EQ(object.length, 3);
    CHECK_OK(pshm_segment_find_object(segment, "pi", &object));
    CHECK_EQ(object.kind, PSHM_VALUE);
    CHECK_EQ(object.type, PSHM_FLOAT64);
    CHECK_OK(pshm_segment_find_object(segment, "changed", &object));
    CHECK_EQ(object.kind, PSHM_CONDITION);
    CHECK_EQ(object.length, 0);
    CHECK_CODE(pshm_segment_find_object(segment, "nothing", &object), PSHM_ENOENT);
    CHECK(strstr(pshm_error_detail(), "name=nothing") != NULL);
    CHECK_CODE(pshm_segment_find_object(segment, "a/b", &object), PSHM_ENAME);
    CHECK_CODE(pshm_segment_find_object(segment, NULL, &object), PSHM_ENAME);
    pshm_segment_pin(segment);
    CHECK_OK(pshm_segment_close(segment));
    CHECK_CODE(pshm_segment_find_object(segment, "pi", &object), PSHM_ECLOSED);
    pshm_segment_unpin(segment);
}

static void shouldTellWhatAnObjectTakes(void) {
    CHECK_EQ(pshm_object_bytes(PSHM_LOCK, 0, 0), 320);
    CHECK_EQ(pshm_object_bytes(PSHM_LOCK, 99, -5), 320);
    CHECK_EQ(pshm_object_bytes(PSHM_SEMAPHORE, 0, 0), 320 + 64 + 2048);
    CHECK_EQ(pshm_object_bytes(PSHM_EVENT, 0, 0), 384);
    CHECK_EQ(pshm_object_bytes(PSHM_LATCH, 0, 5), 384);
    CHECK_EQ(pshm_object_bytes(PSHM_BARRIER, 0, 2), 320 + 1088 + 2048);
    CHECK_EQ(pshm_object_bytes(PSHM_RWLOCK, 0, 0), 320 + 192 + 2048);
    CHECK_EQ(pshm_object_bytes(PSHM_CONDITION, 0, 0), 320 + 64 + 2048);
    CHECK_EQ(pshm_object_bytes(PSHM_VALUE, PSHM_INT64, -5), 384);
    CHECK_EQ(pshm_object_bytes(PSHM_ARRAY, PSHM_INT8, 1), 384);
    CHECK_EQ(pshm_object_bytes(PSHM_ARRAY, PSHM_INT8, 64), 384);
    CHECK_EQ(pshm_object_bytes(PSHM_ARRAY, PSHM_INT8, 65), 448);
    CHECK_EQ(pshm_object_bytes(PSHM_ARRAY, PSHM_FLOAT64, (int64_t)1 << 40),
             320 + ((int64_t)8 << 40));
    const struct {
        int kind, type;
        int64_t length;
        const char *value;
    } bad[] = {{0, 1, 1, "kind=0"},
               {10, 1, 1, "kind=10"},
               {PSHM_SEMAPHORE, 0, -1, "permits=-1"},
               {PSHM_LATCH, 0, -1, "count=-1"},
               {PSHM_BARRIER, 0, 0, "parties=0"},
               {-1, 1, 1, "kind=-1"},
               {PSHM_ARRAY, 0, 1, "type=0"},
               {PSHM_ARRAY, 9, 1, "type=9"},
               {PSHM_VALUE, -1, 1, "type=-1"},
               {PSHM_ARRAY, PSHM_INT8, 0, "length=0"},
               {PSHM_ARRAY, PSHM_INT8, -1, "length=-1"},
               {PSHM_ARRAY, PSHM_INT8, INT64_MAX, "length=9223372036854775807"},
               {PSHM_ARRAY, PSHM_INT64, INT64_MAX / 8, "length=1152921504606846975"}};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        CHECK_EQ(pshm_object_bytes(bad[i].kind, bad[i].type, bad[i].length), PSHM_EINVAL);
        CHECK_DETAIL(bad[i].value);
        CHECK_DETAIL("; take ");
    }
    int64_t most = INT64_MAX - 320 - 64;
    CHECK(pshm_object_bytes(PSHM_ARRAY, PSHM_INT8, most) > 0);
    CHECK_EQ(pshm_object_bytes(PSHM_ARRAY, PSHM_INT8, most + 1), PSHM_EINVAL);
}

static void shouldShowBothSidesOfAMismatch(void) {
    const char *name = name_of("mismatch");
    pshm_segment *segment;
    pshm_array *array;
    pshm_value *value;
    pshm_lock *lock;
    CHECK_OK(pshm_segment_create(name, 4096, NULL, &segment));
    CHECK_OK(pshm_array_open(segment, "bids", PSHM_INT32, 10, &array));
    int64_t left = pshm_segment_free_bytes(segment);

    CHECK_CODE(pshm_array_open(segment, "bids", PSHM_INT64, 10, &array), PSHM_ETYPE);
    CHECK(array == NULL);
    CHECK_DETAIL("name=bids");
    CHECK_DETAIL(name);
    CHECK_DETAIL("array of int32, length=10");
    CHECK_DETAIL("array of int64, length=10");
    CHECK_CODE(pshm_array_open(segment, "bids", PSHM_INT32, 11, &array), PSHM_ETYPE);
    CHECK_DETAIL("length=10, and");
    CHECK_DETAIL("length=11;");
    CHECK_CODE(pshm_value_open(segment, "bids", PSHM_INT32, &value), PSHM_ETYPE);
    CHECK(value == NULL);
    CHECK_DETAIL("array of int32");
    CHECK_DETAIL("value of int32");
    CHECK_CODE(pshm_lock_open(segment, "bids", &lock), PSHM_ETYPE);
    CHECK(lock == NULL);
    CHECK_DETAIL("asked for as lock;");
    CHECK_OK(pshm_value_open(segment, "one", PSHM_INT8, &value));
    CHECK_CODE(pshm_array_open(segment, "one", PSHM_INT8, 1, &array), PSHM_ETYPE);
    CHECK_EQ(pshm_segment_free_bytes(segment), left - 384);

    CHECK_CODE(pshm_array_open(segment, "", PSHM_INT32, 1, &array), PSHM_ENAME);
    CHECK_DETAIL("array: ");
    CHECK_CODE(pshm_value_open(segment, "a/b", PSHM_INT32, &value), PSHM_ENAME);
    CHECK_CODE(pshm_lock_open(segment, NULL, &lock), PSHM_ENAME);
    CHECK_CODE(pshm_array_open(segment, "x", PSHM_INT32, 0, &array), PSHM_EINVAL);
    CHECK_DETAIL("name=x");
    CHECK_CODE(pshm_array_open(segment, "x", 12, 1, &array), PSHM_EINVAL);
    CHECK_CODE(pshm_value_open(segment, "x", 0, &value), PSHM_EINVAL);
    CHECK_OK(pshm_segment_close(segment));
    CHECK_OK(pshm_segment_unlink(name));
}

static void shouldTellWhenTheSegmentIsFull(void) {
    const char *name = name_of("full");
    pshm_segment *segment;
    pshm_array *array;
    pshm_value *value;
    CHECK_OK(pshm_segment_create(name, 768, NULL, &segment));
    CHECK_CODE(pshm_array_open(segment, "a", PSHM_INT8, 449, &array), PSHM_ENOSPACE);
    CHECK_DETAIL("need=832 bytes, free=768 bytes");
    CHECK(array == NULL);
    CHECK_EQ(pshm_segment_free_bytes(segment), 768);
    CHECK_CODE(pshm_array_open(segment, "a", PSHM_INT8, INT64_MAX - 500, &array), PSHM_ENOSPACE);
    CHECK_OK(pshm_value_open(segment, "v", PSHM_INT64, &value));
    CHECK_OK(pshm_value_open(segment, "w", PSHM_INT64, &value));
    CHECK_EQ(pshm_segment_free_bytes(segment), 0);
    CHECK_CODE(pshm_value_open(segment, "x", PSHM_INT64, &value), PSHM_ENOSPACE);
    CHECK_DETAIL("free=0 bytes");
    CHECK_OK(pshm_value_open(segment, "v", PSHM_INT64, &value)); /* what is there, still is */
    CHECK_OK(pshm_segment_close(segment));
    CHECK_OK(pshm_segment_unlink(name));

    /* One that has not room for a single object. */
    CHECK_OK(pshm_segment_create(name, 1, NULL, &segment));
    CHECK_EQ(pshm_segment_size_bytes(segment), 64);
    CHECK_CODE(pshm_value_open(segment, "v", PSHM_INT8, &value), PSHM_ENOSPACE);
    CHECK_OK(pshm_segment_close(segment));
    CHECK_OK(pshm_segment_unlink(name));
}

/* ---- many processes ---- */

enum { PROCESSES = 16, OBJECTS = 40 };

typedef struct race {
    atomic_int ready, go;
} race;

static void open_all(void *argument) {
    race *shared = argument;
    pshm_segment *segment;
    CHECK_OK(pshm_segment_open(name_of("race"), NULL, &segment));
    shared->ready++;
    while (!shared->go)
        continue;
    for (int i = 0; i < OBJECTS; i++) {
        char text[16];
        pshm_array *array;
        snprintf(text, sizeof(text), "o%d", i);
        CHECK_OK(pshm_array_open(segment, text, PSHM_INT32, 4, &array));
        atomic_fetch_add((_Atomic int32_t *)pshm_array_data(array), 1);
    }
    CHECK_OK(pshm_segment_close(segment));
}

static void shouldMakeEachObjectOnceForManyProcesses(void) {
    pshm_segment *segment;
    race *shared = shared_zeroes(sizeof(*shared));
    pid_t children[PROCESSES];
    int64_t room = OBJECTS * pshm_object_bytes(PSHM_ARRAY, PSHM_INT32, 4);
    CHECK_OK(pshm_segment_create(name_of("race"), room, NULL, &segment));
    for (int i = 0; i < PROCESSES; i++)
        children[i] = start(open_all, shared);
    AWAIT(shared->ready == PROCESSES);
    shared->go = 1;
    for (int i = 0; i < PROCESSES; i++)
        CHECK_JOIN(children[i]);
    CHECK_EQ(pshm_segment_free_bytes(segment), 0);
    uint64_t cursor = 0;
    pshm_object_info object;
    for (int i = 0; i < OBJECTS; i++) {
        pshm_array *array;
        CHECK_CODE(pshm_segment_next_object(segment, &cursor, &object), 1);
        CHECK_OK(pshm_array_open(segment, object.name, PSHM_INT32, 4, &array));
        CHECK_EQ(*(int32_t *)pshm_array_data(array), PROCESSES);
    }
    CHECK_CODE(pshm_segment_next_object(segment, &cursor, &object), 0);
    CHECK_OK(pshm_segment_close(segment));
    CHECK_OK(pshm_segment_unlink(name_of("race")));
}

/* A creator that is killed before it publishes leaves its bytes behind the last object. */
static void die_half_way(void *argument) {
    pshm_segment *segment;
    (void)argument;
    CHECK_OK(pshm_segment_open(name_of("half"), NULL, &segment));
    uint8_t *base = (uint8_t *)segment->base;
    pshm__directory *directory = (void *)(base + PSHM_DIRECTORY_OFFSET);
    CHECK_OK(pshm__os_mutex_try(directory->mutex));
    memset(base + segment->heap_offset + directory->heap_used, 0x5a, sizeof(pshm__object));
    raise(SIGKILL);
}

static void shouldTakeOverFromACreatorThatWasKilled(void) {
    const char *name = name_of("half");
    pshm_segment *segment;
    pshm_array *array;
    pshm_object_info object;
    CHECK_OK(pshm_segment_create(name, 4096, NULL, &segment));
    CHECK_OK(pshm_array_open(segment, "first", PSHM_INT8, 100, &array));
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(wait_for(start(die_half_way, NULL)), SIGKILL);
        char text[8];
        snprintf(text, sizeof(text), "next%d", i);
        CHECK_OK(pshm_array_open(segment, text, PSHM_INT8, 100, &array));
        for (int j = 0; j < 100; j++)
            CHECK_EQ(((int8_t *)pshm_array_data(array))[j], 0);
        CHECK_OK(pshm_lock_acquire(pshm_array_lock(array)));
        CHECK_OK(pshm_lock_release(pshm_array_lock(array)));
    }
    uint64_t cursor = 0;
    for (int i = 0; i < 4; i++)
        CHECK_CODE(pshm_segment_next_object(segment, &cursor, &object), 1);
    CHECK_CODE(pshm_segment_next_object(segment, &cursor, &object), 0);
    CHECK_OK(pshm_segment_close(segment));
    CHECK_OK(pshm_segment_unlink(name));
}

static void shouldTellOfADamagedDirectory(void) {
    const char *name = name_of("damaged");
    pshm_segment *segment;
    pshm_array *array;
    pshm_object_info object;
    CHECK_OK(pshm_segment_create(name, 8192, NULL, &segment));
    CHECK_OK(pshm_array_open(segment, "a", PSHM_INT8, 100, &array));
    CHECK_OK(pshm_array_open(segment, "b", PSHM_INT8, 100, &array));
    pshm__object *first = (pshm__object *)(segment->base + segment->heap_offset);
    const uint64_t bytes = first->bytes;
    const uint64_t wrong[] = {0, 64, 320, bytes - 64, bytes + 64, 8192, UINT64_MAX};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        uint64_t cursor = 0;
        first->bytes = wrong[i];
        CHECK_CODE(pshm_segment_next_object(segment, &cursor, &object), PSHM_ELAYOUT);
        CHECK_DETAIL(name);
        CHECK_DETAIL("objects: cursor=0 ");
        CHECK_DETAIL("offset=8448");
        CHECK_CODE(pshm_array_open(segment, "b", PSHM_INT8, 100, &array), PSHM_ELAYOUT);
        CHECK_CODE(pshm_array_open(segment, "c", PSHM_INT8, 100, &array), PSHM_ELAYOUT);
    }
    first->bytes = bytes;
    uint64_t none_of_ours = 8;
    CHECK_CODE(pshm_segment_next_object(segment, &none_of_ours, &object), PSHM_ELAYOUT);
    CHECK_DETAIL("objects: cursor=8 (begin with 0, and pass on what comes back)");
    CHECK_OK(pshm_array_open(segment, "b", PSHM_INT8, 100, &array));
    CHECK_OK(pshm_segment_close(segment));
    CHECK_OK(pshm_segment_unlink(name));
}

/* A cursor that did not come from the function leads nowhere else. */
static void shouldRefuseACursorOfItsOwnMaking(void) {
    const char *name = name_of("cursor");
    pshm_segment *segment;
    pshm_array *array;
    pshm_object_info object;
    pshm_participant_info participant;
    CHECK_OK(pshm_segment_create(name, 4096, NULL, &segment));
    CHECK_OK(pshm_array_open(segment, "a", PSHM_INT8, 2000, &array));
    const uint64_t bad[] = {1, 63, 64, 320, 4096, UINT64_MAX, UINT64_MAX - 63};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        uint64_t cursor = bad[i];
        CHECK_CODE(pshm_segment_next_object(segment, &cursor, &object), PSHM_ELAYOUT);
        cursor = bad[i];
        int code = pshm_segment_next_participant(segment, &cursor, &participant);
        CHECK_EQ(code, 0);
    }
    CHECK_OK(pshm_segment_close(segment));
    CHECK_OK(pshm_segment_unlink(name));
}

static void shouldHoldArraysBeyondTwoGibibytes(void) {
    const char *name = name_of("large");
    const int64_t length = ((int64_t)1 << 31) + 10;
    pshm_segment *segment, *again;
    pshm_array *array, *other;
    struct statvfs system;
    CHECK_EQ(statvfs(CHECK_FOLDER, &system), 0);
    if (system.f_bavail * system.f_frsize / 3 < (uint64_t)length) {
        printf("    skipped: it takes 6 GiB free in " CHECK_FOLDER "\n");
        return;
    }
    CHECK_OK(pshm_segment_create(name, pshm_object_bytes(PSHM_ARRAY, PSHM_INT8, length), NULL,
                                 &segment));
    CHECK_OK(pshm_array_open(segment, "a", PSHM_INT8, length, &array));
    ((int8_t *)pshm_array_data(array))[length - 1] = 7;
    CHECK_OK(pshm_segment_open(name, NULL, &again));
    CHECK_OK(pshm_array_open(again, "a", PSHM_INT8, length, &other));
    CHECK_EQ(((int8_t *)pshm_array_data(other))[length - 1], 7);
    CHECK_OK(pshm_segment_close(segment));
    CHECK_OK(pshm_segment_close(again));
    CHECK_OK(pshm_segment_unlink(name));
}

int main(void) {
    check_begin(110);
    RUN(shouldMakeObjectsOfAllTypes);
    RUN(shouldFindAnObjectWhateverItIs);
    RUN(shouldTellWhatAnObjectTakes);
    RUN(shouldShowBothSidesOfAMismatch);
    RUN(shouldTellWhenTheSegmentIsFull);
    RUN(shouldMakeEachObjectOnceForManyProcesses);
    RUN(shouldTakeOverFromACreatorThatWasKilled);
    RUN(shouldTellOfADamagedDirectory);
    RUN(shouldRefuseACursorOfItsOwnMaking);
    RUN(shouldHoldArraysBeyondTwoGibibytes);
    return check_end();
}
