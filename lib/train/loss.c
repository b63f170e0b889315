/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Losses and penalties, each in one pass over its samples that gives value and gradient together.
 * Sums run in eight lanes of double, in chunks of a fixed size, so that the order of the additions,
 * and with it every bit of the result, is the same whatever the instruction set. Losses of single
 * samples come from their table (nn/losses.h) and are compiled into one vectorised loop each; the
 * others are written out here. */
#include "train/loss.h"
#include "core/clones.h"
#include "nn/losses.h"

#include <math.h>

enum { CHUNK = 256, LANES = 8 };

#define FORCE_INLINE static inline __attribute__((always_inline))

/* In lanes, so that the order of the additions is fixed and still vectorises. */
FORCE_INLINE double sum_lanes(const float *x, size_t n)
{
    double lane[LANES] = {0}, sum = 0;
    size_t i = 0;

    for (; i + LANES <= n; i += LANES)
        for (size_t j = 0; j < LANES; j++)
            lane[j] += x[i + j];
    for (; i < n; i++)
        lane[0] += x[i];
    for (size_t j = 0; j < LANES; j++)
        sum += lane[j];
    return sum;
}

AEI_CLONES double aei_sum(const float *x, size_t n)
{
    return sum_lanes(x, n);
}

AEI_CLONES double aei_sum_squares(const float *x, size_t n)
{
    double lane[LANES] = {0}, sum = 0;
    size_t i = 0;

    for (; i + LANES <= n; i += LANES)
        for (size_t j = 0; j < LANES; j++)
            lane[j] += (double)x[i + j] * x[i + j];
    for (; i < n; i++)
        lane[0] += (double)x[i] * x[i];
    for (size_t j = 0; j < LANES; j++)
        sum += lane[j];
    return sum;
}

static size_t count(ae_shape s)
{
    return (size_t)s.n * s.h * s.w * s.c;
}

/* Values and derivatives of one chunk; `kind` is a constant where this is called. */
FORCE_INLINE void terms(ae_loss_kind kind, size_t n, const float *restrict predictions,
                        const float *restrict targets, float *restrict e, float *restrict g)
{
    for (size_t i = 0; i < n; i++) {
        float p = predictions[i], t = targets[i], d = p - t;

        switch (kind) {
/* clang-format off */
#define TERM(number, name, value, slope) \
        case AE_LOSS_##number: \
            e[i] = value; \
            g[i] = slope; \
            break;
            /* clang-format on */
            AEI_SAMPLE_LOSSES(TERM)
#undef TERM
        default: /* no loss of single samples */ e[i] = g[i] = NAN;
        }
    }
}

FORCE_INLINE double sweep(ae_loss_kind kind, double weight, const aei_loss_view *v)
{
    size_t n = count(v->shape), c = v->shape.c;
    double norm = v->total > 0 ? weight / (v->total * (double)c) : 0, sum = 0;
    float k = (float)norm, e[CHUNK], g[CHUNK];

    for (size_t i = 0; i < n; i += CHUNK) {
        size_t m = n - i < CHUNK ? n - i : CHUNK;
        float *restrict to = v->gradient + i;

        terms(kind, m, v->value + i, v->target + i, e, g);
        if (v->weight)
            for (size_t j = 0; j < m; j++) {
                float w = v->weight[(i + j) / c];

                e[j] *= w;
                g[j] *= w;
            }
        if (v->fresh)
            for (size_t j = 0; j < m; j++)
                to[j] = k * g[j];
        else
            for (size_t j = 0; j < m; j++)
                to[j] += k * g[j];
        sum += sum_lanes(e, m);
    }
    return norm * sum;
}

/* Charbonnier of the luma of BT.601, in full range: what sight and the published scores of
 * super-resolution go by. */
static double luma(double weight, const aei_loss_view *v)
{
    static const float to_luma[3] = {0.299f, 0.587f, 0.114f};
    size_t n = count(v->shape) / 3;
    double norm = v->total > 0 ? weight / v->total : 0, sum = 0;
    float k = (float)norm, e[CHUNK];

    for (size_t i = 0; i < n; i += CHUNK) {
        size_t m = n - i < CHUNK ? n - i : CHUNK;

        for (size_t j = 0; j < m; j++) {
            const float *p = v->value + 3 * (i + j), *t = v->target + 3 * (i + j);
            float *to = v->gradient + 3 * (i + j), w = v->weight ? v->weight[i + j] : 1, d = 0;

            for (int c = 0; c < 3; c++)
                d += to_luma[c] * (p[c] - t[c]);
            e[j] = sqrtf(d * d + 1e-6f);
            for (int c = 0; c < 3; c++)
                to[c] = (v->fresh ? 0 : to[c]) + k * w * to_luma[c] * d / e[j];
            e[j] *= w;
        }
        sum += sum_lanes(e, m);
    }
    return norm * sum;
}

/* Targets are probabilities over the channels, what is given their logarithms up to a constant. */
static double cross_entropy(double weight, const aei_loss_view *v)
{
    size_t n = count(v->shape) / v->shape.c, c = v->shape.c;
    double norm = v->total > 0 ? weight / v->total : 0, sum = 0;

    for (size_t i = 0; i < n; i++) {
        const float *x = v->value + i * c, *t = v->target + i * c;
        float *to = v->gradient + i * c, most = x[0], w = v->weight ? v->weight[i] : 1;
        double whole = 0, targets = 0, product = 0;

        for (size_t k = 1; k < c; k++)
            most = x[k] > most ? x[k] : most;
        for (size_t k = 0; k < c; k++) {
            whole += (double)expf(x[k] - most);
            targets += (double)t[k];
            product += (double)t[k] * (double)(x[k] - most);
        }
        for (size_t k = 0; k < c; k++)
            to[k] = (v->fresh ? 0 : to[k]) +
                    (float)(norm * (double)w *
                            (targets * (double)expf(x[k] - most) / whole - (double)t[k]));
        sum += (double)w * (targets * log(whole) - product);
    }
    return norm * sum;
}

/* What PSNR averages over pictures, in dB above the error of one step of 8 bits, below which it is
 * flat. */
static double psnr(double weight, const aei_loss_view *v)
{
    const double peak = 255 * 255, per_log = 10 / log(10);
    size_t pixels = (size_t)v->shape.h * v->shape.w, c = v->shape.c;
    double share = weight * v->share / v->shape.n, sum = 0;
    aei_loss_view one = *v;

    one.shape.n = 1;
    one.total = v->total * v->share / v->shape.n;
    for (uint32_t n = 0; n < v->shape.n; n++) {
        double error = 0;

        one.value = v->value + n * pixels * c;
        one.target = v->target + n * pixels * c;
        one.weight = v->weight ? v->weight + n * pixels : NULL;
        one.gradient = v->gradient + n * pixels * c;
        for (size_t i = 0; i < pixels; i++)
            for (size_t k = i * c; k < (i + 1) * c; k++) {
                double d = one.value[k] - one.target[k];

                error += d * d * (one.weight ? one.weight[i] : 1);
            }
        error = one.total > 0 ? peak * error / (one.total * (double)c) : 0;
        sweep(AE_LOSS_MSE, share * per_log * peak / (1 + error), &one);
        sum += share * per_log * log1p(error);
    }
    return sum;
}

/* Differences between a and b = a + step over n samples. */
static double variation(const float *a, size_t step, size_t n, float k, float *g)
{
    const float *b = a + step;
    double sum = 0;

    for (size_t i = 0; i < n; i++) {
        float d = b[i] - a[i], s = k * ((float)(d > 0) - (float)(d < 0));

        sum += fabsf(d);
        g[i] -= s;
        g[i + step] += s;
    }
    return sum;
}

static double total_variation(double weight, const aei_loss_view *v)
{
    size_t row = (size_t)v->shape.w * v->shape.c, rows = (size_t)v->shape.n * v->shape.h;
    double norm = weight * v->share / (double)count(v->shape), sum = 0;

    for (size_t y = 0; y < rows; y++) {
        const float *a = v->value + y * row;

        sum += variation(a, v->shape.c, row - v->shape.c, (float)norm, v->gradient + y * row);
        if ((y + 1) % v->shape.h)
            sum += variation(a, row, row, (float)norm, v->gradient + y * row);
    }
    return norm * sum;
}

bool aei_loss_is_of_samples(ae_loss_kind kind)
{
    return aei_loss_traits(kind) & AEI_COMPARES || kind == AE_LOSS_RATE_DISTORTION;
}

AEI_CLONES double aei_loss_add(ae_loss_kind kind, double weight, const aei_loss_view *v)
{
    switch (kind) {
/* clang-format off */
#define SWEEP(number, name, value, slope) \
    case AE_LOSS_##number: return sweep(AE_LOSS_##number, weight, v);
        /* clang-format on */
        AEI_SAMPLE_LOSSES(SWEEP)
#undef SWEEP
    case AE_LOSS_LUMA: return luma(weight, v);
    case AE_LOSS_PSNR: return psnr(weight, v);
    case AE_LOSS_CROSS_ENTROPY: return cross_entropy(weight, v);
    case AE_LOSS_TV: return total_variation(weight, v);
    default: return NAN; /* no such loss, or one that is computed elsewhere */
    }
}

double aei_rate_distortion(const ae_term *l, const aei_loss_view *v, const aei_rate_view *rate,
                           double *bpp)
{
    size_t pixels = (size_t)v->shape.h * v->shape.w, sample = pixels * v->shape.c;
    double share = v->share / v->shape.n, span = (double)l->lambda_max / l->lambda_min, sum = 0;

    *bpp = 0;
    for (uint32_t n = 0; n < v->shape.n; n++) {
        double lambda = l->lambda_min * pow(span, rate->quality[n]),
               weight = l->weight * share * pow(span, (0.5 - rate->quality[n]) / 2);
        aei_loss_view one = *v;

        one.shape.n = 1;
        one.value += n * sample;
        one.target += n * sample;
        one.gradient += n * sample;
        one.total = (double)pixels;
        sum += aei_loss_add(AE_LOSS_MSE, weight * lambda * 255 * 255, &one);
        for (uint32_t k = 0; k < rate->n; k++) {
            size_t m = count(rate->shape[k]) / v->shape.n;
            double bits = aei_sum(rate->bits[k] + n * m, m) / (double)pixels;
            float g = (float)(weight / (double)pixels), *gradient = rate->gradient[k] + n * m;

            *bpp += share * bits;
            sum += weight * bits;
            for (size_t i = 0; i < m; i++)
                gradient[i] += g;
        }
    }
    return sum;
}

double aei_kl_sparse_add(double weight, double rho, double share, ae_shape s, const float *value,
                         float *gradient)
{
    size_t pixels = (size_t)s.n * s.h * s.w;
    double sum = 0;

    for (uint32_t c = 0; c < s.c; c++) {
        double mean = 0;
        float g;

        for (size_t i = 0; i < pixels; i++)
            mean += value[i * s.c + c];
        mean /= (double)pixels;
        if (isfinite(mean))
            mean = fmin(fmax(mean, 1e-4), 1 - 1e-4);
        sum += rho * log(rho / mean) + (1 - rho) * log((1 - rho) / (1 - mean));
        g = (float)(weight * share / (double)pixels * ((1 - rho) / (1 - mean) - rho / mean));
        for (size_t i = 0; i < pixels; i++)
            gradient[i * s.c + c] += g;
    }
    return weight * share * sum;
}

/* log(1 + exp(x)) without overflow. */
static double softplus(double x)
{
    return fmax(x, 0) + log1p(exp(-fabs(x)));
}

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

double aei_adversary_add(double weight, double share, bool fool, size_t n, const float *code,
                         const float *draw, float *by_code, float *by_draw)
{
    double norm = weight * share / (double)n, sum = 0;

    for (size_t i = 0; i < n; i++) {
        double x = (double)code[i], y = (double)draw[i];

        if (fool) {
            sum += softplus(-x);
            by_code[i] -= (float)(norm * sigmoid(-x));
        } else {
            sum += (softplus(x) + softplus(-y)) / 2;
            by_code[i] += (float)(norm / 2 * sigmoid(x));
            by_draw[i] -= (float)(norm / 2 * sigmoid(-y));
        }
    }
    return norm * sum;
}

/* exp(x - most), at least 2^-100. */
FORCE_INLINE float share_of(float x, float most)
{
    float p = (x - most) * 1.44269504f;

    return aei_exp2(p > -100 ? p : -100) + 0 * p; /* NaN stays NaN */
}

/* Adds k times each logit's share of the whole, `most` being the largest; returns the sum of
 * exp(x - most). In vectors: vocabularies are large. */
AEI_CLONES static double add_shares(const float *restrict x, size_t c, float most, float k,
                                    float *restrict to)
{
    float e[CHUNK];
    double whole = 0;

    for (size_t i = 0; i < c; i += CHUNK) {
        size_t m = c - i < CHUNK ? c - i : CHUNK;

        for (size_t j = 0; j < m; j++)
            e[j] = share_of(x[i + j], most);
        whole += sum_lanes(e, m);
    }
    k /= (float)whole;
    for (size_t j = 0; j < c; j++)
        to[j] += k * share_of(x[j], most);
    return whole;
}

double aei_classes_add(double weight, const aei_loss_view *v, const float *label, size_t each,
                       double *hits)
{
    size_t n = count(v->shape) / v->shape.c, c = v->shape.c;
    double norm = v->total > 0 ? weight / v->total : 0, sum = 0;

    *hits = 0;
    for (size_t i = 0; i < n; i++, label += each) {
        const float *x = v->value + i * c;
        float *to = v->gradient + i * c, k = (float)norm * (v->weight ? v->weight[i] : 1);
        size_t known = 0, best = 0;
        double whole, off = 0;

        for (size_t e = 0; e < each; e++)
            known += label[e] >= 0;
        if (!known)
            continue;
        for (size_t j = 1; j < c; j++)
            best = x[j] > x[best] ? j : best;
        whole = log(add_shares(x, c, x[best], k * (float)known, to)) + (double)x[best];
        for (size_t e = 0; e < each; e++) {
            size_t wanted = (size_t)fmaxf(label[e], 0);

            if (!(label[e] >= 0))
                continue;
            if (wanted >= c)
                return NAN; /* whoever reads labels compares them with the classes */
            to[wanted] -= k;
            off += whole - (double)x[wanted];
            *hits += best == wanted;
        }
        sum += (v->weight ? (double)v->weight[i] : 1) * off;
    }
    return norm * sum;
}

double aei_kl_normal_add(double weight, double share, ae_shape s, const float *mean,
                         const float *logvar, float *by_mean, float *by_logvar)
{
    size_t n = count(s);
    double norm = weight * share / s.n, sum = 0;

    for (size_t i = 0; i < n; i++) {
        double variance = exp((double)logvar[i]);

        sum += ((double)mean[i] * (double)mean[i] + variance - 1 - (double)logvar[i]) / 2;
        by_mean[i] += (float)(norm * (double)mean[i]);
        by_logvar[i] += (float)(norm * (variance - 1) / 2);
    }
    return norm * sum;
}

double aei_clipped_error(const aei_loss_view *v)
{
    size_t n = count(v->shape), c = v->shape.c;
    double sum = 0;
    float e[CHUNK];

    for (size_t i = 0; i < n; i += CHUNK) {
        size_t m = n - i < CHUNK ? n - i : CHUNK;

        for (size_t j = 0; j < m; j++) {
            float x = v->value[i + j], d;

            x = x < 0 ? 0 : x; /* NaN stays NaN */
            x = x > 1 ? 1 : x;
            d = x - v->target[i + j];
            e[j] = d * d * (v->weight ? v->weight[(i + j) / c] : 1);
        }
        sum += aei_sum(e, m);
    }
    return v->total > 0 ? sum / (v->total * (double)c) : 0;
}

double aei_decibels(double error)
{
    return -10 * log10(error > 1e-10 || isnan(error) ? error : 1e-10);
}
