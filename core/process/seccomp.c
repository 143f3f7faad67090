/* core/process/seccomp.c -- a filter of system calls, written as classic BPF
 *
 * A list of what is denied, not of what is allowed: what the C library, SQLite and OpenSSL call changes with their versions, and a call that is
 * forgotten in an allow list is a server that breaks in the night. The systemd unit adds its allow list (@system-service) on top.
 */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/process/sandbox.h"

#if defined(KANTOR_DEBUG)
/* sanitizers start processes and trace: no filter */
#elif defined(__x86_64__)
#define OWN_ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define OWN_ARCHITECTURE AUDIT_ARCH_AARCH64
#endif

enum { PROGRAM_MAX = 512, X32_BIT = 0x40000000 };

#ifdef OWN_ARCHITECTURE
static const int denied[] = {
    /* other programs, other processes */
    SYS_execve, SYS_execveat, SYS_ptrace, SYS_process_vm_readv, SYS_process_vm_writev, SYS_kcmp, SYS_pidfd_getfd,
#ifdef SYS_fork
    SYS_fork, SYS_vfork,
#endif
    /* who we are */
    SYS_setuid, SYS_setgid, SYS_setreuid, SYS_setregid, SYS_setresuid, SYS_setresgid, SYS_setgroups, SYS_capset, SYS_setfsuid, SYS_setfsgid,
    /* the machine */
    SYS_mount, SYS_umount2, SYS_pivot_root, SYS_chroot, SYS_setns, SYS_unshare, SYS_open_tree, SYS_move_mount, SYS_fsopen, SYS_fsmount, SYS_swapon,
    SYS_swapoff, SYS_reboot, SYS_kexec_load, SYS_init_module, SYS_finit_module, SYS_delete_module, SYS_acct, SYS_quotactl, SYS_sethostname,
    SYS_setdomainname, SYS_settimeofday, SYS_clock_settime, SYS_clock_adjtime, SYS_adjtimex, SYS_syslog, SYS_open_by_handle_at,
#ifdef SYS_kexec_file_load
    SYS_kexec_file_load,
#endif
#ifdef SYS_iopl
    SYS_iopl, SYS_ioperm, SYS_modify_ldt,
#endif
    /* doors into the kernel that a mail server has no use for */
    SYS_bpf, SYS_perf_event_open, SYS_userfaultfd, SYS_keyctl, SYS_add_key, SYS_request_key, SYS_io_uring_setup, SYS_io_uring_enter,
    SYS_io_uring_register, SYS_fanotify_init, SYS_lookup_dcookie, SYS_vhangup, SYS_personality, SYS_memfd_create,
};

struct program {
    struct sock_filter code[PROGRAM_MAX];
    unsigned short n;
};

static void add(struct program *p, struct sock_filter f)
{
    if (p->n < PROGRAM_MAX)
        p->code[p->n++] = f;
}

static void load(struct program *p, size_t offset)
{
    add(p, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (__u32)offset));
}

static void answer(struct program *p, __u32 what)
{
    add(p, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, what));
}

/* The low half of argument n: on little-endian machines, which both architectures are, it comes first. */
static void load_argument(struct program *p, size_t n)
{
    load(p, offsetof(struct seccomp_data, args) + n * sizeof(__u64));
}

/* Skips the next `length` instructions unless the call is `number`. */
static void unless_call(struct program *p, int number, unsigned char length)
{
    add(p, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (__u32)number, 0, length));
}

static void deny_calls(struct program *p)
{
    for (size_t i = 0; i < sizeof denied / sizeof denied[0]; i++) {
        unless_call(p, denied[i], 1);
        answer(p, SECCOMP_RET_ERRNO | EPERM);
    }
    /* its flags stand in memory, which a filter cannot read: the C library falls back to clone */
    unless_call(p, SYS_clone3, 1);
    answer(p, SECCOMP_RET_ERRNO | ENOSYS);
}

/* Threads, but no processes. */
static void deny_processes(struct program *p)
{
    unless_call(p, SYS_clone, 4);
    load_argument(p, 0);
    add(p, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, CLONE_THREAD, 1, 0));
    answer(p, SECCOMP_RET_ERRNO | EPERM);
    answer(p, SECCOMP_RET_ALLOW);
}

static void deny_odd_sockets(struct program *p)
{
    static const __u32 families[] = {AF_UNIX, AF_INET, AF_INET6, AF_NETLINK}; /* the last: getaddrinfo asks for addresses */
    enum { N = sizeof families / sizeof families[0] };
    unless_call(p, SYS_socket, N + 3);
    load_argument(p, 0);
    for (unsigned i = 0; i < N; i++)
        add(p, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, families[i], (unsigned char)(N - i), 0));
    answer(p, SECCOMP_RET_ERRNO | EPERM);
    answer(p, SECCOMP_RET_ALLOW);
}

/* Memory is writable or executable, never both. */
static void deny_write_and_execute(struct program *p, int number)
{
    unless_call(p, number, 5);
    load_argument(p, 2);
    add(p, (struct sock_filter)BPF_STMT(BPF_ALU | BPF_AND | BPF_K, PROT_WRITE | PROT_EXEC));
    add(p, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PROT_WRITE | PROT_EXEC, 0, 1));
    answer(p, SECCOMP_RET_ERRNO | EPERM);
    answer(p, SECCOMP_RET_ALLOW);
}

static void build(struct program *p)
{
    load(p, offsetof(struct seccomp_data, arch));
    add(p, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, OWN_ARCHITECTURE, 1, 0));
    answer(p, SECCOMP_RET_KILL_PROCESS);
    load(p, offsetof(struct seccomp_data, nr));
    add(p, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, X32_BIT, 0, 1)); /* the same calls under other numbers */
    answer(p, SECCOMP_RET_ERRNO | ENOSYS);
    deny_calls(p);
    deny_processes(p);
    deny_odd_sockets(p);
    deny_write_and_execute(p, SYS_mmap);
    deny_write_and_execute(p, SYS_mprotect);
    answer(p, SECCOMP_RET_ALLOW);
}
#endif

struct error sandbox_calls(void)
{
#ifdef KANTOR_DEBUG
    return error_make(ERROR_UNSUPPORTED, "this is a build with sanitizers, which start processes of their own: system calls are not filtered");
#elif !defined(OWN_ARCHITECTURE)
    return error_make(ERROR_UNSUPPORTED, "system calls are not filtered on this kind of processor");
#else
    static struct program p;
    p.n = 0;
    build(&p);
    struct sock_fprog filter = {.len = p.n, .filter = p.code};
    /* without SPEC_ALLOW older kernels slow every thread down against a leak that only concerns code from strangers */
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_SPEC_ALLOW, &filter) == 0)
        return OK;
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0)
        return OK;
    return error_make(ERROR_UNSUPPORTED, "this kernel takes no filter of system calls (seccomp): they are not filtered");
#endif
}
