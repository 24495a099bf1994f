/* SPDX-License-Identifier: Apache-2.0
 *
 * Files without a name: readable and writable by path for as long as somebody has them open.
 */
#include "check.h"

static void answer(void *path) {
    char text[32] = "";
    int fd = open(path, O_RDWR | O_CLOEXEC);
    CHECK(fd >= 0);
    CHECK_EQ(read(fd, text, sizeof(text)), 5);
    CHECK_STR(text, "hello");
    CHECK_EQ(write(fd, ", world", 7), 7);
    close(fd);
}

static void shouldCarryBytesToAChildAndBack(void) {
    char path[PSHM_SCRATCH_PATH_BYTES], text[32] = "";
    int fd = pshm_scratch_create(path);
    CHECK(fd >= 0);
    CHECK(memchr(path, '\0', sizeof(path)) != NULL);
    CHECK((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
    CHECK_EQ(lseek(fd, 0, SEEK_END), 0); /* empty */
    CHECK_EQ(write(fd, "hello", 5), 5);
    CHECK_JOIN(start(answer, path));
    CHECK_EQ(pread(fd, text, sizeof(text), 0), 12);
    CHECK_STR(text, "hello, world");
    pshm_scratch_close(fd);
    CHECK_EQ(open(path, O_RDWR | O_CLOEXEC), -1);
    CHECK_EQ(errno, ENOENT);
}

static void shouldTellSeveralApart(void) {
    char first[PSHM_SCRATCH_PATH_BYTES], second[PSHM_SCRATCH_PATH_BYTES];
    int one = pshm_scratch_create(first), other = pshm_scratch_create(second);
    CHECK(one >= 0 && other >= 0 && one != other);
    CHECK(strcmp(first, second) != 0);
    pshm_scratch_close(one);
    pshm_scratch_close(other);
}

static void shouldTellWhenThereAreNoDescriptors(void) {
    char path[PSHM_SCRATCH_PATH_BYTES];
    int fds[4096], count = 0;
    while (count < 4096 && (fds[count] = dup(0)) >= 0)
        count++;
    if (count < 4096) {
        CHECK_CODE(pshm_scratch_create(path), PSHM_EOS);
        CHECK_DETAIL("scratch: ");
        pshm_segment *segment;
        CHECK_CODE(pshm_segment_create(name_of("fds"), 64, NULL, &segment), PSHM_EOS);
        CHECK_DETAIL("Too many open files");
        CHECK(!exists(name_of("fds")));
    } else {
        printf("    skipped: this process may have more than 4096 files open\n");
    }
    while (count > 0)
        close(fds[--count]);
}

int main(void) {
    check_begin(110);
    RUN(shouldCarryBytesToAChildAndBack);
    RUN(shouldTellSeveralApart);
    RUN(shouldTellWhenThereAreNoDescriptors);
    return check_end();
}
