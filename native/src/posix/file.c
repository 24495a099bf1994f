/* SPDX-License-Identifier: Apache-2.0
 *
 * Named files: POSIX shared memory objects, with open file description locks on their bytes.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "internal.h"

#define FOLDER "/dev/shm" /* where glibc and musl keep what shm_open makes */
#define PREFIX "polyshm."
#define PIECE ((uint64_t)4 << 20) /* bytes reserved by one call */

#define SHM_NAME(path) ((path) + sizeof(FOLDER) - 1) /* as shm_open takes it */

typedef struct shm_path {
    char text[sizeof(FOLDER "/" PREFIX) + PSHM_NAME_BYTES];
} shm_path;

static shm_path path_of(const char *name) {
    shm_path result;
    snprintf(result.text, sizeof(result.text), FOLDER "/" PREFIX "%s", name);
    return result;
}

int pshm__os_failed(const char *call, int error) {
    switch (error) {
    case EMFILE:
        return pshm__fail(PSHM_EOS, "%s: too many open files; close some, or raise ulimit -n",
                          call);
    case ENFILE:
        return pshm__fail(PSHM_EOS,
                          "%s: too many open files in the system; raise sysctl fs.file-max", call);
    case ENOMEM: return pshm__fail(PSHM_ENOMEM, "%s: out of memory", call);
    default: return pshm__fail(PSHM_EOS, "%s: %s (errno %d)", call, strerror(error), error);
    }
}

/* `path` is that of the file if a file is to be opened. Whatever else is denied, the folder denies
 * it. */
static int failed(const char *call, const char *path, int error) {
    struct stat status;
    switch (error) {
    case ENOENT:
        if (access(FOLDER, F_OK) != 0)
            return pshm__fail(PSHM_EUNAVAILABLE, FOLDER " is absent; mount a tmpfs there");
        return pshm__fail(PSHM_ENOENT, PSHM__ABSENT);
    case ENOTDIR:
        return pshm__fail(PSHM_EUNAVAILABLE, FOLDER " is not a directory; remove it, make one, "
                                                    "and mount a tmpfs there");
    case EROFS: return pshm__fail(PSHM_EUNAVAILABLE, FOLDER " is read-only; mount it writable");
    case ENOSYS: return pshm__fail(PSHM_EUNAVAILABLE, FOLDER " is not a tmpfs; mount one there");
    case EEXIST: return pshm__fail(PSHM_EEXIST, "a file of that name exists; remove it");
    case EACCES:
    case EPERM:
        if (path == NULL || lstat(path, &status) != 0)
            return pshm__fail(PSHM_EACCES,
                              FOLDER " does not permit it to uid=%u; have its owner chmod 1777 it",
                              (unsigned)geteuid());
        return pshm__fail(PSHM_EACCES,
                          "permission denied to uid=%u; act as its owner, uid=%u, or have it "
                          "created with wider permissions",
                          (unsigned)geteuid(), (unsigned)status.st_uid);
    case ELOOP:
        return pshm__fail(PSHM_EACCES, "%s is a symbolic link, which is never followed; remove it",
                          path);
    case EISDIR:
        return pshm__fail(PSHM_ELAYOUT, "%s is a directory, and no segment; remove it", path);
    case ENXIO:
        return pshm__fail(PSHM_ELAYOUT, "%s is a socket or a device, and no segment; remove it",
                          path);
    case ENOSPC:
    case EDQUOT:
        return pshm__fail(PSHM_EFULL, "no room for another file in " FOLDER
                                      "; remove what is not used, or mount it with more nr_inodes");
    default: return pshm__os_failed(call, error);
    }
}

/* ---- the descriptors, for forked children ---- */

/* The locks on a file last as long as any process has this opening of it: a forked child closes
 * what its parent has open, at any moment of its parent's other threads, save what is for it. */
typedef struct open_fd {
    int fd;
    bool for_child;
} open_fd;

static pshm__guard files_guard = PSHM__GUARD_INIT;
static open_fd *files;
static size_t file_count, file_room;

static void before_fork(void) { pshm__guard_lock(&files_guard); }
static void in_parent(void) { pshm__guard_unlock(&files_guard); }

static void in_child(void) {
    size_t kept = 0;
    for (size_t i = 0; i < file_count; i++) {
        if (files[i].for_child)
            files[kept++] = (open_fd){files[i].fd, false};
        else
            close(files[i].fd);
    }
    file_count = kept;
    pshm__guard_unlock(&files_guard);
}

void pshm__os_hook_files(void) { pthread_atfork(before_fork, in_parent, in_child); }

/* Room for one more; the guard is held. */
static int make_room(void) {
    if (file_count < file_room)
        return 0;
    size_t room = file_room == 0 ? 16 : 2 * file_room;
    open_fd *larger = realloc(files, room * sizeof(*files));
    if (larger == NULL)
        return pshm__fail(PSHM_ENOMEM, "out of memory");
    files = larger;
    file_room = room;
    return 0;
}

/* A child that is forked before this has the descriptor until it ends, which keeps no lock. */
int pshm__os_keep(int fd) {
    pshm__guard_lock(&files_guard);
    int code = make_room();
    if (code == 0)
        files[file_count++] = (open_fd){fd, false};
    else
        close(fd);
    pshm__guard_unlock(&files_guard);
    return code;
}

static int open_file(const char *path, int flags, mode_t permissions, bool for_child,
                     pshm__file *out) {
    pshm__guard_lock(&files_guard);
    int code = make_room();
    if (code == 0) {
        int fd;
        if ((flags & O_CREAT) != 0)
            PSHM__KILL_POINT("shm_open", 0);
        do {
            fd = for_child ? open(path, O_RDWR | O_CLOEXEC)
                           : shm_open(SHM_NAME(path), flags | O_RDWR | O_CLOEXEC | O_NOFOLLOW,
                                      permissions);
        } while (fd < 0 && errno == EINTR);
        if (fd < 0) {
            const int error = errno == EINVAL ? EISDIR : errno; /* glibc's name for it */
            code = failed(for_child ? "open" : "shm_open", path, error);
        } else {
            files[file_count++] = (open_fd){fd, for_child};
            *out = fd;
        }
    }
    pshm__guard_unlock(&files_guard);
    return code;
}

void pshm__os_file_close(pshm__file file) {
    pshm__guard_lock(&files_guard);
    for (size_t i = 0; i < file_count; i++) {
        if (files[i].fd == file) {
            files[i] = files[--file_count];
            close(file);
            break;
        }
    }
    pshm__guard_unlock(&files_guard);
}

/* ---- files ---- */

int pshm__os_file_create(const char *name, uint32_t permissions, pshm__file *out) {
    shm_path path = path_of(name);
    pshm__file fd;
    int code = open_file(path.text, O_CREAT | O_EXCL, (mode_t)permissions, false, &fd);
    if (code != 0)
        return code;
    PSHM__KILL_POINT("fchmod", 0);
    if (fchmod(fd, (mode_t)permissions) != 0) { /* whatever the umask took away */
        int error = errno;
        pshm__os_file_unlink(name);
        pshm__os_file_close(fd);
        return pshm__os_failed("fchmod", error);
    }
    *out = fd;
    return 0;
}

int pshm__os_file_open(const char *name, pshm__file *out) {
    shm_path path = path_of(name);
    return open_file(path.text, O_NONBLOCK, 0, false, out);
}

int pshm__os_file_open_for_child(pshm__file file, pshm__file *out) {
    char path[32];
    snprintf(path, sizeof(path), "/proc/self/fd/%d", file); /* it may have no name any more */
    return open_file(path, 0, 0, true, out);
}

int pshm__os_file_info(pshm__file file, pshm__file_info *out) {
    struct stat status;
    if (fstat(file, &status) != 0)
        return pshm__os_failed("fstat", errno);
    out->size_bytes = (uint64_t)status.st_size;
    out->regular = S_ISREG(status.st_mode);
    out->linked = status.st_nlink > 0;
    out->own = status.st_uid == geteuid();
    out->owner = status.st_uid;
    return 0;
}

int pshm__os_file_read(pshm__file file, void *out, size_t bytes, size_t *out_count) {
    ssize_t count;
    do {
        count = pread(file, out, bytes, 0);
    } while (count < 0 && errno == EINTR);
    *out_count = count < 0 ? 0 : (size_t)count;
    return count < 0 ? pshm__os_failed("pread", errno) : 0;
}

int pshm__os_file_reserve(pshm__file file, uint64_t bytes) {
    struct statvfs system;
    uint64_t room = fstatvfs(file, &system) == 0
                        ? (uint64_t)system.f_bavail * (uint64_t)system.f_frsize
                        : UINT64_MAX;
    /* A tmpfs without a limit tells zero blocks. */
    bool limited = room != UINT64_MAX && system.f_blocks > 0;
    int error = limited && bytes > room ? ENOSPC : 0;
    struct rlimit limit;
    if (error == 0 && getrlimit(RLIMIT_FSIZE, &limit) == 0 && bytes > limit.rlim_cur) {
        return pshm__fail(PSHM_EFULL, /* going on would raise SIGXFSZ */
                          "this process may not make files so large: need=%" PRIu64
                          " bytes, limit=%" PRIu64 " bytes; raise ulimit -f",
                          bytes, (uint64_t)limit.rlim_cur);
    }
    /* Not ftruncate: that reserves nothing, and the first write to a full tmpfs is a SIGBUS. Piece
     * by piece, as some kernels take back all of a call that a signal interrupts. */
    for (uint64_t done = 0; error == 0 && done < bytes; done += PIECE) {
        uint64_t piece = bytes - done < PIECE ? bytes - done : PIECE;
        PSHM__KILL_POINT("posix_fallocate", done);
        do {
            error = posix_fallocate(file, (off_t)done, (off_t)piece);
        } while (error == EINTR);
    }
    if (error == ENOSPC || error == EFBIG)
        return pshm__fail(PSHM_EFULL,
                          FOLDER " is full: need=%" PRIu64 " bytes, free=%" PRIu64
                                 " bytes; remove what is not used, or make it larger (in a "
                                 "container raise --shm-size)",
                          bytes, room);
    return error == 0 ? 0 : failed("posix_fallocate", NULL, error);
}

int pshm__os_file_unlink(const char *name) {
    shm_path path = path_of(name);
    PSHM__KILL_POINT("shm_unlink", 0);
    if (shm_unlink(SHM_NAME(path.text)) == 0)
        return 0;
    const int error = errno;
    if ((error == EACCES || error == EPERM) && faccessat(AT_FDCWD, FOLDER, W_OK, AT_EACCESS) == 0)
        return pshm__fail(PSHM_EACCES, "permission denied to uid=%u; only its owner may remove it",
                          (unsigned)geteuid()); /* the folder is sticky */
    return failed("shm_unlink", NULL, error);
}

bool pshm__os_file_is_named(pshm__file file, const char *name) {
    const shm_path path = path_of(name);
    struct stat mine, theirs;
    return fstat(file, &mine) == 0 && lstat(path.text, &theirs) == 0 &&
           mine.st_dev == theirs.st_dev && mine.st_ino == theirs.st_ino;
}

int pshm__os_file_list(void (*visit)(const char *name, void *context), void *context) {
    DIR *folder = opendir(FOLDER);
    if (folder == NULL)
        return failed("opendir", NULL, errno);
    const struct dirent *entry;
    while ((entry = readdir(folder)) != NULL) {
        if (strncmp(entry->d_name, PREFIX, sizeof(PREFIX) - 1) == 0)
            visit(entry->d_name + sizeof(PREFIX) - 1, context);
    }
    closedir(folder);
    return 0;
}

static struct flock range(short type, uint64_t offset, uint64_t bytes) {
    struct flock lock;
    memset(&lock, 0, sizeof(lock)); /* l_pid must be zero */
    lock.l_type = type;
    lock.l_whence = SEEK_SET;
    lock.l_start = (off_t)offset;
    lock.l_len = (off_t)bytes;
    return lock;
}

int pshm__os_file_lock(pshm__file file, uint64_t offset) {
    struct flock lock = range(F_WRLCK, offset, 1);
    PSHM__KILL_POINT("fcntl", offset);
    if (fcntl(file, F_OFD_SETLK, &lock) == 0)
        return 0;
    int error = errno;
    if (error == EAGAIN || error == EACCES)
        return PSHM_EBUSY;
    if (error == EINVAL)
        return pshm__fail(PSHM_EUNAVAILABLE, "this system has no open file description locks; "
                                             "take Linux 3.15 or later, outside of emulators");
    return pshm__os_failed("fcntl(F_OFD_SETLK)", error);
}

void pshm__os_file_unlock(pshm__file file, uint64_t offset) {
    struct flock lock = range(F_UNLCK, offset, 1);
    PSHM__KILL_POINT("fcntl", offset);
    fcntl(file, F_OFD_SETLK, &lock);
}

bool pshm__os_file_is_locked(pshm__file file, uint64_t offset, uint64_t bytes) {
    struct flock lock = range(F_WRLCK, offset, bytes);
    return fcntl(file, F_OFD_GETLK, &lock) != 0 || lock.l_type != F_UNLCK;
}
