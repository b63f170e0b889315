/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Softmax regression by Adam on batches, with a small weight penalty. Items are visited in steps of
 * a number prime to theirs, which mixes sorted data well enough and needs no random numbers. */
#include "probe.h"

#include <math.h>
#include <string.h>

#include "clusters.h"
#include "common/axes.h"
#include "common/options.h"

enum { BATCH = 256, STEPS = 6000, MAX_CLASSES = 1000 };

typedef struct learner {
    size_t width, classes;                         /* width: with the constant input */
    float *x, *weights, *gradient, *mean, *square; /* x: n x width; the others classes x width */
    const uint32_t *labels;
    size_t n, n_learnt;
} learner;

/* Along the principal axes of what is learnt from, each over its deviation: a linear classifier can
 * tell the same from these, and is found sooner. */
static ae_status whiten(const matrix *codes, const axes *a, learner *p, ae_error *err)
{
    double *place = ae_alloc(codes->width, sizeof(*place)), most = 0;

    if (!place)
        return ae_fail(err, AE_ERR_NOMEM, "an item");
    for (size_t k = 0; k < codes->width; k++)
        most = fmax(most, a->variance[k]);
    for (size_t i = 0; i < p->n; i++) {
        float *x = p->x + i * p->width;

        axes_place(a, codes->values + i * codes->width, place);
        for (size_t k = 0; k < codes->width; k++)
            x[k] = a->variance[k] > 1e-10 * most ? (float)(place[k] / sqrt(a->variance[k])) : 0;
        x[codes->width] = 1;
    }
    ae_free(place);
    return AE_OK;
}

/* Groups are sought where axes keep the root of their deviation, as neighbours are
 * (tools/aesearch). */
static void even_out(const axes *a, learner *p)
{
    for (size_t i = 0; i < p->n; i++)
        for (size_t k = 0; k < a->width; k++)
            p->x[i * p->width + k] *= (float)sqrt(sqrt(a->variance[k]));
}

static uint32_t classify(const learner *p, const float *x, float *score)
{
    uint32_t best = 0;

    for (size_t c = 0; c < p->classes; c++) {
        float sum = 0;

        for (size_t k = 0; k < p->width; k++)
            sum += p->weights[c * p->width + k] * x[k];
        score[c] = sum;
        if (sum > score[best])
            best = (uint32_t)c;
    }
    return best;
}

static void add_gradient(learner *p, size_t i, float *score)
{
    const float *x = p->x + i * p->width;
    float most = -INFINITY, sum = 0;

    classify(p, x, score);
    for (size_t c = 0; c < p->classes; c++)
        most = score[c] > most ? score[c] : most;
    for (size_t c = 0; c < p->classes; c++)
        sum += score[c] = expf(score[c] - most);
    for (size_t c = 0; c < p->classes; c++) {
        float d = (score[c] / sum - (c == p->labels[i])) / BATCH;

        for (size_t k = 0; k < p->width; k++)
            p->gradient[c * p->width + k] += d * x[k];
    }
}

static void step(learner *p, uint64_t t, float rate)
{
    float m_scale = 1 / (1 - powf(0.9f, (float)t)), v_scale = 1 / (1 - powf(0.999f, (float)t));

    for (size_t k = 0; k < p->classes * p->width; k++) {
        float g = p->gradient[k] + 1e-5f * p->weights[k];

        p->mean[k] += 0.1f * (g - p->mean[k]);
        p->square[k] += 0.001f * (g * g - p->square[k]);
        p->weights[k] -= rate * p->mean[k] * m_scale / (sqrtf(p->square[k] * v_scale) + 1e-8f);
        p->gradient[k] = 0;
    }
}

static size_t stride_for(size_t n)
{
    size_t stride = (size_t)(0.618 * (double)n) | 1;

    for (;; stride += 2) {
        size_t a = n, b = stride;

        while (b) {
            size_t t = a % b;

            a = b;
            b = t;
        }
        if (a == 1)
            return stride;
    }
}

static void learn(learner *p, float *score)
{
    size_t at = 0, stride = stride_for(p->n_learnt);

    for (size_t t = 1; t <= STEPS && !cli_cancel.requested; t++) {
        for (int b = 0; b < BATCH; b++, at = (at + stride) % p->n_learnt)
            add_gradient(p, at, score);
        step(p, t, 0.01f * (0.5f + 0.5f * cosf((float)M_PI * (float)t / (float)STEPS)));
    }
}

ae_status probe_run(const matrix *codes, const uint32_t *labels, size_t n_learnt, probe_result *out,
                    ae_error *err)
{
    learner p = {.width = codes->width + 1, .labels = labels, .n = codes->n, .n_learnt = n_learnt};
    size_t right = 0, all;
    float *score = NULL;
    axes a = {0};
    ae_status st = AE_OK;

    for (size_t i = 0; i < codes->n; i++)
        p.classes = labels[i] >= p.classes ? labels[i] + 1 : p.classes;
    if (p.classes < 2 || p.classes > MAX_CLASSES)
        return ae_fail(err, AE_ERR_UNSUPPORTED, "%zu classes: a probe tells 2 to %d", p.classes,
                       MAX_CLASSES);
    if (p.n_learnt < 2 * p.classes || p.n_learnt >= p.n)
        return ae_fail(err, AE_ERR_UNSUPPORTED,
                       "%zu items to learn from and %zu to test are too few for %zu classes",
                       p.n_learnt, p.n - p.n_learnt, p.classes);
    all = p.classes * p.width;
    p.x = ae_alloc(p.n * p.width, sizeof(float));
    p.weights = ae_alloc(4 * all, sizeof(float));
    score = ae_alloc(p.classes, sizeof(float));
    if (!p.x || !p.weights || !score)
        st = ae_fail(err, AE_ERR_NOMEM, "a probe of %zu items", p.n);
    if (st == AE_OK &&
        (st = axes_find(&(matrix){codes->values, n_learnt, codes->width}, &a, err)) == AE_OK &&
        (st = whiten(codes, &a, &p, err)) == AE_OK) {
        p.gradient = p.weights + all;
        p.mean = p.gradient + all;
        p.square = p.mean + all;
        learn(&p, score);
        for (size_t i = p.n_learnt; i < p.n; i++)
            right += classify(&p, p.x + i * p.width, score) == labels[i];
        *out = (probe_result){.accuracy = (double)right / (double)(p.n - p.n_learnt),
                              .n_classes = (uint32_t)p.classes,
                              .n_learnt = p.n_learnt,
                              .n_tested = p.n - p.n_learnt};
        even_out(&a, &p);
        st = clusters_purity(&(matrix){p.x, p.n, p.width}, labels, (uint32_t)p.classes,
                             &out->purity, err);
    }
    axes_free(&a);
    ae_free(p.x);
    ae_free(p.weights);
    ae_free(score);
    return st;
}
