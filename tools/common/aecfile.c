/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Items of .aec files decoded: samples, packs, and networks with patches and alpha beside them. */
#define _GNU_SOURCE
#include "common/aecfile.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/options.h"
#include "common/patches.h"

static size_t read_fd(void *opaque, uint64_t offset, void *to, size_t n_bytes)
{
    const aecfile *f = opaque;
    size_t done = 0;

    while (done < n_bytes) {
        ssize_t n = pread(f->fd, (uint8_t *)to + done, n_bytes - done, (off_t)(offset + done));

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        done += (size_t)n;
    }
    return done;
}

static size_t read_source(void *opaque, uint64_t offset, void *to, size_t n_bytes)
{
    const aecfile *f = opaque;

    return ae_source_seek(f->source, offset) ? ae_source_read(f->source, to, n_bytes) : 0;
}

ae_status aecfile_open(aecfile *f, const char *path, ae_error *err)
{
    ae_bytes bytes = {.opaque = f};
    struct stat s;
    ae_status st;

    *f = (aecfile){.fd = -1};
    if (strcmp(path, "-") != 0 && (f->fd = open(path, O_RDONLY | O_CLOEXEC)) >= 0 &&
        fstat(f->fd, &s) == 0 && S_ISREG(s.st_mode)) {
        bytes.size = (uint64_t)s.st_size;
        bytes.read = read_fd;
    } else {
        if (f->fd >= 0)
            close(f->fd);
        f->fd = -1;
        if ((st = ae_source_open(path, &f->source, err)) != AE_OK)
            return st;
        bytes.size = ae_source_size(f->source);
        bytes.read = read_source;
    }
    f->size = bytes.size;
    return ae_container_open(&bytes, NULL, &f->container, err);
}

ae_status aecfile_open_descriptor(aecfile *f, int fd, ae_error *err)
{
    ae_bytes bytes = {.opaque = f, .read = read_fd};
    struct stat s;

    *f = (aecfile){.fd = fcntl(fd, F_DUPFD_CLOEXEC, 3)};
    if (f->fd < 0 || fstat(f->fd, &s) != 0)
        return ae_fail(err, AE_ERR_IO, "%s", strerror(errno));
    f->size = bytes.size = (uint64_t)s.st_size;
    return ae_container_open(&bytes, NULL, &f->container, err);
}

void aecfile_close(aecfile *f)
{
    ae_item_free(f->pack);
    ae_container_free(f->container);
    codecs_clear(&f->codecs);
    ae_source_free(f->source);
    if (f->fd > 0)
        close(f->fd);
    *f = (aecfile){.fd = -1};
}

/* The frames wanted of a sound, or the rows of an array. */
static void range_of(const ae_item *item, const aecfile_options *o, uint64_t *first, uint64_t *n)
{
    double unit = o->in_frames || item->info.kind == AE_KIND_TENSOR ? 1 : item->info.rate;
    double from = floor(o->from * unit + 0.5), to = floor(o->to * unit + 0.5);
    uint64_t all = item->info.height, end = o->to > 0 && to < (double)all ? (uint64_t)to : all;

    *first = from < (double)end ? (uint64_t)from : end;
    *n = end - *first;
}

ae_status aecfile_check_range(const ae_item *item, const aecfile_options *o, ae_error *err)
{
    uint64_t first, n;

    range_of(item, o, &first, &n);
    if (n || !item->info.height || item->info.kind == AE_KIND_IMAGE)
        return AE_OK;
    if (item->info.kind == AE_KIND_TENSOR)
        return ae_fail(err, AE_ERR_ARGUMENT, "a range outside the array, which has %llu rows",
                       (unsigned long long)item->info.height);
    return ae_fail(
        err, AE_ERR_ARGUMENT, "a range outside the sound, which has %.2f s (%llu frames)",
        (double)item->info.height / item->info.rate, (unsigned long long)item->info.height);
}

ae_signal_info aecfile_result(const ae_item *item, const aecfile_options *o)
{
    ae_signal_info info = item->info;
    uint64_t first;

    if (info.kind != AE_KIND_IMAGE) {
        range_of(item, o, &first, &info.height);
        return info;
    }
    if (o->region.width) {
        info.width = o->region.width;
        info.height = o->region.height;
    }
    if (o->preview) {
        info.width = (info.width + 7) / 8;
        info.height = (info.height + 7) / 8;
    }
    return info;
}

/* ---- decoding ---- */

typedef struct decoding {
    const aecfile_options *options;
    const ae_row_sink *sink;
    ae_item_reader *reader;
    ae_sample_hash *hash;
    size_t row_bytes;
    uint32_t n_lost;
} decoding;

static ae_status read_tile(void *opaque, uint32_t index, const void **data, size_t *n_bytes,
                           ae_error *err)
{
    decoding *d = opaque;

    return ae_item_tile(d->reader, AE_TILE_COLOURS, index, data, n_bytes, err);
}

static ae_status write_rows(void *opaque, const void *rows, uint32_t n_rows, ae_error *err)
{
    decoding *d = opaque;

    if (d->hash)
        ae_sample_hash_add(d->hash, rows, n_rows * d->row_bytes);
    return d->sink ? d->sink->write(d->sink->opaque, rows, n_rows, err) : AE_OK;
}

static void lose(void *opaque, uint32_t index, const char *why)
{
    decoding *d = opaque;

    d->n_lost++;
    d->options->control.lost(d->options->control.opaque, index, why);
}

static void show(void *opaque, double done)
{
    const decoding *d = opaque;

    if (d->options->control.progress)
        d->options->control.progress(d->options->control.opaque, done);
}

static ae_control control_of(decoding *d)
{
    return (ae_control){d->options->control.threads, &cli_cancel, d, show,
                        d->options->control.lost ? lose : NULL};
}

static ae_status decode_samples(decoding *d, const ae_item *item, ae_error *err)
{
    const aecfile_options *o = d->options;
    ae_samples_options options = {
        .region = o->region, .preview = o->preview, .control = control_of(d)};
    ae_tile_source source = {d, read_tile};
    ae_row_sink sink = {d, write_rows};

    return ae_samples_decode(&item->info, &options, &source, &sink, err);
}

static ae_status decode_sound(decoding *d, const ae_item *item, ae_error *err)
{
    const aecfile_options *o = d->options;
    ae_sounds_options options = {.block = item->block, .control = control_of(d)};
    ae_tile_source source = {d, read_tile};
    ae_row_sink sink = {d, write_rows};
    ae_status st = aecfile_check_range(item, o, err);

    range_of(item, o, &options.first, &options.n_frames);
    return st == AE_OK && options.n_frames
               ? ae_sounds_decode(&item->info, item->tile, &options, &source, &sink, err)
               : st;
}

static ae_status decode_array(decoding *d, const ae_item *item, ae_error *err)
{
    const aecfile_options *o = d->options;
    ae_arrays_options options = {.control = control_of(d)};
    ae_tile_source source = {d, read_tile};
    ae_row_sink sink = {d, write_rows};
    ae_status st = aecfile_check_range(item, o, err);

    range_of(item, o, &options.first, &options.n_rows);
    return st == AE_OK ? ae_arrays_decode(item, &options, &source, &sink, err) : st;
}

/* The reader of the item's pack, which has decoded it where the last item was of it, too. */
static ae_status open_pack(aecfile *f, const ae_item *item, ae_error *err)
{
    if (f->pack && f->pack_offset == item->offset)
        return AE_OK;
    ae_item_free(f->pack);
    f->pack = NULL;
    f->pack_offset = item->offset;
    return ae_item_open(f->container, item, &f->pack, err);
}

/* The whole of a packed item, of which a part may be wanted. */
static ae_status decode_packed(decoding *d, aecfile *f, const ae_item *item, ae_error *err)
{
    const aecfile_options *o = d->options;
    ae_region r = o->region;
    uint64_t w = r.width ? r.width : item->info.width, h = r.width ? r.height : item->info.height;
    size_t row = ae_row_bytes(&item->info), sample = row / (size_t)item->info.width;
    uint8_t *samples;
    ae_status st;

    if (o->preview)
        return ae_fail(err, AE_ERR_UNSUPPORTED, "a packed item is too small for a preview");
    if (r.x > item->info.width || w > item->info.width - r.x || r.y > item->info.height ||
        h > item->info.height - r.y)
        return ae_fail(err, AE_ERR_ARGUMENT,
                       "a region outside the picture, which has %llu x %llu pixels",
                       (unsigned long long)item->info.width, (unsigned long long)item->info.height);
    if (!(samples = ae_alloc((size_t)item->info.height, row)))
        return ae_fail(err, AE_ERR_NOMEM, "a packed item");
    if ((st = open_pack(f, item, err)) == AE_OK)
        st = ae_item_unpack(f->pack, item->position, samples, err);
    for (uint64_t y = 0; y < h && st == AE_OK; y++)
        st = write_rows(d, samples + (r.y + y) * row + r.x * sample, 1, err);
    ae_free(samples);
    return st;
}

/* ---- networks ---- */

/* Colours come from the network, with patches on them; alpha, decoded before, is put beside them.
 */
typedef struct joining {
    decoding *d;
    ae_signal_info colours, result;
    patches patches;
    uint8_t *made, *alpha, *rows; /* made: the network's rows with the patches on them */
    uint64_t y, at;               /* rows of the whole taken so far, and those of alpha */
} joining;

static ae_status take_alpha(void *opaque, const void *rows, uint32_t n_rows, ae_error *err)
{
    joining *j = opaque;
    size_t n = n_rows * (size_t)j->result.width * ae_sample_bytes(j->result.sample);

    (void)err;
    memcpy(j->alpha + j->at, rows, n);
    j->at += n;
    return AE_OK;
}

static ae_status read_alpha(void *opaque, uint32_t index, const void **data, size_t *n_bytes,
                            ae_error *err)
{
    return ae_item_tile(((decoding *)opaque)->reader, AE_TILE_ALPHA, index, data, n_bytes, err);
}

static ae_status read_patch(void *opaque, uint32_t index, const void **data, size_t *n_bytes,
                            ae_error *err)
{
    return ae_item_tile(((decoding *)opaque)->reader, AE_TILE_PATCH, index, data, n_bytes, err);
}

static ae_status join_rows(void *opaque, const void *rows, uint32_t n_rows, ae_error *err)
{
    joining *j = opaque;
    size_t sample = ae_sample_bytes(j->result.sample), colours = sample * j->colours.channels,
           w = (size_t)j->result.width;

    for (uint32_t y = 0; y < n_rows; y++, j->y++) {
        const uint8_t *from = j->made, *alpha = j->alpha + (j->alpha ? j->y * w * sample : 0);
        ae_status st;

        memcpy(j->made, (const uint8_t *)rows + y * w * colours, w * colours);
        if ((st = patches_apply(&j->patches, j->made, 1, err)) != AE_OK ||
            (!j->alpha && (st = write_rows(j->d, j->made, 1, err)) != AE_OK))
            return st;
        if (!j->alpha)
            continue;
        for (size_t x = 0; x < w; x++) {
            memcpy(j->rows + x * (colours + sample), from + x * colours, colours);
            memcpy(j->rows + x * (colours + sample) + colours, alpha + x * sample, sample);
        }
        if ((st = write_rows(j->d, j->rows, 1, err)) != AE_OK)
            return st;
    }
    return AE_OK;
}

static ae_status decode_network(decoding *d, aecfile *f, const ae_item *item, ae_error *err)
{
    const aecfile_options *o = d->options;
    ae_coder_picture picture = {(uint32_t)item->info.width, (uint32_t)item->info.height,
                                item->info.channels < 3 ? 1 : 3, item->info.sample,
                                item->info.bits};
    ae_decode_options options = {.quality = item->quality,
                                 .region = o->region,
                                 .preview = o->preview,
                                 .control = control_of(d)};
    joining j = {.d = d, .colours = item->info, .result = aecfile_result(item, o)};
    ae_tile_source source = {d, read_tile}, alpha_source = {d, read_alpha};
    ae_row_sink sink = {&j, join_rows}, alpha_sink = {&j, take_alpha};
    ae_coder *coder = NULL;
    ae_status st = codecs_find(&f->codecs, f->container, item->identity, o->model, &coder, err);

    if (st != AE_OK)
        return st;
    j.colours.channels = picture.planes;
    j.colours.alpha = false;
    j.patches = (patches){.info = j.colours,
                          .region = o->region,
                          .preview = o->preview,
                          .control = options.control,
                          .read = read_patch};
    if (!(j.made = ae_alloc((size_t)j.result.width,
                            picture.planes * ae_sample_bytes(item->info.sample))))
        return ae_fail(err, AE_ERR_NOMEM, "a row");
    if (item->info.alpha) {
        ae_samples_options how = {
            .region = o->region, .preview = o->preview, .control = options.control};
        ae_signal_info one = item->info;

        how.control.progress = NULL;
        one.channels = 1;
        one.alpha = false;
        j.alpha = ae_alloc((size_t)j.result.height,
                           (size_t)j.result.width * ae_sample_bytes(one.sample));
        j.rows = ae_alloc(1, ae_row_bytes(&j.result));
        st = j.alpha && j.rows ? ae_samples_decode(&one, &how, &alpha_source, &alpha_sink, err)
                               : ae_fail(err, AE_ERR_NOMEM, "alpha");
    }
    if (st == AE_OK)
        st = ae_decode(coder, &picture, &options, &source, &sink, err);
    patches_clear(&j.patches);
    ae_free(j.made);
    ae_free(j.alpha);
    ae_free(j.rows);
    return st;
}

/* Squares of a preview count from the picture's corner, in colours and alpha alike: the region
 * begins with one, and has as many. */
static void align_preview(aecfile_options *o, const ae_item *item)
{
    ae_region *r = &o->region;
    uint64_t w = ((uint64_t)r->width + 7) / 8 * 8, h = ((uint64_t)r->height + 7) / 8 * 8;

    if (!o->preview || !r->width || (uint64_t)r->x + r->width > item->info.width ||
        (uint64_t)r->y + r->height > item->info.height)
        return; /* what lies outside is refused later */
    r->x -= r->x % 8;
    r->y -= r->y % 8;
    r->width = (uint32_t)(w < item->info.width - r->x ? w : item->info.width - r->x);
    r->height = (uint32_t)(h < item->info.height - r->y ? h : item->info.height - r->y);
}

/* Whether all of it is wanted, as it is. */
static bool is_whole(const ae_item *item, const aecfile_options *o)
{
    uint64_t first, n;

    if (item->info.kind == AE_KIND_IMAGE)
        return !o->region.width && !o->preview;
    range_of(item, o, &first, &n);
    return n == item->info.height;
}

ae_status aecfile_decode(aecfile *f, const ae_item *item, const aecfile_options *options,
                         const ae_row_sink *sink, bool *checked, ae_error *err)
{
    aecfile_options own = *options, *o = &own;
    ae_signal_info result = aecfile_result(item, options);
    decoding d = {.options = o, .sink = sink, .row_bytes = ae_row_bytes(&result)};
    uint8_t want[16], got[16];
    ae_status st;

    *checked = false;
    align_preview(&own, item);
    if (!item->packed && (st = ae_item_open(f->container, item, &d.reader, err)) != AE_OK)
        return st;
    if (!item->packed && is_whole(item, o) && ae_item_hash(d.reader, want) &&
        !(d.hash = ae_sample_hash_create())) {
        st = ae_fail(err, AE_ERR_NOMEM, "a hash");
        goto done;
    }
    if (item->info.kind == AE_KIND_AUDIO)
        st = decode_sound(&d, item, err);
    else if (item->info.kind == AE_KIND_TENSOR)
        st = decode_array(&d, item, err);
    else if (item->packed)
        st = decode_packed(&d, f, item, err);
    else if (item->coding == AE_ITEM_SAMPLES)
        st = decode_samples(&d, item, err);
    else
        st = decode_network(&d, f, item, err);
    if (st == AE_OK && d.hash && !d.n_lost) {
        ae_sample_hash_get(d.hash, got);
        *checked = memcmp(got, want, 16) == 0;
        if (!*checked)
            st = ae_fail(err, AE_ERR_CHECKSUM, "the samples are not those that were stored");
    }
    *checked = st == AE_OK && (*checked || item->packed);
done:
    ae_sample_hash_free(d.hash);
    ae_item_free(d.reader);
    return st;
}

/* ---- copies ---- */

ae_status aecfile_copy(const ae_container *from, const ae_item *what, ae_container_writer *w,
                       uint32_t *n_lost, ae_error *err)
{
    uint32_t n_tiles = ae_item_tiles(what);
    bool network = what->coding == AE_ITEM_NETWORK;
    ae_item_reader *r = NULL;
    ae_item_fields fields;
    ae_meta meta = {0};
    uint8_t hash[16];
    ae_error why;
    ae_status st;

    if ((st = ae_container_fields(from, what, 1, &fields, err)) != AE_OK ||
        (st = ae_item_open(from, what, &r, err)) != AE_OK ||
        (st = ae_container_begin(w, what, err)) != AE_OK ||
        (st = ae_container_write_fields(w, &fields, 1, err)) != AE_OK)
        goto done;
    for (int kind = 0; kind < (network ? AE_TILE_KINDS : 1); kind++)
        for (uint32_t i = 0;
             i < n_tiles && st == AE_OK && (kind != AE_TILE_ALPHA || what->info.alpha); i++) {
            const void *data;
            size_t n;

            if (ae_item_tile(r, (ae_tile_kind)kind, i, &data, &n, &why) == AE_OK)
                st = data ? ae_container_write_tile(w, (ae_tile_kind)kind, i, data, n, err) : AE_OK;
            else if (n_lost && why.status != AE_ERR_IO)
                ++*n_lost;
            else
                st = ae_fail(err, why.status, "%s", why.message);
        }
    if (st == AE_OK && ae_item_meta(r, NULL, &meta, &why) == AE_OK)
        st = ae_container_write_meta(w, &meta, err);
    else if (st == AE_OK && why.status == AE_ERR_IO)
        st = ae_fail(err, why.status, "%s", why.message);
    if (st == AE_OK)
        st = ae_container_end(w, ae_item_hash(r, hash) ? hash : NULL, err);
done:
    ae_meta_clear(&meta);
    ae_item_free(r);
    return st;
}
