/* SPDX-License-Identifier: BSD-2-Clause */
#include "audio/steady.h"
#include "core/fastmath.h"

#include <math.h>
#include <string.h>

enum {
    PARTS = 8,     /* of the time that is looked back on */
    NEIGHBOURS = 2 /* bands to both sides */
};

#define LOOK_BACK 2.4 /* seconds: longer than any sound of speech */
#define SMOOTH 0.2    /* seconds */
/* The greatest over the least smoothed power: of steady noise in one bin it lies below 9 dB nearly
 * always; what spans 13 dB is not taken for steady. */
#define CERTAIN 8.0f
#define DOUBTFUL 20.0f
/* Mean square of the logarithm of the power over its smoothed self, times the band's bins: of noise
 * 1.5 to 1.9, of tones 0. */
#define TONE 0.5f
#define NOISE 1.0f
/* As much of what is kept must be steady for a bound at all, and for all of it. */
#define SOME 0.7f
#define ALL 0.9f
#define PRIOR_SNR 31.6f /* of what is not noise, where there is any: 15 dB */

struct aei_steady {
    uint32_t bands, part_frames;
    float deepest, follow, follow_slowly; /* weights of a new frame */
    float *smooth;
    float *random; /* how much the power differs from moment to moment, for the band's width */
    float *width;  /* in bins, at least 1 */
    float *least, *most; /* PARTS x bands, a ring */
    float *ratio, *sure, *doubt;
    uint32_t part, full, frames;
    float kept, kept_steady; /* power, smoothed */
};

void aei_steady_free(aei_steady *s)
{
    if (!s)
        return;
    ae_free(s->smooth);
    ae_free(s->random);
    ae_free(s->width);
    ae_free(s->least);
    ae_free(s->most);
    ae_free(s->ratio);
    ae_free(s->sure);
    ae_free(s->doubt);
    ae_free(s);
}

ae_status aei_steady_create(const aei_spectrum *spectrum, uint32_t bands, double hop, float deepest,
                            aei_steady **out, ae_error *err)
{
    aei_steady *s = ae_alloc(1, sizeof(*s));

    *out = NULL;
    if (!s)
        return ae_fail(err, AE_ERR_NOMEM, "what is steady in %u bands", bands);
    s->bands = bands;
    s->part_frames = (uint32_t)fmax(lrint(LOOK_BACK / PARTS / hop), 1);
    s->deepest = deepest;
    s->follow = (float)(1 - exp(-hop / SMOOTH));
    s->follow_slowly = (float)(1 - exp(-hop / LOOK_BACK));
    s->smooth = ae_alloc(bands, sizeof(float));
    s->random = ae_alloc(bands, sizeof(float));
    s->width = ae_alloc(bands, sizeof(float));
    s->least = ae_alloc(bands, PARTS * sizeof(float));
    s->most = ae_alloc(bands, PARTS * sizeof(float));
    s->ratio = ae_alloc(bands, sizeof(float));
    s->sure = ae_alloc(bands, sizeof(float));
    s->doubt = ae_alloc(bands, sizeof(float));
    if (!s->smooth || !s->random || !s->width || !s->least || !s->most || !s->ratio || !s->sure ||
        !s->doubt) {
        aei_steady_free(s);
        return ae_fail(err, AE_ERR_NOMEM, "what is steady in %u bands", bands);
    }
    for (uint32_t b = 0; b < bands; b++)
        s->width[b] = fmaxf(aei_spectrum_width(spectrum, b), 1);
    *out = s;
    return AE_OK;
}

/* The frame's power into the part that is being filled. */
static void follow(aei_steady *s, const float *power)
{
    bool begins = s->frames == 0;

    if (s->frames == s->part_frames) {
        s->part = (s->part + 1) % PARTS;
        s->full += s->full < PARTS;
        s->frames = 0;
        begins = true;
    }
    s->frames++;
    for (uint32_t b = 0; b < s->bands; b++) {
        float *least = s->least + (size_t)s->part * s->bands + b,
              *most = s->most + (size_t)s->part * s->bands + b, p, change;

        p = s->smooth[b] += s->follow * (power[b] - s->smooth[b]);
        change = aei_log((power[b] + 1e-30f) / (p + 1e-30f));
        s->random[b] += s->follow_slowly * (s->width[b] * change * change - s->random[b]);
        *least = begins || p < *least ? p : *least;
        *most = begins || p > *most ? p : *most;
    }
}

/* Of each band how sure it is that it has held still, and the power over that of those seconds. */
static void compare(aei_steady *s, const float *power)
{
    for (uint32_t b = 0; b < s->bands; b++) {
        float least = s->least[b], most = s->most[b], mean;

        for (uint32_t i = 1; i < PARTS; i++) {
            least = fminf(least, s->least[(size_t)i * s->bands + b]);
            most = fmaxf(most, s->most[(size_t)i * s->bands + b]);
        }
        mean = sqrtf(least * most);
        s->ratio[b] = mean > 0 ? fminf(power[b] / mean, 40) : 0;
        s->sure[b] = most >= DOUBTFUL * least || s->random[b] <= TONE ? 0 : 1;
        if (s->sure[b] > 0 && most > CERTAIN * least)
            s->sure[b] = aei_log(DOUBTFUL * least / most) / aei_log(DOUBTFUL / CERTAIN);
        s->sure[b] *= fminf((s->random[b] - TONE) / (NOISE - TONE), 1);
    }
}

/* The probability that nothing but the steady noise is there now, by the mean ratio of the band and
 * its neighbours, times how sure that is. */
static float doubt(const aei_steady *s, uint32_t b)
{
    uint32_t first = b > NEIGHBOURS ? b - NEIGHBOURS : 0,
             last = b + NEIGHBOURS < s->bands ? b + NEIGHBOURS : s->bands - 1;
    float ratio = 0;

    if (!(s->sure[b] > 0))
        return 0;
    for (uint32_t i = first; i <= last; i++)
        ratio += s->ratio[i];
    ratio /= (float)(last - first + 1);
    return s->sure[b] /
           (1 + aei_exp2(1.44269504f * ratio * PRIOR_SNR / (1 + PRIOR_SNR)) / (1 + PRIOR_SNR));
}

void aei_steady_bound(aei_steady *s, const float *power, float *gains)
{
    float kept = 0, steady = 0, share;

    follow(s, power);
    if (s->full < PARTS)
        return;
    compare(s, power);
    for (uint32_t b = 0; b < s->bands; b++) {
        float k = gains[b] * gains[b] * power[b];

        s->doubt[b] = doubt(s, b);
        kept += k;
        steady += s->doubt[b] * k;
    }
    s->kept += s->follow * (kept - s->kept);
    s->kept_steady += s->follow * (steady - s->kept_steady);
    share = s->kept > 0 ? (s->kept_steady / s->kept - SOME) / (ALL - SOME) : 0;
    if (!(share > 0))
        return;
    share = fminf(share, 1) * aei_log(s->deepest) * 1.44269504f;
    for (uint32_t b = 0; b < s->bands; b++)
        gains[b] = fminf(gains[b], aei_exp2(share * s->doubt[b]));
}
