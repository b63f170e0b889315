/* SPDX-License-Identifier: BSD-2-Clause
 *
 * One picture from file to file through a filter of rows. */
#include "common/filter.h"

#include <string.h>

#include "common/models.h"
#include "common/progress.h"

static ae_status write_before(void *opaque, const void *rows, uint32_t n_rows, ae_error *err)
{
    return compare_before(opaque, rows, n_rows, err);
}

static ae_status read_rows(void *opaque, void *rows, uint32_t n_rows, ae_error *err)
{
    filter_picture *p = opaque;
    ae_status st = ae_reader_read(&p->reader, rows, n_rows, err);

    if (st != AE_OK || !p->compare.output)
        return st;
    return p->before ? ae_rescaler_write(p->before, rows, n_rows, err)
                     : compare_before(&p->compare, rows, n_rows, err);
}

static ae_status write_rows(void *opaque, const void *rows, uint32_t n_rows, ae_error *err)
{
    filter_picture *p = opaque;
    ae_status st = picture_name_file(p->item->output,
                                     ae_encoder_write(&p->encoder, rows, n_rows, err), err);

    if (st != AE_OK || !p->compare.output)
        return st;
    return picture_name_file(p->options->compare, compare_after(&p->compare, rows, n_rows, err),
                             err);
}

ae_status filter_input_open(filter_input *in, const char *path, uint32_t track, ae_error *err)
{
    ae_status st;

    *in = (filter_input){0};
    if ((st = ae_source_open(path, &in->source, err)) == AE_OK &&
        (st = ae_reader_open_track(in->source, &picture_limits, track, &in->reader, err)) != AE_OK)
        filter_input_close(in);
    return st;
}

void filter_input_close(filter_input *in)
{
    ae_reader_close(&in->reader);
    ae_source_free(in->source);
    *in = (filter_input){0};
}

/* Goes on from picture to picture of one reader. Where one fails nobody knows what the next would
 * be made of, and the file ends. */
static ae_status divide(const filter_kind *kind, const cli_item *item, filter_input *in, uint32_t n,
                        ae_error *err)
{
    ae_status st = AE_OK;

    in->shared = true;
    for (uint32_t k = 1; k <= n && st == AE_OK; k++) {
        cli_part part;
        bool skip;

        if (cli_cancel.requested)
            return ae_fail(err, AE_ERR_CANCELLED, "interrupted");
        st = cli_part_begin(&part, item, k, n, &skip, err);
        if (st == AE_OK && !skip && (st = ae_reader_picture(&in->reader, k, err)) == AE_OK)
            st = kind->process(&part.item, in, err);
        cli_part_end(&part, st, skip, err);
        if (st != AE_OK && st != AE_ERR_CANCELLED)
            st = ae_fail(err, st, "%u of its %u pictures were done", k - 1, n);
    }
    cli_json_number(item->json, "pictures", n);
    return st;
}

ae_status filter_by_kind(const filter_kind *kinds, const filter_options *options,
                         const cli_item *item, filter_input *in, ae_error *err)
{
    bool room = cli_item_divides(item) && !options->compare && !options->noise_map;
    uint32_t n;
    ae_status st;

    for (const filter_kind *k = kinds; k->kind; k++) {
        if (k->kind != in->reader.info.kind)
            continue;
        st = picture_count(&in->reader, options->first, room, &n, err);
        if (st == AE_OK && n == 1)
            return k->process(item, in, err);
        if (st == AE_OK)
            st = divide(k, item, in, n, err);
        filter_input_close(in);
        return st;
    }
    st = ae_reader_expect(&in->reader, kinds->kind, err);
    filter_input_close(in);
    return st;
}

void filter_take(filter_picture *p, const filter_options *options, const cli_item *item,
                 filter_input *in)
{
    *p = (filter_picture){.options = options,
                          .item = item,
                          .start = cli_seconds(),
                          .rows = {in->reader.info, p, read_rows},
                          .sink = {p, write_rows},
                          .shared = in->shared ? in : NULL,
                          .source = in->source,
                          .reader = in->reader};
    *in = (filter_input){0};
}

/* The pass that is over also brought the metadata that stand behind the pixels, where there is one
 * picture. */
ae_status filter_reopen(filter_picture *p, ae_error *err)
{
    uint32_t track = p->reader.track;
    char note[sizeof(p->reader.note)];
    ae_status st;

    memcpy(note, p->reader.note, sizeof(note));
    if (p->shared) {
        st = ae_reader_picture(&p->reader, track, err);
    } else {
        if (p->has_meta)
            ae_meta_clear(&p->meta);
        p->meta = p->reader.meta;
        p->has_meta = true;
        p->reader.meta = (ae_meta){0};
        ae_reader_close(&p->reader);
        st = ae_reader_open_track(p->source, &picture_limits, track, &p->reader, err);
    }
    if (st == AE_OK && (st = ae_reader_expect(&p->reader, AE_KIND_IMAGE, err)) != AE_OK)
        ae_reader_close(&p->reader);
    if (st == AE_OK)
        memcpy(p->reader.note, note, sizeof(note));
    p->rows.info = p->reader.info;
    return st;
}

static ae_status open_compare(filter_picture *p, ae_error *err)
{
    const filter_options *o = p->options;
    const ae_row_sink before = {&p->compare, write_before};
    const ae_signal_info *from = &p->reader.info;
    ae_status st = compare_open(&p->compare, o->compare, p->item->input, o->picture.batch.force,
                                &p->reader, &p->result, err);

    if (st == AE_OK && (from->width != p->result.width || from->height != p->result.height))
        st = ae_rescaler_create(AE_BICUBIC, from, &p->result, &before, &p->before, err);
    return picture_name_file(o->compare, st, err);
}

ae_status filter_begin(filter_picture *p, const ae_signal_info *result, ae_error *err)
{
    const filter_options *o = p->options;
    const cli_item *item = p->item;
    bool standard = strcmp(item->output, "-") == 0;
    ae_write_options options = {
        .quality = (int)(o->picture.quality ? o->picture.quality : p->quality),
        .like = &p->reader,
        .lossless = o->picture.lossless};
    unsigned flags = picture_output_flags(&o->picture.batch);
    const ae_codec *codec;
    ae_meta *meta = p->has_meta ? &p->meta : &p->reader.meta;
    ae_status st;

    p->result = *result;
    if ((st = picture_codec(&o->picture, item->output, p->reader.codec, &codec, err)) != AE_OK)
        return st;
    if ((st = ae_output_open(item->output, standard ? NULL : item->input, flags, &p->output,
                             err)) != AE_OK)
        return picture_name_file(item->output, st, err);
    if (result->width != p->reader.info.width || result->height != p->reader.info.height)
        ae_meta_resize(meta, result->width, result->height);
    st = ae_encoder_open(codec, ae_output_sink(p->output), result, meta, &options, &p->encoder,
                         err);
    if (st == AE_OK && o->compare)
        st = open_compare(p, err);
    if (st == AE_OK && *p->reader.note)
        cli_item_note(item, "%s", p->reader.note);
    if (st == AE_OK && *p->encoder.writer.note)
        cli_item_note(item, "%s", p->encoder.writer.note);
    return st;
}

static double megapixels(const filter_picture *p)
{
    return (double)p->result.width * (double)p->result.height * 1e-6;
}

void filter_progress(void *picture, double done)
{
    const filter_picture *p = picture;

    cli_item_progress(p->item, done, done * megapixels(p));
}

ae_status filter_finish(filter_picture *p, ae_error *err)
{
    ae_status st = picture_name_file(p->item->output, ae_encoder_finish(&p->encoder, err), err);

    if (st == AE_OK && p->compare.output)
        st = picture_name_file(p->options->compare, compare_finish(&p->compare, err), err);
    if (st == AE_OK) {
        st = picture_name_file(p->item->output, ae_output_commit(p->output, err), err);
        p->output = NULL;
    }
    if (st == AE_OK)
        filter_progress(p, 1);
    return st;
}

void filter_close(filter_picture *p)
{
    ae_rescaler_free(p->before);
    compare_abandon(&p->compare);
    ae_encoder_abandon(&p->encoder);
    ae_output_discard(p->output);
    ae_meta_clear(&p->meta);
    if (p->shared) {
        *p->shared = (filter_input){p->source, p->reader, true};
        return;
    }
    ae_reader_close(&p->reader);
    ae_source_free(p->source);
}

void filter_report(const filter_picture *p, const char *what, const ae_model *model,
                   const ae_run_stats *stats)
{
    const filter_options *o = p->options;
    const ae_signal_info *info = &p->reader.info;
    const char *name = ae_model_recipe(model)->name;
    const char *precision = ae_precision_resolve((ae_precision)o->precision) == AE_PRECISION_BF16
                                ? "bf16"
                                : "f32";
    double seconds = cli_seconds() - p->start;
    cli_json *json = p->item->json;

    if (o->picture.batch.verbose)
        cli_item_note(p->item,
                      "%s, %llu x %llu, %u x %u bit; %s; model %s in %s on %s; %.2f s, %.2f MP/s",
                      p->reader.codec->name, (unsigned long long)info->width,
                      (unsigned long long)info->height, info->channels, info->bits, what, name,
                      precision, ae_cpu_isa(), seconds, megapixels(p) / seconds);
    cli_json_number(json, "width", (double)p->result.width);
    cli_json_number(json, "height", (double)p->result.height);
    cli_json_string(json, "model", name);
    cli_json_string(json, "precision", precision);
    cli_json_number(json, "network_seconds", stats->network_seconds);
}

/* ---- the tool around it ---- */

static const char *output_suffix(void *opaque, const char *input)
{
    const picture_options *o = &((filter_options *)opaque)->picture;

    const ae_codec *named = ae_codec_for_path(input);

    if (o->codec && o->codec->suffixes[0] && (!named || named->kind == o->codec->kind))
        return picture_has_suffix(o->codec, input) ? NULL : o->codec->suffixes[0];
    return named || (o->codec && o->codec->kind != AE_KIND_IMAGE) ? NULL : "png";
}

ae_status filter_find(const char *name, ae_model **out, ae_error *err)
{
    ae_error inner;
    ae_status st = cli_model_open(name, out, &inner);

    return st == AE_OK ? st : ae_fail(err, st, "--model %s: %s", name, inner.message);
}

int filter_load(const char *name, ae_model **out)
{
    ae_error err;

    if (filter_find(name, out, &err) == AE_OK)
        return CLI_GO_ON;
    cli_message("%s", err.message);
    return CLI_FAILED;
}

int filter_main(const cli_tool *tool, cli_job *job, int (*prepare)(int n_operands), int argc,
                char **argv)
{
    filter_options *o = job->opaque;
    char **operands;
    int n, status;

    status = picture_start(tool, &o->picture.batch, argc, argv, &operands, &n);
    if (status == CLI_GO_ON && o->compare && (n > 1 || o->picture.batch.recursive))
        status = cli_usage("--compare takes one input");
    if (status == CLI_GO_ON && o->noise_map && (n > 1 || o->picture.batch.recursive))
        status = cli_usage("--noise-map takes one input");
    if (status == CLI_GO_ON)
        status = picture_format(&o->picture);
    if (status == CLI_GO_ON)
        status = prepare(n);
    if (status != CLI_GO_ON)
        return status;
    job->options = &o->picture.batch;
    job->sides[0] = (cli_side){"compare", o->compare};
    job->sides[2] = (cli_side){"noise-map", o->noise_map};
    job->unit = "MP";
    job->suffix = output_suffix;
    job->wanted = job->wanted ? job->wanted : picture_wanted;
    return cli_batch_run(job, operands, n);
}
