/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Names of outputs, made from those of inputs so that no two are the same. */
#define _GNU_SOURCE
#include "common/names.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

const char *cli_base_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

const char *cli_name_suffix(const char *path)
{
    const char *name = cli_base_name(path), *dot = strrchr(name, '.');

    return dot && dot != name ? dot + 1 : "";
}

static size_t stem_length(const char *name)
{
    const char *suffix = cli_name_suffix(name);

    return strlen(name) - (*suffix ? strlen(suffix) + 1 : 0);
}

char *cli_name_numbered(const char *path, uint32_t k, uint32_t n)
{
    int digits = snprintf(NULL, 0, "%u", n);
    size_t length = strlen(path),
           stem = length - (strlen(cli_base_name(path)) - stem_length(cli_base_name(path)));
    char *out = ae_alloc(length + 16, 1);

    if (out)
        snprintf(out, length + 16, "%.*s%s%0*u%s", (int)stem, path, *cli_base_name(path) ? "-" : "",
                 digits, k, path + stem);
    return out;
}

/* The pattern filled in; a dot before an empty suffix goes. An ae_alloc string or NULL. */
static char *apply_pattern(const char *pattern, const char *name, size_t n_name, const char *suffix)
{
    char *to, *out = to = ae_alloc(strlen(pattern) + n_name + strlen(suffix) + 1, 1);

    for (; to && *pattern; pattern++) {
        if (pattern[0] == '%' && pattern[1] == 'n') {
            to = mempcpy(to, name, n_name);
            pattern++;
        } else if (pattern[0] == '%' && pattern[1] == 'e') {
            if (!*suffix && to > out && to[-1] == '.')
                *--to = 0;
            to = stpcpy(to, suffix);
            pattern++;
        } else {
            *to++ = *pattern;
        }
    }
    return out;
}

bool cli_name_made_by(const char *pattern, const char *path)
{
    const char *middle = strstr(pattern, "%n"), *end = middle ? strstr(middle, "%e") : NULL,
               *name = cli_base_name(path);
    size_t n, n_stem = stem_length(name);

    if (!end || end - middle < 4)
        return false;
    middle += 2;
    n = (size_t)(end - middle) - 1; /* without the dot before the suffix */
    return n_stem > n && memcmp(name + n_stem - n, middle, n) == 0;
}

static char *join(const char *directory, size_t n_directory, const char *middle, size_t n_middle,
                  const char *name)
{
    bool slash = n_directory && directory[n_directory - 1] != '/';
    char *path = ae_alloc(n_directory + n_middle + strlen(name) + 3, 1), *to = path;

    if (!path)
        return NULL;
    to = mempcpy(to, directory, n_directory);
    if (slash)
        *to++ = '/';
    to = mempcpy(to, middle, n_middle);
    if (n_middle && middle[n_middle - 1] != '/')
        *to++ = '/';
    stpcpy(to, name);
    return path;
}

/* The last directory of what stands before `below` in the input's path, "t1" of "x/t1/" + "a.png";
 * *n = 0 where it has no name. */
static const char *top_folder(const cli_input *in, size_t *n)
{
    const char *end = in->below, *start;

    while (end > in->path && end[-1] == '/')
        end--;
    start = end;
    while (start > in->path && start[-1] != '/')
        start--;
    *n = (size_t)(end - start);
    if ((*n == 1 && start[0] == '.') || (*n == 2 && start[0] == '.' && start[1] == '.'))
        *n = 0;
    return start;
}

enum { PLAIN, WITH_SUFFIX, WITH_FOLDER };

static const char *new_suffix(const cli_naming *naming, const cli_input *in)
{
    const char *suffix = naming->suffix ? naming->suffix(naming->opaque, in->path) : NULL;

    return suffix ? suffix : cli_name_suffix(in->path);
}

static char *make_name(const cli_naming *naming, const cli_input *in, int how)
{
    const char *base = cli_base_name(in->path), *suffix = new_suffix(naming, in), *folder,
               *below = in->below;
    size_t n_folder = 0, n_below = (size_t)(cli_base_name(below) - below);
    bool keep = how >= WITH_SUFFIX && strcmp(suffix, cli_name_suffix(base)) != 0;
    char *name, *path, *within = NULL;

    if (naming->output && !naming->to_directory)
        return ae_strdup(naming->output);
    if (!naming->output && strcmp(in->path, "-") == 0)
        return ae_strdup("-");
    name = apply_pattern(naming->output ? naming->under : naming->beside, base,
                         keep ? strlen(base) : stem_length(base), suffix);
    if (!name)
        return NULL;
    if (how == WITH_FOLDER) {
        folder = top_folder(in, &n_folder);
        within = join(folder, n_folder, below, n_below, "");
    }
    if (naming->output && n_folder)
        path = within ? join(naming->output, strlen(naming->output), within, strlen(within), name)
                      : NULL;
    else if (naming->output)
        path = join(naming->output, strlen(naming->output), below, n_below, name);
    else
        path = join(in->path, (size_t)(base - in->path), "", 0, name);
    ae_free(within);
    ae_free(name);
    return path;
}

typedef struct ordered {
    const char *path;
    size_t index;
} ordered;

static int compare(const void *a, const void *b)
{
    const ordered *p = a, *q = b;
    int order = strcmp(p->path, q->path);

    return order ? order : p->index < q->index ? -1 : 1;
}

/* What must be known to tell a clash: names in order, equal ones by input. */
static size_t sort_names(ordered *sorted, const cli_target *names, const cli_inputs *inputs)
{
    size_t n = 0;

    for (size_t i = 0; i < inputs->n; i++)
        if (inputs->items[i].exists)
            sorted[n++] = (ordered){names[i].path, i};
    qsort(sorted, n, sizeof(*sorted), compare);
    return n;
}

static bool give_longer_names(cli_target *names, ordered *sorted, const cli_naming *naming,
                              const cli_inputs *inputs, int how)
{
    size_t n = sort_names(sorted, names, inputs);
    bool good = true;

    for (size_t first = 0, end; first < n; first = end) {
        const char *shared = sorted[first].path;

        for (end = first + 1; end < n && strcmp(sorted[end].path, shared) == 0; end++)
            ;
        for (size_t i = first; end > first + 1 && i < end && good; i++) {
            char *longer = make_name(naming, &inputs->items[sorted[i].index], how);

            if ((good = longer != NULL))
                /* swapped below, once nothing reads the old ones any more */
                sorted[i].path = longer;
        }
    }
    for (size_t i = 0; i < n; i++)
        if (sorted[i].path != names[sorted[i].index].path) {
            ae_free(names[sorted[i].index].path);
            names[sorted[i].index].path = (char *)(uintptr_t)sorted[i].path;
        }
    return good;
}

cli_target *cli_names_make(const cli_naming *naming, const cli_inputs *inputs)
{
    cli_target *names = ae_alloc(inputs->n + 1, sizeof(*names));
    ordered *sorted = ae_alloc(inputs->n + 1, sizeof(*sorted));
    bool good = names && sorted;
    size_t n = 0;

    for (size_t i = 0; i < inputs->n && good; i++) {
        names[i].clash = CLI_NO_CLASH;
        good = (names[i].path = make_name(naming, &inputs->items[i], PLAIN)) != NULL;
    }
    for (int how = WITH_SUFFIX; how <= WITH_FOLDER && good; how++)
        good = give_longer_names(names, sorted, naming, inputs, how);
    if (good)
        n = sort_names(sorted, names, inputs);
    for (size_t first = 0, i = 1; i < n; i++) {
        if (strcmp(sorted[i].path, sorted[first].path) != 0)
            first = i;
        else
            names[sorted[i].index].clash = sorted[first].index;
    }
    ae_free(sorted);
    if (!good && names) {
        cli_names_free(names, inputs->n);
        return NULL;
    }
    return names;
}

void cli_names_free(cli_target *names, size_t n)
{
    for (size_t i = 0; i < n && names; i++)
        ae_free(names[i].path);
    ae_free(names);
}

/* With the directory in its true place; NULL where there is none. Free with free(). */
static char *resolve(const char *path)
{
    const char *base = cli_base_name(path);
    char *directory = base == path ? strdup(".") : strndup(path, (size_t)(base - path)), *real,
         *whole = NULL;

    real = directory ? realpath(directory, NULL) : NULL;
    if (real && asprintf(&whole, "%s/%s", real, base) < 0)
        whole = NULL;
    free(directory);
    free(real);
    return whole;
}

bool cli_same_file(const char *a, const char *b)
{
    struct stat s, t;
    bool a_is = stat(a, &s) == 0, b_is = stat(b, &t) == 0, same;
    char *p, *q;

    if (a_is && b_is)
        return s.st_dev == t.st_dev && s.st_ino == t.st_ino;
    if (a_is || b_is || strcmp(cli_base_name(a), cli_base_name(b)) != 0)
        return false;
    p = resolve(a);
    q = resolve(b);
    same = p && q ? strcmp(p, q) == 0 : strcmp(a, b) == 0;
    free(p);
    free(q);
    return same;
}
