/* SPDX-License-Identifier: BSD-2-Clause
 *
 * How far through its schedule a run is: by its steps, or where time is limited by the clock, the
 * slower steps making the schedule end sooner. */
#include "train/pace.h"
#include "train/optimizer.h"

#include <math.h>

double aei_pace_share(const aei_pace *p, uint64_t step, double seconds)
{
    double by_steps = (double)step / (double)p->steps, time = p->limit - p->reserve;
    double by_time = p->limit <= 0 ? 0 : time > 0 ? seconds / time : 1;

    return fmin(1, fmax(by_steps, by_time));
}

uint64_t aei_pace_steps(const aei_pace *p, uint64_t step, double seconds)
{
    double share = aei_pace_share(p, step, seconds), all;

    if (p->limit <= 0 || !step || share <= 0)
        return p->steps;
    all = ceil((double)step / share);
    return all < (double)p->steps ? (uint64_t)all : p->steps;
}

float aei_pace_rate(const aei_pace *p, uint64_t step, double seconds)
{
    const ae_recipe *r = p->recipe;
    double share = aei_pace_share(p, step, seconds), warm = 1, highest = r->rate, rate;
    uint64_t steps = aei_pace_steps(p, step, seconds);

    if (p->rate > 0)
        highest = p->rate;
    else if (p->trained && steps < r->steps)
        highest *= sqrt((double)steps / (double)r->steps);
    if (p->limit <= 0) {
        ae_recipe scaled = {.rate = (float)highest,
                            .rate_end = fminf(r->rate_end, (float)highest),
                            .warmup = r->warmup};

        return aei_rate(&scaled, step, p->steps);
    }
    if (r->warmup)
        warm = fmin(1, fmax(10 * share, (double)(step + 1) / (double)r->warmup));
    rate = fmin(r->rate_end, highest);
    return (float)(warm *
                   (rate + (highest - rate) * 0.5 * (1 + cos(share * 3.14159265358979323846))));
}
