/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Corruptions of clean pictures, applied in the order of the recipe or one drawn among them: white
 * noise, cameras (image/camera.h), black and white pixels, holes, JPEG. Every draw comes from the
 * sample's own generator, so that a batch is the same whichever thread makes it. */
#include "train/corrupt.h"
#include "core/rank.h"

#include "image/camera.h"
#include "train/warp.h"

#include <math.h>
#include <string.h>

ae_status aei_corrupt_check(const ae_recipe *recipe, uint32_t h, uint32_t w, ae_error *err)
{
    for (uint32_t i = 0; i < recipe->n_corruptions; i++) {
        if (recipe->corruptions[i].kind != AE_CORRUPT_CAMERA)
            continue;
        if (recipe->task == AE_TASK_SUPERRES || (i > 0 && !recipe->one_of))
            return ae_fail(err, AE_ERR_UNSUPPORTED,
                           "camera noise makes pictures of its own: it comes first, and not in "
                           "super-resolution");
        if (h < AEI_CAMERA_MIN_EDGE || w < AEI_CAMERA_MIN_EDGE)
            return ae_fail(err, AE_ERR_UNSUPPORTED,
                           "camera noise on %u x %u pixels; at least %d x %d are needed", w, h,
                           AEI_CAMERA_MIN_EDGE, AEI_CAMERA_MIN_EDGE);
    }
    return AE_OK;
}

size_t aei_corrupt_scratch(uint32_t h, uint32_t w)
{
    return aei_camera_scratch(h, w); /* far more than the others need */
}

/* A draw from the range, which is used up even where the middle is wanted. */
static float draw(const aei_corrupt_job *job, float min, float max)
{
    float v = aei_rng_range(job->rng, min, max);

    return job->fixed ? 0.5f * (min + max) : v;
}

static float clamp(float v, float lo, float hi)
{
    return v > lo ? (v < hi ? v : hi) : lo;
}

static void add_white(const aei_corrupt_job *job, float *restrict noisy, float sigma,
                      float *restrict scratch)
{
    size_t n = (size_t)job->h * job->w, c = job->c;

    if (job->grey && c == 3) {
        aei_rng_normals(job->rng, scratch, n);
        for (size_t i = 0; i < n; i++)
            for (size_t k = 0; k < 3; k++)
                noisy[3 * i + k] += sigma * scratch[i];
    } else {
        aei_rng_normals(job->rng, scratch, n * c);
        for (size_t i = 0; i < n * c; i++)
            noisy[i] += sigma * scratch[i];
    }
}

/* Sets pixels to black, or to black and white alike. */
static void replace_pixels(const aei_corrupt_job *job, float *noisy, float fraction, bool white_too)
{
    size_t n = (size_t)job->h * job->w;

    for (size_t i = 0; i < n; i++) {
        uint64_t u = aei_rng_u64(job->rng);

        if ((float)(u >> 40) * 0x1p-24f < fraction)
            for (uint32_t k = 0; k < job->c; k++)
                noisy[job->c * i + k] = white_too && (u & 1) ? 1.0f : 0.0f;
    }
}

static void take_photograph(const aei_corrupt_job *job, float *clean, float *noisy, float luminance,
                            void *scratch)
{
    aei_camera camera;

    aei_camera_draw(job->rng, &camera);
    camera.luminance = luminance;
    aei_camera_take(&camera, job->rng, clean, noisy, job->h, job->w, job->c, job->grey, scratch);
}

aei_told aei_deviation(const float *a, const float *b, uint32_t n_pixels, uint32_t c)
{
    double all = 0, luminance = 0, n = n_pixels;
    aei_told told;

    for (uint32_t i = 0; i < n_pixels; i++) {
        float y = 0;

        for (uint32_t k = 0; k < c; k++) {
            float d = a[c * i + k] - b[c * i + k];

            y += d;
            all += (double)d * d;
        }
        luminance += (double)y * y;
    }
    all /= n * c;
    luminance /= n * c * c;
    told.white = (float)sqrt(all);
    told.luminance = (float)sqrt(luminance);
    told.chroma = (float)sqrt(all > luminance ? 1.5 * (all - luminance) : 0);
    return told;
}

static aei_told white_told(const aei_corrupt_job *job, double sigma)
{
    if (job->c == 1 || job->grey)
        return (aei_told){(float)sigma, (float)sigma, 0};
    return (aei_told){(float)sigma, (float)(sigma / sqrt(3)), (float)sigma};
}

void aei_corrupt(const aei_corrupt_job *job, float *clean, float *noisy, aei_told *told,
                 void *scratch)
{
    const ae_recipe *recipe = job->recipe;
    uint32_t n_pixels = job->h * job->w, first = 0, end = recipe->n_corruptions;
    double variance = 0, jitter = 1;
    bool measured = false;
    float share = aei_rng_float(job->rng);

    memcpy(noisy, clean, (size_t)n_pixels * job->c * sizeof(*noisy));
    *told = (aei_told){0};
    if (!end || (!job->fixed && share < recipe->clean)) {
        if (end && recipe->doubt_max > 0) {
            float doubt = aei_rng_range(job->rng, recipe->doubt_min, recipe->doubt_max);

            *told = white_told(job, (double)doubt / 255);
        }
        return;
    }
    if (recipe->one_of) {
        first = aei_rng_below(job->rng, end);
        end = first + 1;
    }
    for (uint32_t i = first; i < end; i++) {
        const ae_corruption *k = &recipe->corruptions[i];
        aei_jpeg_loss lose;
        bool applies = aei_rng_float(job->rng) < k->probability;
        float v = draw(job, k->min, k->max),
              told_by = aei_rng_range(job->rng, k->jitter_min, k->jitter_max);

        if (!applies)
            continue;
        jitter *= job->fixed ? clamp(1, k->jitter_min, k->jitter_max) : told_by;
        switch (k->kind) {
        case AE_CORRUPT_GAUSSIAN:
            if (job->fixed && k->max >= 25)
                v = clamp(25, k->min, k->max);
            v /= 255.0f;
            add_white(job, noisy, v, scratch);
            variance += (double)v * v;
            break;
        case AE_CORRUPT_SALT_PEPPER:
        case AE_CORRUPT_MASK:
            replace_pixels(job, noisy, v, k->kind == AE_CORRUPT_SALT_PEPPER);
            measured = true;
            break;
        case AE_CORRUPT_CAMERA:
            take_photograph(job, clean, noisy, v / 255.0f, scratch);
            measured = true;
            break;
        case AE_CORRUPT_JPEG:
            lose = (aei_jpeg_loss){.quality = (int)clamp(v + 0.5f, 1, 100),
                                   .halve_chroma = aei_rng_below(job->rng, 2),
                                   .y = aei_rng_below(job->rng, 16),
                                   .x = aei_rng_below(job->rng, 16)};
            aei_jpeg_lose(&lose, noisy, job->h, job->w, job->c, scratch);
            measured = true;
            break;
        case AE_CORRUPT_WARP:
            aei_warp(job->rng, noisy, job->h, job->w, job->c, v, scratch);
            measured = true;
            break;
        }
    }
    *told = measured ? aei_deviation(noisy, clean, n_pixels, job->c)
                     : white_told(job, sqrt(variance));
    told->white *= (float)jitter;
    told->luminance *= (float)jitter;
    told->chroma *= (float)jitter;
}

void aei_blind_spots(aei_rng *rng, const float *noisy, uint32_t h, uint32_t w, uint32_t c,
                     float *masked, float *weight)
{
    enum { BLOCK = 7, REACH = 2 };

    memcpy(masked, noisy, (size_t)h * w * c * sizeof(*masked));
    memset(weight, 0, (size_t)h * w * sizeof(*weight));
    for (uint32_t y0 = 0; y0 < h; y0 += BLOCK)
        for (uint32_t x0 = 0; x0 < w; x0 += BLOCK) {
            uint32_t y = y0 + aei_rng_below(rng, BLOCK), x = x0 + aei_rng_below(rng, BLOCK), at;
            uint32_t other = aei_rng_below(rng, 24);
            int64_t ny, nx;

            other += other >= 12; /* not the pixel itself */
            if (y >= h || x >= w)
                continue;
            ny = (int64_t)y + other / 5 - REACH;
            nx = (int64_t)x + other % 5 - REACH;
            ny = ny < 0 || ny >= h ? 2 * (int64_t)y - ny : ny;
            nx = nx < 0 || nx >= w ? 2 * (int64_t)x - nx : nx;
            at = y * w + x;
            if (ny >= 0 && ny < h && nx >= 0 && nx < w)
                memcpy(masked + (size_t)at * c, noisy + ((size_t)ny * w + (size_t)nx) * c,
                       c * sizeof(*masked));
            weight[at] = 1;
        }
}

float aei_guess_white(const float *picture, uint32_t h, uint32_t w, uint32_t c, void *scratch)
{
    float *d = scratch;
    size_t n = 0, row = (size_t)w * c;

    for (uint32_t y = 0; y + 1 < h; y += 2)
        for (uint32_t x = 0; x + 1 < w; x += 2)
            for (uint32_t k = 0; k < c; k++) {
                const float *p = picture + y * row + (size_t)x * c + k;

                d[n++] = 0.5f * fabsf(p[0] - p[c] - p[row] + p[row + c]);
            }
    return n ? aei_select_rank(d, n, n / 2) / 0.6745f : 0;
}
