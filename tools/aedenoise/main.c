/* SPDX-License-Identifier: BSD-2-Clause */
#include <math.h>
#include <stdio.h>

#include "ae/denoise.h"
#include "common/filter.h"

static struct {
    filter_options filter;
    const char *model;
    double sigma;       /* below 0: estimated */
    double level, strength;
    ae_model *loaded;
} o = {.filter.tile = 640, .sigma = -1, .level = 1, .strength = 1};

static const cli_option options[] = {
    {0, NULL, CLI_HEADING, NULL, NULL, "Denoising", 0, 0},
    {'m', "model", CLI_STRING, &o.model, "NAME|FILE",
     "fast, balanced, best, photo, another model's name or its file; photo unless --sigma is given, then balanced", 0, 0},
    {'s', "sigma", CLI_NUMBER, &o.sigma, "X",
     "the noise is white, of this deviation on the scale of 0 to 255, instead of estimated", 0, 255},
    {'l', "level", CLI_NUMBER, &o.level, "X", "take the noise for X times what is estimated", 0, 20},
    {'t', "strength", CLI_NUMBER, &o.strength, "X", "blend of input (0) and result (1)", 0, 1},
    FILTER_OPTIONS(o.filter),
    {0},
};

static const cli_tool tool = {
    "aedenoise",
    "[OPTION]... [FILE|DIRECTORY]...",
    "Removes noise from pictures. Without -o, NAME.jpg becomes NAME.denoised.jpg beside it; - is standard input or output, and the "
    "default "
    "in a pipe.",
    options,
    "Examples:\n"
    "  aedenoise photo.jpg                      photo.denoised.jpg, noise level found by itself\n"
    "  aedenoise -v -c both.png photo.jpg       says what it found, shows before and after\n"
    "  aedenoise -r -o clean/ holiday/          a whole tree\n"
    "  aedenoise --sigma 25 scan.png -o - | display\n",
};

static int load_model(void)
{
    return filter_load(o.model ? o.model : o.sigma >= 0 ? "balanced" : "photo", &o.loaded);
}

/* The noise that the network is told of: what --sigma says, white and independent in all channels, or what a first pass over the
 * picture finds. */
static ae_status find_noise(filter_picture *p, ae_noise *noise, ae_error *err)
{
    bool grey = p->reader.info.channels < 3;
    ae_status st;

    if (o.sigma >= 0) {
        float sigma = (float)o.sigma;

        *noise = (ae_noise){.luminance = grey ? sigma : sigma * sqrtf(1.0f / 3.0f), .chroma = grey ? 0 : sigma, .white = sigma};
        return AE_OK;
    }
    if ((st = ae_noise_estimate(&p->rows, &cli_cancel, noise, err)) != AE_OK)
        return st;
    noise->luminance *= (float)o.level;
    noise->chroma *= (float)o.level;
    noise->white *= (float)o.level;
    return filter_reopen(p, err);
}

static void report(const filter_picture *p, const ae_noise *noise, const ae_run_stats *stats)
{
    cli_json *json = p->item->json;
    char what[96];

    snprintf(what, sizeof(what), "noise %s: luminance %.2f, chroma %.2f (of 255)", o.sigma >= 0 ? "given" : "found",
             (double)noise->luminance, (double)noise->chroma);
    filter_report(p, what, o.loaded, stats);
    cli_json_number(json, "noise_luminance", (double)noise->luminance);
    cli_json_number(json, "noise_chroma", (double)noise->chroma);
    cli_json_number(json, "noise_white", (double)noise->white);
}

static ae_status denoise(void *opaque, const cli_item *item, ae_error *err)
{
    filter_picture p;
    ae_run_stats stats;
    ae_denoise_options how = {.strength = (float)o.strength, .tile = o.filter.tile, .threads = item->threads,
                              .precision = (ae_precision)o.filter.precision, .cancel = &cli_cancel, .opaque = &p,
                              .progress = filter_progress};
    ae_status st;

    (void)opaque;
    if ((st = filter_open(&p, &o.filter, item, err)) == AE_OK && (st = find_noise(&p, &how.noise, err)) == AE_OK &&
        (st = filter_begin(&p, &p.reader.info, err)) == AE_OK &&
        (st = ae_denoise(o.loaded, &how, &p.rows, &p.sink, &stats, err)) == AE_OK && (st = filter_finish(&p, err)) == AE_OK)
        report(&p, &how.noise, &stats);
    filter_close(&p);
    return st;
}

int main(int argc, char **argv)
{
    cli_job job = {.beside = "%n.denoised.%e", .under = "%n.%e", .opaque = &o, .process = denoise};
    int status = filter_main(&tool, &job, load_model, argc, argv);

    ae_model_free(o.loaded);
    return status;
}
