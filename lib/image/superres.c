/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the network makes is added to the bicubic enlargement of its own tile, which lies within the
 * tile's margin, and bounded by what the small picture holds around it: one colour stays itself,
 * and edges get no halos worth the name. Where pixels are transparent their colours are first
 * replaced by those of visible neighbours, so that they bleed into nothing. */
#include "ae/superres.h"

#include <math.h>
#include <string.h>

#include "core/clones.h"
#include "image/agree.h"
#include "image/jpegloss.h"
#include "image/resize.h"
#include "image/tiles.h"

enum { MAX_SCALE = 4, TAPS = 4, BASE_MARGIN = 2, FILL_REACH = 4 };
/* of 192 to 512 the fastest for networks with gates, which read and write much */
enum { DEFAULT_TILE = 256 };

/* Pixel x * scale + i of an enlarged axis is made of the TAPS pixels from x + first on. */
typedef struct phase {
    int first;
    float weights[TAPS];
} phase;

typedef struct enlarger {
    phase phases[MAX_SCALE];
    bool residual;
} enlarger;

static void make_phases(uint32_t scale, phase *phases)
{
    for (uint32_t i = 0; i < scale; i++) {
        double weights[TAPS + 2]; /* the first and the last are 0 */

        phases[i].first = (int)(aei_filter_weights(AE_BICUBIC, 8, 8 * scale, 3 * scale + i,
                                                   weights) -
                                3 + 1);
        for (uint32_t t = 0; t < TAPS; t++)
            phases[i].weights[t] = (float)weights[1 + t];
    }
}

/* ---- a thread's scratch, in floats ---- */

typedef struct scratch {
    float *alpha, *sums; /* of a window: alpha; alpha times colours, and alpha, summed along rows */
    float *line;         /* a row of the window, filtered down */
    float *wide;         /* a row of the result */
    float *narrow;       /* the same in its sample type */
    float *low, *high;   /* the range of each pixel's neighbours, of a row of the window */
    float *held;         /* f32: the window as it was before it was calmed for the network */
} scratch;

static size_t share_out(const aei_tiles *job, uint32_t window_w, uint32_t window_h, float *from,
                        scratch *s)
{
    size_t window = job->source->info.alpha ? (size_t)window_w * window_h : 0,
           row = (size_t)window_w * 3;
    size_t held = job->source->info.sample == AE_F32 ? row * window_h : 0;
    size_t sizes[] = {window, 4 * window, row, row * job->scale, row * job->scale, row, row, held};
    float **parts[] = {&s->alpha,  &s->sums, &s->line, &s->wide,
                       &s->narrow, &s->low,  &s->high, &s->held};
    size_t n = 0;

    for (int i = 0; i < 8; i++) {
        if (from)
            *parts[i] = from + n;
        n += sizes[i];
    }
    return n * sizeof(float);
}

static size_t scratch_bytes(const aei_tiles *job, uint32_t window_w, uint32_t window_h)
{
    scratch s;

    return share_out(job, window_w, window_h, NULL, &s);
}

static scratch scratch_of(const aei_tile *t)
{
    scratch s;

    share_out(t->job, t->window_w, t->window_h, t->scratch, &s);
    return s;
}

/* ---- alpha ---- */

/* colours and alpha -> their products' and alpha's sums over 2 * FILL_REACH + 1 pixels of a row */
static void sum_along(const float *colours, const float *alpha, uint32_t n, uint32_t planes,
                      float *sums)
{
    for (uint32_t x = 0; x < n; x++, sums += planes + 1) {
        uint32_t first = x > FILL_REACH ? x - FILL_REACH : 0,
                 end = x + FILL_REACH < n ? x + FILL_REACH + 1 : n;

        memset(sums, 0, (planes + 1) * sizeof(*sums));
        for (uint32_t i = first; i < end; i++) {
            for (uint32_t k = 0; k < planes; k++)
                sums[k] += alpha[i] * colours[(size_t)i * planes + k];
            sums[planes] += alpha[i];
        }
    }
}

static void fill_pixel(const float *sums, size_t step, uint32_t n_rows, uint32_t planes,
                       float alpha, float *colour)
{
    float all[4] = {0};

    for (uint32_t i = 0; i < n_rows; i++, sums += step)
        for (uint32_t k = 0; k <= planes; k++)
            all[k] += sums[k];
    for (uint32_t k = 0; k < planes; k++)
        colour[k] = alpha * colour[k] +
                    (1 - alpha) * (all[planes] > 0 ? all[k] / all[planes] : 0.5f);
}

/* Pixels of the window's outermost FILL_REACH see less than they should; they lie beyond the
 * network's field. */
static void fill_transparent(const aei_tile *t)
{
    uint32_t planes = t->format.planes, w = t->window_w, h = t->window_h;
    aei_window_format f = t->format;
    float *image = t->image - ((size_t)t->margin * w + t->margin) * planes;
    scratch s = scratch_of(t);
    bool opaque = true;

    if (!t->job->source->info.alpha)
        return;
    f.colours = f.planes = 1;
    f.plane = f.channels - 1;
    for (uint32_t y = 0; y < h; y++)
        aei_window_load(&f, aei_tile_row(t, (int64_t)t->y + y - t->margin),
                        (int64_t)t->x - t->margin, w, s.alpha + (size_t)y * w);
    for (size_t i = 0; i < (size_t)w * h; i++) {
        s.alpha[i] = fminf(fmaxf(s.alpha[i], 0), 1);
        opaque = opaque && s.alpha[i] == 1;
    }
    if (opaque)
        return;
    for (uint32_t y = 0; y < h; y++)
        sum_along(image + (size_t)y * w * planes, s.alpha + (size_t)y * w, w, planes,
                  s.sums + (size_t)y * w * (planes + 1));
    for (uint32_t y = 0; y < h; y++) {
        uint32_t first = y > FILL_REACH ? y - FILL_REACH : 0,
                 end = y + FILL_REACH < h ? y + FILL_REACH + 1 : h;

        for (uint32_t x = 0; x < w; x++)
            if (s.alpha[(size_t)y * w + x] < 1)
                fill_pixel(s.sums + ((size_t)first * w + x) * (planes + 1),
                           (size_t)w * (planes + 1), end - first, planes,
                           s.alpha[(size_t)y * w + x], image + ((size_t)y * w + x) * planes);
    }
}

static void load(const aei_tile *t)
{
    size_t n = (size_t)t->window_w * t->window_h * t->format.planes;
    float *image = t->image - ((size_t)t->margin * t->window_w + t->margin) * t->format.planes;

    fill_transparent(t);
    if (t->format.sample == AE_F32) {
        memcpy(scratch_of(t).held, image, n * sizeof(float));
        aei_calm(image, n, 0);
    }
}

/* ---- enlarging ---- */

AEI_CLONES
static void filter_down(const phase *p, const float *restrict from, size_t step, size_t n,
                        float *restrict to)
{
    const float *a = from, *b = a + step, *c = b + step, *d = c + step, *w = p->weights;

    for (size_t i = 0; i < n; i++)
        to[i] = w[0] * a[i] + w[1] * b[i] + w[2] * c[i] + w[3] * d[i];
}

AEI_CLONES
static void filter_along(const phase *p, const float *restrict from, uint32_t n, uint32_t planes,
                         float *restrict to, size_t step)
{
    const float *a = from + p->first * (int)planes, *b = a + planes, *c = b + planes,
                *d = c + planes, *w = p->weights;

    for (uint32_t x = 0; x < n; x++, to += step)
        for (uint32_t k = 0; k < planes; k++, a++, b++, c++, d++)
            to[k] = w[0] * *a + w[1] * *b + w[2] * *c + w[3] * *d;
}

/* Row `y` of the enlarged tile; from: its first pixel. */
static void enlarge_row(const aei_tile *t, const float *from, uint32_t planes, uint32_t y,
                        float *line, float *to)
{
    const enlarger *e = t->job->context;
    uint32_t scale = t->job->scale;
    const phase *down = &e->phases[y % scale];
    size_t step = (size_t)t->window_w * planes;

    from += ((int64_t)(y / scale) + down->first) * (int64_t)step - BASE_MARGIN * (int)planes;
    filter_down(down, from, step, ((size_t)t->w + 2 * BASE_MARGIN) * planes, line);
    for (uint32_t i = 0; i < scale; i++)
        filter_along(&e->phases[i], line + BASE_MARGIN * planes, t->w, planes, to + i * planes,
                     scale * planes);
}

/* The least and the largest of n runs of `count` values, `step` apart. */
AEI_CLONES
static void range_of(const float *restrict least, const float *restrict most, size_t step,
                     uint32_t n, size_t count, float *restrict low, float *restrict high)
{
    memcpy(low, least, count * sizeof(*low));
    memcpy(high, most, count * sizeof(*high));
    for (uint32_t k = 1; k < n; k++)
        for (size_t i = 0; i < count; i++) {
            float a = least[k * step + i], b = most[k * step + i];

            low[i] = a < low[i] ? a : low[i];
            high[i] = b > high[i] ? b : high[i];
        }
}

/* For the tile's pixels of a row, `from` its first: what results there may be, by the pixels that
 * their base is made of. */
static void bound_row(const aei_tile *t, const float *from, const scratch *s)
{
    enum { ACROSS = 2 * BASE_MARGIN + 1 };
    size_t planes = t->format.planes, step = t->window_w * planes, n = t->w * planes,
           all = n + (ACROSS - 1) * planes;

    from -= BASE_MARGIN * (step + planes);
    range_of(from, from, step, ACROSS, all, s->line, s->wide);
    range_of(s->line, s->wide, planes, ACROSS, n, s->low, s->high);
    aei_leave_room(s->low, s->high, n);
}

AEI_CLONES
static void add(float *restrict to, const float *restrict from, size_t n)
{
    for (size_t i = 0; i < n; i++)
        to[i] += from[i];
}

/* The same where the n pixels that are enlarged may lie beyond black and white. */
static void add_light(float *to, const float *from, uint32_t n, uint32_t scale, uint32_t planes,
                      const float *pixels)
{
    for (uint32_t x = 0; x < n; x++, pixels += planes)
        for (uint32_t i = 0; i < scale; i++, to += planes, from += planes)
            for (uint32_t k = 0; k < planes; k++)
                to[k] += aei_correction(pixels[k], from[k], 0);
}

/* n pixels of a result's row, each `scale` of them within one range. */
static void hold_within(float *values, uint32_t n, uint32_t scale, uint32_t planes,
                        const float *low, const float *high)
{
    for (uint32_t x = 0; x < n; x++, low += planes, high += planes)
        for (uint32_t i = 0; i < scale; i++, values += planes)
            for (uint32_t k = 0; k < planes; k++) {
                float v = values[k] < high[k] ? values[k] : high[k];

                values[k] = v > low[k] ? v : low[k];
            }
}

/* Writes n values of `count` neighbouring channels, from `first` on, to pixels of a row in its
 * sample type. */
static void put(const aei_tile *t, const float *values, uint32_t first, uint32_t count, uint32_t y,
                void *narrow)
{
    const ae_signal_info *info = &t->job->result;
    size_t bytes = ae_sample_bytes(info->sample), n = (size_t)t->w * t->job->scale,
           pixel = info->channels * bytes;
    uint8_t *to = t->band + y * ae_row_bytes(info) + (size_t)t->x * t->job->scale * pixel +
                  first * bytes;

    if (count == info->channels) {
        ae_samples_from_f32(info->sample, values, to, n * count);
        return;
    }
    ae_samples_from_f32(info->sample, values, narrow, n * count);
    for (size_t i = 0; i < n; i++)
        memcpy(to + i * pixel, (const uint8_t *)narrow + i * count * bytes, count * bytes);
}

static void store(const aei_tile *t)
{
    const enlarger *e = t->job->context;
    const aei_window_format *f = &t->format;
    uint32_t scale = t->job->scale, planes = f->planes, count = planes == 3 ? f->colours : 1;
    size_t n = (size_t)t->w * scale;
    scratch s = scratch_of(t);
    const float *image = f->sample == AE_F32
                             ? s.held + ((size_t)t->margin * t->window_w + t->margin) * planes
                             : t->image;

    for (uint32_t y = 0; y < t->h * scale; y++) {
        const float *net = t->net + (size_t)y * t->net_w * planes;

        if (y % scale == 0)
            bound_row(t, image + (size_t)(y / scale) * t->window_w * planes, &s);
        if (e->residual)
            enlarge_row(t, image, planes, y, s.line, s.wide);
        else
            memset(s.wide, 0, n * planes * sizeof(float));
        if (f->sample == AE_F32)
            add_light(s.wide, net, t->w, scale, planes,
                      image + (size_t)(y / scale) * t->window_w * planes);
        else
            add(s.wide, net, n * planes);
        hold_within(s.wide, t->w, scale, planes, s.low, s.high);
        if (count < planes) /* a grey picture takes the mean */
            for (size_t i = 0; i < n; i++)
                s.wide[i] = (s.wide[3 * i] + s.wide[3 * i + 1] + s.wide[3 * i + 2]) / 3.0f;
        put(t, s.wide, f->plane, count, y, s.narrow);
        if (t->job->source->info.alpha && !f->plane) {
            enlarge_row(t, s.alpha + (size_t)t->margin * t->window_w + t->margin, 1, y, s.line,
                        s.wide);
            for (size_t i = 0; i < n; i++)
                s.wide[i] = fminf(fmaxf(s.wide[i], 0), 1);
            put(t, s.wide, f->channels - 1, 1, y, s.narrow);
        }
    }
}

/* ---- the whole ---- */

/* What JPEG does to photographs made small, at quality 50, where the steps of low frequencies are
 * 13.2, 75, 90 and 95: deviations of 7.0, 5.2, 3.1 and 2.0. A camera's noise is often found where a
 * small picture has sharp texture all over; of that no more counts than costs little there. */
float ae_superres_noise(const uint16_t table[64], const ae_noise *noise)
{
    float found = !noise ? 0 : noise->is_white ? noise->luminance : fminf(noise->luminance, 3);

    return table ? hypotf(found, 7 * powf(aei_jpeg_low_steps(table) / 13.2f, 0.55f)) : found;
}

ae_status ae_superres_result(const ae_signal_info *info, double factor, const ae_limits *limits,
                             ae_signal_info *result, ae_error *err)
{
    ae_limits l = ae_limits_resolve(limits);
    double w = round((double)info->width * factor), h = round((double)info->height * factor);

    if (!(factor > 0) || !(w >= 1 && h >= 1))
        return ae_fail(err, AE_ERR_ARGUMENT, "%llu x %llu pixels times %g",
                       (unsigned long long)info->width, (unsigned long long)info->height, factor);
    if (w > (double)l.max_edge || h > (double)l.max_edge)
        return ae_fail(err, AE_ERR_LIMIT,
                       "the result of %.0f x %.0f pixels would exceed max_edge (%llu)", w, h,
                       (unsigned long long)l.max_edge);
    if (w * h > (double)l.max_pixels)
        return ae_fail(err, AE_ERR_LIMIT,
                       "the result of %.0f x %.0f pixels would exceed max_pixels (%llu)", w, h,
                       (unsigned long long)l.max_pixels);
    *result = *info;
    result->width = (uint64_t)w;
    result->height = (uint64_t)h;
    return AE_OK;
}

static ae_status to_rescaler(void *opaque, const void *rows, uint32_t n_rows, ae_error *err)
{
    return ae_rescaler_write(opaque, rows, n_rows, err);
}

static ae_status check(const ae_model *model, const ae_superres_options *o, ae_error *err)
{
    const ae_recipe *recipe = ae_model_recipe(model);

    if (recipe->task != AE_TASK_SUPERRES || recipe->scale > MAX_SCALE)
        return ae_fail(err, AE_ERR_MISMATCH, "model %s does not enlarge pictures", recipe->name);
    if (ae_graph_find(ae_model_graph(model), AE_INPUT_LEVEL) >= 0 && !(recipe->strength_max > 0))
        return ae_fail(err, AE_ERR_UNSUPPORTED,
                       "model %s wants to be told how strong the noise is, not how much to remove",
                       recipe->name);
    if (!(o->denoise >= 0 && o->denoise <= 1))
        return ae_fail(err, AE_ERR_ARGUMENT, "denoise %g is not between 0 and 1",
                       (double)o->denoise);
    if (o->factor != 0 && !(o->factor > 1 && o->factor <= recipe->scale))
        return ae_fail(err, AE_ERR_MISMATCH,
                       "model %s enlarges by more than 1 and up to %u, not by %g", recipe->name,
                       recipe->scale, o->factor);
    return AE_OK;
}

ae_status ae_superres(const ae_model *model, const ae_superres_options *o,
                      const ae_row_source *source, const ae_row_sink *sink, ae_run_stats *stats,
                      ae_error *err)
{
    const ae_recipe *recipe = ae_model_recipe(model);
    enlarger e = {.residual = recipe->residual};
    ae_rescaler *rescaler = NULL;
    aei_agree *agree = NULL;
    ae_row_source rows;
    ae_row_sink shrink = {NULL, to_rescaler}, large;
    bool smaller = o->factor != 0 && o->factor < recipe->scale;
    ae_signal_info result;
    aei_tiles job = {
        .model = model,
        .source = &rows,
        .sink = &large,
        .result = source->info,
        .scale = recipe->scale,
        .level = {o->denoise},
        .reach = source->info.alpha ? FILL_REACH : 0,
        .margin = BASE_MARGIN,
        .precision = o->precision,
        .tile = o->tile ? o->tile : DEFAULT_TILE,
        .control = o->control,
        .context = &e,
        .scratch = scratch_bytes,
        .load = load,
        .store = store,
    };
    ae_status st;

    if (stats)
        *stats = (ae_run_stats){0};
    if ((st = check(model, o, err)) != AE_OK)
        return st;
    make_phases(recipe->scale, e.phases);
    job.result.width *= recipe->scale;
    job.result.height *= recipe->scale;
    job.result.sample = AE_F32;
    if (smaller) {
        const ae_limits none = {.max_pixels = UINT64_MAX, .max_edge = UINT64_MAX};

        if ((st = ae_superres_result(&source->info, o->factor, &none, &result, err)) != AE_OK ||
            (st = ae_rescaler_create(AE_BICUBIC, &job.result, &result, sink, &rescaler, err)) !=
                AE_OK)
            return st;
        shrink.opaque = rescaler;
    }
    st = aei_agree_create(recipe->scale, aei_agree_shares(o->denoise * o->noise), source,
                          smaller ? AE_F32 : source->info.sample, smaller ? &shrink : sink, &rows,
                          &large, &agree, err);
    if (st == AE_OK)
        st = aei_tiles_run(&job, stats, err);
    aei_agree_free(agree);
    ae_rescaler_free(rescaler);
    return st;
}
