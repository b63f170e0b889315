/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Finding models and recipes by name. */
#define _GNU_SOURCE
#include "ae/model.h"
#include "ae/recipe.h"

#include <dirent.h>
#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { MAX_NAMES = 40, MAX_DIR = 3072 };

/* What is looked for: the end of its files' names, and where they lie as seen from each directory
 * of models. */
typedef struct sort {
    const char *noun, *suffix, *below[6];
} sort;

static const sort models = {"model", ".aem", {""}};
static const sort recipes = {
    "recipe", ".yaml", {"", "/recipes", "/recipes/kinds", "/../recipes", "/../recipes/kinds"}};

typedef struct search {
    const sort *sort;
    const char *name;
    char *path; /* the result */
    size_t n_path;
    char looked[280], names[MAX_NAMES + 1][40]; /* for the message; names sorted, each once */
    uint32_t n_names;
    void *opaque; /* of visit; NULL: one name is looked for */
    bool (*visit)(void *opaque, const char *path);
} search;

static bool has_suffix(const search *s, const char *name)
{
    size_t n = strlen(name), end = strlen(s->sort->suffix);

    return n > end && !strcmp(name + n - end, s->sort->suffix);
}

static bool is_file(const char *path)
{
    struct stat s;

    return stat(path, &s) == 0 && S_ISREG(s.st_mode);
}

static void note_name(search *s, const char *file)
{
    char name[sizeof(s->names[0])];
    uint32_t at = 0;

    size_t n = strlen(file) - (has_suffix(s, file) ? strlen(s->sort->suffix) : 0);

    if (!file[n] || n >= sizeof(name))
        return;
    snprintf(name, sizeof(name), "%.*s", (int)n, file);
    while (at < s->n_names && strcmp(s->names[at], name) < 0)
        at++;
    if (s->n_names == MAX_NAMES || (at < s->n_names && !strcmp(s->names[at], name)))
        return;
    memmove(s->names[at + 1], s->names[at], (s->n_names - at) * sizeof(name));
    memcpy(s->names[at], name, sizeof(name));
    s->n_names++;
}

static bool visit_dir(search *s, const char *dir);

/* True where that very directory has it. */
static bool look_at(search *s, const char *dir)
{
    size_t used = strlen(s->looked);
    struct dirent *entry;
    DIR *d;

    if (s->visit)
        return visit_dir(s, dir);
    if (snprintf(s->path, s->n_path, "%s/%s%s", dir, s->name,
                 has_suffix(s, s->name) ? "" : s->sort->suffix) < (int)s->n_path &&
        is_file(s->path))
        return true;
    if ((d = opendir(dir)) != NULL || s->sort == &models)
        snprintf(s->looked + used, sizeof(s->looked) - used, "%s%s", used ? ", " : "", dir);
    if (d) {
        while ((entry = readdir(d)) != NULL)
            note_name(s, entry->d_name);
        closedir(d);
    }
    return false;
}

/* True where it lies in the directory of models, or where its sort lies as seen from there. */
static bool look_in(search *s, const char *dir)
{
    char at[PATH_MAX];

    for (int i = 0; dir[0] && s->sort->below[i]; i++)
        if (snprintf(at, sizeof(at), "%s%s", dir, s->sort->below[i]) < (int)sizeof(at) &&
            look_at(s, at))
            return true;
    return false;
}

/* True where the visitor has seen enough. */
static bool visit_dir(search *s, const char *dir)
{
    struct dirent **entries = NULL;
    bool enough = false;
    int n = scandir(dir, &entries, NULL, alphasort);

    for (int i = 0; i < n; i++) {
        if (!enough && has_suffix(s, entries[i]->d_name) &&
            snprintf(s->path, s->n_path, "%s/%s", dir, entries[i]->d_name) < (int)s->n_path &&
            is_file(s->path))
            enough = !s->visit(s->opaque, s->path);
        free(entries[i]);
    }
    free(entries);
    return enough;
}

/* Below the directory of the library (or of the program that it is part of) or one above: an
 * installation that was moved is found, and so is a build tree, whose share/aesuite/models leads to
 * the source's models. */
static bool look_beside(search *s, char dir[MAX_DIR])
{
    static const char here = 0;
    char at[PATH_MAX], *slash;
    Dl_info info;

    if ((!dladdr(&here, &info) || !info.dli_fname || !realpath(info.dli_fname, at)) &&
        !realpath("/proc/self/exe", at))
        return false;
    for (int up = 0; up < 5 && (slash = strrchr(at, '/')) != NULL; up++) {
        struct stat found;

        *slash = 0;
        if (snprintf(dir, MAX_DIR, "%s/" AE_DATA_BELOW "/aesuite/models", at) < MAX_DIR &&
            stat(dir, &found) == 0)
            return look_in(s, dir);
    }
    dir[0] = 0;
    return false;
}

static bool look_in_all(search *s)
{
    const char *list = getenv("AE_MODEL_PATH"), *home = getenv("HOME"),
               *data = getenv("XDG_DATA_HOME");
    char dir[MAX_DIR];

    while (list && *list) {
        size_t n = strcspn(list, ":");

        if (n < sizeof(dir)) {
            memcpy(dir, list, n);
            dir[n] = 0;
            if (look_in(s, dir))
                return true;
        }
        list += n + (list[n] == ':');
    }
    dir[0] = 0;
    if (data && *data == '/')
        snprintf(dir, sizeof(dir), "%s/aesuite/models", data);
    else if (home && *home)
        snprintf(dir, sizeof(dir), "%s/.local/share/aesuite/models", home);
    if (look_in(s, dir) || look_beside(s, dir))
        return true;
    return strcmp(dir, AE_DATADIR "/models") != 0 && look_in(s, AE_DATADIR "/models");
}

static void visit_all(const sort *what, void *opaque, bool (*visit)(void *opaque, const char *path))
{
    char path[4096];
    search s = {
        .sort = what, .path = path, .n_path = sizeof(path), .opaque = opaque, .visit = visit};

    look_in_all(&s);
}

void ae_model_visit(void *opaque, bool (*visit)(void *opaque, const char *path))
{
    visit_all(&models, opaque, visit);
}

void ae_recipe_visit(void *opaque, bool (*visit)(void *opaque, const char *path))
{
    visit_all(&recipes, opaque, visit);
}

static ae_status find(const sort *what, const char *name, char *path, size_t n_path, ae_error *err)
{
    search s = {.sort = what, .name = name, .path = path, .n_path = n_path};
    char names[360] = "";
    size_t used = 0;

    if (!name[0])
        return ae_fail(err, AE_ERR_ARGUMENT, "empty name of a %s", what->noun);
    if (strchr(name, '/') || (has_suffix(&s, name) && is_file(name))) {
        if (strlen(name) >= n_path)
            return ae_fail(err, AE_ERR_ARGUMENT, "the %s's path has more than %zu bytes",
                           what->noun, n_path - 1);
        memcpy(path, name, strlen(name) + 1);
        return AE_OK;
    }
    if (look_in_all(&s))
        return AE_OK;
    if (n_path)
        path[0] = 0;
    for (uint32_t i = 0; i < s.n_names && used < sizeof(names); i++)
        used += (size_t)snprintf(names + used, sizeof(names) - used, "%s%s", i ? ", " : "",
                                 s.names[i]);
    return ae_fail(err, AE_ERR_IO, "no %s '%.40s'; there are: %s; looked in %s", what->noun, name,
                   s.n_names ? names : "none", s.looked);
}

ae_status ae_model_find(const char *name, char *path, size_t n_path, ae_error *err)
{
    return find(&models, name, path, n_path, err);
}

ae_status ae_recipe_find(const char *name, char *path, size_t n_path, ae_error *err)
{
    struct stat s;

    if (name[0] && stat(name, &s) == 0 && !S_ISDIR(s.st_mode) && strlen(name) < n_path) {
        memcpy(path, name, strlen(name) + 1);
        return AE_OK;
    }
    return find(&recipes, name, path, n_path, err);
}
