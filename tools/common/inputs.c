/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Operands into a list of inputs: files, directories, lists of names. */
#define _GNU_SOURCE
#include "common/inputs.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/progress.h"

enum { MAX_DEPTH = 128 };

static ae_status append(cli_inputs *l, const char *path, size_t root, bool named,
                        const struct stat *found, ae_error *err)
{
    char *copy = ae_strdup(path);

    if (copy && l->n == l->capacity) {
        size_t capacity = 2 * l->capacity + 16;
        cli_input *items = ae_realloc(l->items, l->n * sizeof(*items), capacity * sizeof(*items));

        if (items) {
            l->items = items;
            l->capacity = capacity;
        }
    }
    if (!copy || l->n == l->capacity) {
        ae_free(copy);
        return ae_fail(err, AE_ERR_NOMEM, "list of %zu files", l->n + 1);
    }
    l->items[l->n] = (cli_input){
        .path = copy, .below = copy + root, .named = named, .exists = found};
    if (found) {
        l->items[l->n].device = found->st_dev;
        l->items[l->n].inode = found->st_ino;
        l->items[l->n].changed = found->st_mtim;
        l->items[l->n].mode = found->st_mode;
    }
    l->n++;
    return AE_OK;
}

static int visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static void count_left_out(size_t *n, char **first, const char *path)
{
    if (!(*n)++)
        *first = ae_strdup(path); /* without memory it goes unnamed */
}

static ae_status walk_directory(cli_inputs *l, const char *path, size_t root, const cli_walk *walk,
                                const struct stat *leave_out, int depth, ae_error *err)
{
    struct dirent **entries = NULL;
    ae_error unread = {0};
    ae_status st = AE_OK;
    int n;

    if (depth == MAX_DEPTH)
        return ae_fail(err, AE_ERR_LIMIT, "%s: directories nest more than %d deep", path,
                       MAX_DEPTH);
    if ((n = scandir(path, &entries, visible, by_name)) < 0)
        return ae_fail(err, AE_ERR_IO, "%s: %s", path, strerror(errno));
    for (int i = 0; i < n && st == AE_OK; i++) {
        char *child = NULL;
        struct stat link, file;

        if (asprintf(&child, "%s%s%s", path, path[strlen(path) - 1] == '/' ? "" : "/",
                     entries[i]->d_name) < 0) {
            st = ae_fail(err, AE_ERR_NOMEM, "%s: a file name", path);
            break;
        }
        if (lstat(child, &link) != 0) {
            st = errno == ENOENT ? AE_OK /* gone since it was listed */
                                 : ae_fail(err, AE_ERR_IO, "%s: %s", child, strerror(errno));
        } else if (S_ISLNK(link.st_mode) && (stat(child, &file) != 0 || S_ISDIR(file.st_mode))) {
            count_left_out(&l->n_links, &l->link, child);
        } else if (S_ISDIR(link.st_mode)) {
            if (!leave_out || link.st_dev != leave_out->st_dev || link.st_ino != leave_out->st_ino)
                st = walk_directory(l, child, root, walk, leave_out, depth + 1, err);
        } else if (stat(child, &file) == 0) {
            if (S_ISREG(file.st_mode)) {
                cli_taken taken = walk->wanted ? walk->wanted(walk->opaque, child) : CLI_TAKEN;

                if (taken == CLI_TAKEN)
                    st = append(l, child, root, false, &file, err);
                else if (taken == CLI_OTHER)
                    cli_inputs_count_other(l, child);
            }
        }
        free(child);
        if (st == AE_ERR_IO && unread.status != AE_OK)
            cli_message("%s", unread.message);
        if (st == AE_ERR_IO) { /* the rest is taken all the same */
            unread = *err;
            st = AE_OK;
        }
    }
    if (st == AE_OK && unread.status != AE_OK)
        st = ae_fail(err, unread.status, "%s", unread.message);
    for (int i = 0; i < n; i++)
        free(entries[i]);
    free(entries);
    return st;
}

ae_status cli_inputs_add(cli_inputs *l, const char *operand, const cli_walk *walk, ae_error *err)
{
    const char *slash = strrchr(operand, '/');
    struct stat found, leave_out;
    bool exists, leave;

    if (!*operand)
        return ae_fail(err, AE_ERR_ARGUMENT, "an empty file name");
    exists = strcmp(operand, "-") != 0 && stat(operand, &found) == 0;
    if (!exists || !S_ISDIR(found.st_mode))
        return append(l, operand, slash ? (size_t)(slash + 1 - operand) : 0, true,
                      exists ? &found : NULL, err);
    if (!walk->recursive)
        return ae_fail(err, AE_ERR_ARGUMENT, "%s: is a directory (-r takes the files in it)",
                       operand);
    leave = walk->leave_out && stat(walk->leave_out, &leave_out) == 0 &&
            !(leave_out.st_dev == found.st_dev && leave_out.st_ino == found.st_ino);
    return walk_directory(l, operand, strlen(operand) + (operand[strlen(operand) - 1] != '/'), walk,
                          leave ? &leave_out : NULL, 0, err);
}

/* All of a stream, with a NUL behind it. */
static char *read_all(FILE *f, size_t *n)
{
    size_t room = 1 << 16, got;
    char *text = ae_alloc(room, 1);

    *n = 0;
    while (text && (got = fread(text + *n, 1, room - 1 - *n, f)) > 0)
        if ((*n += got) == room - 1) {
            char *grown = ae_realloc(text, *n, 2 * room);

            if (!grown)
                ae_free(text);
            text = grown;
            room *= 2;
        }
    if (text)
        text[*n] = 0;
    return text;
}

ae_status cli_inputs_read_list(const char *path, void *opaque,
                               bool (*take)(void *opaque, const char *name), ae_error *err)
{
    bool standard = strcmp(path, "-") == 0, more = true;
    FILE *f = standard ? stdin : fopen(path, "rb");
    char *text, *at, *end;
    size_t n;
    ae_status st = AE_OK;

    if (!f)
        return ae_fail(err, AE_ERR_IO, "%s: %s", path, strerror(errno));
    if (!(text = read_all(f, &n)))
        st = ae_fail(err, AE_ERR_NOMEM, "%s: a list of names", path);
    else if (ferror(f))
        st = ae_fail(err, AE_ERR_IO, "%s: %s", path, strerror(errno));
    if (!standard)
        fclose(f);
    if (st == AE_OK) {
        int separator = memchr(text, 0, n) ? 0 : '\n';
        const char *first = separator ? memchr(text, '\n', n) : NULL;
        bool dos = first && first > text && first[-1] == '\r'; /* lines as Windows ends them */

        /* a mark that says UTF-8 */
        at = n >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0 ? text + 3 : text;
        for (; at < text + n && more; at = end + 1) {
            if (!(end = memchr(at, separator, (size_t)(text + n - at))))
                end = text + n;
            *end = 0;
            if (dos && end > at && end[-1] == '\r')
                end[-1] = 0;
            more = !*at || take(opaque, at);
        }
    }
    ae_free(text);
    return st;
}

void cli_inputs_count_other(cli_inputs *l, const char *path)
{
    count_left_out(&l->n_others, &l->other, path);
}

void cli_inputs_say_others(const cli_inputs *l)
{
    if (l->n_others == 1)
        cli_message("one file of another kind was left out%s%s", l->other ? ": " : "",
                    l->other ? l->other : "");
    else if (l->n_others)
        cli_message("%zu files of other kinds were left out%s%s", l->n_others,
                    l->other ? ", such as " : "", l->other ? l->other : "");
    if (l->n_links)
        cli_message("%zu link%s to directories or to nothing %s left out%s%s", l->n_links,
                    l->n_links == 1 ? "" : "s", l->n_links == 1 ? "was" : "were",
                    l->link ? ", such as " : "", l->link ? l->link : "");
}

void cli_inputs_clear(cli_inputs *l)
{
    for (size_t i = 0; i < l->n; i++)
        ae_free(l->items[i].path);
    ae_free(l->items);
    ae_free(l->other);
    ae_free(l->link);
    *l = (cli_inputs){0};
}
