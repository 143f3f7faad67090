/* tests/unit/core/process/sandbox_test.c -- each test runs in a child: what it gives up is given up for good */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/process/privilege.h"
#include "core/process/sandbox.h"

enum { SKIPPED = 77 };

/* The child's answer: 0, SKIPPED, or the number of the line that was wrong. */
static void in_a_child(int (*body)(const char *folder))
{
    char folder[] = "/tmp/kantor-sandbox-XXXXXX", command[128];
    int status = -1;
    assert_non_null(mkdtemp(folder));
    pid_t child = fork();
    if (child == 0)
        _exit(body(folder));
    assert_true(child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status));
    (void)snprintf(command, sizeof command, "rm -rf %s", folder);
    assert_int_equal(system(command), 0);
    if (WEXITSTATUS(status) == SKIPPED)
        skip();
    assert_int_equal(WEXITSTATUS(status), 0);
}

#define WANT(number, condition)                                                                                                        \
    if (!(condition))                                                                                                                  \
    return (number)

static void *touch(void *arg)
{
    *(int *)arg = 1;
    return NULL;
}

static int filtered(void)
{
    privilege_seal();
    return sandbox_calls().code == ERROR_NONE;
}

static int programs_and_processes(const char *folder)
{
    char *const words[] = {(char *)(uintptr_t)"true", NULL};
    (void)folder;
    if (!filtered())
        return SKIPPED;
    WANT(1, execv("/bin/true", words) == -1 && errno == EPERM);
    WANT(2, syscall(SYS_execveat, AT_FDCWD, "/bin/true", words, NULL, 0) == -1 && errno == EPERM);
    WANT(3, fork() == -1 && errno == EPERM);
    WANT(4, system("true") != 0);
    WANT(5, popen("true", "r") == NULL);
    WANT(6, ptrace(PTRACE_TRACEME, 0, NULL, NULL) == -1 && errno == EPERM);
    return 0;
}

static void no_program_and_no_process_can_be_started(void **state)
{
    (void)state;
    in_a_child(programs_and_processes);
}

static int odd_calls(const char *folder)
{
    (void)folder;
    if (!filtered())
        return SKIPPED;
    WANT(1, socket(AF_PACKET, SOCK_RAW, 0) == -1 && errno == EPERM);
    WANT(2, mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED && errno == EPERM);
    WANT(3, syscall(SYS_bpf, 0, NULL, 0) == -1 && errno == EPERM);
    WANT(4, syscall(SYS_keyctl, 0, 0) == -1 && errno == EPERM);
    WANT(5, setuid(0) == -1 && errno == EPERM);
    return 0;
}

static void odd_sockets_executable_memory_and_doors_to_the_kernel_are_shut(void **state)
{
    (void)state;
    in_a_child(odd_calls);
}

static int usual_calls(const char *folder)
{
    char path[128];
    int seen = 0;
    pthread_t thread;
    if (!filtered())
        return SKIPPED;
    WANT(1, pthread_create(&thread, NULL, touch, &seen) == 0 && pthread_join(thread, NULL) == 0 && seen);
    WANT(2, socket(AF_INET, SOCK_STREAM, 0) >= 0 && socket(AF_INET6, SOCK_STREAM, 0) >= 0 && socket(AF_UNIX, SOCK_STREAM, 0) >= 0);
    (void)snprintf(path, sizeof path, "%s/file", folder);
    int fd = open(path, O_WRONLY | O_CREAT, 0600);
    WANT(3, fd >= 0 && write(fd, "x", 1) == 1 && fdatasync(fd) == 0 && mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED);
    return 0;
}

static void threads_files_and_sockets_of_a_mail_server_go_on(void **state)
{
    (void)state;
    in_a_child(usual_calls);
}

static int files(const char *folder)
{
    struct arena a;
    char data[128], conf[128], one[160], two[160];
    (void)snprintf(data, sizeof data, "%s/data", folder);
    (void)snprintf(conf, sizeof conf, "%s/conf", folder);
    (void)snprintf(one, sizeof one, "%s/temp", data);
    (void)snprintf(two, sizeof two, "%s/blobs", data);
    if (mkdir(data, 0700) != 0 || mkdir(conf, 0700) != 0 || mkdir(one, 0700) != 0 || mkdir(two, 0700) != 0)
        return 1;
    const struct sandbox_path allowed[] = {{data, SANDBOX_WRITE}, {conf, SANDBOX_READ}, {"/nowhere/at/all", SANDBOX_READ}, {"/dev/null", SANDBOX_WRITE}};
    arena_init(&a, 65536);
    struct error e = sandbox_files(allowed, sizeof allowed / sizeof allowed[0], &a);
    if (e.code == ERROR_UNSUPPORTED)
        return SKIPPED;
    WANT(2, e.code == ERROR_NONE);
    (void)strcat(one, "/a");
    (void)strcat(two, "/a");
    int fd = open(one, O_WRONLY | O_CREAT | O_EXCL, 0600);
    WANT(3, fd >= 0 && write(fd, "abc", 3) == 3 && ftruncate(fd, 1) == 0);
    WANT(4, link(one, two) == 0); /* as a blob goes from temp/ to its name */
    WANT(5, rename(one, data) != 0 && unlink(one) == 0);
    WANT(6, open(conf, O_RDONLY | O_DIRECTORY) >= 0);
    (void)strcat(conf, "/new");
    WANT(7, open(conf, O_WRONLY | O_CREAT, 0600) == -1 && errno == EACCES);
    WANT(8, open("/etc/passwd", O_RDONLY) == -1 && errno == EACCES);
    WANT(9, open("/dev/null", O_RDWR) >= 0);
    (void)snprintf(two, sizeof two, "%s/link", data);
    WANT(10, symlink("/etc/passwd", two) == 0 && open(two, O_RDONLY) == -1 && errno == EACCES); /* PS-02: a link inside leads nowhere */
    return 0;
}

static void only_the_named_folders_exist_also_through_links(void **state)
{
    (void)state;
    in_a_child(files);
}

static int as_nobody(const char *folder)
{
    struct arena a;
    char path[128], status[4096];
    if (geteuid() != 0)
        return SKIPPED;
    arena_init(&a, 65536);
    (void)snprintf(path, sizeof path, "%s/made", folder);
    WANT(1, privilege_make_folder(path, "nobody", &a).code == ERROR_NONE && privilege_make_folder(path, "nobody", &a).code == ERROR_NONE);
    struct stat st;
    WANT(2, stat(path, &st) == 0 && st.st_uid == 65534 && (st.st_mode & 0777) == 0700);
    WANT(3, privilege_drop("no-such-user", &a).code == ERROR_NOT_FOUND);
    WANT(4, privilege_drop("nobody", &a).code == ERROR_NONE && geteuid() == 65534 && getuid() == 65534 && setuid(0) != 0);
    int fd = open("/proc/self/status", O_RDONLY);
    ssize_t n = fd >= 0 ? read(fd, status, sizeof status - 1) : -1;
    WANT(5, n > 0);
    status[n] = '\0';
    WANT(6, strstr(status, "CapEff:\t0000000000000000") && strstr(status, "CapPrm:\t0000000000000000") && strstr(status, "CapAmb:\t0000000000000000"));
    return 0;
}

static void root_becomes_a_user_without_any_capability(void **state)
{
    (void)state;
    in_a_child(as_nobody);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_program_and_no_process_can_be_started),
        cmocka_unit_test(odd_sockets_executable_memory_and_doors_to_the_kernel_are_shut),
        cmocka_unit_test(threads_files_and_sockets_of_a_mail_server_go_on),
        cmocka_unit_test(only_the_named_folders_exist_also_through_links),
        cmocka_unit_test(root_becomes_a_user_without_any_capability),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
