/* SPDX-License-Identifier: BSD-2-Clause
 *
 * One sample of a picture: a region is drawn, cut out of the picture as it is stored, turned,
 * scaled down to the target with a margin for the filter, and corrupted or made small as the recipe
 * says. What the network is told of the corruption (a level, a curve over the brightness) is
 * written beside it. */
#include "train/loader_parts.h"
#include "core/clones.h"

#include "audio/spectrum.h"
#include "image/levels.h"
#include "image/resize.h"
#include "train/corrupt.h"
#include "train/patterns.h"

#include <math.h>
#include <string.h>

/* ---- cutting pieces out of pictures ---- */

static uint32_t mirror(int64_t i, uint32_t n)
{
    int64_t period = 2 * (int64_t)n;

    i = (i % period + period) % period;
    return (uint32_t)(i < n ? i : period - 1 - i);
}

static float luma(const float *p)
{
    return 0.299f * p[0] + 0.587f * p[1] + 0.114f * p[2];
}

/* Where a region lies in a picture and how it is turned: after transposing come the flips. */
typedef struct cut {
    int64_t y, x;
    uint32_t h, w; /* as they come out */
    bool transpose, flip_y, flip_x;
} cut;

/* n pixels of pc channels as c; `mirrored`: those from x on of `width`. */
static void take_row(const float *row, int64_t x, uint32_t n, uint32_t width, bool mirrored,
                     uint32_t pc, uint32_t c, float *to)
{
    for (uint32_t i = 0; i < n; i++, to += c) {
        const float *v = row + (size_t)(mirrored ? mirror(x + i, width) : i) * pc;

        if (c == 1)
            to[0] = pc == 1 ? v[0] : luma(v);
        else
            for (uint32_t j = 0; j < 3; j++)
                to[j] = v[pc == 1 ? 0 : j];
    }
}

static void copy_pixel(float *restrict to, const float *restrict from, uint32_t c)
{
    for (uint32_t j = 0; j < c; j++)
        to[j] = from[j];
}

/* Copies a region, mirrored at the picture's edges, in c channels of f32. `row` holds a picture
 * row, and AEI_CUT_ROWS region rows behind. Some rows at a time, so that turning them meets each
 * line of the cache once. */
static void cut_region(const aei_picture *p, const cut *k, uint32_t c, float *row, float *to)
{
    uint32_t pc = p->info.channels, width = (uint32_t)p->info.width,
             rows = k->transpose ? k->w : k->h;
    uint32_t columns = k->transpose ? k->h : k->w;
    size_t stride = ae_row_bytes(&p->info), pixel = ae_sample_bytes(p->info.sample) * pc;
    bool inside = k->x >= 0 && k->x + columns <= width;
    int64_t step_y = (k->flip_y ? -1 : 1) * (int64_t)k->w, step_x = k->flip_x ? -1 : 1;
    int64_t first = (k->flip_y ? (int64_t)(k->h - 1) * k->w : 0) + (k->flip_x ? k->w - 1 : 0);
    int64_t down = (k->transpose ? step_x : step_y) * c,
            along = (k->transpose ? step_y : step_x) * c;
    float *strip = row + (size_t)width * pc;

    for (uint32_t r = 0; r < rows; r += AEI_CUT_ROWS) {
        uint32_t n = rows - r < AEI_CUT_ROWS ? rows - r : AEI_CUT_ROWS;
        float *out = to + first * c + r * down;

        for (uint32_t q = 0; q < n; q++) {
            const uint8_t *from = (const uint8_t *)p->pixels +
                                  mirror(k->y + r + q, (uint32_t)p->info.height) * stride;
            float *cut_row = along == c ? out + q * down : strip + (size_t)q * columns * c;

            if (inside && pc == c) {
                ae_samples_to_f32(p->info.sample, from + (size_t)k->x * pixel, cut_row,
                                  (size_t)columns * c);
                continue;
            }
            if (inside)
                ae_samples_to_f32(p->info.sample, from + (size_t)k->x * pixel, row,
                                  (size_t)columns * pc);
            else
                ae_samples_to_f32(p->info.sample, from, row, (size_t)width * pc);
            take_row(row, k->x, columns, width, !inside, pc, c, cut_row);
        }
        if (along == c)
            continue;
        for (uint32_t i = 0; i < columns; i++)
            for (uint32_t q = 0; q < n; q++)
                copy_pixel(out + i * along + q * down, strip + ((size_t)q * columns + i) * c, c);
    }
}

/* The inner h x w of a picture with a margin around it. */
static void strip_margin(const float *from, uint32_t margin, uint32_t h, uint32_t w, uint32_t c,
                         float *to)
{
    size_t row = ((size_t)w + 2 * margin) * c;

    for (uint32_t y = 0; y < h; y++)
        memcpy(to + (size_t)y * w * c, from + (y + margin) * row + (size_t)margin * c,
               (size_t)w * c * sizeof(*to));
}

/* ---- one sample ---- */

/* Draws the scale and the place; `crop` < 0 in training, else which of the validation crops of this
 * item it is. */
static cut place(const aei_loader *l, const aei_picture *p, bool noisy, aei_rng *rng, int crop)
{
    const ae_recipe *r = l->recipe;
    uint32_t h = l->out_h + 2 * l->margin, w = l->out_w + 2 * l->margin,
             ih = (uint32_t)p->info.height;
    uint32_t iw = (uint32_t)p->info.width, turn = aei_rng_below(rng, 8);
    float scale = aei_rng_range(rng, r->scale_min, r->scale_max), v = aei_rng_float(rng),
          u = aei_rng_float(rng), most;
    cut k = {0};

    if (crop >= 0)
        scale = r->scale_min;
    if (noisy) /* noise is not what it was once it is scaled */
        scale = 1;
    if (r->augment && crop < 0)
        k = (cut){
            .transpose = turn & 4 && l->out_h == l->out_w, .flip_y = turn & 2, .flip_x = turn & 1};
    most = fminf((float)(k.transpose ? iw : ih) / (float)l->out_h,
                 (float)(k.transpose ? ih : iw) / (float)l->out_w);
    if (scale > most)
        /* small pictures are not scaled down below the crop */
        scale = most < 1 ? fminf(scale, 1) : most;
    k.h = (uint32_t)fmaxf(1, rintf((float)h * scale));
    k.w = (uint32_t)fmaxf(1, rintf((float)w * scale));
    if (crop == 0)
        u = v = 0.5f;
    h = k.transpose ? k.w : k.h;
    w = k.transpose ? k.h : k.w;
    /* the margin may lie outside */
    {
        float edge = (float)l->margin * scale;
        float room_y = (float)ih - (float)h + 2 * edge, room_x = (float)iw - (float)w + 2 * edge;

        k.y = room_y > 0 ? (int64_t)floorf(v * (room_y + 1) - edge) : -(int64_t)((h - ih) / 2);
        k.x = room_x > 0 ? (int64_t)floorf(u * (room_x + 1) - edge) : -(int64_t)((w - iw) / 2);
    }
    return k;
}

/* As any picture's samples are: filters overshoot. */
AEI_CLONES static void clip(float *v, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        float x = v[i] > 0 ? v[i] : 0;

        v[i] = x < 1 ? x : 1;
    }
}

AEI_CLONES static void round_to_bytes(float *v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        v[i] = rintf(255 * v[i]) / 255;
}

/* Of super-resolution: scene and what comes of it; small pictures have 8 bits. `keep`: share of the
 * corruption that stays in the target. */
static void make_small(const aei_loader *l, aei_sample_bench *b, aei_corrupt_job job, float keep,
                       aei_told *told, float *image, float *target, float *base)
{
    uint32_t th = l->out_h + 2 * l->margin, tw = l->out_w + 2 * l->margin,
             m = l->margin / l->recipe->scale, c = l->c;
    uint32_t n_filters = l->recipe->n_filters,
             which = n_filters > 1 ? aei_rng_below(job.rng, n_filters) : 0;
    size_t n = (size_t)th * tw * c;

    job.h += 2 * m;
    job.w += 2 * m;
    aei_resize(l->recipe->filters[which], b->scene, th, tw, c, b->small, job.h, job.w, b->scratch);
    clip(b->small, (size_t)job.h * job.w * c);
    round_to_bytes(b->small, (size_t)job.h * job.w * c);
    aei_corrupt(&job, b->small, b->noisy, told, b->scratch);
    strip_margin(b->noisy, m, l->h, l->w, c, image);
    if (keep > 0) {
        aei_resize(AE_BICUBIC, b->small, job.h, job.w, c, b->large, th, tw, b->scratch);
        for (size_t i = 0; i < n; i++)
            b->scene[i] -= keep * b->large[i];
    }
    if (base || keep > 0)
        aei_resize(AE_BICUBIC, b->noisy, job.h, job.w, c, b->large, th, tw, b->scratch);
    if (keep > 0)
        for (size_t i = 0; i < n; i++)
            b->scene[i] += keep * b->large[i];
    strip_margin(b->scene, l->margin, l->out_h, l->out_w, c, target);
    if (base)
        strip_margin(b->large, l->margin, l->out_h, l->out_w, c, base);
}

static bool jitters(const ae_recipe *r)
{
    bool any = false;

    for (uint32_t i = 0; i < r->n_corruptions; i++)
        any = any || r->corruptions[i].jitter_max > r->corruptions[i].jitter_min;
    return any;
}

/* Level maps that follow the brightness as the noise does, off by what the recipe's jitter made of
 * `told`, and more where the recipe has any: one kind of deviation by the other, dark by bright. */
static void tell_curve(const aei_loader *l, aei_sample_bench *b, const aei_corrupt_job *job,
                       const float *image, const float *target, aei_told told, float *level)
{
    float other = 1, tilt = 0, all, chroma;
    ae_noise noise;

    aei_level_measure(image, target, l->h, l->w, l->c, &noise, b->scratch);
    all = noise.white > 0 ? 255 * told.white / noise.white : 1;
    if (!job->fixed && jitters(l->recipe)) {
        other = aei_rng_range(job->rng, 0.8f, 1.25f);
        tilt = aei_rng_range(job->rng, -0.35f, 0.35f);
    }
    chroma = all * other;
    for (int i = 0; i < AE_NOISE_BINS; i++) {
        float tilted = 1 + tilt * ((float)i / (AE_NOISE_BINS - 1) - 0.35f);

        noise.luminance_at[i] *= all * tilted;
        noise.chroma_at[i] *= chroma * tilted;
    }
    aei_level_map(&noise, image, l->h, l->w, l->c, l->level_c, level, b->scratch);
}

/* The scene, a piece of a picture at the target's size: in l->c channels. */
static ae_status cut_scene(const aei_loader *l, aei_sample_bench *b, const aei_picture *p,
                           const cut *k, float *scene, ae_error *err)
{
    uint32_t th = l->out_h + 2 * l->margin, tw = l->out_w + 2 * l->margin, c = l->c;
    size_t need = p->info.width * p->info.channels;
    bool scaled = k->h != th || k->w != tw;

    need += (size_t)(l->region_h > l->region_w ? l->region_h : l->region_w) * c * AEI_CUT_ROWS;
    if (b->row_floats < need) {
        ae_free(b->row);
        b->row_floats = 0;
        b->row = ae_alloc(need, sizeof(*b->row));
        if (!b->row)
            return ae_fail(err, AE_ERR_NOMEM, "a row of %llu pixels",
                           (unsigned long long)p->info.width);
        b->row_floats = need;
    }
    cut_region(p, k, c, b->row, scaled ? b->region : scene);
    if (scaled) {
        aei_resize(AE_BICUBIC, b->region, k->h, k->w, c, scene, th, tw, b->scratch);
        clip(scene, (size_t)th * tw * c);
    }
    return AE_OK;
}

/* The same from a pattern, pixel for pixel: what scaling does to photographs would make these
 * another kind of picture. */
static void draw_scene(const aei_loader *l, aei_sample_bench *b, uint64_t pattern, float *scene)
{
    uint32_t th = l->out_h + 2 * l->margin, tw = l->out_w + 2 * l->margin;

    if (l->c == 3) {
        aei_pattern_draw(l->config.seed, pattern, th, tw, scene);
        return;
    }
    aei_pattern_draw(l->config.seed, pattern, th, tw, b->pattern);
    for (size_t i = 0; i < (size_t)th * tw; i++)
        scene[i] = luma(b->pattern + 3 * i);
}

/* The same piece of the noisy version. */
static ae_status show_noisy(const aei_loader *l, aei_sample_bench *b, const aei_corrupt_job *job,
                            const aei_noisy *noisy, const cut *k, float *image, ae_error *err)
{
    ae_status st = cut_scene(l, b, noisy->picture, k, image, err);

    if (st == AE_OK && job->grey && noisy->picture->info.channels == 3)
        for (size_t i = 0; i < (size_t)l->h * l->w; i++)
            image[3 * i] = image[3 * i + 1] = image[3 * i + 2] = luma(image + 3 * i);
    return st;
}

/* What tools would tell the network of the noisy picture, and in training about that much. */
static void tell_found(const aei_loader *l, aei_sample_bench *b, const aei_corrupt_job *job,
                       const aei_noisy *noisy, const float *image, float *level)
{
    float by = job->fixed ? 1 : aei_rng_range(job->rng, 0.85f, 1.2f);
    ae_noise noise = noisy->noise;

    noise.luminance *= by;
    noise.chroma *= by;
    noise.white *= by;
    for (int i = 0; i < AE_NOISE_BINS; i++) {
        noise.luminance_at[i] *= by;
        noise.chroma_at[i] *= by;
    }
    aei_level_map(&noise, image, l->h, l->w, l->c, l->level_c, level, b->scratch);
}

/* What is missing in a table, NaN, is given as 0 and does not count. */
static void skip_gaps(float *target, size_t n, float *image, float *weight)
{
    for (size_t i = 0; i < n; i++) {
        weight[i] = !isnan(target[i]);
        if (isnan(target[i]))
            image[i] = target[i] = 0;
    }
}

ae_status aei_picture_sample(aei_loader *l, aei_sample_bench *b, aei_batch_slot *s, uint32_t at,
                             const aei_picture *p, const aei_noisy *noisy, uint64_t pattern,
                             aei_rng *rng, int crop, ae_error *err)
{
    const ae_recipe *r = l->recipe;
    size_t n_in = (size_t)l->h * l->w, n_out = (size_t)l->out_h * l->out_w;
    float *image = s->image + at * n_in * l->c, *target = s->target + at * n_out * l->c;
    uint32_t th = l->out_h + 2 * l->margin, tw = l->out_w + 2 * l->margin, c = l->c;
    aei_corrupt_job job = {
        .recipe = r, .rng = rng, .h = l->h, .w = l->w, .c = c, .fixed = crop >= 0};
    aei_told told = {0};
    cut k = p ? place(l, p, noisy, rng, crop) : (cut){0};
    float grey = aei_rng_float(rng);
    float *scene = l->margin ? b->scene : target;
    float keep = r->strength_max > 0
                     ? fmaxf(0, 1 - aei_rng_range(rng, r->strength_min, r->strength_max))
                     : 0;

    if (job.fixed)
        keep = fmaxf(0, 1 - r->strength_max) * (r->strength_max > 0);
    if (!p) {
        draw_scene(l, b, pattern, scene);
    } else {
        ae_status st = cut_scene(l, b, p, &k, scene, err);

        if (st != AE_OK)
            return st;
    }
    job.grey = c == 3 && ((p && p->info.channels == 1) || (crop < 0 && grey < r->grey));
    if (job.grey && !(p && p->info.channels == 1))
        for (size_t i = 0; i < (size_t)th * tw; i++)
            scene[3 * i] = scene[3 * i + 1] = scene[3 * i + 2] = luma(scene + 3 * i);

    if (r->task == AE_TASK_SUPERRES) {
        make_small(l, b, job, keep, &told, image, target,
                   s->base ? s->base + at * n_out * c : NULL);
    } else if (l->config.noisy_only) {
        aei_blind_spots(rng, target, l->h, l->w, c, image, s->weight + at * n_in);
        told.white = told.luminance = told.chroma = aei_guess_white(target, l->h, l->w, c,
                                                                    b->scratch);
        if (c == 3 && !job.grey)
            told.luminance *= sqrtf(1.0f / 3.0f);
        else
            told.chroma = 0;
    } else if (noisy) {
        ae_status st = show_noisy(l, b, &job, noisy, &k, image, err);

        if (st != AE_OK)
            return st;
    } else {
        aei_corrupt(&job, target, image, &told, b->scratch);
        /* the noise of files: what falls outside is clipped, which the curve shows */
        if (r->curve) {
            clip(image, n_in * c);
            round_to_bytes(image, n_in * c);
        }
        for (size_t i = 0; keep > 0 && i < n_in * c; i++)
            target[i] += keep * (image[i] - target[i]);
    }
    if (r->columns)
        skip_gaps(target, n_in, image, s->weight + at * n_in);
    if (r->strength_max > 0)
        told.white = 1 - keep;
    if (noisy && l->level_c)
        tell_found(l, b, &job, noisy, image, s->level + at * n_in * l->level_c);
    else if (l->level_c && r->curve && told.white > 0)
        tell_curve(l, b, &job, image, target, told, s->level + at * n_in * l->level_c);
    else if (l->level_c) {
        float *level = s->level + at * n_in * l->level_c;

        for (size_t i = 0; i < n_in; i++) {
            level[l->level_c * i] = l->level_c == 1 ? told.white : told.luminance;
            if (l->level_c == 2)
                level[2 * i + 1] = told.chroma;
        }
    }
    return AE_OK;
}
