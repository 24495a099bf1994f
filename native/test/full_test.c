/* SPDX-License-Identifier: Apache-2.0
 *
 * A shared memory file system that is full, has no file numbers left, is read-only or is absent:
 * in a mount namespace of this test's own, which takes root, and leaves the host alone.
 */
#include "check.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/statvfs.h>

static void mount_folder(unsigned long flags, const char *options) {
    if (mount("tmpfs", CHECK_FOLDER, "tmpfs", flags, options) != 0)
        CHECK_FAIL("mount: %s", strerror(errno));
}

static void unmount_folder(void) {
    if (umount2(CHECK_FOLDER, MNT_DETACH) != 0)
        CHECK_FAIL("umount2: %s", strerror(errno));
}

static int files(void) {
    int count = 0;
    DIR *folder = opendir(CHECK_FOLDER);
    const struct dirent *entry;
    CHECK(folder != NULL);
    while ((entry = readdir(folder)) != NULL)
        count += entry->d_name[0] != '.';
    closedir(folder);
    return count;
}

static int64_t room(void) {
    struct statvfs system;
    CHECK_EQ(statvfs(CHECK_FOLDER, &system), 0);
    return (int64_t)(system.f_bavail * system.f_frsize);
}

static void shouldTellNeedAndFreeWhenFull(void) {
    mount_folder(0, "size=1m,mode=1777");
    pshm_segment *segment, *second;
    pshm_array *array;
    const int64_t before = room();
    const int files_open = descriptors();
    CHECK_EQ(before, 1 << 20);
    const int64_t large[] = {before, before * 2, (int64_t)1 << 40};
    for (size_t i = 0; i < sizeof(large) / sizeof(large[0]); i++) {
        CHECK_CODE(pshm_segment_create("big", large[i], NULL, &segment), PSHM_EFULL);
        CHECK_DETAIL("create: name=big");
        CHECK_DETAIL("need=");
        CHECK_DETAIL("free=1048576 bytes");
        CHECK_DETAIL("--shm-size");
        CHECK_CODE(pshm_segment_create(NULL, large[i], NULL, &segment), PSHM_EFULL);
        CHECK_CODE(pshm_segment_open_or_create("big", large[i], NULL, &segment), PSHM_EFULL);
        CHECK_DETAIL("open_or_create: name=big, bytes=");
        CHECK_EQ(files(), 0);
        CHECK_EQ(room(), before);
        CHECK_EQ(descriptors(), files_open);
    }
    /* What was made can be written to its last byte: nothing is promised that is not there. */
    CHECK_OK(pshm_segment_create("fits", 900000, NULL, &segment));
    CHECK_OK(pshm_array_open(segment, "a", PSHM_INT8, 899000, &array));
    CHECK_CODE(pshm_segment_create("second", 500000, NULL, &second), PSHM_EFULL);
    memset(pshm_array_data(array), 1, 899000);
    CHECK_CODE(pshm_array_open(segment, "b", PSHM_INT8, 899000, &array), PSHM_ENOSPACE);
    CHECK_EQ(files(), 1);
    CHECK_OK(pshm_segment_close(segment));
    CHECK_OK(pshm_segment_unlink("fits"));
    CHECK_EQ(room(), before);
    CHECK_EQ(files(), 0);
    unmount_folder();
}

static int objects(pshm_segment *segment) {
    uint64_t cursor = 0;
    pshm_object_info info;
    int count = 0;
    while (pshm_segment_next_object(segment, &cursor, &info) == 1)
        count++;
    return count;
}

static void expect_no_room(int code, const char *object, int64_t need, int64_t free_bytes) {
    char text[100];
    CHECK_CODE(code, PSHM_ENOSPACE);
    CHECK_DETAIL(object);
    snprintf(text, sizeof(text), "need=%" PRId64 " bytes, free=%" PRId64 " bytes", need,
             free_bytes);
    CHECK_DETAIL(text);
    CHECK_DETAIL("create it larger");
}

/* Of a segment: each kind of object, with no room at all and with a little too little. */
static void shouldMakeNoObjectWhenTheSegmentIsFull(void) {
    mount_folder(0, "size=1m,mode=1777");
    const int64_t lock_bytes = pshm_object_bytes(PSHM_LOCK, 0, 0);
    const int64_t value_bytes = pshm_object_bytes(PSHM_VALUE, PSHM_INT64, 1);
    pshm_segment *segment;
    pshm_array *array, *again;
    pshm_value *value;
    pshm_lock *lock;
    CHECK_OK(pshm_segment_create("s", 2 * lock_bytes + value_bytes, NULL, &segment));
    CHECK_OK(pshm_array_open(segment, "first", PSHM_INT8, 1, &array));
    for (int i = 0; i < 3;
         i++) { /* room for two locks, for one, which is less than a value, none */
        const int64_t left = pshm_segment_free_bytes(segment);
        const int64_t need = pshm_object_bytes(PSHM_ARRAY, PSHM_INT8, left + 1);
        const int count = objects(segment);
        CHECK_EQ(left, (2 - i) * lock_bytes);
        expect_no_room(pshm_array_open(segment, "array", PSHM_INT8, left + 1, &again),
                       "array: segment=s, name=array", need, left);
        CHECK(again == NULL);
        if (i >= 1) {
            expect_no_room(pshm_value_open(segment, "value", PSHM_INT64, &value),
                           "value: segment=s, name=value", value_bytes, left);
            CHECK(value == NULL);
        }
        if (i == 2) {
            expect_no_room(pshm_lock_open(segment, "lock", &lock), "lock: segment=s, name=lock",
                           lock_bytes, left);
            CHECK(lock == NULL);
        }
        CHECK_EQ(pshm_segment_free_bytes(segment), left);
        CHECK_EQ(objects(segment), count);
        CHECK_OK(pshm_array_open(segment, "first", PSHM_INT8, 1, &again)); /* works as before */
        CHECK(again == array);
        CHECK_OK(pshm_lock_acquire(pshm_array_lock(array)));
        CHECK_OK(pshm_lock_release(pshm_array_lock(array)));
        if (i < 2)
            CHECK_OK(pshm_lock_open(segment, i == 0 ? "l0" : "l1", &lock));
    }
    CHECK_OK(pshm_segment_close(segment));
    CHECK_OK(pshm_segment_unlink("s"));
    unmount_folder();
}

/* Others fill it between our look at the room and our reservation: still an error and no trace. */
static void fill(void *argument) {
    (void)argument;
    for (;;) {
        pshm_segment *segment;
        int code = pshm_segment_create(NULL, 450000, NULL, &segment);
        CHECK(code == 0 || code == PSHM_EFULL);
        if (code == 0)
            CHECK_OK(pshm_segment_close(segment));
    }
}

static void shouldStandARaceForTheLastBytes(void) {
    enum { PROCESSES = 4 };
    mount_folder(0, "size=1m,mode=1777");
    pid_t children[PROCESSES];
    for (int i = 0; i < PROCESSES; i++)
        children[i] = start(fill, NULL);
    sleep_ms(700);
    for (int i = 0; i < PROCESSES; i++)
        kill_child(children[i]);
    pshm_reap();
    CHECK_EQ(files(), 0);
    CHECK_EQ(room(), 1 << 20);
    unmount_folder();
}

static void shouldTellWhenThereAreNoMoreFiles(void) {
    mount_folder(0, "size=1m,nr_inodes=3,mode=1777");
    pshm_segment *segments[3];
    int made = 0, code = 0;
    while (made < 3 && (code = pshm_segment_create(NULL, 64, NULL, &segments[made])) == 0)
        made++;
    CHECK_CODE(code, PSHM_EFULL);
    CHECK_DETAIL("no room for another file");
    CHECK_DETAIL("nr_inodes");
    CHECK(made > 0);
    while (made > 0)
        CHECK_OK(pshm_segment_close(segments[--made]));
    CHECK_EQ(files(), 0);
    unmount_folder();
}

static void shouldTellWhenReadOnly(void) {
    mount_folder(0, "size=1m,mode=1777");
    pshm_segment *segment;
    CHECK_OK(pshm_segment_create("there", 64, NULL, &segment));
    CHECK_OK(pshm_segment_close(segment));
    CHECK_EQ(mount(NULL, CHECK_FOLDER, NULL, MS_REMOUNT | MS_RDONLY, NULL), 0);
    CHECK_CODE(pshm_segment_create("new", 64, NULL, &segment), PSHM_EUNAVAILABLE);
    CHECK_DETAIL("read-only");
    CHECK_CODE(pshm_segment_create(NULL, 64, NULL, &segment), PSHM_EUNAVAILABLE);
    CHECK_CODE(pshm_segment_open("there", NULL, &segment), PSHM_EUNAVAILABLE);
    CHECK_CODE(pshm_segment_open_or_create("there", 64, NULL, &segment), PSHM_EUNAVAILABLE);
    CHECK_CODE(pshm_segment_unlink("there"), PSHM_EUNAVAILABLE);
    CHECK_EQ(pshm_reap(), 0);
    unmount_folder();
}

/* It is the folder that denies it: there is no segment whose owner or permissions could. */
static void expect_denied(int code) {
    CHECK_CODE(code, PSHM_EACCES);
    CHECK_DETAIL(CHECK_FOLDER " does not permit it to uid=65534; ");
    CHECK_DETAIL("chmod 1777");
}

static void nobody_tries(void *argument) {
    const mode_t *mode = argument;
    pshm_segment *segment;
    CHECK_EQ(setgid(65534), 0);
    CHECK_EQ(setuid(65534), 0);
    expect_denied(pshm_segment_create("new", 64, NULL, &segment));
    CHECK_DETAIL("create: name=new");
    expect_denied(pshm_segment_create(NULL, 64, NULL, &segment));
    expect_denied(pshm_segment_open_or_create("new", 64, NULL, &segment));
    if (*mode == 0755) {
        CHECK_CODE(pshm_segment_open("new", NULL, &segment), PSHM_ENOENT);
        expect_denied(pshm_segment_unlink("mine"));
        CHECK_CODE(pshm_segment_open("roots", NULL, &segment), PSHM_EACCES);
        CHECK_DETAIL("permission denied to uid=65534; act as its owner, uid=0");
    } else {
        expect_denied(pshm_segment_open("mine", NULL, &segment));
        expect_denied(pshm_segment_unlink("mine"));
        expect_denied(pshm_reap());
    }
}

static void shouldTellWhenTheFolderDeniesIt(void) {
    mode_t modes[] = {0755, 0700};
    mount_folder(0, "size=1m,mode=1777");
    pshm_segment *segment;
    CHECK_OK(pshm_segment_create("roots", 64, NULL, &segment));
    CHECK_OK(pshm_segment_close(segment));
    CHECK_OK(pshm_segment_create("mine", 64, NULL, &segment));
    CHECK_OK(pshm_segment_close(segment));
    CHECK_EQ(chown(path_of_name("mine"), 65534, 65534), 0);
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        CHECK_EQ(chmod(CHECK_FOLDER, modes[i]), 0);
        CHECK_JOIN(start(nobody_tries, &modes[i]));
        CHECK_EQ(files(), 2);
    }
    unmount_folder();
}

/* The parent folder's only other way: a file system over /dev that has no shm in it. */
static void shouldTellWhenAbsent(void) {
    if (mount("tmpfs", "/dev", "tmpfs", 0, "size=64k,mode=755") != 0)
        CHECK_FAIL("mount: %s", strerror(errno));
    pshm_segment *segment;
    CHECK_CODE(pshm_segment_create("new", 64, NULL, &segment), PSHM_EUNAVAILABLE);
    CHECK_DETAIL("/dev/shm is absent");
    CHECK_CODE(pshm_segment_create(NULL, 64, NULL, &segment), PSHM_EUNAVAILABLE);
    CHECK_CODE(pshm_segment_open("new", NULL, &segment), PSHM_EUNAVAILABLE);
    CHECK_CODE(pshm_segment_open_or_create("new", 64, NULL, &segment), PSHM_EUNAVAILABLE);
    CHECK_CODE(pshm_segment_unlink("new"), PSHM_EUNAVAILABLE);
    CHECK_CODE(pshm_reap(), PSHM_EUNAVAILABLE);

    const int file = open(CHECK_FOLDER, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    CHECK(file >= 0);
    close(file);
    CHECK_CODE(pshm_segment_create("new", 64, NULL, &segment), PSHM_EUNAVAILABLE);
    CHECK_DETAIL("create: name=new, bytes=64: /dev/shm is not a directory; ");
    CHECK_CODE(pshm_segment_open("new", NULL, &segment), PSHM_EUNAVAILABLE);
    CHECK_CODE(pshm_reap(), PSHM_EUNAVAILABLE);
    CHECK_EQ(umount2("/dev", MNT_DETACH), 0);
}

int main(void) {
    check_begin(110);
    if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) {
        printf("skipped: no private mount namespace here, run as root: %s\n", strerror(errno));
        return CHECK_SKIPPED;
    }
    RUN(shouldTellNeedAndFreeWhenFull);
    RUN(shouldMakeNoObjectWhenTheSegmentIsFull);
    RUN(shouldStandARaceForTheLastBytes);
    RUN(shouldTellWhenThereAreNoMoreFiles);
    RUN(shouldTellWhenReadOnly);
    RUN(shouldTellWhenTheFolderDeniesIt);
    RUN(shouldTellWhenAbsent);
    return check_end();
}
