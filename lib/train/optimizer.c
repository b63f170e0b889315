/* SPDX-License-Identifier: BSD-2-Clause */
#include "train/optimizer.h"
#include "core/clones.h"

#include <math.h>

float aei_rate_between(float rate, float rate_end, uint64_t rise, uint64_t step, uint64_t steps)
{
    uint64_t warmup = rise < steps / 10 ? rise : steps / 10;
    double p;

    if (step < warmup)
        return (float)(rate * (double)(step + 1) / (double)warmup);
    if (step >= steps)
        return rate_end;
    p = (double)(step - warmup) / (double)(steps - warmup);
    return (float)(rate_end + ((double)rate - rate_end) * 0.5 * (1 + cos(p * 3.14159265358979323846)));
}

float aei_rate(const ae_recipe *r, uint64_t step, uint64_t steps)
{
    return aei_rate_between(r->rate, r->rate_end, r->warmup, step, steps);
}

aei_update aei_update_make(const ae_recipe *r, float rate, float scale, uint64_t n_updates)
{
    double t = (double)n_updates + 1;
    /* A young average follows closely, or it would remember the initial values for 1 / (1 - ema) steps. */
    double ema = fmin(r->ema, t / (t + 9));

    return (aei_update){
        .kind = r->optimizer,
        .rate = rate,
        .scale = scale,
        .beta1 = r->beta1,
        .beta2 = r->beta2,
        .unbias1 = (float)(1 / (1 - pow(r->beta1, t))),
        .unbias2 = (float)(1 / (1 - pow(r->beta2, t))),
        .decay = r->decay,
        .average = (float)(1 - ema),
    };
}

/* `coupled` decay is a gradient, the decoupled one of AdamW shrinks the value itself. */
AEI_CLONES static void adam(const aei_update *u, float coupled, float decoupled, size_t n, const float *restrict gradient,
                 float *restrict value, float *restrict first, float *restrict second, float *restrict average)
{
    float rate = u->rate, scale = u->scale, b1 = u->beta1, b2 = u->beta2, c1 = u->unbias1, c2 = u->unbias2, a = u->average;

    for (size_t i = 0; i < n; i++) {
        float g = gradient[i] * scale + coupled * value[i];
        float m = b1 * first[i] + (1 - b1) * g;
        float v = b2 * second[i] + (1 - b2) * g * g;
        float w = value[i] - rate * (m * c1 / (sqrtf(v * c2) + 1e-8f) + decoupled * value[i]);

        first[i] = m;
        second[i] = v;
        value[i] = w;
        average[i] += a * (w - average[i]);
    }
}

AEI_CLONES static void momentum(const aei_update *u, float coupled, size_t n, const float *restrict gradient, float *restrict value,
                     float *restrict first, float *restrict average)
{
    float rate = u->rate, scale = u->scale, b1 = u->beta1, a = u->average;

    for (size_t i = 0; i < n; i++) {
        float m = b1 * first[i] + gradient[i] * scale + coupled * value[i];
        float w = value[i] - rate * m;

        first[i] = m;
        value[i] = w;
        average[i] += a * (w - average[i]);
    }
}

void aei_apply(const aei_update *u, bool decay, size_t n, const float *gradient, float *value, float *first, float *second,
               float *average)
{
    float d = decay ? u->decay : 0;

    if (u->kind == AE_SGD)
        momentum(u, d, n, gradient, value, first, average);
    else if (u->kind == AE_ADAM)
        adam(u, d, 0, n, gradient, value, first, second, average);
    else
        adam(u, 0, d, n, gradient, value, first, second, average);
}
