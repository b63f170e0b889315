/* SPDX-License-Identifier: BSD-2-Clause
 *
 * aedecompress: its options. */
#include <stdio.h>
#include <string.h>

#include "common/progress.h"
#include "decompress.h"

static decompress_options o = {.picture.kinds = 1u << AE_KIND_IMAGE | 1u << AE_KIND_AUDIO |
                                                1u << AE_KIND_TENSOR};

/* clang-format off */
static const cli_option options[] = {
    {0, NULL, CLI_HEADING, NULL, NULL, "What to do", 0, 0},
    {'l', "list", CLI_FLAG, &o.list, NULL, "say what is in the files", 0, 0},
    {'t', "test", CLI_FLAG, &o.test, NULL,
     "decode everything, write nothing, report what is damaged", 0, 0},
    {0, "repair", CLI_FLAG, &o.repair, NULL, "write an .aec file of what is whole to -o", 0, 0},
    {0, NULL, CLI_HEADING, NULL, NULL, "What to decode", 0, 0},
    {'i', "item", CLI_STRINGS, &o.names, "NAME|PATTERN",
     "only the items of an archive with this name, or that match where none is called so: * is "
     "anything, ? one byte; may be repeated", 0, 0},
    {0, "region", CLI_STRING, &o.region_text, "X,Y,W,H", "only this part of each picture", 0, 0},
    {0, "range", CLI_STRING, &o.range_text, "FROM-TO",
     "only this part of each sound: seconds, 1:30, or frames as in 48000f; of each array: rows, "
     "from 0 on, the one behind the dash left out; either may be left out", 0, 0},
    {0, "preview", CLI_FLAG, &o.preview, NULL,
     "pictures at an eighth of the size, waveforms of sounds", 0, 0},
    {'m', "model", CLI_STRING, &o.model, "NAME|FILE", "the codec, where it is not found by itself",
     0, 0},
    {0, "max-output", CLI_SIZE, &o.max_output, "SIZE",
     "write no more samples than that of one file; 4G and 1024 times its size where not given", 0,
     0},
    {0, "labels-out", CLI_STRING, &o.labels, "FILE",
     "write a table of the items and their labels, where they have some", 0, 0},
    {0, "keep-links", CLI_FLAG, &o.keep_links, NULL,
     "follow links that lie below the directory written to", 0, 0},
    {0, "raw-names", CLI_FLAG, &o.raw_names, NULL,
     "write items whose names hold control characters, too", 0, 0},
    PICTURE_OPTIONS(o.picture),
    {0},
};
/* clang-format on */

static const cli_tool tool = {
    "aedecompress",
    "[OPTION]... [FILE|DIRECTORY]...",
    "Brings back pictures, sounds and arrays from .aec files. photo.aec becomes photo.png beside "
    "it, talk.aec talk.flac, "
    "features.aec features.npy, an archive "
    "of many a directory; - is standard input or output, and the default in a pipe.",
    options,
    "Examples:\n"
    "  aedecompress photo.aec                        photo.png\n"
    "  aedecompress -l set.aec                       what is in it\n"
    "  aedecompress -i 'cat/*' -o cats/ set.aec      some of it\n"
    "  aedecompress -o - set.aec | tar x             all of it, as a tar archive\n"
    "  aedecompress --range 1:00-1:30 -o part.wav talk.aec\n"
    "  aedecompress --region 0,0,640,480 -o corner.png large.aec\n",
};

static bool wanted(void *opaque, const char *path)
{
    size_t n = strlen(path);

    (void)opaque;
    return n > 4 && strcmp(path + n - 4, ".aec") == 0;
}

/* What is in a file decides, where there is one thing in it or one is named. */
static const char *suffix(void *opaque, const char *input)
{
    const char *found = o.standard->suffixes[0];
    ae_item *items = NULL, named = {0};
    size_t n = 0;
    aecfile f;

    (void)opaque;
    if (o.repair || strcmp(input, "-") == 0)
        return o.repair ? "aec" : found;
    if (aecfile_open(&f, input, NULL) == AE_OK) {
        if (o.names.n == 1 &&
            ae_container_find(f.container, o.names.items[0], &named, NULL) == AE_OK)
            found = decompress_standard(&o, &named)->suffixes[0];
        else if (ae_container_list(f.container, &items, &n, NULL) == AE_OK && n == 1)
            found = decompress_standard(&o, items)->suffixes[0];
    }
    ae_item_clear(&named);
    ae_items_free(items, n);
    aecfile_close(&f);
    return found;
}

/* A place in a sound: seconds, a duration, or frames. */
static bool parse_place(char *text, bool *in_frames, double *place)
{
    size_t n = strlen(text);

    *in_frames = n > 1 && text[n - 1] == 'f';
    if (!*in_frames)
        return cli_parse_duration(text, place);
    return strspn(text, "0123456789") == n - 1 && sscanf(text, "%lf", place) == 1;
}

static bool parse_range(void)
{
    char text[64], *dash;
    bool from_frames, to_frames;

    if (!o.range_text)
        return true;
    if (strlen(o.range_text) >= sizeof(text))
        return false;
    strcpy(text, o.range_text);
    if (!(dash = strchr(text, '-')))
        return false;
    *dash++ = 0;
    if ((!*text && !*dash) || (*text && !parse_place(text, &from_frames, &o.from)) ||
        (*dash && !parse_place(dash, &to_frames, &o.to)))
        return false;
    o.in_frames = *text ? from_frames : to_frames;
    return (!*text || !*dash || (from_frames == to_frames && o.from < o.to)) &&
           (!*dash || o.to > 0);
}

static int check(void)
{
    unsigned v[4];
    char more;

    if (o.list + o.test + o.repair > 1)
        return cli_usage("--list, --test and --repair exclude each other");
    if (o.repair && !o.picture.batch.output)
        return cli_usage("--repair needs -o");
    o.standard = o.picture.codec && o.picture.codec->kind == AE_KIND_IMAGE
                     ? o.picture.codec
                     : ae_codec_for_name("png");
    if (!parse_range())
        return cli_usage(
            "--range: '%s' is not FROM-TO, as in 10-12.5, 1:30-2:00, 60- or 48000f-96000f",
            o.range_text);
    if (o.region_text) {
        if (sscanf(o.region_text, "%u,%u,%u,%u%c", &v[0], &v[1], &v[2], &v[3], &more) != 4 ||
            strchr(o.region_text, '-') || !v[2] || !v[3])
            return cli_usage("--region: '%s' is not X,Y,W,H", o.region_text);
        o.region = (ae_region){v[0], v[1], v[2], v[3]};
    }
    return CLI_GO_ON;
}

int main(int argc, char **argv)
{
    cli_job job = {.options = &o.picture.batch,
                   .beside = "%n.%e",
                   .under = "%n.%e",
                   .unit = "MP",
                   .opaque = &o,
                   .suffix = suffix,
                   .wanted = wanted,
                   .process = decompress_file,
                   .refuses = true,
                   .plans = true};
    char **operands;
    int n, status;
    ae_error err;

    status = picture_start(&tool, &o.picture.batch, argc, argv, &operands, &n);
    if (status == CLI_GO_ON)
        status = picture_format(&o.picture);
    if (status == CLI_GO_ON)
        status = check();
    if (status != CLI_GO_ON)
        return status;
    if (ae_coders_create(&o.coders, &err) != AE_OK) {
        cli_message("%s", err.message);
        return CLI_FAILED;
    }
    job.sides[0] = (cli_side){"labels-out", o.labels};
    job.anywhere = o.keep_links;
    status = o.list || o.test ? look_run(&o, operands, n, wanted)
                              : cli_batch_run(&job, operands, n);
    ae_coders_free(o.coders);
    return status;
}
