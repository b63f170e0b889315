/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A tile of lossy sound. Encoding chooses for each cell how short its blocks are, transforms
 * (mdct.h), codes the spectra (soundbands.h), and decodes what it wrote, since neighbours are
 * joined with that; where samples without loss take fewer bytes, the tile is those. */
#include "soundlossy.h"

#include <math.h>
#include <string.h>

#include "audio/mdct.h"
#include "core/clones.h"

enum {
    POINT = 21, /* full scale is 2^21 at lift 0 */
    /* beside those of soundtile.c */
    KIND_SPECTRA = 3,
    KIND_LED = 4, /* samples of the overlap, then those of the tile */
    LEAST_LIFT = -100,
    MOST_LIFT = 120,
    /* lifts of floats that are quieter or louder are not taken for loudness: of the steps, in 1/256
     * of an octave */
    MOST_COARSER = 560,
    MOST_FINER = 320
};

uint32_t aei_lossy_block(const ae_signal_info *info, uint32_t tile)
{
    uint32_t l = AEI_BANDS_LEAST;

    while (l < AEI_BANDS_LARGEST && (double)(1u << l) < 0.015 * info->rate && tile % (2u << l) == 0)
        l++;
    return l;
}

/* Cells of a tile of n frames. */
static uint32_t cells_of(const aei_lossy *l, uint32_t n, bool last)
{
    uint32_t all = last ? n + aei_lossy_overlap(l->log2n) : l->tile;

    return (all + (1u << l->log2n) - 1) >> l->log2n;
}

ae_status aei_lossy_open(aei_lossy *l, const ae_signal_info *info, uint32_t log2n, uint32_t tile,
                         ae_error *err)
{
    uint32_t half = aei_lossy_overlap(log2n) / 2, cells = (tile >> log2n) + 1;
    size_t each = ((size_t)cells << log2n) + 2 * half;

    *l = (aei_lossy){.info = *info, .log2n = log2n, .tile = tile};
    l->coder = aei_bands_create();
    l->room = ae_alloc(each * info->channels, sizeof(*l->room));
    l->work = ae_alloc((size_t)4 << log2n, sizeof(*l->work));
    l->splits = ae_alloc(cells + 1, 1);
    if (!l->coder || !l->room || !l->work || !l->splits)
        return ae_fail(err, AE_ERR_NOMEM, "a tile of sound");
    for (uint32_t c = 0; c < info->channels; c++)
        l->samples[c] = l->room + c * each + half;
    return AE_OK;
}

void aei_lossy_close(aei_lossy *l)
{
    aei_bands_free(l->coder);
    ae_free(l->room);
    ae_free(l->work);
    ae_free(l->splits);
    ae_free(l->mid);
    ae_free(l->plain_room);
    ae_free(l->as_samples.data);
    ae_free(l->before.data);
    aei_sound_coder_free(l->samples_coder);
    *l = (aei_lossy){0};
}

static ae_status need_samples_coder(aei_lossy *l, ae_error *err)
{
    if (!l->samples_coder && !(l->samples_coder = aei_sound_coder_create()))
        return ae_fail(err, AE_ERR_NOMEM, "a tile of sound");
    return AE_OK;
}

/* ---- samples ---- */

static double get_sample(const ae_signal_info *info, const uint8_t *at)
{
    int16_t v16;
    int32_t v32;
    float f32;
    double f64;

    switch (info->sample) {
    case AE_S8: return (int8_t)at[0] * 0x1p-7;
    case AE_S16: memcpy(&v16, at, sizeof(v16)); return v16 * 0x1p-15;
    case AE_S24:
        return ((int32_t)((uint32_t)at[0] << 8 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 24) >>
                8) *
               0x1p-23;
    case AE_S32: memcpy(&v32, at, sizeof(v32)); return v32 * 0x1p-31;
    case AE_F32: memcpy(&f32, at, sizeof(f32)); return isfinite(f32) ? (double)f32 : 0;
    default: memcpy(&f64, at, sizeof(f64)); return isfinite(f64) ? f64 : 0;
    }
}

static void put_sample(const ae_signal_info *info, uint8_t *at, int32_t v, int32_t lift)
{
    uint32_t bits = info->bits, spare = 8 * (uint32_t)ae_sample_bytes(info->sample) - bits;
    int32_t shift = POINT + 1 - lift - (int32_t)bits;
    int64_t whole, most;
    float f32;
    double f64;

    if (info->sample == AE_F32) {
        f32 = ldexpf((float)v, lift - POINT);
        memcpy(at, &f32, sizeof(f32));
        return;
    }
    if (info->sample == AE_F64) {
        f64 = ldexp(v, lift - POINT);
        memcpy(at, &f64, sizeof(f64));
        return;
    }
    most = (INT64_C(1) << (bits - 1)) - 1;
    if (shift > 0)
        whole = shift > 31 ? 0 : ((int64_t)v + (INT64_C(1) << (shift - 1))) >> shift;
    else
        whole = (int64_t)((uint64_t)v << (shift > -31 ? -shift : 31));
    whole = whole > most ? most : whole < -most - 1 ? -most - 1 : whole;
    whole = (int64_t)((uint64_t)whole << spare);
    for (size_t i = 0; i < ae_sample_bytes(info->sample); i++)
        at[i] = (uint8_t)((uint64_t)whole >> 8 * i);
}

/* ---- encoding ---- */

/* What a quality stands for. */
typedef struct rules {
    aei_bands_head head;
    float lambda, level_lambda;
    float long_gain; /* bits a coefficient that each further block has to save */
} rules;

/* Found by trying on speech and music (bench/sound_rd.py). Where there are few bits, loud bands,
 * which words hang on, get more of them, and bands are wide, as their levels take bits, too. */
static rules rules_of(double quality)
{
    double few = fmin(1, fmax(0, (40 - quality) / 11)); /* all below 8 kbit/s of speech */
    rules r = {.head = {.least = 6}, .lambda = 0.15f, .long_gain = 0.2f};

    r.head.divisor = (uint8_t)lrint(6 - 2 * few);
    r.head.gamma = (uint8_t)lrint(20 - 7 * few);
    r.head.tilt = (uint8_t)lrint(12 + 3 * few);
    r.head.gain = (uint8_t)lrint(28 - 6 * few);
    /* such that sizes grow evenly with the quality */
    r.head.step = (int16_t)lrint(8 * (265 - 3 * quality + 15.4 * (20 - r.head.gamma) -
                                      4.5 * (r.head.tilt - 12) - 6 * (6 - r.head.divisor)));
    r.level_lambda = (float)(fmin(3, fmax(1, 4 - quality / 20)) - 0.7 * few);
    return r;
}

/* The lift, and samples in units of it. */
static void take_samples(aei_lossy *l, const uint8_t *frames, uint32_t n)
{
    const ae_signal_info *info = &l->info;
    size_t bytes = ae_sample_bytes(info->sample), all = (size_t)n * info->channels;
    uint32_t half = aei_lossy_overlap(l->log2n) / 2;
    double most = 0, scale;
    int exponent = 0;

    if (info->sample == AE_F32 || info->sample == AE_F64) {
        for (size_t i = 0; i < all; i++)
            most = fmax(most, fabs(get_sample(info, frames + i * bytes)));
        frexp(most, &exponent);
    }
    /* whole numbers have the same lift everywhere; floats that are quiet throughout get a finer one
     */
    l->lift = most > 0 && exponent < -8 ? exponent + 8 : exponent > 0 ? exponent : 0;
    l->lift = l->lift < LEAST_LIFT ? LEAST_LIFT : l->lift > MOST_LIFT ? MOST_LIFT : l->lift;
    scale = ldexp(1, POINT - l->lift);
    for (uint32_t c = 0; c < info->channels; c++) {
        int32_t *to = l->samples[c] - half;

        memset(to, 0, (((size_t)l->cells << l->log2n) + 2 * half) * sizeof(*to));
        for (uint32_t t = 0; t < n; t++) {
            double v = get_sample(info, frames + ((size_t)t * info->channels + c) * bytes) * scale;

            to[t] = (int32_t)lrint(fmin(fmax(v, -0x1p22), 0x1p22));
        }
    }
}

/* The borders inside of a cell and the transform of each of its blocks. */
static void forward_cell(int32_t *x, uint32_t log2n, uint32_t split, int32_t *work)
{
    uint32_t l = log2n - split;

    for (uint32_t j = 1; j < 1u << split; j++)
        aei_mdct_lap(x + ((size_t)j << l), l);
    for (uint32_t j = 0; j < 1u << split; j++)
        aei_mdct_dct4(x + ((size_t)j << l), work, l);
}

/* The spectrum of a cell whose neighbours are cut into blocks as long as its own; it is put to x +
 * half of the cell. */
static void forward_alone(const aei_lossy *l, uint32_t cell, uint32_t split, uint32_t channel,
                          int32_t *x)
{
    uint32_t n = 1u << l->log2n, size = l->log2n - split, end = l->log2n - AEI_BANDS_SPLITS;
    uint32_t left = cell ? size : end, right = cell + 1 < l->cells ? size : end;
    uint32_t before = (1u << left) / 2, behind = (1u << right) / 2;

    x += n / 2;
    memcpy(x - before, l->samples[channel] + ((size_t)cell << l->log2n) - before,
           (n + before + behind) * sizeof(*x));
    aei_mdct_lap(x, left);
    aei_mdct_lap(x + n, right);
    forward_cell(x, l->log2n, split, l->work);
}

/* Bits, roughly, at one distance. */
static double cost_of(const aei_lossy *l, uint32_t cell, uint32_t split, const float *inverse,
                      uint32_t channel, int32_t *x)
{
    uint32_t n = 1u << l->log2n, size = l->log2n - split;
    double cost = 0;

    forward_alone(l, cell, split, channel, x);
    x += n / 2;
    for (uint32_t j = 0; j < 1u << split; j++)
        for (uint32_t i = 0; i < n >> split; i++) {
            float v = (float)x[((size_t)j << size) + i] * inverse[i << split];

            cost += (double)log2f(1 + v * v);
        }
    return cost;
}

/* Thresholds of a cell: what is inaudible beside the rest of a band of it. */
static void thresholds(const int32_t *x, const aei_bands_head *head, uint32_t log2n, float *inverse)
{
    uint16_t starts[AEI_BANDS_MOST + 1];
    uint32_t n = aei_bands_of(head, log2n, starts);

    for (uint32_t b = 0; b < n; b++) {
        double sum = 1;

        for (uint32_t i = starts[b]; i < starts[b + 1]; i++)
            sum += (double)x[i] * x[i];
        sum = 1 / (0.3 * sqrt(sum / (starts[b + 1] - starts[b])));
        for (uint32_t i = starts[b]; i < starts[b + 1]; i++)
            inverse[i] = (float)sum;
    }
}

static void choose_splits(aei_lossy *l, const rules *r)
{
    uint32_t n = 1u << l->log2n;
    int32_t *x = l->work + n;
    float *inverse = (float *)(void *)(l->work + 3 * (size_t)n);

    for (uint32_t i = 0; i < l->cells; i++) {
        double cost[AEI_BANDS_SPLITS + 1] = {0};

        for (uint32_t c = 0; c < l->info.channels; c++) {
            forward_alone(l, i, 0, c, x);
            thresholds(x + n / 2, &r->head, l->log2n, inverse);
            for (uint32_t s = 0; s <= AEI_BANDS_SPLITS; s++)
                cost[s] += cost_of(l, i, s, inverse, c, x);
        }
        l->splits[i] = 0;
        for (uint32_t s = 1; s <= AEI_BANDS_SPLITS; s++) {
            cost[s] += (double)r->long_gain * ((1 << s) - 1) * n * l->info.channels;
            if (cost[s] < cost[l->splits[i]])
                l->splits[i] = (uint8_t)s;
        }
    }
}

static uint32_t width_between(const aei_lossy *l, uint32_t i) /* of the border before cell i */
{
    uint32_t most = i && l->splits[i - 1] > l->splits[i] ? l->splits[i - 1] : l->splits[i];

    return l->log2n - (i && i < l->cells ? most : AEI_BANDS_SPLITS);
}

/* Mid and side where these need fewer bits. */
static void choose_mid(aei_lossy *l, const aei_bands_head *head)
{
    uint32_t pairs = l->info.channels / 2;

    for (uint32_t i = 0; i < l->cells; i++)
        for (uint32_t j = 0; j < 1u << l->splits[i]; j++) {
            uint16_t starts[AEI_BANDS_MOST + 1];
            uint32_t n = aei_bands_of(head, l->log2n - l->splits[i], starts);

            for (uint32_t p = 0; p < pairs; p++)
                for (uint32_t b = 0; b < n; b++) {
                    size_t at = ((size_t)i << l->log2n) + ((size_t)j << (l->log2n - l->splits[i]));
                    const int32_t *x = l->samples[2 * p] + at, *y = l->samples[2 * p + 1] + at;
                    double power = 1, plain = 0, mid = 0;

                    for (uint32_t k = starts[b]; k < starts[b + 1]; k++)
                        power += (double)x[k] * x[k] + (double)y[k] * y[k];
                    power = 8 * (starts[b + 1] - starts[b]) / power;
                    for (uint32_t k = starts[b]; k < starts[b + 1]; k++) {
                        double m = ((double)x[k] + y[k]), s = ((double)x[k] - y[k]);

                        plain += log2((1 + power * x[k] * x[k]) * (1 + power * y[k] * y[k]));
                        mid += log2((1 + power * m * m / 2) * (1 + power * s * s / 2));
                    }
                    l->mid[(((size_t)i * AEI_BANDS_BLOCKS + j) * pairs + p) * AEI_BANDS_MOST + b] =
                        mid < plain;
                }
        }
}

static void inverse_cells(aei_lossy *l)
{
    for (uint32_t c = 0; c < l->info.channels; c++) {
        for (uint32_t i = 0; i < l->cells; i++) {
            uint32_t size = l->log2n - l->splits[i];
            int32_t *x = l->samples[c] + ((size_t)i << l->log2n);

            for (uint32_t j = 0; j < 1u << l->splits[i]; j++)
                aei_mdct_dct4(x + ((size_t)j << size), l->work, size);
            for (uint32_t j = 1; j < 1u << l->splits[i]; j++)
                aei_mdct_unlap(x + ((size_t)j << size), size);
            if (i)
                aei_mdct_unlap(x, width_between(l, i));
        }
    }
}

static ae_status encode_spectra(aei_lossy *l, double quality, const void *frames, uint32_t n,
                                bool last, aei_buffer *out, ae_error *err)
{
    rules r = rules_of(quality);
    aei_bands_plan plan = {.lambda = r.lambda, .level_lambda = r.level_lambda};
    int32_t heard;
    size_t head, mids;
    ae_status st;

    l->cells = cells_of(l, n, last);
    mids = (size_t)((l->tile >> l->log2n) + 1) * AEI_BANDS_BLOCKS * (l->info.channels / 2) *
           AEI_BANDS_MOST;
    if (!l->mid && !(l->mid = ae_alloc(mids + 1, 1)))
        return ae_fail(err, AE_ERR_NOMEM, "a tile of sound");
    take_samples(l, frames, n + aei_lossy_overlap(l->log2n));
    r.head.lift = (int8_t)l->lift;
    heard = l->lift * (AEI_BANDS_LOG / AEI_BANDS_ONE * r.head.gamma - AEI_BANDS_LOG);
    r.head.step += (int16_t)(heard > MOST_COARSER  ? MOST_COARSER
                             : heard < -MOST_FINER ? -MOST_FINER
                                                   : heard);
    choose_splits(l, &r);
    for (uint32_t c = 0; c < l->info.channels; c++) {
        for (uint32_t i = 0; i <= l->cells; i++)
            aei_mdct_lap(l->samples[c] + ((size_t)i << l->log2n), width_between(l, i));
        for (uint32_t i = 0; i < l->cells; i++)
            forward_cell(l->samples[c] + ((size_t)i << l->log2n), l->log2n, l->splits[i], l->work);
    }
    choose_mid(l, &r.head);
    plan.splits = l->splits;
    plan.mid = l->mid;
    out->n_bytes = 0;
    aei_put_number(out, n);
    aei_put_u8(out, KIND_SPECTRA);
    head = out->n_bytes;
    if ((st = aei_bands_encode(l->coder, &r.head, l->info.channels, l->cells, l->log2n, &plan,
                               l->samples, out, err)) != AE_OK ||
        (st = aei_bands_decode(l->coder, out->data + head, out->n_bytes - head, l->info.channels,
                               l->cells, l->log2n, &r.head, l->splits, l->samples, err)) != AE_OK)
        return st;
    inverse_cells(l);
    return AE_OK;
}

/* A sound that goes back and forth takes the overlap twice: samples are to be worth it. */
static size_t worth(size_t n_bytes)
{
    return n_bytes - 1 + n_bytes / 64;
}

ae_status aei_lossy_encode(aei_lossy *l, double quality, const void *frames, uint32_t n, bool last,
                           aei_buffer *out, ae_error *err)
{
    uint8_t *own = (uint8_t *)(uintptr_t)frames; /* without a bound it is only read */
    ae_status st = encode_spectra(l, quality, frames, n, last, out, err);

    l->plain = NULL;
    l->n = n;
    l->last = last;
    if (st == AE_OK)
        st = need_samples_coder(l, err);
    if (st == AE_OK) /* ends as soon as it takes too many */
        st = aei_sound_tile_encode(l->samples_coder, &l->info, 0,
                                   own + aei_lossy_overlap(l->log2n) * ae_row_bytes(&l->info), n,
                                   worth(out->n_bytes), &l->as_samples, err);
    return st;
}

ae_status aei_lossy_settle(aei_lossy *l, bool after_plain, uint8_t *frames, aei_buffer *out,
                           ae_error *err)
{
    uint32_t overlap = aei_lossy_overlap(l->log2n);
    ae_status st = AE_OK;

    if (!l->as_samples.n_bytes)
        return AE_OK;
    l->led = !after_plain;
    if (l->led)
        st = aei_sound_tile_encode(l->samples_coder, &l->info, 0, frames, overlap, SIZE_MAX,
                                   &l->before, err);
    if (st != AE_OK || (l->led && l->before.n_bytes + l->as_samples.n_bytes >= out->n_bytes))
        return st;
    out->n_bytes = 0;
    if (l->led) {
        aei_put_number(out, l->n);
        aei_put_u8(out, KIND_LED);
        aei_put_number(out, l->before.n_bytes);
        aei_put(out, l->before.data, l->before.n_bytes);
    }
    aei_put(out, l->as_samples.data, l->as_samples.n_bytes);
    l->plain = frames + (l->led ? 0 : overlap * ae_row_bytes(&l->info));
    return out->failed ? ae_fail(err, AE_ERR_NOMEM, "a coded tile") : AE_OK;
}

/* ---- decoding ---- */

static ae_status decode_samples(aei_lossy *l, aei_cursor *at, ae_error *err)
{
    uint32_t overlap = l->led ? aei_lossy_overlap(l->log2n) : 0;
    uint64_t n_before = l->led ? aei_take_number(at) : 0;
    const uint8_t *before = aei_take(at, n_before);
    ae_status st = need_samples_coder(l, err);

    if (st == AE_OK && !l->plain_room &&
        !(l->plain_room = ae_alloc((size_t)l->tile + aei_lossy_overlap(l->log2n),
                                   ae_row_bytes(&l->info))))
        st = ae_fail(err, AE_ERR_NOMEM, "a tile of sound");
    if (st == AE_OK && at->bad)
        st = ae_fail(err, AE_ERR_MALFORMED, "a tile of sound that ends too early");
    if (st == AE_OK && l->led)
        st = aei_sound_tile_decode(l->samples_coder, &l->info, before, (size_t)n_before,
                                   l->plain_room, overlap, err);
    if (st == AE_OK)
        st = aei_sound_tile_decode(l->samples_coder, &l->info, at->at, (size_t)(at->end - at->at),
                                   l->plain_room + overlap * ae_row_bytes(&l->info), l->n, err);
    if (st == AE_OK)
        l->plain = l->plain_room;
    return st;
}

ae_status aei_lossy_decode(aei_lossy *l, const void *data, size_t n_bytes, uint32_t n, bool last,
                           bool begin, ae_error *err)
{
    const uint8_t *bytes = n_bytes ? data : (const void *)"";
    aei_cursor at = {bytes, bytes + n_bytes, false};
    uint64_t told = aei_take_number(&at);
    uint32_t kind = aei_take_u8(&at);
    aei_bands_head head;
    ae_status st;

    l->plain = NULL;
    l->n = n;
    l->last = last;
    l->led = kind == KIND_LED;
    if (at.bad || told != n)
        return ae_fail(err, AE_ERR_MALFORMED, "a tile of %llu frames, not of %u",
                       (unsigned long long)told, n);
    if (kind > KIND_LED)
        return ae_fail(err, AE_ERR_TOO_NEW,
                       "a tile of sound of a kind that later versions read (%u)", kind);
    if (kind != KIND_SPECTRA) {
        if (!l->led)
            at.at = bytes;
        return decode_samples(l, &at, err);
    }
    l->cells = begin ? 1 : cells_of(l, n, last);
    st = aei_bands_decode(l->coder, at.at, (size_t)(at.end - at.at), l->info.channels, l->cells,
                          l->log2n, &head, l->splits, l->samples, err);
    if (st != AE_OK)
        return st;
    l->lift = head.lift;
    inverse_cells(l);
    return AE_OK;
}

/* ---- joining ---- */

ae_status aei_lossy_join_open(aei_lossy_join *j, const aei_lossy *like, ae_error *err)
{
    uint32_t half = aei_lossy_overlap(like->log2n) / 2;

    *j = (aei_lossy_join){0};
    j->room = ae_alloc((size_t)half * like->info.channels, sizeof(*j->room));
    j->held = ae_alloc((size_t)2 * half, ae_row_bytes(&like->info));
    if (!j->room || !j->held)
        return ae_fail(err, AE_ERR_NOMEM, "a tile of sound");
    for (uint32_t c = 0; c < like->info.channels; c++)
        j->tail[c] = j->room + (size_t)c * half;
    return AE_OK;
}

void aei_lossy_join_close(aei_lossy_join *j)
{
    ae_free(j->room);
    ae_free(j->held);
    *j = (aei_lossy_join){0};
}

static void put_frames(const aei_lossy *l, uint32_t c, const int32_t *from, uint32_t n,
                       int32_t lift, uint8_t *to, uint32_t at)
{
    size_t bytes = ae_sample_bytes(l->info.sample);

    for (uint32_t t = 0; t < n; t++)
        put_sample(&l->info, to + ((size_t)(at + t) * l->info.channels + c) * bytes, from[t], lift);
}

static void lower(int32_t *x, uint32_t n, int32_t shift)
{
    for (uint32_t i = 0; i < n && shift > 0; i++)
        x[i] = shift > 31 ? 0 : (int32_t)(((int64_t)x[i] + (INT64_C(1) << (shift - 1))) >> shift);
}

/* The border before a tile of spectra; of one of channel c, x is where its samples begin. */
static void join_spectra(const aei_lossy_join *j, const aei_lossy *l, uint32_t c, int32_t *x,
                         uint8_t *frames)
{
    uint32_t half = aei_lossy_overlap(l->log2n) / 2;
    int32_t lift = j->lift > l->lift ? j->lift : l->lift;

    memcpy(x - half, j->tail[c], half * sizeof(*x));
    lower(x - half, half, lift - j->lift);
    lower(x, half, lift - l->lift);
    aei_mdct_unlap(x, l->log2n - AEI_BANDS_SPLITS);
    put_frames(l, c, x - half, 2 * half, lift, frames, 0);
}

/* A tile of samples has the frames of both its borders, or the one before it has. */
static uint32_t take_plain(aei_lossy_join *j, aei_lossy *l, uint8_t *frames)
{
    uint32_t overlap = aei_lossy_overlap(l->log2n), before = j->running ? overlap : 0;
    size_t row = ae_row_bytes(&l->info);

    if (before && l->led) {
        memcpy(frames, l->plain, before * row);
    } else if (before && j->plain) {
        memcpy(frames, j->held, before * row);
    } else if (before) { /* the tile before it is lost */
        for (uint32_t c = 0; c < l->info.channels; c++) {
            memset(l->samples[c], 0, overlap / 2 * sizeof(*l->samples[c]));
            join_spectra(j, l, c, l->samples[c], frames);
        }
    }
    memcpy(frames + before * row, l->plain + (l->led ? overlap * row : 0), l->n * row);
    before += l->n;
    j->plain = j->running = true;
    if (l->last)
        return before;
    memcpy(j->held, frames + (before - overlap) * row, overlap * row);
    return before - overlap;
}

uint32_t aei_lossy_join_take(aei_lossy_join *j, aei_lossy *l, void *frames)
{
    uint32_t half = aei_lossy_overlap(l->log2n) / 2, n = (l->cells << l->log2n) - half;
    bool running = j->running;

    if (l->plain)
        return take_plain(j, l, frames);
    if (running && j->plain)
        memcpy(frames, j->held, 2 * half * ae_row_bytes(&l->info));
    for (uint32_t c = 0; c < l->info.channels; c++) {
        int32_t *x = l->samples[c];

        if (running && !j->plain)
            join_spectra(j, l, c, x, frames);
        put_frames(l, c, x + half, n - half, l->lift, frames, running ? 2 * half : 0);
        memcpy(j->tail[c], x + n, half * sizeof(*x));
    }
    j->lift = l->lift;
    j->plain = false;
    j->running = true;
    return running ? n + half : n - half;
}

void aei_lossy_lose(aei_lossy *l, uint32_t n, bool last, bool begin)
{
    l->plain = NULL;
    l->cells = begin ? 1 : cells_of(l, n, last);
    l->lift = LEAST_LIFT;
    for (uint32_t c = 0; c < l->info.channels; c++)
        memset(l->samples[c], 0, ((size_t)l->cells << l->log2n) * sizeof(*l->samples[c]));
}
