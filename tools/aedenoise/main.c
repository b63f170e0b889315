/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "output.h"
#include "common/progress.h"
#include "picture.h"

static picture_options o = {.sigma = -1, .level = 1, .strength = 1, .tile = 512};

static const cli_option options[] = {
    {0, NULL, CLI_HEADING, NULL, NULL, "Denoising", 0, 0},
    {'m', "model", CLI_STRING, &o.model, "NAME|FILE",
     "fast, balanced, best, photo, another model's name or its file; photo unless --sigma is given, then balanced", 0, 0},
    {'s', "sigma", CLI_NUMBER, &o.sigma, "X", "the noise is white, of this deviation on the scale of 0 to 255, instead of estimated", 0, 255},
    {'l', "level", CLI_NUMBER, &o.level, "X", "take the noise for X times what is estimated", 0, 20},
    {'t', "strength", CLI_NUMBER, &o.strength, "X", "blend of input (0) and result (1)", 0, 1},
    {0, "precision", CLI_CHOICE, &o.precision, "auto|f32|bf16", "arithmetic; auto takes bf16 where the processor computes in it", 0, 0},
    {0, "tile", CLI_INT, &o.tile, "N", "edge of the tiles in pixels; more memory, less time, same result", 32, 16384},
    {'c', "compare", CLI_STRING, &o.compare, "FILE", "also write a picture of before and after, side by side", 0, 0},
    {'q', "quality", CLI_INT, &o.quality, "N", "quality of lossy output, 1 to 100; like the input's unless given", 1, 100},
    {0, "lossless", CLI_FLAG, &o.lossless, NULL, "write without loss where the format offers both", 0, 0},
    {0, "format", CLI_STRING, &o.format, "NAME", "format of the output, whatever its name says", 0, 0},
    CLI_BATCH_OPTIONS(o.batch),
    {0},
};

static const cli_tool tool = {
    "aedenoise",
    "[OPTION]... [FILE|DIRECTORY]...",
    "Removes noise from pictures. Without -o, NAME.jpg becomes NAME.denoised.jpg beside it; - is standard input or output, and the default "
    "in a pipe.",
    options,
    "Examples:\n"
    "  aedenoise photo.jpg                      photo.denoised.jpg, noise level found by itself\n"
    "  aedenoise -v -c both.png photo.jpg       says what it found, shows before and after\n"
    "  aedenoise -r -o clean/ holiday/          a whole tree\n"
    "  aedenoise --sigma 25 scan.png -o - | display\n",
};

static bool has_suffix(const ae_codec *codec, const char *path)
{
    const char *dot = strrchr(path, '.');

    for (const char *const *s = codec->suffixes; dot && *s; s++)
        if (strcasecmp(*s, dot + 1) == 0)
            return true;
    return false;
}

/* Which files below directories are pictures. */
static bool wanted(void *opaque, const char *path)
{
    (void)opaque;
    for (const ae_codec *const *c = ae_codecs; *c; c++)
        if ((*c)->kind == AE_KIND_IMAGE && has_suffix(*c, path))
            return true;
    return false;
}

static const char *output_suffix(void *opaque, const char *input)
{
    (void)opaque;
    if (o.codec)
        return has_suffix(o.codec, input) ? NULL : o.codec->suffixes[0];
    return ae_codec_for_path(input) ? NULL : "png";
}

static int find_format(void)
{
    char names[256] = "";

    if (!o.format || (o.codec = ae_codec_for_name(o.format)) != NULL)
        return CLI_GO_ON;
    for (const ae_codec *const *c = ae_codecs; *c; c++)
        if ((*c)->create && (*c)->kind == AE_KIND_IMAGE) {
            size_t n = strlen(names);

            snprintf(names + n, sizeof(names) - n, "%s%s", n ? ", " : "", (*c)->name);
        }
    return cli_usage("--format: '%s' is none of %s", o.format, names);
}

static int load_model(void)
{
    const char *name = o.model ? o.model : o.sigma >= 0 ? "balanced" : "photo";
    char path[4096];
    ae_error err;

    if (ae_model_find(name, path, sizeof(path), &err) != AE_OK || ae_model_open(path, NULL, &o.loaded, &err) != AE_OK) {
        cli_message("--model %s: %s", name, err.message);
        return CLI_FAILED;
    }
    return CLI_GO_ON;
}

int main(int argc, char **argv)
{
    const cli_job job = {.options = &o.batch, .beside = "%n.denoised.%e", .under = "%n.%e", .unit = "MP", .opaque = &o,
                         .suffix = output_suffix, .wanted = wanted, .process = picture_denoise};
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    char **operands;
    int n, status;

    o.batch.jobs = processors > 0 ? (uint32_t)processors : 1;
    cli_clean_up = ae_output_remove_pending;
    status = cli_start(&tool, argc, argv, &operands, &n);
    if (status == CLI_GO_ON && o.compare && (n > 1 || o.batch.recursive))
        status = cli_usage("--compare takes one input");
    if (status == CLI_GO_ON)
        status = find_format();
    if (status == CLI_GO_ON)
        status = load_model();
    if (status == CLI_GO_ON)
        status = cli_batch_run(&job, operands, n);
    ae_model_free(o.loaded);
    return status;
}
