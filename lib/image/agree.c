/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Rows of the result wait in a ring while their colours go through two rescalers: down, where the
 * small picture's row is subtracted, and up again. */
#include "image/agree.h"

#include <math.h>
#include <string.h>

#include "ae/superres.h"
#include "core/clones.h"
#include "image/held.h"

/* Rows of the result that wait are fewer than WAITING times the scale: either filter reaches less
 * than four rows of the small picture on. */
enum { REACH = 2, WAITING = 10 };
/* Noise of which half is given back, and how much noisier colour is taken to be than luminance:
 * measured with superres-photo-x2 on pictures made small by several filters, through
 * JPEG of quality 30 to 95. */
#define HALF_AT 3.2f
#define CHROMA 3.0f
/* how far a result may lie outside the range of its neighbours, in parts of that */
#define BEYOND 0.5f

struct aei_agree {
    const ae_row_sink *sink;
    ae_signal_info info;   /* of the small picture */
    ae_signal_info result; /* of what the sink receives */
    uint32_t scale, colours;
    aei_shares shares;
    float rounding; /* half a step of the small picture */
    aei_held held;
    ae_rescaler *down, *up;
    uint8_t *bytes;      /* 2 * REACH + 1 rows of the small picture, or one of the result */
    float *pixels;       /* a row of the small picture */
    float *lack;         /* of its colours */
    float *low, *high;   /* with REACH more pixels on either side */
    float *least, *most; /* those of a row of the result */
    float *colour;       /* a row of the result without its alpha */
    float *waiting;      /* the ring */
    uint64_t n_in, n_small, n_out;
};

aei_shares aei_agree_shares(float noise)
{
    float y = noise / HALF_AT, c = CHROMA * y;

    return (aei_shares){1 / (1 + y * y * y * y), 1 / (1 + c * c * c * c)};
}

static float *waiting_row(const aei_agree *a, uint64_t y)
{
    return a->waiting + y % (WAITING * a->scale) * a->result.width * a->result.channels;
}

static float opacity(const aei_agree *a, const float *pixel)
{
    return a->info.alpha ? pixel[a->info.channels - 1] : 1;
}

/* A row of the result made small: what the picture has more. Where it is not opaque its colours say
 * nothing. */
static ae_status take_small(void *opaque, const void *rows, uint32_t n, ae_error *err)
{
    aei_agree *a = opaque;
    const float *small = rows;
    float *lack = a->lack;

    (void)n;
    aei_held_copy(&a->held, a->n_small++, 1, a->bytes);
    ae_samples_to_f32(a->info.sample, a->bytes, a->pixels, a->info.width * a->info.channels);
    for (uint64_t x = 0; x < a->info.width; x++, small += a->colours, lack += a->colours) {
        const float *p = a->pixels + x * a->info.channels;
        float mean = 0;

        for (uint32_t k = 0; k < a->colours; k++) {
            float d = (isfinite(p[k]) ? p[k] : 0) - small[k];

            d -= d < -a->rounding ? -a->rounding : d > a->rounding ? a->rounding : d;
            lack[k] = opacity(a, p) >= 1 ? d : 0;
            mean += lack[k] / (float)a->colours;
        }
        for (uint32_t k = 0; k < a->colours; k++)
            lack[k] = a->shares.chroma * lack[k] + (a->shares.luminance - a->shares.chroma) * mean;
    }
    return ae_rescaler_write(a->up, a->lack, 1, err);
}

void aei_leave_room(float *low, float *high, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        float more = low[i] < 0 || high[i] > 1 ? 0 : BEYOND * (high[i] - low[i]);

        low[i] -= more;
        high[i] += more;
    }
}

AEI_CLONES static void take_extremes(float *low, float *high, const float *row, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        float v = fabsf(row[i]) < INFINITY ? row[i] : 0;

        low[i] = v < low[i] ? v : low[i];
        high[i] = v > high[i] ? v : high[i];
    }
}

/* Of each number and the 2 REACH that follow at steps of c. */
AEI_CLONES static void spread(float *low, float *high, size_t n, size_t c)
{
    for (size_t left = 2 * REACH; left-- > 0;)
        for (size_t i = 0; i < n + left * c; i++) {
            low[i] = low[i + c] < low[i] ? low[i + c] : low[i];
            high[i] = high[i + c] > high[i] ? high[i + c] : high[i];
        }
}

/* Of each pixel, of one or three numbers, `scale` ones. */
static void repeat(const float *from, float *to, size_t n, uint32_t c, uint32_t scale)
{
    for (size_t x = 0; x < n && c == 3; x++, from += 3)
        for (uint32_t i = 0; i < scale; i++, to += 3)
            memcpy(to, from, 3 * sizeof(*to));
    for (size_t x = 0; x < n && c == 1; x++)
        for (uint32_t i = 0; i < scale; i++)
            *to++ = from[x];
}

/* For row y of the small picture: what results there may be, by the opaque ones of the pixels
 * around each. */
static void find_range(aei_agree *a, uint64_t y)
{
    uint64_t first = y > REACH ? y - REACH : 0,
             end = y + REACH < a->info.height ? y + REACH + 1 : a->info.height;
    uint32_t c = a->colours;
    size_t n = (size_t)a->info.width, edge = (size_t)REACH * c;

    aei_held_copy(&a->held, first, (uint32_t)(end - first), a->bytes);
    aei_held_drop(&a->held, first);
    for (size_t i = 0; i < n * c + 2 * edge; i++) {
        a->low[i] = INFINITY;
        a->high[i] = -INFINITY;
    }
    for (uint64_t i = 0; i < end - first; i++) {
        ae_samples_to_f32(a->info.sample, a->bytes + i * ae_row_bytes(&a->info), a->pixels,
                          n * a->info.channels);
        if (!a->info.alpha)
            take_extremes(a->low + edge, a->high + edge, a->pixels, n * c);
        else
            for (size_t x = 0; x < n; x++) {
                const float *p = a->pixels + x * a->info.channels;

                if (opacity(a, p) >= 1)
                    take_extremes(a->low + edge + x * c, a->high + edge + x * c, p, c);
            }
    }
    spread(a->low, a->high, n * c, c);
    aei_leave_room(a->low, a->high, n * c);
    repeat(a->low, a->least, n, c, a->scale);
    repeat(a->high, a->most, n, c, a->scale);
}

/* What lies outside the range already does not go farther. */
AEI_CLONES static void correct(float *to, const float *correction, const float *least,
                               const float *most, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        float low = to[i] < least[i] ? to[i] : least[i];
        float high = to[i] > most[i] ? to[i] : most[i];
        float v = to[i] + correction[i];

        v = v < low ? low : v;
        to[i] = v > high ? high : v;
    }
}

/* Corrections of a row of the result. */
static ae_status take_correction(void *opaque, const void *rows, uint32_t n, ae_error *err)
{
    aei_agree *a = opaque;
    const float *correction = rows;
    uint64_t y = a->n_out++;
    float *to = waiting_row(a, y);
    size_t pixels = (size_t)a->result.width, channels = a->result.channels, c = a->colours;

    (void)n;
    if (y % a->scale == 0)
        find_range(a, y / a->scale);
    if (channels == c)
        correct(to, correction, a->least, a->most, pixels * c);
    else
        for (size_t x = 0; x < pixels; x++)
            correct(to + x * channels, correction + x * c, a->least + x * c, a->most + x * c, c);
    ae_samples_from_f32(a->result.sample, to, a->bytes, pixels * channels);
    return a->sink->write(a->sink->opaque, a->bytes, 1, err);
}

static ae_status take_rows(void *opaque, const void *rows, uint32_t n, ae_error *err)
{
    aei_agree *a = opaque;
    size_t pixels = (size_t)a->result.width, channels = a->result.channels;
    ae_status st = AE_OK;

    for (uint32_t i = 0; i < n && st == AE_OK; i++) {
        const float *row = (const float *)rows + i * pixels * channels;

        memcpy(waiting_row(a, a->n_in++), row, pixels * channels * sizeof(*row));
        for (size_t x = 0; x < pixels && a->info.alpha; x++)
            memcpy(a->colour + x * a->colours, row + x * channels, a->colours * sizeof(*row));
        st = ae_rescaler_write(a->down, a->info.alpha ? a->colour : row, 1, err);
    }
    return st;
}

static ae_status allocate(aei_agree *a, ae_error *err)
{
    size_t n = (size_t)a->info.width, channels = a->info.channels, scale = a->scale;
    size_t range = (n + 2 * (size_t)REACH) * a->colours;
    size_t before = (2 * (size_t)REACH + 1) * ae_row_bytes(&a->info),
           after = ae_row_bytes(&a->result);

    a->bytes = ae_alloc(before > after ? before : after, 1);
    a->pixels = ae_alloc(n * channels, sizeof(float));
    a->lack = ae_alloc(n * a->colours, sizeof(float));
    a->low = ae_alloc(range, sizeof(float));
    a->high = ae_alloc(range, sizeof(float));
    a->least = ae_alloc(n * scale * a->colours, sizeof(float));
    a->most = ae_alloc(n * scale * a->colours, sizeof(float));
    a->colour = ae_alloc(n * scale * a->colours, sizeof(float));
    a->waiting = ae_alloc(WAITING * scale, n * scale * channels * sizeof(float));
    return a->bytes && a->pixels && a->lack && a->low && a->high && a->least && a->most &&
                   a->colour && a->waiting
               ? AE_OK
               : ae_fail(err, AE_ERR_NOMEM, "rows of %zu pixels", n * scale);
}

ae_status aei_agree_create(uint32_t scale, aei_shares shares, const ae_row_source *source,
                           ae_sample sample, const ae_row_sink *sink, ae_row_source *rows,
                           ae_row_sink *result, aei_agree **out, ae_error *err)
{
    aei_agree *a = ae_alloc(1, sizeof(*a));
    ae_signal_info small, large;
    ae_status st;

    *out = NULL;
    if (!a)
        return ae_fail(err, AE_ERR_NOMEM, "agreement");
    a->sink = sink;
    a->info = a->result = source->info;
    a->result.width *= scale;
    a->result.height *= scale;
    a->result.sample = sample;
    a->scale = scale;
    a->colours = a->info.channels < 3 ? 1 : 3;
    a->shares = shares;
    a->rounding = a->info.sample == AE_U8    ? 0.5f / 255
                  : a->info.sample == AE_U16 ? 0.5f / 65535
                                             : 0;
    small = a->info;
    small.sample = AE_F32;
    small.channels = a->colours;
    small.alpha = false;
    large = small;
    large.width = a->result.width;
    large.height = a->result.height;
    if ((st = aei_held_create(&a->held, source, err)) != AE_OK ||
        (st = allocate(a, err)) != AE_OK ||
        (st = ae_rescaler_create(AE_BICUBIC, &large, &small, &(ae_row_sink){a, take_small},
                                 &a->down, err)) != AE_OK ||
        (st = ae_rescaler_create(AE_BICUBIC, &small, &large, &(ae_row_sink){a, take_correction},
                                 &a->up, err)) != AE_OK) {
        aei_agree_free(a);
        return st;
    }
    *rows = aei_held_source(&a->held);
    *result = (ae_row_sink){a, take_rows};
    *out = a;
    return AE_OK;
}

void aei_agree_free(aei_agree *a)
{
    if (!a)
        return;
    ae_rescaler_free(a->down);
    ae_rescaler_free(a->up);
    aei_held_free(&a->held);
    ae_free(a->bytes);
    ae_free(a->pixels);
    ae_free(a->lack);
    ae_free(a->low);
    ae_free(a->high);
    ae_free(a->least);
    ae_free(a->most);
    ae_free(a->colour);
    ae_free(a->waiting);
    ae_free(a);
}
