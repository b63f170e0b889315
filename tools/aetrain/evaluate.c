/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What a model is worth on data, by the terms of its own recipe and in words that people use; and a
 * listing of the recipes that are found by name, each opened to learn its purpose. What does not
 * open is another program's file, and left out. */
#include "evaluate.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/json.h"
#include "common/latents.h"

ae_status labels_attach(const char *path, const ae_dataset *from, ae_dataset *to, float **labels,
                        ae_error *err)
{
    uint32_t *read;
    size_t n;
    ae_status st = labels_read(path, &read, &n, err);

    *to = *from;
    if (st != AE_OK)
        return st;
    if (n != from->n_items)
        st = ae_fail(err, AE_ERR_MISMATCH, "%s: %zu labels for %zu items", path, n, from->n_items);
    else if (!(*labels = ae_alloc(n, sizeof(**labels))))
        st = ae_fail(err, AE_ERR_NOMEM, "%zu labels", n);
    for (size_t i = 0; st == AE_OK && i < n; i++)
        (*labels)[i] = (float)read[i];
    to->labels = *labels;
    ae_free(read);
    return st;
}

static void print_score(cli_json *json, const char *name, double value, const char *unit)
{
    if (isnan(value))
        return;
    printf("%-20s %.6g%s\n", name, value, unit);
    cli_json_number(json, name, value);
}

ae_status evaluate_model(const ae_model *model, const ae_dataset *data,
                         const ae_train_options *options, FILE *json, ae_error *err)
{
    ae_evaluated found;
    const ae_recipe *r;
    cli_json line = {0};
    ae_status st;

    if ((st = ae_evaluate(model, data, options, &found, err)) != AE_OK)
        return st;
    r = ae_model_recipe(model);
    print_score(&line, "items", (double)found.n_items, "");
    for (uint32_t i = 0; i < r->n_terms; i++)
        print_score(&line, r->terms[i].name, found.terms[i], "");
    for (uint32_t i = 0; r->text && i < r->n_terms; i++)
        if (r->terms[i].kind == AE_LOSS_CROSS_ENTROPY && !r->terms[i].sum)
            print_score(&line, r->text == AE_TEXT_WORDS ? "bits_a_word" : "bits_a_byte",
                        found.terms[i] / log(2), "");
    if (!r->sound.bands && !r->text) {
        print_score(&line, "mean_square_error", found.mse, "");
        print_score(&line, "psnr", found.psnr, " dB");
    }
    print_score(&line, "accuracy", found.accuracy, "");
    print_score(&line, "bits_a_pixel", found.bpp, "");
    if (!cli_printed())
        st = ae_fail(err, AE_ERR_IO, "standard output cannot be written: %s", strerror(errno));
    if (st == AE_OK && json && !cli_json_write(&line, json))
        st = ae_fail(err, AE_ERR_IO, "--json: cannot write: %s", strerror(errno));
    cli_json_clear(&line);
    return st;
}

/* ---- recipes by name ---- */

typedef struct listing {
    char (*names)[AE_NAME_MAX];
    size_t n;
    ae_status status;
    ae_error *err;
} listing;

static const char *task_name(ae_task task)
{
    static const char *const names[] = {[AE_TASK_AUTOENCODE] = "autoencode",
                                        [AE_TASK_DENOISE] = "denoise",
                                        [AE_TASK_SUPERRES] = "superres",
                                        [AE_TASK_COMPRESS] = "compress"};

    return names[task];
}

/* The first of a name is the one that is found by it. */
static bool list_one(void *opaque, const char *path)
{
    listing *l = opaque;
    const char *slash = strrchr(path, '/'), *file = slash ? slash + 1 : path,
               *dot = strrchr(file, '.');
    char name[AE_NAME_MAX], (*names)[AE_NAME_MAX];
    ae_recipe *r;

    snprintf(name, sizeof(name), "%.*s", (int)(dot ? (size_t)(dot - file) : strlen(file)), file);
    for (size_t i = 0; i < l->n; i++)
        if (!strcmp(l->names[i], name))
            return true;
    if (ae_recipe_load(path, NULL, &r, NULL, NULL) != AE_OK)
        return true; /* another program's file */
    names = ae_realloc(l->names, l->n * sizeof(*names), (l->n + 1) * sizeof(*names));
    if (names) {
        l->names = names;
        memcpy(names[l->n++], name, sizeof(name));
        printf("%-24s %-12s %s\n", name, r->sound.bands ? "sound" : task_name(r->task), r->about);
    } else {
        l->status = ae_fail(l->err, AE_ERR_NOMEM, "list of recipes");
    }
    ae_recipe_free(r);
    return names != NULL;
}

ae_status list_recipes(ae_error *err)
{
    listing l = {.err = err};

    ae_recipe_visit(&l, list_one);
    ae_free(l.names);
    if (l.status == AE_OK && !cli_printed())
        l.status = ae_fail(err, AE_ERR_IO, "standard output cannot be written: %s",
                           strerror(errno));
    return l.status;
}
