#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define STEP 4096 /* bytes per read */

static int refuse_errno(struct moon_diag *diag, const char *path, const char *what) {
    moon_diag_set(diag, path, "%s: %s", what, strerror(errno));
    return MOON_ESYSTEM;
}

/* Before a byte is read: what kind of file is it, and who else may look at it? */
static int check_kind(int fd, const char *path, bool is_secret, struct moon_diag *diag) {
    struct stat facts;
    if (fstat(fd, &facts))
        return refuse_errno(diag, path, "cannot examine the file");
    if (!S_ISREG(facts.st_mode)) {
        moon_diag_set(diag, path, "this is not a regular file");
        return MOON_EREFUSED;
    }
    if (is_secret && (facts.st_mode & 077)) {
        moon_diag_set(diag, path, "the key can be read or changed by others (mode %04o); make it 0600",
                      (unsigned)(facts.st_mode & 07777));
        return MOON_EREFUSED;
    }
    return 0;
}

int moon_file_read(const char *path, bool is_secret, struct moon_buf *out, bool *exists, struct moon_diag *diag) {
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    *exists = fd >= 0;
    if (fd < 0)
        return errno == ENOENT ? 0 : refuse_errno(diag, path, "cannot open the file");
    int rc = check_kind(fd, path, is_secret, diag);
    while (!rc) {
        char beyond; /* at the ceiling one byte more tells the end from too much */
        size_t left = out->ceiling - out->len, size = left < STEP ? left : STEP;
        ssize_t n = size ? read(fd, moon_buf_reserve(out, size), size) : read(fd, &beyond, 1);
        if (n > 0 && !size) {
            moon_diag_set(diag, path, "the file is longer than %zu bytes", out->ceiling);
            rc = MOON_EREFUSED;
        } else if (n > 0) {
            moon_buf_commit(out, (size_t)n);
        } else if (n == 0) {
            break;
        } else if (errno != EINTR) {
            rc = refuse_errno(diag, path, "cannot read the file");
        }
    }
    close(fd);
    return rc;
}

static bool write_all(int fd, struct moon_str text) {
    while (text.len) {
        ssize_t n = write(fd, text.data, text.len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        text.data += n;
        text.len -= (size_t)n;
    }
    return true;
}

/* A rename is durable only when the directory is: a crash could bring the former file back. */
static bool sync_directory(const char *path) {
    char directory[PATH_MAX];
    const char *slash = strrchr(path, '/');
    if (!slash)
        snprintf(directory, sizeof directory, ".");
    else
        snprintf(directory, sizeof directory, "%.*s", slash == path ? 1 : (int)(slash - path), path);
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool fine = fd >= 0 && fsync(fd) == 0;
    if (fd >= 0)
        close(fd);
    return fine;
}

int moon_file_replace(const char *path, struct moon_str text, unsigned mode, struct moon_diag *diag) {
    char temporary[PATH_MAX];
    int rc = 0, n = snprintf(temporary, sizeof temporary, "%s.XXXXXX", path);
    if (n < 0 || (size_t)n >= sizeof temporary) {
        moon_diag_set(diag, path, "the path is too long");
        return MOON_EREFUSED;
    }
    int fd = mkostemp(temporary, O_CLOEXEC);
    if (fd < 0)
        return refuse_errno(diag, path, "a temporary file cannot be made beside it");
    if (!write_all(fd, text) || fchmod(fd, mode) || fsync(fd))
        rc = refuse_errno(diag, path, "it cannot be written");
    if (close(fd) && !rc)
        rc = refuse_errno(diag, path, "it cannot be written");
    if (!rc && rename(temporary, path))
        rc = refuse_errno(diag, path, "it cannot be replaced");
    if (rc)
        unlink(temporary);
    else if (!sync_directory(path))
        rc = refuse_errno(diag, path, "its directory cannot be synchronised");
    return rc;
}
