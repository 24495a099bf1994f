/* SPDX-License-Identifier: Apache-2.0
 *
 * Names that another user has taken first, with whatever can stand under a name in a folder that
 * all may write to: each operation says what is so, ends, and leaves everything as it was.
 */
#include "check.h"

#include <grp.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/un.h>

#include "polyshm_layout.h"

enum { SQUATTER = 65533, VICTIM = 65534 };

static const pshm_options trusting = {.allow_other_owner = 1};

/* What the squatter leaves under the name; readable and writable by all, where it can be. */
typedef enum squat {
    LIVE,         /* a segment that is in use */
    LIVE_PRIVATE, /* the same, with the default permissions */
    IDLE,         /* persistent, not in use */
    DEAD,         /* last out, its processes killed */
    EMPTY,        /* what a creator that was killed leaves */
    FOREIGN,      /* a file of something else */
    LOCKED,       /* a file whose lifecycle lock is held for ever */
    LINK,         /* to a file of the victim */
    LINK_AWAY,    /* to a device */
    FOLDER,
    FIFO,
    SOCKET,
    SQUATS
} squat;

typedef struct scene {
    squat squat;
    atomic_int ready;
} scene;

static void become(uid_t user) {
    CHECK_EQ(setgroups(0, NULL), 0);
    CHECK_EQ(setgid(user), 0);
    CHECK_EQ(setuid(user), 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* setuid has taken it back */
}

static const char *name_here(void) { return name_of("squat"); }

static int make_file(size_t bytes) {
    int fd = open(path_of_name(name_here()), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    CHECK(fd >= 0);
    CHECK_EQ(fchmod(fd, 0666), 0);
    for (; bytes > 0; bytes--)
        CHECK_EQ(write(fd, "f", 1), 1);
    return fd;
}

static void squat_there(void *argument) {
    scene *shared = argument;
    const char *path = path_of_name(name_here());
    pshm_options options = {.permissions = 0666, .lifetime = PSHM_LAST_OUT};
    pshm_segment *segment;
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1};
    become(SQUATTER);
    switch (shared->squat) {
    case LIVE_PRIVATE: options.permissions = 0600; /* fall through */
    case LIVE:
    case DEAD: CHECK_OK(pshm_segment_create(name_here(), 64, &options, &segment)); break;
    case IDLE:
        options.lifetime = PSHM_PERSISTENT;
        CHECK_OK(pshm_segment_create(name_here(), 64, &options, &segment));
        break;
    case EMPTY: make_file(0); break;
    case FOREIGN: make_file(5000); break;
    case LOCKED: CHECK_EQ(fcntl(make_file(5000), F_OFD_SETLK, &lock), 0); break;
    case LINK: CHECK_EQ(symlink(path_of_name(name_of("target")), path), 0); break;
    case LINK_AWAY: CHECK_EQ(symlink("/dev/zero", path), 0); break;
    case FOLDER: CHECK_EQ(mkdir(path, 0777), 0); break;
    case FIFO: CHECK_EQ(mkfifo(path, 0600) | chmod(path, 0666), 0); break;
    default: {
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        CHECK((size_t)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path) <
              sizeof(address.sun_path));
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        CHECK_EQ(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
        CHECK_EQ(chmod(path, 0666), 0);
    }
    }
    shared->ready = 1;
    for (;;)
        pause();
}

/* What each operation is to say: open, trusting open, unlink. */
static const int expected[SQUATS][3] = {
    [LIVE] = {PSHM_EACCES, 0, PSHM_EACCES},
    [LIVE_PRIVATE] = {PSHM_EACCES, PSHM_EACCES, PSHM_EACCES},
    [IDLE] = {PSHM_EACCES, 0, PSHM_EACCES},
    [DEAD] = {PSHM_EACCES, PSHM_EACCES, PSHM_EACCES}, /* it cannot be removed by us */
    [EMPTY] = {PSHM_EACCES, PSHM_EACCES, PSHM_EACCES},
    [FOREIGN] = {PSHM_EACCES, PSHM_ELAYOUT, PSHM_EACCES},
    [LOCKED] = {PSHM_EACCES, 0, PSHM_EBUSY},
    [LINK] = {PSHM_EACCES, PSHM_EACCES, PSHM_EACCES},
    [LINK_AWAY] = {PSHM_EACCES, PSHM_EACCES, PSHM_EACCES},
    [FOLDER] = {PSHM_ELAYOUT, PSHM_ELAYOUT, PSHM_ELAYOUT},
    [FIFO] = {PSHM_EACCES, PSHM_ELAYOUT, PSHM_EACCES},
    [SOCKET] = {PSHM_ELAYOUT, PSHM_ELAYOUT, PSHM_ELAYOUT},
};

static void meet(void *argument) {
    const scene *shared = argument;
    const int *expect = expected[shared->squat];
    pshm_segment *segment;
    become(VICTIM);
    CHECK_CODE(pshm_segment_create(name_here(), 64, NULL, &segment), PSHM_EEXIST);
    CHECK_CODE(pshm_segment_open(name_here(), NULL, &segment), expect[0]);
    CHECK_DETAIL(name_here());
    CHECK_CODE(pshm_segment_open_or_create(name_here(), 64, NULL, &segment), expect[0]);
    if (shared->squat !=
        LOCKED) { /* who trusts that one waits for 10 s, and then gets PSHM_EBUSY */
        CHECK_CODE(pshm_segment_open(name_here(), &trusting, &segment), expect[1]);
        if (segment != NULL)
            CHECK_OK(pshm_segment_close(segment));
        CHECK_CODE(pshm_segment_open_or_create(name_here(), 64, &trusting, &segment), expect[1]);
        if (segment != NULL)
            CHECK_OK(pshm_segment_close(segment));
    }
    CHECK_CODE(pshm_segment_unlink(name_here()), expect[2]);
    CHECK_EQ(pshm_reap(), 0);
    CHECK_OK(pshm_segment_create(name_of("other"), 64, NULL, &segment)); /* which reaps as well */
    CHECK_OK(pshm_segment_close(segment));
    CHECK_OK(pshm_segment_unlink(name_of("other")));
}

static struct stat status_of(const char *name) {
    struct stat status;
    CHECK_EQ(lstat(path_of_name(name), &status), 0);
    return status;
}

static void shouldNotBeFooledByASquatter(void) {
    for (squat which = 0; which < SQUATS; which++) {
        scene *shared = shared_zeroes(sizeof(*shared));
        pshm_segment *target;
        shared->squat = which;
        CHECK_OK(pshm_segment_create(name_of("target"), 64, NULL, &target));
        CHECK_EQ(chown(path_of_name(name_of("target")), VICTIM, VICTIM), 0);
        pid_t squatter = start(squat_there, shared);
        AWAIT(shared->ready);
        if (which == DEAD || which == IDLE)
            kill_child(squatter);
        const struct stat before = status_of(name_here()), aim = status_of(name_of("target"));
        CHECK_JOIN(start(meet, shared));
        const struct stat after = status_of(name_here());
        CHECK_EQ(after.st_ino, before.st_ino);
        CHECK_EQ(after.st_mode, before.st_mode);
        CHECK_EQ(after.st_size, before.st_size);
        CHECK_EQ(status_of(name_of("target")).st_ino, aim.st_ino);
        if (which != DEAD && which != IDLE)
            kill_child(squatter);
        if (remove(path_of_name(name_here())) != 0)
            CHECK_FAIL("remove: %s", strerror(errno));
        CHECK_OK(pshm_segment_close(target));
        CHECK_OK(pshm_segment_unlink(name_of("target")));
    }
}

/* Only root makes these, and only root meets them here. */
static void shouldRefuseADevice(void) {
    pshm_segment *segment;
    if (mknod(path_of_name(name_here()), S_IFCHR | 0666, makedev(1, 3)) != 0) {
        printf("    skipped: mknod: %s\n", strerror(errno));
        return;
    }
    CHECK_CODE(pshm_segment_create(name_here(), 64, NULL, &segment), PSHM_EEXIST);
    int code = pshm_segment_open(name_here(), NULL, &segment);
    CHECK(code == PSHM_ELAYOUT || code == PSHM_EACCES); /* of a folder that allows none */
    CHECK(pshm_reap() >= 0);
    CHECK(exists(name_here()));
    CHECK_EQ(unlink(path_of_name(name_here())), 0);
}

int main(void) {
    check_begin(110);
    if (geteuid() != 0) {
        printf("skipped: it takes root to become other users\n");
        return CHECK_SKIPPED;
    }
    RUN(shouldNotBeFooledByASquatter);
    RUN(shouldRefuseADevice);
    return check_end();
}
