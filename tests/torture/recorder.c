/* Records, in order, everything that a program does to the files below one folder, so that the tests can work out what
 * a power cut at any moment may leave of it.
 *
 * To be preloaded (LD_PRELOAD) with RECORDER_ROOT, the folder, and RECORDER_LOG, the log. The program's own calls are
 * carried out as ever, but for fsync, fdatasync and syncfs: what they would wait for is decided later by whoever reads
 * the log, and nothing here pulls a plug. What it writes to stdout is recorded as well: what a program has said, it
 * may be taken at its word for.
 *
 * A record, in the machine's byte order: kind (1 byte), inode (8), number (8), lengths of two texts (4, 4), the texts.
 *
 *   kind  inode     number  first text    second text
 *   C     file              its path                     a file was created
 *   M     folder            its path                     a folder was created
 *   W     file      offset  bytes                        bytes were written
 *   T     file      length                               a file was cut or lengthened
 *   S     any                                            a file or folder was synced
 *   F                                                    all that lies there was synced
 *   R                       old path      new path       a name was changed
 *   L                       path          further path   a further name was given
 *   U                       path                         a name was removed
 *   A                       bytes                        something was said on stdout
 *
 * One lock makes each call and its record one step, so that the order of the records is the order of the calls.
 * Ways of writing that go unseen (memory maps, io_uring) show: the reader compares the end of the log with the folder.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static const char *root;
static size_t root_length;
static int log_fd = -1;

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("RECORDER_LOG");
    root = getenv("RECORDER_ROOT");
    if (!root || !path)
        return;
    root_length = strlen(root);
    log_fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (log_fd < 0) {
        perror("recorder: cannot open the log");
        _exit(70);
    }
}

static void record(char kind, uint64_t inode, uint64_t number, const void *first, size_t first_length,
                   const char *second) {
    size_t second_length = second ? strlen(second) : 0;
    uint64_t numbers[2] = {inode, number};
    uint32_t lengths[2] = {(uint32_t)first_length, (uint32_t)second_length};
    struct iovec parts[] = {
        {&kind, 1},
        {numbers, sizeof numbers},
        {lengths, sizeof lengths},
        {(void *)first, first_length},
        {(void *)second, second_length},
    };
    ssize_t whole = (ssize_t)(1 + sizeof numbers + sizeof lengths + first_length + second_length);
    int earlier = errno;
    if (syscall(SYS_writev, log_fd, parts, 5) != whole) {
        perror("recorder: cannot write the log");
        _exit(70);
    }
    errno = earlier;
}

static void record_path(char kind, uint64_t inode, const char *path, const char *other) {
    record(kind, inode, 0, path, strlen(path), other);
}

static int is_below_root(const char *path) {
    return log_fd >= 0 && !strncmp(path, root, root_length) && path[root_length] == '/';
}

/* The path that a descriptor was opened by. */
static int path_of(int fd, char path[PATH_MAX]) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    path[length < 0 ? 0 : length] = 0;
    return length > 0;
}

/* Whether the path, as it is given to a call with a folder's descriptor, is below the root; its full form. */
static int resolve(int folder, const char *given, char path[PATH_MAX]) {
    int length;
    if (log_fd < 0 || !given)
        return 0;
    if (given[0] == '/') {
        length = snprintf(path, PATH_MAX, "%s", given);
    } else {
        char base[PATH_MAX];
        if (folder == AT_FDCWD ? !getcwd(base, sizeof base) : !path_of(folder, base))
            return 0;
        length = snprintf(path, PATH_MAX, "%s/%s", base, given);
    }
    return length < PATH_MAX && is_below_root(path);
}

/* Whether a descriptor is of a file or folder below the root (or the root itself); its inode. */
static int is_watched(int fd, uint64_t *inode) {
    char path[PATH_MAX];
    struct stat found;
    if (log_fd < 0 || fd == log_fd || !path_of(fd, path))
        return 0;
    if (!is_below_root(path) && strcmp(path, root) != 0)
        return 0;
    if (fstat(fd, &found) != 0)
        return 0;
    *inode = found.st_ino;
    return S_ISREG(found.st_mode) || S_ISDIR(found.st_mode);
}

static int open_recorded(int folder, const char *given, int flags, mode_t mode) {
    char path[PATH_MAX];
    int writes = flags & (O_CREAT | O_TRUNC);
    if (!writes || (flags & O_TMPFILE) == O_TMPFILE || !resolve(folder, given, path))
        return (int)syscall(SYS_openat, folder, given, flags, mode);
    pthread_mutex_lock(&lock);
    struct stat found;
    int was_there = lstat(path, &found) == 0;
    int fd = (int)syscall(SYS_openat, folder, given, flags, mode);
    if (fd >= 0 && fstat(fd, &found) == 0) {
        if (!was_there)
            record_path('C', found.st_ino, path, NULL);
        else if ((flags & O_TRUNC) && S_ISREG(found.st_mode))
            record('T', found.st_ino, 0, NULL, 0, NULL);
    }
    pthread_mutex_unlock(&lock);
    return fd;
}

static mode_t mode_of(int flags, va_list rest) {
    return flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;
}

#define WITH_MODE(call)              \
    va_list rest;                    \
    va_start(rest, flags);           \
    mode_t mode = mode_of(flags, rest); \
    va_end(rest);                    \
    return call

int open(const char *path, int flags, ...) { WITH_MODE(open_recorded(AT_FDCWD, path, flags, mode)); }
int open64(const char *path, int flags, ...) { WITH_MODE(open_recorded(AT_FDCWD, path, flags, mode)); }
int openat(int folder, const char *path, int flags, ...) { WITH_MODE(open_recorded(folder, path, flags, mode)); }
int openat64(int folder, const char *path, int flags, ...) { WITH_MODE(open_recorded(folder, path, flags, mode)); }
int creat(const char *path, mode_t mode) {
    return open_recorded(AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC, mode);
}

ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t offset) {
    uint64_t inode;
    if (!is_watched(fd, &inode))
        return syscall(SYS_pwrite64, fd, bytes, length, offset);
    pthread_mutex_lock(&lock);
    ssize_t written = syscall(SYS_pwrite64, fd, bytes, length, offset);
    if (written > 0)
        record('W', inode, (uint64_t)offset, bytes, (size_t)written, NULL);
    pthread_mutex_unlock(&lock);
    return written;
}

ssize_t pwrite(int fd, const void *bytes, size_t length, off_t offset) {
    return pwrite64(fd, bytes, length, offset);
}

ssize_t write(int fd, const void *bytes, size_t length) {
    uint64_t inode = 0;
    int said = fd == STDOUT_FILENO && log_fd >= 0;
    if (!said && !is_watched(fd, &inode))
        return syscall(SYS_write, fd, bytes, length);
    pthread_mutex_lock(&lock);
    ssize_t written = syscall(SYS_write, fd, bytes, length);
    if (written > 0 && said)
        record('A', 0, 0, bytes, (size_t)written, NULL);
    else if (written > 0)
        record('W', inode, (uint64_t)(lseek64(fd, 0, SEEK_CUR) - written), bytes, (size_t)written, NULL);
    pthread_mutex_unlock(&lock);
    return written;
}

/* Writing fewer bytes than asked for is always allowed: the first part that is not empty will do. */
ssize_t writev(int fd, const struct iovec *parts, int count) {
    uint64_t inode;
    if (fd != STDOUT_FILENO && !is_watched(fd, &inode))
        return syscall(SYS_writev, fd, parts, count);
    for (int part = 0; part < count; part++)
        if (parts[part].iov_len > 0)
            return write(fd, parts[part].iov_base, parts[part].iov_len);
    return 0;
}

/* Copies within the kernel are refused for files that are watched: callers then read and write by themselves. */
ssize_t copy_file_range(int in, off64_t *in_at, int out, off64_t *out_at, size_t length, unsigned flags) {
    uint64_t inode;
    if (!is_watched(out, &inode))
        return syscall(SYS_copy_file_range, in, in_at, out, out_at, length, flags);
    errno = ENOSYS;
    return -1;
}

ssize_t sendfile64(int out, int in, off64_t *offset, size_t length) {
    uint64_t inode;
    if (!is_watched(out, &inode))
        return syscall(SYS_sendfile, out, in, offset, length);
    errno = ENOSYS;
    return -1;
}

ssize_t sendfile(int out, int in, off_t *offset, size_t length) { return sendfile64(out, in, offset, length); }

int ftruncate64(int fd, off64_t length) {
    uint64_t inode;
    if (!is_watched(fd, &inode))
        return (int)syscall(SYS_ftruncate, fd, length);
    pthread_mutex_lock(&lock);
    int result = (int)syscall(SYS_ftruncate, fd, length);
    if (result == 0)
        record('T', inode, (uint64_t)length, NULL, 0, NULL);
    pthread_mutex_unlock(&lock);
    return result;
}

int ftruncate(int fd, off_t length) { return ftruncate64(fd, length); }

static int sync_recorded(int fd, long call) {
    uint64_t inode;
    if (!is_watched(fd, &inode))
        return (int)syscall(call, fd);
    pthread_mutex_lock(&lock);
    record('S', inode, 0, NULL, 0, NULL);
    pthread_mutex_unlock(&lock);
    return 0;
}

int fsync(int fd) { return sync_recorded(fd, SYS_fsync); }
int fdatasync(int fd) { return sync_recorded(fd, SYS_fdatasync); }

int syncfs(int fd) {
    uint64_t inode;
    if (!is_watched(fd, &inode))
        return (int)syscall(SYS_syncfs, fd);
    pthread_mutex_lock(&lock);
    record('F', 0, 0, NULL, 0, NULL);
    pthread_mutex_unlock(&lock);
    return 0;
}

int mkdirat(int folder, const char *given, mode_t mode) {
    char path[PATH_MAX];
    if (!resolve(folder, given, path))
        return (int)syscall(SYS_mkdirat, folder, given, mode);
    pthread_mutex_lock(&lock);
    int result = (int)syscall(SYS_mkdirat, folder, given, mode);
    struct stat found;
    if (result == 0 && lstat(path, &found) == 0)
        record_path('M', found.st_ino, path, NULL);
    pthread_mutex_unlock(&lock);
    return result;
}

int mkdir(const char *path, mode_t mode) { return mkdirat(AT_FDCWD, path, mode); }

int unlinkat(int folder, const char *given, int flags) {
    char path[PATH_MAX];
    if (!resolve(folder, given, path))
        return (int)syscall(SYS_unlinkat, folder, given, flags);
    pthread_mutex_lock(&lock);
    int result = (int)syscall(SYS_unlinkat, folder, given, flags);
    if (result == 0)
        record_path('U', 0, path, NULL);
    pthread_mutex_unlock(&lock);
    return result;
}

int unlink(const char *path) { return unlinkat(AT_FDCWD, path, 0); }
int rmdir(const char *path) { return unlinkat(AT_FDCWD, path, AT_REMOVEDIR); }

int renameat2(int old_folder, const char *old, int new_folder, const char *new, unsigned flags) {
    char from[PATH_MAX], to[PATH_MAX];
    if (!resolve(old_folder, old, from) || !resolve(new_folder, new, to))
        return (int)syscall(SYS_renameat2, old_folder, old, new_folder, new, flags);
    pthread_mutex_lock(&lock);
    int result = (int)syscall(SYS_renameat2, old_folder, old, new_folder, new, flags);
    if (result == 0)
        record_path('R', 0, from, to);
    pthread_mutex_unlock(&lock);
    return result;
}

int renameat(int old_folder, const char *old, int new_folder, const char *new) {
    return renameat2(old_folder, old, new_folder, new, 0);
}
int rename(const char *old, const char *new) { return renameat2(AT_FDCWD, old, AT_FDCWD, new, 0); }

int linkat(int old_folder, const char *old, int new_folder, const char *new, int flags) {
    char from[PATH_MAX], to[PATH_MAX];
    if (!resolve(old_folder, old, from) || !resolve(new_folder, new, to))
        return (int)syscall(SYS_linkat, old_folder, old, new_folder, new, flags);
    pthread_mutex_lock(&lock);
    int result = (int)syscall(SYS_linkat, old_folder, old, new_folder, new, flags);
    if (result == 0)
        record_path('L', 0, from, to);
    pthread_mutex_unlock(&lock);
    return result;
}

int link(const char *old, const char *new) { return linkat(AT_FDCWD, old, AT_FDCWD, new, 0); }
