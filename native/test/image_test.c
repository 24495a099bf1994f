/* SPDX-License-Identifier: Apache-2.0
 *
 * The images of test/corpus, which scripts/fuzz has found to reach different code: each is opened,
 * walked and closed without harm.
 */
#include "image.h"

static void on_abort(int signal) {
    (void)signal;
    check_abort();
}

int main(int argc, char **argv) {
    static uint8_t input[1 << 16];
    int usable = 0;
    CHECK_EQ(argc, 2);
    check_begin(110);
    signal(SIGABRT, on_abort);
    DIR *corpus = opendir(argv[1]);
    CHECK(corpus != NULL);
    const struct dirent *entry;
    while ((entry = readdir(corpus)) != NULL) {
        int fd = openat(dirfd(corpus), entry->d_name, O_RDONLY | O_CLOEXEC);
        ssize_t bytes = read(fd, input, sizeof(input));
        close(fd);
        if (bytes < 0) /* a folder */
            continue;
        printf("  %s\n", entry->d_name);
        usable += image_try(input, (size_t)bytes);
    }
    closedir(corpus);
    CHECK(usable > 10); /* of another layout, all would be refused: find a new corpus then */
    return check_end();
}
