/* SPDX-License-Identifier: BSD-2-Clause
 *
 * One tile of sound without loss or within a bound: bits at the end that are 0 in all of a channel
 * are left out, the head says what else is known of each, and what remains goes through the model
 * (soundmodel.h). Floats become whole numbers first, where they can (soundfloats.h). */
#include "soundtile.h"

#include <string.h>

#include "predict.h"
#include "soundfloats.h"

enum {
    KIND_RAW = 0,    /* samples as they are */
    KIND_WHOLE = 1,  /* whole numbers */
    KIND_FLOATS = 2, /* what floats have beside whole numbers, then these */
    N_KINDS = 3
};

/* Of a channel of whole numbers; the low five bits: how many bits at the end are 0 in all samples.
 */
enum { SHIFT = 31, COPY = 32, KNOWN = 63 };

struct aei_sound_coder {
    aei_sound_model *model;
    /* by channel; of those that the model codes, next to each other */
    int32_t *values, *model_values;
    size_t room;
};

aei_sound_coder *aei_sound_coder_create(void)
{
    aei_sound_coder *c = ae_alloc(1, sizeof(*c));

    if (c && !(c->model = aei_sound_model_create())) {
        ae_free(c);
        return NULL;
    }
    return c;
}

static void free_buffers(aei_sound_coder *c)
{
    ae_free(c->values);
    ae_free(c->model_values);
    c->values = c->model_values = NULL;
    c->room = 0;
}

void aei_sound_coder_free(aei_sound_coder *c)
{
    if (!c)
        return;
    free_buffers(c);
    aei_sound_model_free(c->model);
    ae_free(c);
}

static bool is_float(const ae_signal_info *info)
{
    return info->sample == AE_F32 || info->sample == AE_F64;
}

static ae_status reserve(aei_sound_coder *c, size_t n, ae_error *err)
{
    if (n <= c->room)
        return AE_OK;
    free_buffers(c);
    c->values = ae_alloc(n, sizeof(*c->values));
    c->model_values = ae_alloc(n, sizeof(*c->model_values));
    if (!c->values || !c->model_values) {
        free_buffers(c);
        return ae_fail(err, AE_ERR_NOMEM, "a tile of sound");
    }
    c->room = n;
    return AE_OK;
}

/* ---- samples as numbers ---- */

static int32_t get_sample(ae_sample type, const uint8_t *at)
{
    int16_t v16;
    int32_t v32;

    switch (type) {
    case AE_S8: return (int8_t)at[0];
    case AE_S16: memcpy(&v16, at, sizeof(v16)); return v16;
    case AE_S24:
        return (int32_t)((uint32_t)at[0] << 8 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 24) >> 8;
    default: memcpy(&v32, at, sizeof(v32)); return v32;
    }
}

static void put_sample(ae_sample type, uint8_t *at, int32_t v)
{
    int16_t v16 = (int16_t)v;

    switch (type) {
    case AE_S8: at[0] = (uint8_t)v; break;
    case AE_S16: memcpy(at, &v16, sizeof(v16)); break;
    case AE_S24:
        at[0] = (uint8_t)v, at[1] = (uint8_t)((uint32_t)v >> 8),
        at[2] = (uint8_t)((uint32_t)v >> 16);
        break;
    default: memcpy(at, &v, sizeof(v));
    }
}

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "port me: samples are taken apart as little-endian");

/* Between interleaved samples and values by channel. */
static void spread(const ae_signal_info *info, const uint8_t *samples, int32_t *values,
                   uint32_t frames)
{
    size_t bytes = ae_sample_bytes(info->sample);

    for (uint32_t t = 0; t < frames; t++)
        for (uint32_t c = 0; c < info->channels; c++, samples += bytes)
            values[(size_t)c * frames + t] = get_sample(info->sample, samples);
}

static void gather(const ae_signal_info *info, uint8_t *samples, const int32_t *values,
                   uint32_t frames)
{
    size_t bytes = ae_sample_bytes(info->sample);

    for (uint32_t t = 0; t < frames; t++)
        for (uint32_t c = 0; c < info->channels; c++, samples += bytes)
            put_sample(info->sample, samples, values[(size_t)c * frames + t]);
}

/* ---- whole numbers ---- */

/* What is told of a channel, and what of the tile. */
typedef struct part {
    uint32_t shift;
    bool copy;
    uint32_t of;    /* the channel it is a copy of */
    int32_t lo, hi; /* after the shift */
} part;

typedef struct whole {
    part parts[AEI_MODEL_CHANNELS];
    uint32_t low; /* bits at the end that are stored as they are */
    aei_model_shape shape;
    uint32_t active[AEI_MODEL_CHANNELS]; /* channels that the model codes */
} whole;

static uint64_t fold(int32_t v)
{
    return v < 0 ? 2 * (uint64_t) - (int64_t)v - 1 : 2 * (uint64_t)v;
}

static int64_t unfold(uint64_t v)
{
    return v & 1 ? -(int64_t)(v / 2) - 1 : (int64_t)(v / 2);
}

static void look_at(part *p, uint32_t c, const int32_t *values, uint32_t frames)
{
    const int32_t *v = values + (size_t)c * frames;
    uint32_t all = 0;

    *p = (part){.lo = INT32_MAX, .hi = INT32_MIN};
    for (uint32_t i = 0; i < c && !p->copy; i++)
        if (memcmp(values + (size_t)i * frames, v, frames * sizeof(*v)) == 0) {
            p->copy = true;
            p->of = i;
        }
    for (uint32_t t = 0; t < frames; t++) {
        all |= (uint32_t)v[t];
        p->lo = v[t] < p->lo ? v[t] : p->lo;
        p->hi = v[t] > p->hi ? v[t] : p->hi;
    }
    p->shift = all ? (uint32_t)__builtin_ctz(all) : 0;
    p->lo >>= p->shift;
    p->hi >>= p->shift;
}

/* Shape of the model from what is known of the channels; false where there is nothing for it to
 * code. */
static bool shape_of(whole *w, uint32_t channels, uint32_t frames)
{
    w->shape.frames = frames;
    w->shape.channels = 0;
    for (uint32_t c = 0; c < channels; c++) {
        const part *p = &w->parts[c];

        if (p->copy || p->lo == p->hi)
            continue;
        w->active[w->shape.channels] = c;
        w->shape.lo[w->shape.channels] = p->lo >> w->low;
        w->shape.hi[w->shape.channels++] = p->hi >> w->low;
    }
    return w->shape.channels > 0;
}

static bool fits(int32_t v, uint32_t low)
{
    return (v >> low) >= -(1 << AEI_MODEL_BITS) && (v >> low) <= (1 << AEI_MODEL_BITS);
}

static void put_head(aei_buffer *out, const whole *w, uint32_t channels)
{
    for (uint32_t c = 0; c < channels; c++) {
        const part *p = &w->parts[c];

        aei_put_u8(out, p->copy ? COPY : p->shift);
        if (p->copy) {
            aei_put_number(out, p->of);
        } else {
            aei_put_number(out, fold(p->lo));
            aei_put_number(out, (uint64_t)((int64_t)p->hi - p->lo));
        }
    }
    aei_put_u8(out, w->low);
    aei_put_number(out, w->shape.bound);
    aei_put_u8(out, w->shape.own);
    aei_put_u8(out, w->shape.other);
    aei_put_u8(out, (uint32_t)log2_floor(w->shape.block) << 4 | w->shape.memory);
}

/* How the model is to learn: found by trying on speech and music. What has one channel is mostly
 * speech, which changes fast. */
static void tune(aei_model_shape *s, uint32_t channels)
{
    s->own = 16;
    s->other = 8;
    s->block = 32;
    s->memory = channels < 2 ? 2 : 3;
}

static ae_status encode_whole(aei_sound_coder *c, int32_t *values, uint32_t channels,
                              uint32_t frames, uint32_t bound, size_t most, aei_buffer *out,
                              ae_error *err)
{
    whole w = {0};
    const uint8_t *coded = NULL;
    size_t n_coded = 0;
    uint32_t least = 31;
    ae_status st = AE_OK;

    for (uint32_t i = 0; i < channels; i++) {
        look_at(&w.parts[i], i, values, frames);
        least = w.parts[i].shift < least ? w.parts[i].shift : least;
        while (!fits(w.parts[i].lo, w.low) || !fits(w.parts[i].hi, w.low))
            w.low++;
    }
    /* the bound counts steps of what is coded; where channels have steps of their own, those of the
     * finest */
    w.shape.bound = w.low ? 0 : bound >> least;
    if (w.shape.bound)
        for (uint32_t i = 0; i < channels; i++) {
            part *p = &w.parts[i];

            if (p->copy)
                continue;
            p->lo = (int32_t)((uint32_t)p->lo << (p->shift - least));
            p->hi = (int32_t)((uint32_t)p->hi << (p->shift - least));
            p->shift = least;
        }
    tune(&w.shape, channels);
    put_head(out, &w, channels);
    if (shape_of(&w, channels, frames)) {
        for (uint32_t i = 0; i < w.shape.channels; i++) {
            const int32_t *from = values + (size_t)w.active[i] * frames;
            uint32_t shift = w.parts[w.active[i]].shift + w.low;

            for (uint32_t t = 0; t < frames; t++)
                c->model_values[(size_t)i * frames + t] = from[t] >> shift;
        }
        if ((st = aei_sound_model_encode(c->model, &w.shape, c->model_values, most, &coded,
                                         &n_coded, err)) != AE_OK)
            return st;
        if (!n_coded) { /* the caller stores samples as they are */
            out->n_bytes = 0;
            return AE_OK;
        }
    }
    aei_put_number(out, n_coded);
    aei_put(out, coded, n_coded);
    if (w.low) {
        aei_bit_writer bits = {.to = out};

        for (uint32_t i = 0; i < w.shape.channels; i++)
            for (uint32_t t = 0; t < frames; t++)
                aei_put_bits(&bits,
                             (uint32_t)(values[(size_t)w.active[i] * frames + t] >>
                                        w.parts[w.active[i]].shift) &
                                 ((1u << w.low) - 1),
                             w.low);
        aei_end_bits(&bits);
    }
    for (uint32_t i = 0; i < w.shape.channels && w.shape.bound; i++)
        for (uint32_t t = 0; t < frames; t++)
            values[(size_t)w.active[i] * frames + t] =
                (int32_t)((uint32_t)c->model_values[(size_t)i * frames + t]
                          << w.parts[w.active[i]].shift);
    for (uint32_t i = 0; i < channels && w.shape.bound; i++)
        if (w.parts[i].copy)
            memcpy(values + (size_t)i * frames, values + (size_t)w.parts[i].of * frames,
                   frames * sizeof(*values));
    return out->failed ? ae_fail(err, AE_ERR_NOMEM, "a coded tile") : AE_OK;
}

static ae_status take_head(aei_cursor *at, whole *w, uint32_t channels, uint32_t frames,
                           uint32_t bits, ae_error *err)
{
    bool good = true;
    uint32_t byte;

    for (uint32_t c = 0; c < channels; c++) {
        part *p = &w->parts[c];
        uint32_t flags = aei_take_u8(at);
        int64_t lo, hi;
        uint64_t width;

        if (flags > KNOWN)
            return ae_fail(err, AE_ERR_TOO_NEW,
                           "a channel coded in a way that later versions read (%u)", flags);
        if (flags & COPY) {
            uint64_t of = aei_take_number(at);

            good = good && flags == COPY && of < c && !w->parts[of < c ? of : 0].copy;
            *p = (part){.copy = true, .of = (uint32_t)(of < c ? of : 0)};
            continue;
        }
        p->shift = flags & SHIFT;
        lo = unfold(aei_take_number(at));
        width = aei_take_number(at);
        good = good && lo >= INT32_MIN && lo <= INT32_MAX && width <= UINT32_MAX;
        hi = good ? lo + (int64_t)width : 0;
        good = good && hi <= INT32_MAX && p->shift < bits &&
               lo >= -((int64_t)1 << (bits - 1)) >> p->shift &&
               hi <= (((int64_t)1 << (bits - 1)) - 1) >> p->shift;
        p->lo = good ? (int32_t)lo : 0;
        p->hi = good ? (int32_t)hi : 0;
    }
    w->low = aei_take_u8(at);
    good = good && w->low <= 31 - AEI_MODEL_BITS + 1;
    for (uint32_t c = 0; c < channels && good; c++)
        good = fits(w->parts[c].lo, w->low) && fits(w->parts[c].hi, w->low);
    w->shape.bound = (uint32_t)aei_take_number(at);
    w->shape.own = aei_take_u8(at);
    w->shape.other = aei_take_u8(at);
    byte = aei_take_u8(at);
    w->shape.block = 1u << (byte >> 4);
    w->shape.memory = byte & 15;
    if (good)
        shape_of(w, channels, frames);
    if (at->bad || !good || !aei_model_shape_is_sound(&w->shape))
        return ae_fail(err, AE_ERR_MALFORMED, "the head of a tile of sound contradicts itself");
    return AE_OK;
}

static ae_status decode_whole(aei_sound_coder *c, aei_cursor *at, int32_t *values,
                              uint32_t channels, uint32_t frames, uint32_t bits, ae_error *err)
{
    whole w = {0};
    const uint8_t *coded, *low;
    uint64_t n_coded, n_low;
    ae_status st = take_head(at, &w, channels, frames, bits, err);

    if (st != AE_OK)
        return st;
    n_coded = aei_take_number(at);
    coded = aei_take(at, n_coded);
    n_low = ((uint64_t)w.low * w.shape.channels * frames + 7) / 8;
    low = aei_take(at, n_low);
    if (at->bad || at->at != at->end)
        return ae_fail(err, AE_ERR_MALFORMED, "a tile of sound that %s",
                       at->bad ? "ends too early" : "does not end where it should");
    if (w.shape.channels && (st = aei_sound_model_decode(c->model, &w.shape, coded, (size_t)n_coded,
                                                         c->model_values, err)) != AE_OK)
        return st;
    for (uint32_t i = 0, n = 0; i < channels; i++) {
        const part *p = &w.parts[i];
        int32_t *to = values + (size_t)i * frames;

        if (p->copy) {
            memcpy(to, values + (size_t)p->of * frames, frames * sizeof(*to));
        } else if (p->lo == p->hi) {
            for (uint32_t t = 0; t < frames; t++)
                to[t] = (int32_t)((uint32_t)p->lo << p->shift);
        } else {
            uint64_t bit = (uint64_t)n * frames * w.low;

            for (uint32_t t = 0; t < frames; t++, bit += w.low) {
                uint32_t v = (uint32_t)c->model_values[(size_t)n * frames + t] << w.low;

                v |= (uint32_t)aei_get_bits(low, (size_t)n_low, bit, w.low);
                to[t] = (int32_t)(v << p->shift);
            }
            n++;
        }
    }
    return AE_OK;
}

/* ---- a tile ---- */

ae_status aei_sound_tile_encode(aei_sound_coder *c, const ae_signal_info *info, uint32_t bound,
                                void *samples, uint32_t frames, size_t most, aei_buffer *out,
                                ae_error *err)
{
    size_t n = (size_t)frames * info->channels, raw = n * ae_sample_bytes(info->sample), at;
    uint32_t spare = 8 * (uint32_t)ae_sample_bytes(info->sample) - info->bits;
    bool coded = !is_float(info);
    ae_status st = reserve(c, n, err);

    if (st != AE_OK)
        return st;
    out->n_bytes = 0;
    aei_put_number(out, frames);
    at = out->n_bytes;
    if (coded) {
        spread(info, samples, c->values, frames);
        aei_put_u8(out, KIND_WHOLE);
    } else {
        aei_put_u8(out, KIND_FLOATS);
        coded = aei_floats_to_whole(info, samples, frames, c->values, out);
        bound = 0;
    }
    if (coded) {
        aei_buffer rest = {0};

        st = encode_whole(c, c->values, info->channels, frames, bound << spare,
                          raw < most ? raw : most, &rest, err);
        coded = st == AE_OK && rest.n_bytes && out->n_bytes + rest.n_bytes < raw + at;
        if (coded)
            aei_put(out, rest.data, rest.n_bytes);
        ae_free(rest.data);
        if (coded && bound)
            gather(info, samples, c->values, frames);
    }
    if (st == AE_OK && !coded) {
        out->n_bytes = at;
        aei_put_u8(out, KIND_RAW);
        aei_put(out, samples, raw);
    }
    if (out->n_bytes > most)
        out->n_bytes = 0;
    return st == AE_OK && out->failed ? ae_fail(err, AE_ERR_NOMEM, "a coded tile") : st;
}

ae_status aei_sound_tile_decode(aei_sound_coder *c, const ae_signal_info *info, const void *data,
                                size_t n_bytes, void *samples, uint32_t frames, ae_error *err)
{
    const uint8_t *bytes = n_bytes ? data : (const void *)""; /* NULL takes no offset */
    size_t n = (size_t)frames * info->channels, raw = n * ae_sample_bytes(info->sample);
    aei_cursor at = {bytes, bytes + n_bytes, false};
    uint64_t told = aei_take_number(&at);
    uint32_t kind = aei_take_u8(&at);
    aei_float_tile floats;
    ae_status st;

    if (at.bad || told != frames ||
        (kind < N_KINDS && kind != KIND_RAW && is_float(info) != (kind == KIND_FLOATS)))
        return ae_fail(err, AE_ERR_MALFORMED, "a tile of %llu frames of kind %u, not of %u",
                       (unsigned long long)told, kind, frames);
    if (kind >= N_KINDS)
        return ae_fail(err, AE_ERR_TOO_NEW,
                       "a tile of sound of a kind that later versions read (%u)", kind);
    if (kind == KIND_RAW) {
        if ((size_t)(at.end - at.at) != raw)
            return ae_fail(err, AE_ERR_MALFORMED, "plain samples: %zu bytes, not %zu",
                           (size_t)(at.end - at.at), raw);
        memcpy(samples, at.at, raw);
        return AE_OK;
    }
    if ((st = reserve(c, n, err)) != AE_OK ||
        (kind == KIND_FLOATS && (st = aei_floats_take(info, frames, &at, &floats, err)) != AE_OK) ||
        (st = decode_whole(c, &at, c->values, info->channels, frames,
                           kind == KIND_FLOATS ? 32 : 8 * (uint32_t)ae_sample_bytes(info->sample),
                           err)) != AE_OK)
        return st;
    if (kind == KIND_FLOATS)
        return aei_floats_from_whole(info, &floats, c->values, frames, samples, err);
    gather(info, samples, c->values, frames);
    return AE_OK;
}
