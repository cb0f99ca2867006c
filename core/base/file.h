/* base/file.h — small files that matter: keys, certificates, the last good snapshot. Read whole and within a ceiling,
 * replaced whole or not at all. For start and control thread: every call waits for the disk. */
#ifndef MOON_BASE_FILE_H
#define MOON_BASE_FILE_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/error.h"

/* 0 and the whole text appended to `out`; *exists is false when there is no such file (then `out` stays as it was).
 * Only regular files are read. With `is_secret` a file that others may read or change is refused. Texts beyond the
 * ceiling of `out` are refused too: MOON_EREFUSED; MOON_ESYSTEM for what the system says. diag->where is the path. */
int moon_file_read(const char *path, bool is_secret, struct moon_buf *out, bool *exists, struct moon_diag *diag);

/* Replaces the file or makes it, or leaves everything as it was: a temporary file beside it (0600 from birth, then
 * `mode`), fsync, rename, fsync of the directory. MOON_ESYSTEM or MOON_EREFUSED with diag->where = path. */
int moon_file_replace(const char *path, struct moon_str text, unsigned mode, struct moon_diag *diag);

#endif
