/* SPDX-License-Identifier: Apache-2.0
 *
 * Segments: create, open, open-or-create, close and unlink, and what bad input gets.
 */
#include "check.h"

#include <spawn.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/statvfs.h>
#include <sys/time.h>
#include <sys/un.h>

static mode_t mode_of(const char *name) {
    struct stat status;
    CHECK_EQ(lstat(path_of_name(name), &status), 0);
    return status.st_mode & 07777;
}

static void shouldCreateOpenCloseAndUnlink(void) {
    const char *name = name_of("basic");
    pshm_segment *made, *opened;
    CHECK_OK(pshm_segment_create(name, 1000, NULL, &made));
    CHECK_OK(pshm_segment_open(name, NULL, &opened));
    CHECK(made != opened);
    CHECK_STR(pshm_segment_name(made), name);
    CHECK_EQ(pshm_segment_size_bytes(made), 1024);
    CHECK_EQ(pshm_segment_size_bytes(opened), 1024);
    CHECK_EQ(pshm_segment_free_bytes(opened), 1024);
    CHECK_EQ(pshm_segment_lifetime(opened), PSHM_PERSISTENT);
    CHECK_EQ(memcmp(pshm_segment_id(made), pshm_segment_id(opened), 16), 0);
    CHECK_EQ(mappings(), 2);
    CHECK_OK(pshm_segment_close(made));
    CHECK_OK(pshm_segment_close(opened));
    CHECK_EQ(mappings(), 0);
    CHECK(exists(name));

    uint8_t first_id[16];
    CHECK_OK(pshm_segment_open(name, NULL, &opened));
    memcpy(first_id, pshm_segment_id(opened), 16);
    CHECK_OK(pshm_segment_unlink(name));
    CHECK(!exists(name));
    CHECK_CODE(pshm_segment_unlink(name), PSHM_ENOENT);
    CHECK_DETAIL(name);

    /* One of the same name is another one, and the first goes on. */
    CHECK_OK(pshm_segment_create(name, 64, NULL, &made));
    CHECK(memcmp(pshm_segment_id(made), first_id, 16) != 0);
    pshm_lock *lock;
    CHECK_OK(pshm_lock_open(opened, "l", &lock));
    CHECK_OK(pshm_segment_close(opened));
    CHECK(exists(name));
    CHECK_OK(pshm_segment_close(made));
    CHECK_OK(pshm_segment_unlink(name));
}

static void shouldRefuseBadNames(void) {
    char longest[98];
    memset(longest, 'x', sizeof(longest));
    longest[96] = '\0';
    const char *const bad[] = {"",    "/",    "a/b", "/a",   ".", "..",   ".hidden", "caf\xc3\xa9",
                               "a b", "a\nb", "a:b", "\x80", "~", longest};
    pshm_segment *segment = (pshm_segment *)1;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        CHECK_CODE(pshm_segment_create(bad[i], 64, NULL, &segment), PSHM_ENAME);
        CHECK_DETAIL("create: ");
        CHECK(segment == NULL);
        CHECK_CODE(pshm_segment_open(bad[i], NULL, &segment), PSHM_ENAME);
        CHECK_DETAIL("open: ");
        CHECK_CODE(pshm_segment_open_or_create(bad[i], 64, NULL, &segment), PSHM_ENAME);
        CHECK_DETAIL("open_or_create: ");
        CHECK_CODE(pshm_segment_unlink(bad[i]), PSHM_ENAME);
        CHECK_DETAIL("A-Z a-z 0-9 . _ -");
        for (const char *at = pshm_error_detail(); *at != '\0'; at++)
            CHECK(*at >= ' ' && *at <= '~');
    }
    CHECK_CODE(pshm_segment_unlink("a\n\x1b[31mb\xff~"), PSHM_ENAME);
    CHECK_DETAIL("name=\"a\\x0a\\x1b[31mb\\xff~\" is not a name");
    CHECK_CODE(pshm_segment_open(NULL, NULL, &segment), PSHM_ENAME);
    CHECK_CODE(pshm_segment_open_or_create(NULL, 64, NULL, &segment), PSHM_ENAME);
    CHECK_CODE(pshm_segment_unlink(NULL), PSHM_ENAME);

    char widest[96]; /* 95 characters are good */
    memset(widest, 'w', sizeof(widest));
    memcpy(widest, name_of("A.z_0-9"), strlen(name_of("A.z_0-9")));
    widest[95] = '\0';
    CHECK_OK(pshm_segment_create(widest, 64, NULL, &segment));
    CHECK_STR(pshm_segment_name(segment), widest);
    CHECK_OK(pshm_segment_close(segment));
    CHECK_OK(pshm_segment_unlink(widest));
}

static void shouldRefuseBadSizes(void) {
    const char *name = name_of("size");
    pshm_segment *segment;
    const int64_t bad[] = {0, -1, INT64_MIN, INT64_MAX};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char value[40];
        snprintf(value, sizeof(value), "bytes=%" PRId64, bad[i]);
        CHECK_CODE(pshm_segment_create(name, bad[i], NULL, &segment), PSHM_EINVAL);
        CHECK_DETAIL(value);
        CHECK_CODE(pshm_segment_create(NULL, bad[i], NULL, &segment), PSHM_EINVAL);
        CHECK_CODE(pshm_segment_open_or_create(name, bad[i], NULL, &segment), PSHM_EINVAL);
        CHECK_DETAIL(value);
        CHECK(!exists(name));
    }
    struct statvfs system;
    CHECK_EQ(statvfs(CHECK_FOLDER, &system), 0);
    if (system.f_blocks == 0) {
        printf("    part skipped: " CHECK_FOLDER " has no limit\n");
        return;
    }
    /* Larger than what there is: told, with need and free, and nothing stays behind. */
    const int64_t large[] = {(int64_t)system.f_blocks * (int64_t)system.f_frsize + 4096,
                             (int64_t)1 << 50, INT64_MAX - 20000};
    int before = descriptors();
    for (size_t i = 0; i < sizeof(large) / sizeof(large[0]); i++) {
        CHECK_CODE(pshm_segment_create(name, large[i], NULL, &segment), PSHM_EFULL);
        CHECK_DETAIL("need=");
        CHECK_DETAIL("free=");
        CHECK_DETAIL("--shm-size");
        CHECK(!exists(name));
    }
    CHECK_EQ(descriptors(), before);
}

static void limited(void *argument) {
    const char *name = argument;
    struct rlimit limit = {.rlim_cur = 1 << 16, .rlim_max = 1 << 16};
    pshm_segment *segment;
    CHECK_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
    CHECK_CODE(pshm_segment_create(name, 1 << 20, NULL, &segment), PSHM_EFULL);
    CHECK_DETAIL("ulimit -f");
    CHECK(!exists(name));
}

static void shouldTellOfALimitedFileSize(void) {
    const char *name = name_of("fsize");
    CHECK_JOIN(start(limited, (void *)(uintptr_t)name)); /* and not of a SIGXFSZ */
}

static void open_with_no_descriptor_left(void *argument) {
    const char *name = argument;
    const struct rlimit limit = {.rlim_cur = 0, .rlim_max = 0};
    pshm_segment *segment;
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
    CHECK_CODE(pshm_segment_open(name, NULL, &segment), PSHM_EOS);
    CHECK_DETAIL("too many open files");
    CHECK_DETAIL("ulimit -n");
    CHECK_CODE(pshm_segment_create(name_of("another"), 64, NULL, &segment), PSHM_EOS);
    CHECK_DETAIL("ulimit -n");
    CHECK_CODE(pshm_segment_create(NULL, 64, NULL, &segment), PSHM_EOS);
    CHECK_DETAIL("ulimit -n");
}

static void shouldTellOfALimitedNumberOfFiles(void) {
    const char *name = name_of("nofile");
    pshm_segment *segment;
    CHECK_OK(pshm_segment_create(name, 64, NULL, &segment));
    CHECK_OK(pshm_segment_close(segment));
    CHECK_JOIN(start(open_with_no_descriptor_left, (void *)(uintptr_t)name));
    CHECK_OK(pshm_segment_unlink(name));
}

static void open_with_no_memory_left(void *argument) {
    const char *name = argument;
    const struct rlimit limit = {.rlim_cur = 16 << 20, .rlim_max = 16 << 20};
    pshm_segment *segment;
    CHECK_EQ(setrlimit(RLIMIT_AS, &limit), 0);
    CHECK_CODE(pshm_segment_open(name, NULL, &segment), PSHM_ENOMEM);
    CHECK_DETAIL("bytes=");
    CHECK_DETAIL("ulimit -v");
}

static void shouldTellOfALimitedAddressSpace(void) {
    const char *name = name_of("as");
    pshm_segment *segment;
    if (CHECK_ASAN || CHECK_TSAN) {
        printf("    skipped: sanitizers take what is left\n");
        return;
    }
    CHECK_OK(pshm_segment_create(name, 32 << 20, NULL, &segment));
    CHECK_OK(pshm_segment_close(segment));
    CHECK_JOIN(start(open_with_no_memory_left, (void *)(uintptr_t)name));
    CHECK_OK(pshm_segment_unlink(name));
}

static void on_tick(int signal) { (void)signal; }

/* Some kernels take back a whole reservation when a signal comes. */
static void shouldCreateUnderAStormOfSignals(void) {
    const char *name = name_of("signals");
    struct sigaction action = {.sa_handler = on_tick, .sa_flags = SA_RESTART};
    struct itimerval every = {{.tv_usec = 3000}, {.tv_usec = 3000}}, never = {{0}, {0}};
    sigaction(SIGPROF, &action, NULL);
    setitimer(ITIMER_PROF, &every, NULL);
    pshm_segment *segment;
    CHECK_OK(pshm_segment_create(name, 200 << 20, NULL, &segment));
    setitimer(ITIMER_PROF, &never, NULL);
    CHECK_OK(pshm_segment_close(segment));
    CHECK_OK(pshm_segment_unlink(name));
}

static void shouldRefuseBadOptions(void) {
    const char *name = name_of("options");
    pshm_segment *segment;
    const pshm_options bad[] = {{.permissions = 0700}, {.permissions = 0400},
                                {.permissions = 0200}, {.permissions = 010600},
                                {.permissions = 066},  {.lifetime = 3}};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        CHECK_CODE(pshm_segment_create(name, 64, &bad[i], &segment), PSHM_EINVAL);
        CHECK_DETAIL(bad[i].lifetime == 0 ? "permissions=0" : "lifetime=3");
        CHECK(!exists(name));
    }
}

static void shouldTellThatItExistsOrIsAbsent(void) {
    const char *name = name_of("exists");
    pshm_segment *segment, *second;
    CHECK_CODE(pshm_segment_open(name, NULL, &second), PSHM_ENOENT);
    CHECK_DETAIL("there is no such segment; check the name, or create it first");
    CHECK_CODE(pshm_segment_unlink(name), PSHM_ENOENT);
    CHECK_DETAIL("there is no such segment; check the name");
    CHECK_OK(pshm_segment_create(name, 64, NULL, &segment));
    CHECK_CODE(pshm_segment_create(name, 64, NULL, &second), PSHM_EEXIST);
    CHECK_DETAIL(name);
    CHECK_DETAIL("open or unlink it");
    CHECK(second == NULL);
    CHECK_OK(pshm_segment_close(segment));
    CHECK_CODE(pshm_segment_create(name, 64, NULL, &second), PSHM_EEXIST);
    CHECK_CODE(pshm_segment_open_or_create(name, 4096, NULL, &second), 0);
    CHECK_EQ(pshm_segment_size_bytes(second), 64);
    CHECK_OK(pshm_segment_close(second));
    CHECK_OK(pshm_segment_unlink(name));
    CHECK_CODE(pshm_segment_open_or_create(name, 4096, NULL, &second), 1);
    CHECK_EQ(pshm_segment_size_bytes(second), 4096);
    CHECK_OK(pshm_segment_close(second));
    CHECK_OK(pshm_segment_unlink(name));
}

static void shouldSetPermissionsWhateverTheUmask(void) {
    const char *name = name_of("umask");
    const mode_t masks[] = {0, 022, 077, 0777};
    const uint32_t permissions[] = {0, 0600, 0660, 0644, 0666};
    for (size_t m = 0; m < sizeof(masks) / sizeof(masks[0]); m++) {
        for (size_t p = 0; p < sizeof(permissions) / sizeof(permissions[0]); p++) {
            const pshm_options options = {.permissions = permissions[p]};
            pshm_segment *segment;
            mode_t before = umask(masks[m]);
            CHECK_OK(pshm_segment_create(name, 64, &options, &segment));
            umask(before);
            CHECK_EQ(mode_of(name), permissions[p] == 0 ? 0600 : permissions[p]);
            CHECK_OK(pshm_segment_close(segment));
            CHECK_OK(pshm_segment_unlink(name));
        }
    }
}

static void shouldNotFollowASymbolicLink(void) {
    const char *name = name_of("link"), *target = name_of("target");
    pshm_segment *segment, *through;
    CHECK_OK(pshm_segment_create(target, 64, NULL, &segment));
    CHECK_EQ(symlink(path_of_name(target), path_of_name(name)), 0);
    CHECK_CODE(pshm_segment_open(name, NULL, &through), PSHM_EACCES);
    CHECK_DETAIL(path_of_name(name));
    CHECK_DETAIL("symbolic link");
    CHECK_CODE(pshm_segment_create(name, 64, NULL, &through), PSHM_EEXIST);
    CHECK_DETAIL(path_of_name(name));
    CHECK_DETAIL("is a symbolic link, which is never followed; remove it");
    CHECK_CODE(pshm_segment_open_or_create(name, 64, NULL, &through), PSHM_EACCES);
    CHECK(pshm_reap() >= 0);
    CHECK(exists(name));
    CHECK_EQ(unlink(path_of_name(name)), 0);

    CHECK_EQ(symlink("/nowhere/at/all", path_of_name(name)), 0);
    CHECK_CODE(pshm_segment_open(name, NULL, &through), PSHM_EACCES);
    CHECK_CODE(pshm_segment_open_or_create(name, 64, NULL, &through), PSHM_EACCES);
    CHECK_EQ(unlink(path_of_name(name)), 0);
    CHECK_OK(pshm_segment_close(segment));
    CHECK_OK(pshm_segment_unlink(target));
}

static void write_file(const char *name, const void *bytes, size_t count) {
    int fd = open(path_of_name(name), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    CHECK(fd >= 0);
    CHECK_EQ(write(fd, bytes, count), (ssize_t)count);
    close(fd);
}

static void shouldRefuseForeignFilesAndLeaveThem(void) {
    const char *name = name_of("foreign");
    char text[5000];
    pshm_segment *segment;
    memset(text, 'f', sizeof(text));
    const size_t sizes[] = {1, 7, 8, 127, 128, 129, 4096, 5000};
    int before = descriptors();
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        write_file(name, text, sizes[i]);
        CHECK_CODE(pshm_segment_open(name, NULL, &segment), PSHM_ELAYOUT);
        CHECK_DETAIL("not a polyshm segment");
        CHECK_CODE(pshm_segment_create(name, 64, NULL, &segment), PSHM_EEXIST);
        CHECK_DETAIL("not a polyshm segment; unlink it");
        CHECK_CODE(pshm_segment_open_or_create(name, 64, NULL, &segment), PSHM_ELAYOUT);
        CHECK(pshm_reap() >= 0);
        CHECK(exists(name));
        CHECK_OK(pshm_segment_unlink(name)); /* damaged ones can be removed */
        CHECK(!exists(name));
    }
    CHECK_EQ(descriptors(), before);
}

/* Each says what stands there, and how to be rid of it, and leaves it. */
static void expect_refused(const char *name, const char *what) {
    pshm_segment *segment;
    CHECK_CODE(pshm_segment_open(name, NULL, &segment), PSHM_ELAYOUT);
    CHECK_DETAIL(what);
    CHECK_CODE(pshm_segment_create(name, 64, NULL, &segment), PSHM_EEXIST);
    CHECK_DETAIL(what);
    CHECK_DETAIL("the name is taken; take another, or free it: ");
    CHECK_CODE(pshm_segment_open_or_create(name, 64, NULL, &segment), PSHM_ELAYOUT);
    CHECK_DETAIL("open_or_create: name=");
    CHECK_DETAIL(what);
    CHECK(pshm_reap() >= 0);
    CHECK(exists(name));
}

static void expect_not_to_be_unlinked(const char *name, const char *what) {
    char text[200];
    snprintf(text, sizeof(text), "%s is a %s, and no segment; remove it", path_of_name(name), what);
    expect_refused(name, text);
    CHECK_CODE(pshm_segment_unlink(name), PSHM_ELAYOUT);
    CHECK_DETAIL(text);
}

static void shouldRefuseWhatIsNotAFile(void) {
    const char *name = name_of("kind");
    CHECK_EQ(mkdir(path_of_name(name), 0700), 0);
    expect_not_to_be_unlinked(name, "directory");
    CHECK_EQ(rmdir(path_of_name(name)), 0);

    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path_of_name(name));
    const int end = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK_EQ(bind(end, (const struct sockaddr *)&address, sizeof(address)), 0);
    close(end);
    expect_not_to_be_unlinked(name, "socket or a device");
    CHECK_EQ(unlink(path_of_name(name)), 0);

    CHECK_EQ(mkfifo(path_of_name(name), 0600), 0);
    expect_refused(name, "it is a pipe or a device, and no segment; unlink it");
    CHECK_OK(pshm_segment_unlink(name));
    CHECK(!exists(name));
}

/* ---- other users ---- */

static void become_nobody(void) {
    CHECK_EQ(setgid(65534), 0);
    CHECK_EQ(setuid(65534), 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* setuid has taken it back */
}

static void nobody_opens(void *argument) {
    (void)argument;
    const pshm_options trusting = {.allow_other_owner = 1};
    pshm_segment *segment;
    become_nobody();
    CHECK_CODE(pshm_segment_open(name_of("private"), NULL, &segment), PSHM_EACCES);
    CHECK_DETAIL("permission denied");
    CHECK_DETAIL("uid=65534; act as its owner, uid=0,");
    CHECK_CODE(pshm_segment_open(name_of("private"), &trusting, &segment), PSHM_EACCES);
    CHECK_CODE(pshm_segment_open_or_create(name_of("private"), 64, NULL, &segment), PSHM_EACCES);
    CHECK_CODE(pshm_segment_unlink(name_of("private")), PSHM_EACCES);
    CHECK_CODE(pshm_segment_create(name_of("private"), 64, NULL, &segment), PSHM_EEXIST);

    CHECK_CODE(pshm_segment_open(name_of("public"), NULL, &segment), PSHM_EACCES);
    CHECK_DETAIL("uid=0");
    CHECK_DETAIL("allow_other_owner");
    CHECK_CODE(pshm_segment_unlink(name_of("public")), PSHM_EACCES); /* the folder is sticky */
    CHECK_DETAIL("only its owner may remove it");
    CHECK_CODE(pshm_segment_create(name_of("public"), 64, NULL, &segment), PSHM_EEXIST);
    CHECK_DETAIL("another user, uid=0; let that user unlink it");
    CHECK_OK(pshm_segment_open(name_of("public"), &trusting, &segment));
    CHECK_OK(pshm_segment_close(segment));

    /* Dead, and another's: neither open nor create can do it, and neither tries for ever. */
    CHECK_CODE(pshm_segment_open(name_of("dead"), &trusting, &segment), PSHM_EACCES);
    CHECK_DETAIL("processes are dead");
    CHECK_CODE(pshm_segment_open_or_create(name_of("dead"), 64, &trusting, &segment), PSHM_EACCES);
    CHECK(pshm_reap() >= 0);
    CHECK(exists(name_of("dead")));

    CHECK_OK(pshm_segment_create(name_of("squat"), 64, NULL, &segment));
    const pshm_options last_out = {.lifetime = PSHM_LAST_OUT};
    CHECK_OK(pshm_segment_create(name_of("left"), 64, &last_out, &segment));
    fflush(NULL);
    raise(SIGKILL);
}

static void create_and_die(void *argument) {
    const pshm_options options = {.permissions = 0666, .lifetime = PSHM_LAST_OUT};
    pshm_segment *segment;
    CHECK_OK(pshm_segment_create(argument, 64, &options, &segment));
    raise(SIGKILL);
}

static void shouldKeepUsersApart(void) {
    if (geteuid() != 0) {
        printf("    skipped: it takes root to become another user\n");
        return;
    }
    const pshm_options wide = {.permissions = 0666};
    const pshm_options trusting = {.allow_other_owner = 1};
    pshm_segment *private, *public, *segment;
    CHECK_OK(pshm_segment_create(name_of("private"), 64, NULL, &private));
    CHECK_OK(pshm_segment_create(name_of("public"), 64, &wide, &public));
    CHECK_EQ(wait_for(start(create_and_die, (void *)(uintptr_t)name_of("dead"))), SIGKILL);
    CHECK_EQ(wait_for(start(nobody_opens, NULL)), SIGKILL);
    CHECK(exists(name_of("private")));
    CHECK(exists(name_of("public")));
    CHECK_CODE(pshm_segment_open(name_of("squat"), NULL, &segment), PSHM_EACCES);
    CHECK_DETAIL("uid=65534");
    CHECK_CODE(pshm_segment_open_or_create(name_of("squat"), 64, NULL, &segment), PSHM_EACCES);
    CHECK_OK(pshm_segment_open(name_of("squat"), &trusting, &segment));
    CHECK_OK(pshm_segment_close(segment));
    CHECK_OK(pshm_segment_unlink(name_of("squat")));
    CHECK(pshm_reap() >= 0);
    CHECK(exists(name_of("left"))); /* dead, but another's */
    CHECK_CODE(pshm_segment_create(name_of("left"), 64, NULL, &segment), PSHM_EEXIST);
    CHECK_OK(pshm_segment_unlink(name_of("left")));
    CHECK_OK(pshm_segment_close(private));
    CHECK_OK(pshm_segment_close(public));
    CHECK_OK(pshm_segment_unlink(name_of("private")));
    CHECK_OK(pshm_segment_unlink(name_of("public")));
    pshm_reap();
    CHECK(!exists(name_of("dead")));
}

/* ---- unlink and close while in use ---- */

static void use_unlinked(void *argument) {
    atomic_int *step = argument;
    pshm_segment *segment;
    pshm_value *value;
    CHECK_OK(pshm_segment_open(name_of("unlinked"), NULL, &segment));
    CHECK_OK(pshm_value_open(segment, "v", PSHM_INT64, &value));
    *(int64_t *)pshm_value_data(value) = 41;
    *step = 1;
    AWAIT(*step == 2);
    CHECK_OK(pshm_lock_acquire(pshm_value_lock(value)));
    ++*(int64_t *)pshm_value_data(value);
    CHECK_OK(pshm_lock_release(pshm_value_lock(value)));
    CHECK_OK(pshm_segment_close(segment));
}

static void shouldKeepTheMemoryWhenUnlinkedWhileOpen(void) {
    const char *name = name_of("unlinked");
    atomic_int *step = shared_zeroes(sizeof(*step));
    pshm_segment *segment, *absent;
    pshm_value *value;
    CHECK_OK(pshm_segment_create(name, 4096, NULL, &segment));
    pid_t child = start(use_unlinked, step);
    AWAIT(*step == 1);
    CHECK_OK(pshm_segment_unlink(name));
    CHECK_CODE(pshm_segment_open(name, NULL, &absent), PSHM_ENOENT);
    *step = 2;
    CHECK_JOIN(child);
    CHECK_OK(pshm_value_open(segment, "v", PSHM_INT64, &value));
    CHECK_EQ(*(int64_t *)pshm_value_data(value), 42);
    CHECK_OK(pshm_segment_close(segment));
}

static void shouldStayValidUnderAPinAndCloseOnce(void) {
    const char *name = name_of("pin");
    pshm_segment *segment;
    pshm_array *array;
    pshm_value *value;
    pshm_lock *lock;
    pshm_lock_info lock_info;
    pshm_object_info object;
    pshm_participant_info participant;
    uint64_t cursor = 0;
    CHECK_OK(pshm_segment_create(name, 8192, NULL, &segment));
    CHECK_OK(pshm_array_open(segment, "a", PSHM_INT32, 10, &array));
    pshm_segment_pin(segment);
    CHECK_OK(pshm_segment_close(segment));
    CHECK_OK(pshm_segment_close(segment));
    CHECK_OK(pshm_segment_close(segment));
    ((int32_t *)pshm_array_data(array))[9] = 9;
    CHECK_EQ(((int32_t *)pshm_array_data(array))[9], 9);
    CHECK_STR(pshm_segment_name(segment), name);
    CHECK_CODE(pshm_array_open(segment, "a", PSHM_INT32, 10, &array), PSHM_ECLOSED);
    CHECK_DETAIL(name);
    CHECK_CODE(pshm_value_open(segment, "v", PSHM_INT32, &value), PSHM_ECLOSED);
    CHECK_CODE(pshm_lock_open(segment, "l", &lock), PSHM_ECLOSED);
    CHECK_CODE(pshm_segment_next_object(segment, &cursor, &object), PSHM_ECLOSED);
    CHECK_CODE(pshm_segment_next_participant(segment, &cursor, &participant), PSHM_ECLOSED);
    CHECK_OK(pshm_segment_unlink(name));
    CHECK_EQ(mappings(), 1);
    pshm_segment_unpin(segment);
    CHECK_EQ(mappings(), 0);

    CHECK_OK(pshm_segment_create(name, 8192, NULL, &segment));
    CHECK_OK(pshm_array_open(segment, "a", PSHM_INT32, 10, &array));
    lock = pshm_array_lock(array);
    pshm_segment_pin(segment);
    CHECK_OK(pshm_segment_close(segment));
    CHECK_CODE(pshm_lock_acquire(lock), PSHM_ECLOSED);
    CHECK_DETAIL(name);
    CHECK_DETAIL("open it again if it is still there");
    CHECK_CODE(pshm_lock_try_acquire(lock), PSHM_ECLOSED);
    CHECK_CODE(pshm_lock_timed_acquire(lock, 1), PSHM_ECLOSED);
    CHECK_CODE(pshm_lock_timed_acquire(lock, -1), PSHM_ECLOSED);
    CHECK_CODE(pshm_lock_acquire_abandoned(lock), PSHM_ECLOSED);
    CHECK_CODE(pshm_lock_release(lock), PSHM_ECLOSED);
    CHECK_CODE(pshm_lock_mark_good(lock), PSHM_ECLOSED);
    CHECK_CODE(pshm_lock_inspect(lock, &lock_info), PSHM_ECLOSED);
    CHECK_EQ(pshm_lock_depth(lock), 0);
    pshm_segment_unpin(segment);
    CHECK_OK(pshm_segment_unlink(name));
}

static void *close_it(void *segment) {
    CHECK_OK(pshm_segment_close(segment));
    pshm_segment_unpin(segment);
    return NULL;
}

static void shouldCloseOnceWhenTwoThreadsDo(void) {
    const char *name = name_of("two");
    int before = descriptors();
    for (int round = 0; round < 300; round++) {
        pshm_segment *segment;
        pthread_t threads[2];
        CHECK_CODE(pshm_segment_open_or_create(name, 64, NULL, &segment), round == 0);
        for (int i = 0; i < 2; i++)
            pshm_segment_pin(segment);
        for (int i = 0; i < 2; i++)
            CHECK_EQ(pthread_create(&threads[i], NULL, close_it, segment), 0);
        for (int i = 0; i < 2; i++)
            CHECK_EQ(pthread_join(threads[i], NULL), 0);
    }
    CHECK_EQ(mappings(), 0);
    CHECK_EQ(descriptors(), before);
    CHECK_OK(pshm_segment_unlink(name));
}

static void shouldNotHandItsFilesToOtherPrograms(void) {
    const char *name = name_of("cloexec");
    pshm_segment *segment;
    CHECK_OK(pshm_segment_create(name, 64, NULL, &segment));
    int found = 0;
    for (int fd = 0; fd < 1024; fd++) {
        char link[64], target[256];
        snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
        ssize_t count = readlink(link, target, sizeof(target) - 1);
        if (count < 0)
            continue;
        target[count] = '\0';
        if (strcmp(target, path_of_name(name)) == 0) {
            found++;
            CHECK((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
        }
    }
    CHECK_EQ(found, 1);
    CHECK_OK(pshm_segment_close(segment));
    CHECK_OK(pshm_segment_unlink(name));
}

/* Not by fork, which has a hook of ours: as a JVM starts programs, and others do. */
static void shouldStartProgramsWithoutItsFiles(void) {
    const char *name = name_of("spawn");
    char *const arguments[] = {(char *)(uintptr_t) "ls", (char *)(uintptr_t) "-l",
                               (char *)(uintptr_t) "/proc/self/fd", NULL};
    char *const environment[] = {NULL};
    posix_spawn_file_actions_t actions;
    char text[8192];
    pshm_segment *segment;
    size_t count = 0;
    ssize_t got;
    pid_t child;
    int ends[2];
    CHECK_OK(pshm_segment_create(name, 64, NULL, &segment));
    CHECK_EQ(pipe2(ends, O_CLOEXEC), 0);
    CHECK_EQ(posix_spawn_file_actions_init(&actions), 0);
    CHECK_EQ(posix_spawn_file_actions_adddup2(&actions, ends[1], 1), 0);
    CHECK_EQ(posix_spawn(&child, "/bin/ls", &actions, NULL, arguments, environment), 0);
    close(ends[1]);
    while ((got = read(ends[0], text + count, sizeof(text) - 1 - count)) > 0)
        count += (size_t)got;
    text[count] = '\0';
    CHECK_JOIN(child);
    CHECK(strstr(text, "1 -> pipe:") != NULL); /* it has listed them */
    CHECK(strstr(text, CHECK_PREFIX) == NULL);
    close(ends[0]);
    posix_spawn_file_actions_destroy(&actions);
    CHECK_OK(pshm_segment_close(segment));
    CHECK_OK(pshm_segment_unlink(name));
}

/* ---- many at once ---- */

typedef struct race {
    atomic_int waiting, go, created, opened, ids;
    atomic_int mismatches;
    _Atomic uint64_t id;
} race;

static void open_or_create(void *argument) {
    race *shared = argument;
    pshm_segment *segment;
    uint64_t id;
    shared->waiting++;
    while (!shared->go)
        continue;
    int code = pshm_segment_open_or_create(name_of("race"), 4096, NULL, &segment);
    CHECK(code == 0 || code == 1 || (fprintf(stderr, "%s\n", pshm_error_detail()), false));
    if (code == 1)
        shared->created++;
    else
        shared->opened++;
    memcpy(&id, pshm_segment_id(segment), sizeof(id));
    uint64_t nobody = 0;
    if (!atomic_compare_exchange_strong(&shared->id, &nobody, id) && nobody != id)
        shared->mismatches++;
    shared->ids++;
    CHECK_OK(pshm_segment_close(segment));
}

static void shouldHaveOneCreatorOfFifty(void) {
    enum { PROCESSES = 50, ROUNDS = 5 };
    race *shared = shared_zeroes(sizeof(*shared));
    for (int round = 0; round < ROUNDS; round++) {
        pid_t children[PROCESSES];
        memset(shared, 0, sizeof(*shared));
        for (int i = 0; i < PROCESSES; i++)
            children[i] = start(open_or_create, shared);
        AWAIT(shared->waiting == PROCESSES);
        shared->go = 1;
        for (int i = 0; i < PROCESSES; i++)
            CHECK_JOIN(children[i]);
        CHECK_EQ(shared->created, 1);
        CHECK_EQ(shared->opened, PROCESSES - 1);
        CHECK_EQ(shared->mismatches, 0);
        CHECK_OK(pshm_segment_unlink(name_of("race")));
    }
}

static void shouldMakeAnonymousOnes(void) {
    pshm_segment *first, *second, *opened;
    const pshm_options persistent = {.lifetime = PSHM_PERSISTENT};
    CHECK_OK(pshm_segment_create(NULL, 64, NULL, &first));
    CHECK_OK(pshm_segment_create(NULL, 64, NULL, &second));
    CHECK(strcmp(pshm_segment_name(first), pshm_segment_name(second)) != 0);
    CHECK_EQ(pshm_segment_lifetime(first), PSHM_LAST_OUT);
    CHECK_OK(pshm_segment_open(pshm_segment_name(first), NULL, &opened));
    char name[PSHM_NAME_MAX + 1];
    snprintf(name, sizeof(name), "%s", pshm_segment_name(first));
    CHECK_OK(pshm_segment_close(first));
    CHECK(exists(name));
    CHECK_OK(pshm_segment_close(opened));
    CHECK(!exists(name));
    CHECK_OK(pshm_segment_close(second));

    CHECK_OK(pshm_segment_create(NULL, 64, &persistent, &first));
    snprintf(name, sizeof(name), "%s", pshm_segment_name(first));
    CHECK_OK(pshm_segment_close(first));
    CHECK(exists(name));
    CHECK_OK(pshm_segment_unlink(name));
}

int main(void) {
    check_begin(110);
    RUN(shouldCreateOpenCloseAndUnlink);
    RUN(shouldRefuseBadNames);
    RUN(shouldRefuseBadSizes);
    RUN(shouldTellOfALimitedFileSize);
    RUN(shouldTellOfALimitedNumberOfFiles);
    RUN(shouldTellOfALimitedAddressSpace);
    RUN(shouldCreateUnderAStormOfSignals);
    RUN(shouldRefuseBadOptions);
    RUN(shouldTellThatItExistsOrIsAbsent);
    RUN(shouldSetPermissionsWhateverTheUmask);
    RUN(shouldNotFollowASymbolicLink);
    RUN(shouldRefuseForeignFilesAndLeaveThem);
    RUN(shouldRefuseWhatIsNotAFile);
    RUN(shouldKeepUsersApart);
    RUN(shouldKeepTheMemoryWhenUnlinkedWhileOpen);
    RUN(shouldStayValidUnderAPinAndCloseOnce);
    RUN(shouldCloseOnceWhenTwoThreadsDo);
    RUN(shouldNotHandItsFilesToOtherPrograms);
    RUN(shouldStartProgramsWithoutItsFiles);
    RUN(shouldHaveOneCreatorOfFifty);
    RUN(shouldMakeAnonymousOnes);
    return check_end();
}
