/* core/process/sandbox.h -- what a broken parser could still do: little
 *
 * Two mechanisms of the kernel, both for this thread and all that it starts, neither can be taken back:
 * - Landlock: files outside the named folders do not exist for us (attacks.md PS-02);
 * - seccomp: system calls that a mail server never makes answer EPERM: execve, new processes, ptrace, mounts, keys, modules, memory that is
 *   writable and executable, odd sockets (attacks.md SI-14, PS-03). docs/decisions/0020-sandbox.md says why by hand.
 *
 * Where the kernel lacks one, ERROR_UNSUPPORTED says so in a sentence for the log, and the server runs without it. Main thread, before others exist.
 */
#ifndef KANTOR_CORE_PROCESS_SANDBOX_H
#define KANTOR_CORE_PROCESS_SANDBOX_H

#include "core/arena.h"
#include "core/error.h"

enum sandbox_access { SANDBOX_READ, SANDBOX_WRITE };

/* A folder with all below it, or one file. What does not exist is passed over. */
struct sandbox_path {
    const char *path;
    enum sandbox_access access;
};

/* Behind it only these paths can be opened. SANDBOX_WRITE: also make, rename, link and remove, but no devices and nothing to execute. */
struct error sandbox_files(const struct sandbox_path *paths, size_t n, struct arena *a);

/* Behind it the calls named above fail with EPERM. Needs no_new_privs (privilege_seal). */
struct error sandbox_calls(void);

#endif
