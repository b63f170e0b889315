/* SPDX-License-Identifier: BSD-2-Clause
 *
 * aecompress: its options. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/progress.h"
#include "compress.h"

static compress_options o = {.near_lossless = -1, .quality = 60, .effort = 5, .metadata = "all"};

/* clang-format off */
static const cli_option options[] = {
    {0, NULL, CLI_HEADING, NULL, NULL, "Quality", 0, 0},
    {'q', "quality", CLI_INT, &o.quality, "N",
     "0 to 100; of pictures above 90 no sample errs by more than 1 of 255, in ever fewer rows; 100 "
     "is lossless", 0, 100},
    {0, "lossless", CLI_FLAG, &o.lossless, NULL, "give back the very samples", 0, 0},
    {0, "near-lossless", CLI_NUMBER, &o.near_lossless, "T",
     "no sample errs by more than T of 255; of sounds, by more than T steps of their own", 0, 255},
    {0, "max-error", CLI_NUMBER, &o.max_error, "E", "no element of an array differs by more than E",
     0, 1e300},
    {0, "max-relative-error", CLI_NUMBER, &o.max_relative, "R",
     "of an array of floats, by more than R times its own size", 0, 1},
    {0, "target-size", CLI_STRING, &o.target_size, "N[k|%]",
     "the best quality at so many bytes, or so much of the input's", 0, 0},
    {0, "target-bpp", CLI_NUMBER, &o.target_bpp, "X", "the best quality at so many bits a pixel", 0,
     1000},
    {0, "target-bitrate", CLI_NUMBER, &o.target_bitrate, "X",
     "of sounds, the best quality at so many kbit/s", 0, 1e6},
    {0, "target-psnr", CLI_NUMBER, &o.target_psnr, "X", "the smallest file of so many dB", 0, 120},
    {'m', "model", CLI_STRING, &o.model, "NAME|FILE", "the codec for qualities up to 90", 0, 0},
    {0, "embed-model", CLI_FLAG, &o.embed, NULL,
     "put what decoding needs of the codec into the file, too", 0, 0},
    {'e', "effort", CLI_INT, &o.effort, "N", "1 (fast) to 9 (small)", 1, 9},
    {0, NULL, CLI_HEADING, NULL, NULL, "Output", 0, 0},
    {'a', "archive", CLI_STRING, &o.archive, "FILE", "put all inputs into this one file", 0, 0},
    {0, "append", CLI_FLAG, &o.append, NULL, "add to the archive if it is there", 0, 0},
    {0, "labels", CLI_STRING, &o.labels, "FILE",
     "what the archive's items are, in order: an IDX or NPY file of numbers, or the last cells of "
     "a table", 0, 0},
    {0, "verify", CLI_FLAG, &o.verify, NULL, "decode what was written and compare", 0, 0},
    PICTURE_FIRST(o.first),
    {0, "metadata", CLI_STRING, &o.metadata, "all|none|LIST",
     "what to keep of icc,exif,xmp,iptc,text,density,colour, of sounds tags,cover,chunks, of files "
     "in archives times", 0, 0},
    CLI_BATCH_OPTIONS(o.batch),
    {0},
};
/* clang-format on */

static const cli_tool tool = {
    "aecompress",
    "[OPTION]... [FILE|DIRECTORY]...",
    "Compresses pictures, sounds and, without loss, arrays (NPY, CSV, IDX). photo.png becomes "
    "photo.aec beside "
    "it; - is standard input or output, and the default in a pipe. "
    "aedecompress brings them back, to the same samples on every machine.",
    options,
    "Examples:\n"
    "  aecompress --lossless scan.png                     scan.aec\n"
    "  aecompress --target-bitrate 24 talk.wav            talk.aec, of 24 kbit/s\n"
    "  aecompress --max-error 1e-4 features.npy           features.aec\n"
    "  aecompress -q 95 -r -o small/ holiday/             a whole tree\n"
    "  aecompress --lossless --archive set.aec -r set/    a data set in one file\n"
    "  aecompress --lossless -a t10k.aec --labels t10k-labels-idx1-ubyte.gz "
    "t10k-images-idx3-ubyte.gz\n",
};

static const char *suffix(void *opaque, const char *input)
{
    (void)opaque;
    (void)input;
    return "aec";
}

static int parse_metadata(void)
{
    static const char *const names[] = {
        [AE_META_ICC] = "icc",       [AE_META_EXIF] = "exif", [AE_META_XMP] = "xmp",
        [AE_META_IPTC] = "iptc",     [AE_META_TEXT] = "text", [AE_META_DENSITY] = "density",
        [AE_META_COLOUR] = "colour", [AE_META_TAG] = "tags",  [AE_META_COVER] = "cover",
        [AE_META_CHUNK] = "chunks"};

    if (strcmp(o.metadata, "all") == 0) {
        o.meta_kinds = UINT32_MAX;
        o.times = true;
    }
    if (strcmp(o.metadata, "all") == 0 || strcmp(o.metadata, "none") == 0)
        return CLI_GO_ON;
    for (const char *at = o.metadata; *at;) {
        size_t n = strcspn(at, ","), kind = AE_META_ICC;

        if (n == 5 && strncasecmp(at, "times", n) == 0) {
            o.times = true;
            at += n + (at[n] == ',');
            continue;
        }
        while (kind <= AE_META_CHUNK &&
               (strlen(names[kind]) != n || strncasecmp(names[kind], at, n) != 0))
            kind++;
        if (kind > AE_META_CHUNK)
            return cli_usage("--metadata: '%s' is not all, none or a list of "
                             "icc,exif,xmp,iptc,text,density,colour,tags,cover,chunks,times",
                             o.metadata);
        o.meta_kinds |= 1u << kind;
        at += n + (at[n] == ',');
    }
    return CLI_GO_ON;
}

static int check(void)
{
    if ((o.max_error > 0) + (o.max_relative > 0) + o.lossless > 1)
        return cli_usage("--lossless, --max-error and --max-relative-error exclude each other");
    if (!!o.target_size + (o.target_bpp > 0) + (o.target_psnr > 0) + (o.target_bitrate > 0) +
            o.lossless + (o.near_lossless >= 0) >
        1)
        return cli_usage("--lossless, --near-lossless and the targets exclude each other");
    if (o.target_size) {
        size_t length = strlen(o.target_size);
        char more;

        if (length && o.target_size[length - 1] == '%'
                ? sscanf(o.target_size, "%lf%%%c", &o.target_percent, &more) != 1 ||
                      !(o.target_percent > 0)
                : !cli_parse_size(o.target_size, &o.target_bytes) || !o.target_bytes)
            return cli_usage("--target-size: '%s' is not a size such as 20k or 10%%",
                             o.target_size);
    }
    if (o.labels && (!o.archive || o.batch.shard))
        return cli_usage("--labels are of the items of a whole --archive");
    if (o.append && !o.archive)
        return cli_usage("--append adds to an --archive");
    if (o.archive && !*o.archive)
        return cli_usage("--archive: an empty file name");
    if (o.archive && o.verify && strcmp(o.archive, "-") == 0)
        return cli_usage("what goes to standard output cannot be verified");
    if (o.archive && strcmp(o.archive, "-") == 0 && isatty(STDOUT_FILENO))
        return cli_usage("an archive is not written to a terminal");
    return parse_metadata();
}

int main(int argc, char **argv)
{
    cli_job job = {.options = &o.batch,
                   .beside = "%n.%e",
                   .under = "%n.%e",
                   .unit = "MP",
                   .together = "; --archive FILE puts all into one file",
                   .opaque = &o,
                   .suffix = suffix,
                   .wanted = compress_wanted,
                   .process = compress_file};
    char **operands;
    int n, status;

    status = picture_start(&tool, &o.batch, argc, argv, &operands, &n);
    if (status == CLI_GO_ON)
        status = check();
    if (status == CLI_GO_ON && !o.batch.dry_run)
        status = compress_load(&o, operands, n);
    if (status == CLI_GO_ON)
        status = o.archive ? archive_run(&o, operands, n) : cli_batch_run(&job, operands, n);
    ae_coder_free(o.coder);
    ae_model_free(o.loaded);
    return status;
}
