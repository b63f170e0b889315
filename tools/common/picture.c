/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What tools that write pictures share: options, limits, messages. */
#include "common/picture.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "common/names.h"

ae_limits picture_limits;

int picture_start(const cli_tool *tool, cli_batch_options *batch, int argc, char **argv,
                  char ***operands, int *n_operands)
{
    int status;

    batch->jobs = cli_processors();
    cli_clean_up = ae_output_remove_pending;
    cli_confine = ae_decode_apart;
    status = cli_start(tool, argc, argv, operands, n_operands);
    batch->force |= batch->newer;
    return status;
}

unsigned picture_output_flags(const cli_batch_options *batch)
{
    return (batch->force ? AE_OUTPUT_FORCE : 0u) | (batch->preserve ? AE_OUTPUT_PRESERVE : 0u);
}

int picture_format(picture_options *o)
{
    char names[256] = "";
    unsigned kinds = o->kinds ? o->kinds : 1u << AE_KIND_IMAGE;

    if (!o->format ||
        ((o->codec = ae_codec_for_name(o->format)) != NULL && kinds >> o->codec->kind & 1))
        return CLI_GO_ON;
    for (const ae_codec *const *c = ae_codecs; *c; c++)
        if ((*c)->create && kinds >> (*c)->kind & 1) {
            size_t n = strlen(names);

            snprintf(names + n, sizeof(names) - n, "%s%s", n ? ", " : "", (*c)->name);
        }
    return cli_usage("--format: '%s' is none of %s", o->format, names);
}

ae_status picture_codec(const picture_options *o, const char *output, const ae_codec *standard,
                        const ae_codec **out, ae_error *err)
{
    /* one for sounds says nothing of pictures */
    bool named = o->codec && (!standard || standard->kind == o->codec->kind);

    *out = named ? o->codec : strcmp(output, "-") == 0 ? standard : ae_codec_for_path(output);
    if (!*out)
        return ae_fail(err, AE_ERR_ARGUMENT,
                       "%s: no format that can be written has this suffix (--format names one)",
                       output);
    if (!(*out)->create)
        return ae_fail(err, AE_ERR_UNSUPPORTED, "%s can only be read (--format names another)",
                       (*out)->description);
    return AE_OK;
}

bool picture_has_suffix(const ae_codec *codec, const char *path)
{
    const char *dot = strrchr(path, '.');

    for (const char *const *s = codec->suffixes; dot && *s; s++)
        if (strcasecmp(*s, dot + 1) == 0)
            return true;
    return false;
}

bool picture_is_named(const char *path, unsigned kinds)
{
    for (const ae_codec *const *c = ae_codecs; *c; c++)
        if (kinds >> (*c)->kind & 1 && picture_has_suffix(*c, path))
            return true;
    return false;
}

bool picture_in_tree(const char *path, unsigned kinds)
{
    return picture_is_named(path, kinds) && strcasecmp(cli_name_suffix(path), "ts") != 0;
}

bool picture_wanted(void *opaque, const char *path)
{
    (void)opaque;
    return picture_in_tree(path, 1u << AE_KIND_IMAGE);
}

ae_status picture_count(ae_reader *reader, bool first, bool room, uint32_t *n, ae_error *err)
{
    size_t length = strlen(reader->note);

    *n = 1;
    if (reader->info.kind != AE_KIND_IMAGE || !reader->n_further || reader->track > 1)
        return AE_OK;
    if (first) {
        snprintf(reader->note + length, sizeof(reader->note) - length,
                 "%s%u further pictures dropped", length ? ", " : "", reader->n_further);
        return AE_OK;
    }
    *n = 1 + reader->n_further;
    if (!reader->codec->picture)
        return ae_fail(err, AE_ERR_UNSUPPORTED,
                       "holds %u pictures, of which only the first can be read from %s "
                       "(--first-picture takes it)",
                       *n, reader->codec->description);
    if (!room)
        return ae_fail(
            err, AE_ERR_UNSUPPORTED,
            "holds %u pictures, of which one output holds one (-o DIRECTORY/ writes all, "
            "--first-picture takes the first)",
            *n);
    return AE_OK;
}

ae_status picture_name_file(const char *path, ae_status st, ae_error *err)
{
    ae_error inner = *err;

    return st == AE_OK || st == AE_ERR_CANCELLED ? st
                                                 : ae_fail(err, st, "%s: %s", path, inner.message);
}
