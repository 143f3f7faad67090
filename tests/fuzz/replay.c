/* tests/fuzz/replay.c -- gives files, and the files of folders, to a fuzz target once each: the corpus as a test, with any compiler
 *
 * A file that takes longer than a second of CPU is a failure, too: the corpus holds what was slow once. */
#include <dirent.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

#include "tests/fuzz/target.h"

enum { CPU_MS_MAX = 1000 * 20 /* sanitizers and a busy machine */ };

#pragma weak LLVMFuzzerInitialize

static int files, slow;

static void give_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    struct stat st;
    if (!f || fstat(fileno(f), &st) != 0) {
        (void)fprintf(stderr, "replay: cannot read %s\n", path);
        exit(2);
    }
    uint8_t *bytes = malloc((size_t)st.st_size + 1); /* of its own size: a byte too far is seen by ASan */
    uint8_t *exact = malloc((size_t)st.st_size ? (size_t)st.st_size : 1);
    size_t n = bytes && exact ? fread(bytes, 1, (size_t)st.st_size, f) : 0;
    (void)fclose(f);
    if (exact && n)
        memcpy(exact, bytes, n);
    free(bytes);
    clock_t before = clock();
    (void)LLVMFuzzerTestOneInput(exact, n);
    free(exact);
    if ((clock() - before) / (CLOCKS_PER_SEC / 1000) > CPU_MS_MAX) {
        (void)fprintf(stderr, "replay: %s is slow\n", path);
        slow++;
    }
    files++;
}

static void give(const char *path)
{
    struct stat st;
    DIR *d = stat(path, &st) == 0 && S_ISDIR(st.st_mode) ? opendir(path) : NULL;
    if (!d) {
        give_file(path);
        return;
    }
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        char name[4096];
        if (e->d_name[0] == '.' || snprintf(name, sizeof name, "%s/%s", path, e->d_name) >= (int)sizeof name)
            continue;
        if (stat(name, &st) == 0 && S_ISREG(st.st_mode)) /* one level: a corpus is flat */
            give_file(name);
        else if (stat(name, &st) == 0 && S_ISDIR(st.st_mode))
            give(name);
    }
    (void)closedir(d);
}

int main(int argc, char **argv)
{
    if (LLVMFuzzerInitialize)
        (void)LLVMFuzzerInitialize(&argc, &argv);
    for (int i = 1; i < argc; i++)
        give(argv[i]);
    (void)printf("%s: %d files\n", argv[0], files);
    return files == 0 || slow;
}
