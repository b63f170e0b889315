/* SPDX-License-Identifier: BSD-2-Clause
 *
 * One input to one .aec: the codec is found, items are begun, coded by what suits their kind (a
 * network or samples, recording.c, arrayitem.c), ended with the digest of what decoding will give,
 * and where --verify asks for it decoded again. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "arrayitem.h"
#include "common/aecfile.h"
#include "common/arrays.h"
#include "common/names.h"
#include "common/models.h"
#include "common/progress.h"
#include "common/text.h"
#include "encoding.h"
#include "recording.h"

static ae_status write_network(encoding *e, const compress_options *o, uint32_t threads,
                               ae_error *err)
{
    compressed *c = e->c;
    ae_status st;

    if (!(c->samples > 0) && (st = compress_compare(e, o, threads, err)) != AE_OK)
        return st;
    if ((st = compress_write_coded(e, c->tiles, AE_TILE_COLOURS, err)) != AE_OK ||
        (st = compress_write_coded(e, c->patches, AE_TILE_PATCH, err)) != AE_OK)
        return st;
    return compress_alpha(e, threads, err);
}

ae_status compress_item(compressed *c, const compress_options *o, const cli_item *progress,
                        uint32_t threads, const char *name, ae_container_writer *writer,
                        ae_error *err)
{
    encoding e = {.c = c, .progress = progress};
    bool coded = false;
    ae_status st = AE_OK;

    if (c->sound)
        return recording_item(c, o, progress, threads, name, writer, err);
    if (c->array)
        return array_item(c, o, progress, threads, name, writer, err);
    if (compress_has_target(o))
        st = target_choose(c, o, threads, name, &coded, err);
    else if (c->item.coding == AE_ITEM_NETWORK)
        st = compress_by_word(&e, o, threads, err);
    if (st != AE_OK)
        return st;
    e.writer = writer;
    c->item.name = (char *)(uintptr_t)name; /* only read */
    if ((st = ae_container_begin(writer, &c->item, err)) != AE_OK ||
        (st = ae_container_write_fields(writer, &c->fields, 1, err)) != AE_OK)
        return st;
    if (c->item.coding == AE_ITEM_NETWORK)
        st = write_network(&e, o, threads, err);
    else if (!c->patches || (st = compress_start_again(c, err)) == AE_OK)
        st = compress_samples(&e, threads, err);
    if (st != AE_OK || (st = compress_write_meta(c, o, writer, err)) != AE_OK)
        return st;
    ae_sample_hash_get(c->hash, c->digest);
    return ae_container_end(writer, c->digest, err);
}

void compress_report(const compressed *c, const compress_options *o, cli_json *json,
                     uint64_t n_bytes, uint64_t n_input)
{
    double pixels = (double)c->info.width * (double)c->info.height;

    (void)o;
    if (c->sound) {
        recording_report(c, json, n_bytes, n_input);
        return;
    }
    if (c->array) {
        array_report(c, json, n_bytes, n_input);
        return;
    }
    cli_json_number(json, "width", (double)c->info.width);
    cli_json_number(json, "height", (double)c->info.height);
    cli_json_number(json, "channels", c->info.channels);
    cli_json_string(json, "coding",
                    c->item.coding == AE_ITEM_NETWORK ? "network"
                    : c->item.quality                 ? "near-lossless"
                                                      : "lossless");
    cli_json_number(json, "input_bytes", (double)n_input);
    cli_json_number(json, "bytes", (double)n_bytes);
    cli_json_number(json, "bpp", 8 * (double)n_bytes / pixels);
    cli_json_number(json, "psnr",
                    c->squares > 0 ? 10 * log10(255.0 * 255.0 * c->samples / c->squares)
                                   : INFINITY);
    cli_json_number(json, "ms_ssim",
                    c->squares <= 0 ? 1
                    : c->similarity ? ae_similarity_value(c->similarity)
                                    : NAN);
}

bool compress_wanted(void *opaque, const char *path)
{
    const compress_options *o = opaque;

    const char *suffix = cli_name_suffix(path);
    /* only pictures aim at a size */
    unsigned others = compress_has_target(o) ? 0 : 1u << AE_KIND_AUDIO | 1u << AE_KIND_TENSOR;

    /* beside pictures a table tells of them, and its words would become numbers */
    return picture_in_tree(path, 1u << AE_KIND_IMAGE | others) && strcasecmp(suffix, "csv") != 0 &&
           strcasecmp(suffix, "tsv") != 0;
}

static bool none_are_pictures(char **operands, int n)
{
    int i = 0;

    while (i < n && picture_is_named(operands[i], 1u << AE_KIND_AUDIO | 1u << AE_KIND_TENSOR))
        i++;
    return n && i == n;
}

int compress_load(compress_options *o, char **operands, int n_operands)
{
    const char *name = o->model ? o->model : "codec";
    ae_error err;

    if (o->target_bitrate > 0 || (!compress_has_target(o) && compress_bound_of(o) >= 0) ||
        (!o->model && !o->batch.files_from && none_are_pictures(operands, n_operands)))
        return CLI_GO_ON;
    if (cli_model_open(name, &o->loaded, &err) == AE_OK &&
        ae_coder_open(o->loaded, &o->coder, &err) == AE_OK)
        return CLI_GO_ON;
    if (compress_has_target(o) && !o->model)
        return CLI_GO_ON; /* what needs none may do */
    cli_message("the codec %s: %s; --lossless, --near-lossless and -q 91 and above need none", name,
                err.message);
    return CLI_FAILED;
}

/* ---- one file ---- */

ae_status compress_verify(int fd, uint64_t first, const compress_options *o, uint32_t threads,
                          ae_error *err)
{
    ae_archive_options options = {.model = o->model,
                                  .control = {.threads = threads, .cancel = &cli_cancel}};
    ae_item *items = NULL;
    size_t n = 0;
    aecfile f;
    ae_status st = aecfile_open_descriptor(&f, fd, err);

    if (st == AE_OK && ae_container_complaint(f.container))
        st = ae_fail(err, AE_ERR_MALFORMED, "%s", ae_container_complaint(f.container));
    if (st == AE_OK)
        st = ae_container_list(f.container, &items, &n, err);
    for (size_t i = 0; i < n && st == AE_OK; i++) {
        bool checked = false;

        if (items[i].number >= first &&
            (st = ae_archive_decode(f.archive, &items[i], &options, NULL, &checked, err)) ==
                AE_OK &&
            !checked)
            st = ae_fail(err, AE_ERR_INTERNAL, "%s has no hash", items[i].name);
    }
    ae_items_free(items, n);
    aecfile_close(&f);
    return st == AE_OK || st == AE_ERR_CANCELLED ? st : picture_name_file("verifying", st, err);
}

/* The name an item gets that is alone in its file. */
static const char *own_name(const char *input)
{
    const char *slash = strrchr(input, '/'), *base = slash ? slash + 1 : input;

    return strcmp(input, "-") != 0 && ae_item_name_is_safe(base) ? base : "";
}

static ae_status name_picture(uint32_t k, ae_status st, ae_error *err)
{
    char name[32];

    snprintf(name, sizeof(name), "picture %u", k);
    return picture_name_file(name, st, err);
}

static void say_recording(const compressed *c, const compress_options *o, const cli_item *item,
                          uint64_t n_bytes)
{
    double seconds = recording_seconds(c);
    char length[32];

    cli_item_progress_sound(item, 1, seconds / 3600);
    compress_report(c, o, item->json, n_bytes, ae_source_size(c->source));
    if (o->batch.verbose)
        cli_item_note(item, "%s, %g Hz, channels: %u, %llu -> %llu bytes, %.1f kbit/s",
                      sound_time(seconds, length), c->info.rate, c->info.channels,
                      (unsigned long long)ae_source_size(c->source), (unsigned long long)n_bytes,
                      seconds > 0 ? 8e-3 * (double)n_bytes / seconds : 0);
}

/* All pictures of the file, each an item: photo.png alone, scan-1.tif and on of several. Their
 * pixels are counted. */
static ae_status write_items(compressed *c, const compress_options *o, const cli_item *item,
                             ae_container_writer *writer, double *pixels, ae_error *err)
{
    char note[sizeof(c->reader.note)] = "";
    cli_item part = *item;
    ae_status st = AE_OK;

    part.share = 1.0 / c->n_pictures;
    for (uint32_t k = 1; k <= c->n_pictures && st == AE_OK; k++) {
        const char *own = own_name(item->input);
        char *name = c->n_pictures > 1 ? cli_name_numbered(own, k, c->n_pictures) : ae_strdup(own);

        part.before = (k - 1) * part.share;
        if (!name)
            st = ae_fail(err, AE_ERR_NOMEM, "a name");
        else if (k > 1)
            st = compress_picture(c, o, k, err);
        if (st == AE_OK)
            st = compress_item(c, o, &part, item->threads, name, writer, err);
        ae_free(name);
        if (st != AE_OK)
            return c->n_pictures > 1 && st != AE_ERR_CANCELLED ? name_picture(k, st, err) : st;
        if (strcmp(c->reader.note, note) != 0)
            cli_item_note(item, "%s", c->reader.note);
        memcpy(note, c->reader.note, sizeof(note));
        if (!c->sound && c->reader.info.sample != c->info.sample)
            cli_item_note(item, "floating-point samples rounded to 16 bits, within 0 and 1");
        *pixels += (double)c->info.width * (double)c->info.height;
    }
    return st;
}

static void say_pictures(const compressed *c, const compress_options *o, const cli_item *item,
                         uint64_t n_bytes, double pixels)
{
    uint64_t n_input = ae_source_size(c->source);

    cli_item_progress(item, 1, pixels * 1e-6);
    if (c->n_pictures > 1) {
        cli_json_number(item->json, "pictures", c->n_pictures);
        cli_json_number(item->json, "input_bytes", (double)n_input);
        cli_json_number(item->json, "bytes", (double)n_bytes);
        cli_json_number(item->json, "bpp", 8 * (double)n_bytes / pixels);
    } else {
        compress_report(c, o, item->json, n_bytes, n_input);
    }
    if (o->batch.verbose && c->n_pictures > 1)
        cli_item_note(item, "%u pictures, %llu -> %llu bytes, %.3f bits a pixel", c->n_pictures,
                      (unsigned long long)n_input, (unsigned long long)n_bytes,
                      8 * (double)n_bytes / pixels);
    else if (o->batch.verbose)
        cli_item_note(item, "%llu x %llu, %llu -> %llu bytes, %.3f bits a pixel",
                      (unsigned long long)c->info.width, (unsigned long long)c->info.height,
                      (unsigned long long)n_input, (unsigned long long)n_bytes,
                      8 * (double)n_bytes / pixels);
}

static void say_array(const compressed *c, const compress_options *o, const cli_item *item,
                      uint64_t n_bytes)
{
    uint64_t n_input = ae_source_size(c->source);
    char shape[ARRAY_TEXT];

    cli_item_progress(item, 1, (double)c->info.width * (double)c->info.height * 1e-6);
    array_report(c, item->json, n_bytes, n_input);
    if (o->batch.verbose)
        cli_item_note(item, "%s, %s, %llu -> %llu bytes", array_shape(&c->info, shape),
                      array_type(c->info.sample), (unsigned long long)n_input,
                      (unsigned long long)n_bytes);
}

ae_status compress_file(void *opaque, const cli_item *item, ae_error *err)
{
    const compress_options *o = opaque;
    ae_container_writer *writer = NULL;
    ae_output *output = NULL;
    bool standard = strcmp(item->output, "-") == 0;
    uint64_t n_bytes = 0;
    double pixels = 0;
    compressed c;
    ae_status st = compress_open(&c, o, item->input, err);

    if (st != AE_OK)
        goto done;
    /* Who names the one file takes the input for one picture. */
    if (c.n_pictures > 1 && o->batch.output && strcmp(item->output, o->batch.output) == 0) {
        st = ae_fail(
            err, AE_ERR_UNSUPPORTED,
            "holds %u pictures, and -o names a file for one (without it, with -o DIRECTORY/ "
            "and with --archive each is an item, --first-picture takes the first)",
            c.n_pictures);
        goto done;
    }
    if ((st = ae_output_open(item->output, standard ? NULL : item->input,
                             picture_output_flags(&o->batch), &output, err)) != AE_OK ||
        (st = ae_container_create(ae_output_sink(output), &writer, err)) != AE_OK) {
        st = picture_name_file(item->output, st, err);
        goto done;
    }
    if ((st = compress_model(o, writer, err)) != AE_OK ||
        (st = write_items(&c, o, item, writer, &pixels, err)) != AE_OK ||
        (st = ae_container_finish(writer, err)) != AE_OK)
        goto done;
    n_bytes = ae_container_written(writer);
    /* before it takes the place of what was there */
    if (o->verify && ae_output_descriptor(output) >= 0 &&
        ((st = ae_output_flush(output, err)) != AE_OK ||
         (st = compress_verify(ae_output_descriptor(output), 0, o, item->threads, err)) != AE_OK))
        goto done;
    st = picture_name_file(item->output, ae_output_commit(output, err), err);
    output = NULL;
    if (st == AE_OK && c.sound)
        say_recording(&c, o, item, n_bytes);
    else if (st == AE_OK && c.array)
        say_array(&c, o, item, n_bytes);
    else if (st == AE_OK)
        say_pictures(&c, o, item, n_bytes, pixels);
done:
    ae_container_writer_free(writer);
    ae_output_discard(output);
    compress_close(&c);
    return st;
}
