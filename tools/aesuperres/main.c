/* SPDX-License-Identifier: BSD-2-Clause
 *
 * aesuperres: its options, and enlarging from file to file. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/filter.h"
#include "common/progress.h"

enum { MAX_SCALE = 4 };

static struct {
    filter_options filter;
    const char *model;
    double scale, denoise; /* denoise below 0: not given */
    ae_model *loaded;
    char beside[32];
} o = {.filter.tile = 256, .model = "best", .scale = 2, .denoise = -1};

/* clang-format off */
static const cli_option options[] = {
    {0, NULL, CLI_HEADING, NULL, NULL, "Enlarging", 0, 0},
    {'s', "scale", CLI_NUMBER, &o.scale, "X",
     "how many times as wide and high, more than 1; between the models' scales the next larger one "
     "is used and scaled down", 1, MAX_SCALE},
    {'m', "model", CLI_STRING, &o.model, "NAME|FILE",
     "best, fast, clean (for flawless pictures), photo (for all others), another model's name or "
     "its file; best is photo, but clean where nothing is to be removed", 0, 0},
    {'d', "denoise", CLI_NUMBER, &o.denoise, "X",
     "how much of noise and JPEG artefacts to remove, 0 to 1; 1 unless given", 0, 1},
    FILTER_OPTIONS(o.filter),
    {0},
};
/* clang-format on */

static const cli_tool tool = {
    "aesuperres",
    "[OPTION]... [FILE|DIRECTORY]...",
    "Enlarges pictures. Without -o, NAME.jpg becomes NAME.x2.jpg beside it; - is standard input or "
    "output, and the default in a "
    "pipe.",
    options,
    "Examples:\n"
    "  aesuperres photo.jpg                     photo.x2.jpg, twice as wide and high\n"
    "  aesuperres -s 4 -c both.png photo.jpg    four times; shows bicubic enlargement and result\n"
    "  aesuperres -d 0.5 -r -o large/ holiday/  a whole tree, keeping half of the grain\n"
    "  aesuperres -s 3 -m clean drawing.png     a picture without noise or artefacts\n",
};

/* The smallest model of a family that enlarges enough. */
static int load_family(const char *family)
{
    char name[64], path[4096];
    ae_error err;

    for (uint32_t scale = (uint32_t)ceil(o.scale); scale <= MAX_SCALE; scale++) {
        snprintf(name, sizeof(name), "%s-x%u", family, scale);
        if (ae_model_find(name, path, sizeof(path), &err) == AE_OK)
            return filter_load(name, &o.loaded);
    }
    cli_message("--model %s: none enlarges by %g: %s", o.model, o.scale, err.message);
    return CLI_FAILED;
}

static int load_model(int n_operands)
{
    static const char *const families[][2] = {
        {"clean", "superres"}, {"fast", "superres-fast"}, {"photo", "superres-photo"}};
    const char *name = strcmp(o.model, "best") != 0 ? o.model : o.denoise == 0 ? "clean" : "photo";
    const char *family = NULL;
    const ae_recipe *recipe;
    int status;

    (void)n_operands;
    if (!(o.scale > 1))
        return cli_usage("--scale: %g is not more than 1", o.scale);
    snprintf(o.beside, sizeof(o.beside), "%%n.x%g.%%e", o.scale);
    for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++)
        if (strcmp(name, families[i][0]) == 0)
            family = families[i][1];
    if ((status = family ? load_family(family) : filter_load(name, &o.loaded)) != CLI_GO_ON)
        return status;
    recipe = ae_model_recipe(o.loaded);
    if (recipe->task != AE_TASK_SUPERRES || o.scale > recipe->scale) {
        cli_message("--model %s: %s", o.model,
                    recipe->task != AE_TASK_SUPERRES ? "it does not enlarge pictures"
                                                     : "it does not enlarge that much");
        return CLI_FAILED;
    }
    if (o.denoise > 0 && !(recipe->strength_max > 0))
        return cli_usage("--denoise: model %s does not denoise", recipe->name);
    o.denoise = o.denoise < 0 ? 1 : o.denoise;
    return CLI_GO_ON;
}

/* What of the picture is noise and JPEG's artefacts, where a model may remove it. */
static ae_status find_noise(filter_picture *p, float *found, ae_error *err)
{
    uint16_t table[64];
    ae_noise noise;
    ae_status st;
    int quality;
    bool jpeg = ae_reader_quantisation(&p->reader, table, &quality);

    *found = 0;
    if (o.denoise == 0 || !(ae_model_recipe(o.loaded)->strength_max > 0))
        return AE_OK;
    if ((st = ae_noise_estimate(&p->rows, &cli_cancel, &noise, err)) != AE_OK)
        return st;
    *found = ae_superres_noise(jpeg ? table : NULL, &noise);
    return filter_reopen(p, err);
}

static ae_status enlarge(const cli_item *item, filter_input *in, ae_error *err)
{
    filter_picture p;
    ae_run_stats stats;
    ae_signal_info result;
    ae_superres_options how = {.factor = o.scale,
                               .denoise = (float)o.denoise,
                               .tile = o.filter.tile,
                               .precision = (ae_precision)o.filter.precision,
                               .control = {item->threads, &cli_cancel, &p, filter_progress, NULL}};
    char what[80];
    ae_status st;

    filter_take(&p, &o.filter, item, in);
    if ((st = find_noise(&p, &how.noise, err)) == AE_OK &&
        (st = ae_superres_result(&p.reader.info, o.scale, NULL, &result, err)) == AE_OK &&
        (st = filter_begin(&p, &result, err)) == AE_OK &&
        (st = ae_superres(o.loaded, &how, &p.rows, &p.sink, &stats, err)) == AE_OK &&
        (st = filter_finish(&p, err)) == AE_OK) {
        snprintf(what, sizeof(what), "to %llu x %llu, noise %.2f", (unsigned long long)result.width,
                 (unsigned long long)result.height, (double)how.noise);
        filter_report(&p, what, o.loaded, &stats);
        cli_json_number(item->json, "scale", o.scale);
    }
    filter_close(&p);
    return st;
}

static ae_status process(void *opaque, const cli_item *item, ae_error *err)
{
    static const filter_kind kinds[] = {{AE_KIND_IMAGE, enlarge}, {0}};
    filter_input in;
    ae_status st = filter_input_open(&in, item->input, 0, err);

    (void)opaque;
    return st == AE_OK ? filter_by_kind(kinds, &o.filter, item, &in, err) : st;
}

int main(int argc, char **argv)
{
    cli_job job = {.beside = o.beside, .under = "%n.%e", .opaque = &o, .process = process};
    int status = filter_main(&tool, &job, load_model, argc, argv);

    ae_model_free(o.loaded);
    return status;
}
