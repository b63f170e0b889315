/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The schedule of the learning rate, a linear rise and a cosine (Loshchilov and Hutter 2017), and
 * the update of parameters: gradient, moments, value and moving average in one pass. Each
 * optimiser's rule stands in its table (nn/optimizers.h) and is compiled into a loop of its own for
 * each instruction set. */
#include "train/optimizer.h"
#include "core/clones.h"

#include <math.h>

#define FORCE_INLINE static inline __attribute__((always_inline))

float aei_rate_between(float rate, float rate_end, uint64_t rise, uint64_t step, uint64_t steps)
{
    uint64_t warmup = rise < steps / 10 ? rise : steps / 10;
    double p;

    if (step < warmup)
        return (float)(rate * (double)(step + 1) / (double)warmup);
    if (step >= steps)
        return rate_end;
    p = (double)(step - warmup) / (double)(steps - warmup);
    return (float)(rate_end +
                   ((double)rate - rate_end) * 0.5 * (1 + cos(p * 3.14159265358979323846)));
}

float aei_rate(const ae_recipe *r, uint64_t step, uint64_t steps)
{
    return aei_rate_between(r->rate, r->rate_end, r->warmup, step, steps);
}

aei_update aei_update_make(const ae_recipe *r, float rate, float scale, uint64_t n_updates)
{
    double t = (double)n_updates + 1;
    /* A young average follows closely, or it would remember the initial values for 1 / (1 - ema)
     * steps. */
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

typedef float (*update_of_one)(const aei_update *u, float decay, float g, float w, float *m,
                               float *v);

/* `one` and `moments` are constants where this is called. */
FORCE_INLINE void sweep(update_of_one one, int moments, const aei_update *update, float decay,
                        size_t n, const float *restrict gradient, float *restrict value,
                        float *restrict first, float *restrict second, float *restrict average)
{
    const aei_update u = *update; /* nothing that is written lies there */

    for (size_t i = 0; i < n; i++) {
        float m = first[i], v = moments > 1 ? second[i] : 0,
              w = one(&u, decay, gradient[i] * u.scale, value[i], &m, &v);

        first[i] = m;
        if (moments > 1)
            second[i] = v;
        value[i] = w;
        average[i] += u.average * (w - average[i]);
    }
}

#define SWEEP(number, name, moments, one)                                                          \
    AEI_CLONES static void apply_##name(const aei_update *u, float decay, size_t n,                \
                                        const float *gradient, float *value, float *first,         \
                                        float *second, float *average)                             \
    {                                                                                              \
        sweep(one, moments, u, decay, n, gradient, value, first, second, average);                 \
    }
AEI_OPTIMIZERS(SWEEP)

void aei_apply(const aei_update *u, bool decay, size_t n, const float *gradient, float *value,
               float *first, float *second, float *average)
{
    float d = decay ? u->decay : 0;

    switch (u->kind) {
/* clang-format off */
#define CASE(number, name, moments, one) \
    case AE_##number: apply_##name(u, d, n, gradient, value, first, second, average); break;
        /* clang-format on */
        AEI_OPTIMIZERS(CASE)
    }
}
