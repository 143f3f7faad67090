/* core/store/log_file.h -- the write-ahead log in few writes
 *
 * SQLite writes a frame of its log with two system calls, and a delivery dirties about nine pages: at 50 changes in a commit most of the writer's
 * system time was pwrite. This VFS stands between SQLite and the system's own and gathers writes to the log that follow each other; they
 * leave in one write before anything can depend on them: at the sync that every commit makes before it is told to anybody (synchronous=FULL),
 * and before the log is read, measured, cut or closed. A write that fails then fails the call it was gathered for, and with it the commit.
 * All other files pass through untouched. Only the writer's connection uses it; readers see frames after the commit, when they are in the file.
 */
#ifndef KANTOR_CORE_STORE_LOG_FILE_H
#define KANTOR_CORE_STORE_LOG_FILE_H

/* The name for sqlite3_open_v2; registered at the first call. NULL: no memory for it, then the system's own serves. Thread: any. */
const char *log_file_vfs(void);

#endif
