/* core/process/privilege.c -- see privilege.h */
#include "core/process/privilege.h"

#include "core/durable.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct error find_user(const char *user, struct arena *a, struct passwd **out)
{
    errno = 0;
    *out = getpwnam(user); /* one thread: its static answer is ours */
    if (*out)
        return OK;
    return error_make(ERROR_NOT_FOUND, arena_printf(a,
                                                    "there is no user %s to become; make it (`useradd --system --no-create-home %s`), or set "
                                                    "process.user to one that exists",
                                                    user, user));
}

struct error privilege_make_folder(const char *path, const char *user, struct arena *a)
{
    if (access(path, F_OK) == 0)
        return OK;
    if (durable_folder(path, 0700).code != ERROR_NONE) /* it will hold mail: its own name must outlive a power cut, too */
        return error_make(ERROR_IO, arena_printf(a, "cannot make the folder %s: %m", path));
    if (geteuid() != 0 || !user[0])
        return OK;
    struct passwd *p;
    TRY(find_user(user, a, &p));
    return lchown(path, p->pw_uid, p->pw_gid) == 0 ? OK : error_make(ERROR_IO, arena_printf(a, "cannot give %s to %s: %m", path, user));
}

/* Only these capabilities of the first 32 stay, effective; none is given on. */
static int keep_capabilities(__u32 kept)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct sets[2] = {{.effective = kept, .permitted = kept}};
    (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    return syscall(SYS_capset, &head, sets) == 0;
}

static struct error become(const char *user, struct arena *a)
{
    struct passwd *p;
    TRY(find_user(user, a, &p));
    if (p->pw_uid == 0)
        return OK;
    if (initgroups(user, p->pw_gid) != 0 || setresgid(p->pw_gid, p->pw_gid, p->pw_gid) != 0 || setresuid(p->pw_uid, p->pw_uid, p->pw_uid) != 0)
        return error_make(ERROR_DENIED, arena_printf(a, "cannot become the user %s: %m", user));
    if (setresuid(0, 0, 0) == 0)
        return error_make(ERROR_DENIED, "root can be had back after it was given up: this kernel is not understood");
    return OK;
}

struct error privilege_drop(const char *user, struct arena *a)
{
    if (geteuid() == 0 && user[0])
        TRY(become(user, a));
    if (geteuid() != 0 && !keep_capabilities(0))
        return error_make(ERROR_DENIED, arena_printf(a, "cannot give up the capabilities: %m"));
    return OK;
}

struct error privilege_become_owner(const char *folder, struct arena *a)
{
    struct stat st;
    if (geteuid() != 0 || stat(folder, &st) != 0 || st.st_uid == 0)
        return OK;
    int became = prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) == 0 && setgroups(0, NULL) == 0 && setresgid(st.st_gid, st.st_gid, st.st_gid) == 0 &&
                 setresuid(st.st_uid, st.st_uid, st.st_uid) == 0 && keep_capabilities(1U << CAP_DAC_OVERRIDE | 1U << CAP_DAC_READ_SEARCH);
    return became ? OK : error_make(ERROR_DENIED, arena_printf(a, "cannot become the owner of %s: %m", folder));
}

void privilege_seal(void)
{
    struct rlimit none = {0, 0};
    (void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    (void)setrlimit(RLIMIT_CORE, &none);
}

int64_t privilege_raise_descriptors(int64_t wanted)
{
    struct rlimit now;
    if (getrlimit(RLIMIT_NOFILE, &now) != 0)
        return 0;
    if ((int64_t)now.rlim_cur >= wanted)
        return (int64_t)now.rlim_cur;
    struct rlimit all = {(rlim_t)wanted, now.rlim_max > (rlim_t)wanted ? now.rlim_max : (rlim_t)wanted};
    if (setrlimit(RLIMIT_NOFILE, &all) == 0) /* beyond the hard limit only root may go */
        return wanted;
    now.rlim_cur = now.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &now);
    return (int64_t)now.rlim_cur;
}
