/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Runs a fuzz entry over files and directories: what stands in for libFuzzer in an ordinary test
 * run. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

static int replay_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    struct stat s;
    uint8_t *data;
    size_t n;

    if (!f || fstat(fileno(f), &s) != 0 || !(data = malloc((size_t)s.st_size + 1))) {
        fprintf(stderr, "%s: cannot read\n", path);
        return -1;
    }
    n = fread(data, 1, (size_t)s.st_size, f);
    fclose(f);
    /* exactly as large as the input, so that a sanitizer sees the first byte read behind it */
    uint8_t *exact = malloc(n ? n : 1);
    if (!exact)
        return -1;
    memcpy(exact, data, n);
    free(data);
    LLVMFuzzerTestOneInput(exact, n);
    free(exact);
    return 1;
}

/* The number of files run, -1 on failure. */
static int replay(const char *path)
{
    struct dirent *entry;
    struct stat s;
    int count = 0;
    DIR *dir;

    if (stat(path, &s) == 0 && !S_ISDIR(s.st_mode))
        return replay_file(path);
    if (!(dir = opendir(path))) {
        fprintf(stderr, "%s: cannot open\n", path);
        return -1;
    }
    while ((entry = readdir(dir)) != NULL) {
        char name[4096];
        int got;

        if (entry->d_name[0] == '.')
            continue;
        snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);
        if ((got = replay(name)) < 0) {
            count = -1;
            break;
        }
        count += got;
    }
    closedir(dir);
    return count;
}

int main(int argc, char **argv)
{
    int total = 0;

    for (int i = 1; i < argc; i++) {
        int got = replay(argv[i]);

        if (got < 0)
            return 1;
        total += got;
    }
    printf("%d inputs\n", total);
    return total == 0;
}
