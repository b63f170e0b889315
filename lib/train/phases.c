/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Which phase a step belongs to, and where in that phase's schedule it stands. A run of another
 * length than the recipe's stretches all phases alike; neighbours that take turns share a schedule.
 */
#include "train/phases.h"
#include "train/optimizer.h"

#include <string.h>

/* Where the first `planned` steps of the recipe end in a run of so many. */
static uint64_t scaled(const ae_recipe *r, uint64_t planned, uint64_t steps)
{
    return steps == r->steps || !r->steps
               ? planned
               : (uint64_t)((double)planned / (double)r->steps * (double)steps + 0.5);
}

aei_moment aei_moment_of(const ae_recipe *r, uint64_t step, uint64_t steps, uint64_t count)
{
    aei_moment m = {.step = step, .steps = steps};
    uint64_t planned = 0, begin = 0, end;
    float rate = r->rate, rate_end = r->rate_end;

    for (uint32_t i = 0, n; i < r->n_phases; i += n) {
        uint64_t turns = 0, turn;

        for (n = 0; i + n < r->n_phases && (!n || (r->phases[i].every && r->phases[i + n].every));
             n++) {
            planned += r->phases[i + n].steps;
            turns += r->phases[i + n].every;
        }
        end = scaled(r, planned, steps);
        if (step >= end && i + n < r->n_phases) {
            begin = end;
            continue;
        }
        m = (aei_moment){.phase = i, .step = step - begin, .steps = end > begin ? end - begin : 1};
        turn = turns ? count % turns : 0;
        for (; n > 1 && turn >= r->phases[m.phase].every; m.phase++)
            turn -= r->phases[m.phase].every;
        if (r->phases[m.phase].rate > 0) {
            rate = r->phases[m.phase].rate;
            rate_end = r->phases[m.phase].rate_end;
        }
        break;
    }
    m.rate = aei_rate_between(rate, rate_end, r->warmup, m.step, m.steps);
    return m;
}

float aei_term_weight(const ae_recipe *r, uint32_t term, const aei_moment *m)
{
    const ae_term *t = &r->terms[term];

    if (r->n_phases && !(r->phases[m->phase].terms >> term & 1))
        return 0;
    return m->step + 1 < t->warmup ? t->weight * ((float)(m->step + 1) / (float)t->warmup)
                                   : t->weight;
}

bool aei_term_is_evaluated(const ae_term *t, const float *labels)
{
    return !t->on_weights && t->kind != AE_LOSS_PERCEPTUAL &&
           (t->against != AE_AGAINST_LABEL || labels);
}

bool aei_phase_trains(const ae_recipe *r, uint32_t phase, uint32_t network, const ae_node *node)
{
    const ae_phase *p = &r->phases[phase];

    if (!r->n_phases || !p->n_trained)
        return true;
    for (uint32_t i = 0; i < p->n_trained; i++)
        if (!strcmp(p->trained[i], r->networks[network].name) ||
            !strcmp(p->trained[i], node->name) || !strcmp(p->trained[i], node->param))
            return true;
    return false;
}
