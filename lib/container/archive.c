/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Items of .aec files decoded: samples, packs, and networks with patches and alpha beside them. */
#define _GNU_SOURCE
#include "ae/archive.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "container/coders.h"

struct ae_archive {
    ae_container *container;
    int descriptor;    /* -1: the caller's bytes */
    ae_coders *coders; /* own ones, once they were needed */
    ae_coder *embedded;
    bool looked;    /* for that */
    ae_error unfit; /* what is wrong with it; AE_OK: nothing */
    struct kept {
        uint64_t offset;
        ae_item_reader *reader; /* NULL: none */
    } * packs;                  /* that were decoded last */
    uint32_t n_packs, next;     /* room for so many; the one that is given up next */
};

static size_t read_descriptor(void *opaque, uint64_t offset, void *to, size_t n_bytes)
{
    const ae_archive *a = opaque;
    size_t done = 0;

    while (done < n_bytes) {
        ssize_t n = pread(a->descriptor, (uint8_t *)to + done, n_bytes - done,
                          (off_t)(offset + done));

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        done += (size_t)n;
    }
    return done;
}

static ae_status create(ae_archive **out, ae_error *err)
{
    if (!(*out = ae_alloc(1, sizeof(**out))))
        return ae_fail(err, AE_ERR_NOMEM, "an archive");
    (*out)->descriptor = -1;
    return AE_OK;
}

static ae_status finish_open(const ae_bytes *bytes, const ae_limits *limits, ae_archive **out,
                             ae_error *err)
{
    ae_status st = ae_container_open(bytes, limits, &(*out)->container, err);

    if (st != AE_OK) {
        ae_archive_free(*out);
        *out = NULL;
    }
    return st;
}

ae_status ae_archive_open(const ae_bytes *bytes, const ae_limits *limits, ae_archive **out,
                          ae_error *err)
{
    ae_status st = create(out, err);

    return st == AE_OK ? finish_open(bytes, limits, out, err) : st;
}

ae_status ae_archive_open_descriptor(int descriptor, const ae_limits *limits, ae_archive **out,
                                     ae_error *err)
{
    ae_status st = create(out, err);
    struct stat s;

    if (st != AE_OK)
        return st;
    (*out)->descriptor = fcntl(descriptor, F_DUPFD_CLOEXEC, 3);
    if ((*out)->descriptor < 0 || fstat(descriptor, &s) != 0)
        st = ae_fail(err, AE_ERR_IO, "%s", strerror(errno));
    else if (!S_ISREG(s.st_mode))
        st = ae_fail(err, AE_ERR_IO, "not a regular file");
    if (st != AE_OK) {
        ae_archive_free(*out);
        *out = NULL;
        return st;
    }
    return finish_open(&(ae_bytes){*out, (uint64_t)s.st_size, read_descriptor}, limits, out, err);
}

static void forget_packs(ae_archive *a)
{
    for (uint32_t i = 0; i < a->n_packs; i++)
        ae_item_free(a->packs[i].reader);
    ae_free(a->packs);
    a->packs = NULL;
    a->n_packs = a->next = 0;
}

void ae_archive_free(ae_archive *a)
{
    if (!a)
        return;
    forget_packs(a);
    ae_container_free(a->container);
    ae_coder_free(a->embedded);
    ae_coders_free(a->coders);
    if (a->descriptor >= 0)
        close(a->descriptor);
    ae_free(a);
}

ae_container *ae_archive_container(ae_archive *a)
{
    return a->container;
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* The frames wanted of a sound, or the rows of an array. */
static void range_of(const ae_item *item, const ae_archive_options *o, uint64_t *first, uint64_t *n)
{
    uint64_t all = item->info.height;

    *first = least(o->first, all);
    *n = o->n_frames ? least(o->n_frames, all - *first) : all - *first;
}

ae_status ae_archive_check_range(const ae_item *item, const ae_archive_options *options,
                                 ae_error *err)
{
    uint64_t all = item->info.height;

    if (!options || options->first < all || !all || item->info.kind == AE_KIND_IMAGE)
        return AE_OK;
    if (item->info.kind == AE_KIND_TENSOR)
        return ae_fail(err, AE_ERR_ARGUMENT, "a range outside the array, which has %llu rows",
                       (unsigned long long)all);
    return ae_fail(err, AE_ERR_ARGUMENT,
                   "a range outside the sound, which has %.2f s (%llu frames)",
                   (double)all / item->info.rate, (unsigned long long)all);
}

ae_signal_info ae_archive_result(const ae_item *item, const ae_archive_options *options)
{
    static const ae_archive_options all;
    const ae_archive_options *o = options ? options : &all;
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
    const ae_archive_options *options;
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
    return (ae_control){d->options->control.threads, d->options->control.cancel, d, show,
                        d->options->control.lost ? lose : NULL};
}

static ae_status decode_samples(decoding *d, const ae_item *item, ae_error *err)
{
    const ae_archive_options *o = d->options;
    ae_samples_options options = {
        .region = o->region, .preview = o->preview, .control = control_of(d)};
    ae_tile_source source = {d, read_tile};
    ae_row_sink sink = {d, write_rows};

    return ae_samples_decode(&item->info, &options, &source, &sink, err);
}

static ae_status decode_sound(decoding *d, const ae_item *item, ae_error *err)
{
    const ae_archive_options *o = d->options;
    ae_sounds_options options = {.block = item->block, .control = control_of(d)};
    ae_tile_source source = {d, read_tile};
    ae_row_sink sink = {d, write_rows};
    ae_status st = ae_archive_check_range(item, o, err);

    range_of(item, o, &options.first, &options.n_frames);
    return st == AE_OK && options.n_frames
               ? ae_sounds_decode(&item->info, item->tile, &options, &source, &sink, err)
               : st;
}

static ae_status decode_array(decoding *d, const ae_item *item, ae_error *err)
{
    const ae_archive_options *o = d->options;
    ae_arrays_options options = {.control = control_of(d)};
    ae_tile_source source = {d, read_tile};
    ae_row_sink sink = {d, write_rows};
    ae_status st = ae_archive_check_range(item, o, err);

    range_of(item, o, &options.first, &options.n_rows);
    return st == AE_OK ? ae_arrays_decode(item, &options, &source, &sink, err) : st;
}

ae_status ae_archive_keep_packs(ae_archive *a, uint32_t n, ae_error *err)
{
    forget_packs(a);
    if (!(a->packs = ae_alloc(n ? n : 1, sizeof(*a->packs))))
        return ae_fail(err, AE_ERR_NOMEM, "%u packs", n);
    a->n_packs = n ? n : 1;
    return AE_OK;
}

/* The reader of the item's pack, which has decoded it where it was kept. */
static ae_status open_pack(ae_archive *a, const ae_item *item, ae_item_reader **reader,
                           ae_error *err)
{
    struct kept *k;
    ae_status st = a->packs ? AE_OK : ae_archive_keep_packs(a, 1, err);

    if (st != AE_OK)
        return st;
    for (uint32_t i = 0; i < a->n_packs; i++)
        if (a->packs[i].reader && a->packs[i].offset == item->offset) {
            *reader = a->packs[i].reader;
            return AE_OK;
        }
    k = &a->packs[a->next];
    a->next = (a->next + 1) % a->n_packs;
    ae_item_free(k->reader);
    *k = (struct kept){.offset = item->offset};
    st = ae_item_open(a->container, item, &k->reader, err);
    *reader = k->reader;
    return st;
}

/* The whole of a packed item, of which a part may be wanted. */
static ae_status decode_packed(decoding *d, ae_archive *a, const ae_item *item, ae_error *err)
{
    const ae_archive_options *o = d->options;
    ae_region r = o->region;
    uint64_t w = r.width ? r.width : item->info.width, h = r.width ? r.height : item->info.height;
    size_t row = ae_row_bytes(&item->info), sample = row / (size_t)item->info.width;
    ae_item_reader *reader;
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
    if ((st = open_pack(a, item, &reader, err)) == AE_OK)
        st = ae_item_unpack(reader, item->position, samples, err);
    for (uint64_t y = 0; y < h && st == AE_OK; y++)
        st = write_rows(d, samples + (r.y + y) * row + r.x * sample, 1, err);
    ae_free(samples);
    return st;
}

/* ---- networks ---- */

/* Colours come from the network, with patches on them; alpha is put beside them, a row of tiles at
 * a time. */
typedef struct joining {
    decoding *d;
    ae_signal_info whole, result;
    uint32_t planes;
    ae_patches patches;
    uint8_t *made, *alpha, *rows; /* made: the network's rows with the patches on them */
    uint64_t y;                   /* rows taken so far */
    uint64_t alpha_first, alpha_end;
} joining;

static ae_status take_alpha(void *opaque, const void *rows, uint32_t n_rows, ae_error *err)
{
    joining *j = opaque;
    size_t row = (size_t)j->result.width * ae_sample_bytes(j->result.sample);

    (void)err;
    memcpy(j->alpha + (j->alpha_end - j->alpha_first) * row, rows, n_rows * row);
    j->alpha_end += n_rows;
    return AE_OK;
}

static ae_status read_alpha(void *opaque, uint32_t index, const void **data, size_t *n_bytes,
                            ae_error *err)
{
    return ae_item_tile(((decoding *)opaque)->reader, AE_TILE_ALPHA, index, data, n_bytes, err);
}

/* Alpha from row y on, to the end of its tiles. */
static ae_status load_alpha(joining *j, ae_error *err)
{
    const ae_archive_options *o = j->d->options;
    ae_region r = o->region.width
                      ? o->region
                      : (ae_region){0, 0, (uint32_t)j->whole.width, (uint32_t)j->whole.height};
    uint32_t done = (uint32_t)j->y * (o->preview ? 8 : 1);
    ae_samples_options how = {.region = r, .preview = o->preview, .control = control_of(j->d)};
    ae_signal_info one = j->whole;

    how.region.y += done;
    how.region.height = (uint32_t)least(AE_CODER_TILE - how.region.y % AE_CODER_TILE,
                                        r.height - done);
    how.control.progress = NULL;
    one.channels = 1;
    one.alpha = false;
    j->alpha_first = j->alpha_end = j->y;
    return ae_samples_decode(&one, &how, &(ae_tile_source){j->d, read_alpha},
                             &(ae_row_sink){j, take_alpha}, err);
}

static ae_status read_patch(void *opaque, uint32_t index, const void **data, size_t *n_bytes,
                            ae_error *err)
{
    return ae_item_tile(((decoding *)opaque)->reader, AE_TILE_PATCH, index, data, n_bytes, err);
}

static ae_status join_rows(void *opaque, const void *rows, uint32_t n_rows, ae_error *err)
{
    joining *j = opaque;
    size_t sample = ae_sample_bytes(j->result.sample), colours = sample * j->planes,
           w = (size_t)j->result.width;

    for (uint32_t y = 0; y < n_rows; y++, j->y++) {
        const uint8_t *from = j->made, *alpha;
        ae_status st;

        memcpy(j->made, (const uint8_t *)rows + y * w * colours, w * colours);
        if ((st = ae_patches_apply(&j->patches, j->made, 1, err)) != AE_OK ||
            (!j->alpha && (st = write_rows(j->d, j->made, 1, err)) != AE_OK))
            return st;
        if (!j->alpha)
            continue;
        if (j->y == j->alpha_end && (st = load_alpha(j, err)) != AE_OK)
            return st;
        alpha = j->alpha + (j->y - j->alpha_first) * w * sample;
        for (size_t x = 0; x < w; x++) {
            memcpy(j->rows + x * (colours + sample), from + x * colours, colours);
            memcpy(j->rows + x * (colours + sample) + colours, alpha + x * sample, sample);
        }
        if ((st = write_rows(j->d, j->rows, 1, err)) != AE_OK)
            return st;
    }
    return AE_OK;
}

/* A damaged one is no reason to give up: it may be installed, too. Only what is not the file's
 * fault fails. */
static ae_status look_inside(ae_archive *a, ae_error *err)
{
    void *program = NULL;
    size_t n;
    ae_error why;
    ae_status st = ae_container_model(a->container, &program, &n, &why);

    a->looked = true;
    if (st == AE_ERR_ARGUMENT) /* there is none */
        return AE_OK;
    if (st == AE_OK)
        st = ae_coder_open_program(program, n, &a->embedded, &why);
    ae_free(program);
    if (st != AE_OK)
        a->unfit = why;
    return st == AE_ERR_NOMEM ? ae_fail(err, st, "%s", why.message) : AE_OK;
}

static ae_status find_coder(ae_archive *a, const ae_item *item, const ae_archive_options *o,
                            ae_coder **coder, ae_error *err)
{
    uint8_t identity[16];
    ae_status st = a->looked ? AE_OK : look_inside(a, err);

    if (st != AE_OK)
        return st;
    if (a->embedded) {
        ae_coder_identity(a->embedded, identity);
        if (memcmp(identity, item->identity, 16) == 0) {
            *coder = a->embedded;
            return AE_OK;
        }
    }
    if (!o->coders && !a->coders && (st = ae_coders_create(&a->coders, err)) != AE_OK)
        return st;
    return aei_coders_find(o->coders ? o->coders : a->coders, item->identity, o->model, &a->unfit,
                           coder, err);
}

static ae_status decode_network(decoding *d, ae_archive *a, const ae_item *item, ae_error *err)
{
    const ae_archive_options *o = d->options;
    ae_coder_picture picture = {(uint32_t)item->info.width, (uint32_t)item->info.height,
                                item->info.channels < 3 ? 1 : 3, item->info.sample,
                                item->info.bits};
    ae_decode_options options = {.quality = item->quality,
                                 .region = o->region,
                                 .preview = o->preview,
                                 .control = control_of(d)};
    joining j = {.d = d,
                 .whole = item->info,
                 .result = ae_archive_result(item, o),
                 .planes = picture.planes};
    size_t sample = ae_sample_bytes(item->info.sample), w = (size_t)j.result.width;
    ae_tile_source source = {d, read_tile};
    ae_row_sink sink = {&j, join_rows};
    ae_coder *coder = NULL;
    ae_status st = find_coder(a, item, o, &coder, err);

    if (st != AE_OK)
        return st;
    j.patches = (ae_patches){.info = j.whole,
                             .region = o->region,
                             .preview = o->preview,
                             .control = options.control,
                             .read = read_patch};
    j.patches.info.channels = picture.planes;
    j.patches.info.alpha = false;
    j.made = ae_alloc(w, picture.planes * sample);
    if (item->info.alpha) {
        j.alpha = ae_alloc(AE_CODER_TILE / (o->preview ? 8 : 1), w * sample);
        j.rows = ae_alloc(1, ae_row_bytes(&j.result));
    }
    if (!j.made || (item->info.alpha && (!j.alpha || !j.rows)))
        st = ae_fail(err, AE_ERR_NOMEM, "rows of %zu pixels", w);
    if (st == AE_OK)
        st = ae_decode(coder, &picture, &options, &source, &sink, err);
    ae_patches_clear(&j.patches);
    ae_free(j.made);
    ae_free(j.alpha);
    ae_free(j.rows);
    return st;
}

/* Squares of a preview count from the picture's corner, in colours and alpha alike: the region
 * begins with one, and has as many. */
static void align_preview(ae_archive_options *o, const ae_item *item)
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
static bool is_whole(const ae_item *item, const ae_archive_options *o)
{
    uint64_t first, n;

    if (item->info.kind == AE_KIND_IMAGE)
        return !o->region.width && !o->preview;
    range_of(item, o, &first, &n);
    return n == item->info.height;
}

ae_status ae_archive_decode(ae_archive *a, const ae_item *item, const ae_archive_options *options,
                            const ae_row_sink *sink, bool *checked, ae_error *err)
{
    ae_archive_options own = options ? *options : (ae_archive_options){0}, *o = &own;
    ae_signal_info result = ae_archive_result(item, o);
    decoding d = {.options = o, .sink = sink, .row_bytes = ae_row_bytes(&result)};
    uint8_t want[16], got[16];
    bool same = false;
    ae_status st;

    if (checked)
        *checked = false;
    align_preview(&own, item);
    if (!item->packed && (st = ae_item_open(a->container, item, &d.reader, err)) != AE_OK)
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
        st = decode_packed(&d, a, item, err);
    else if (item->coding == AE_ITEM_SAMPLES)
        st = decode_samples(&d, item, err);
    else
        st = decode_network(&d, a, item, err);
    if (st == AE_OK && d.hash && !d.n_lost) {
        ae_sample_hash_get(d.hash, got);
        same = memcmp(got, want, 16) == 0;
        if (!same)
            st = ae_fail(err, AE_ERR_CHECKSUM, "the samples are not those that were stored");
    }
    if (checked)
        *checked = st == AE_OK && (same || item->packed);
done:
    ae_sample_hash_free(d.hash);
    ae_item_free(d.reader);
    return st;
}

typedef struct memory {
    uint8_t *at;
    size_t row_bytes;
    uint64_t left; /* rows */
} memory;

static ae_status store_rows(void *opaque, const void *rows, uint32_t n_rows, ae_error *err)
{
    memory *m = opaque;

    if (n_rows > m->left)
        return ae_fail(err, AE_ERR_INTERNAL, "more rows than the item has");
    memcpy(m->at, rows, n_rows * m->row_bytes);
    m->at += n_rows * m->row_bytes;
    m->left -= n_rows;
    return AE_OK;
}

ae_status ae_archive_read(ae_archive *a, const ae_item *item, const ae_archive_options *options,
                          void *samples, size_t n_bytes, ae_error *err)
{
    ae_signal_info result = ae_archive_result(item, options);
    memory m = {samples, ae_row_bytes(&result), result.height};

    if (!m.row_bytes || n_bytes / m.row_bytes != result.height || n_bytes % m.row_bytes)
        return ae_fail(err, AE_ERR_ARGUMENT, "%zu bytes for %llu rows of %zu", n_bytes,
                       (unsigned long long)result.height, m.row_bytes);
    return ae_archive_decode(a, item, options, &(ae_row_sink){&m, store_rows}, NULL, err);
}
