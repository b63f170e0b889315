/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Time is cut into blocks. Between two blocks stands the smaller of the gains that they allow, and
 * within a block the gain goes from the one border to the other in a straight line: never above
 * what the block allows, never with a step, and 1 where nothing is too large in a block and its
 * neighbours. */
#include "common/limiter.h"

#include <math.h>
#include <string.h>

#define BLOCK_SECONDS 0.01

ae_status limiter_init(limiter *l, const ae_signal_info *info, bool at_once, ae_error *err)
{
    bool integer = info->sample != AE_F32 && info->sample != AE_F64;

    *l = (limiter){
        .channels = info->channels, .at_once = at_once, .most = INFINITY, .gain = 1, .before = 1};
    l->block = (uint32_t)fmax(ceil(info->rate * BLOCK_SECONDS), 1);
    if (integer)
        l->most = 1 - ldexpf(1, 1 - 8 * (int)ae_sample_bytes(info->sample));
    l->held = ae_alloc(2 * (size_t)l->block, l->channels * sizeof(float));
    return l->held ? AE_OK : ae_fail(err, AE_ERR_NOMEM, "limiter");
}

static float allowed(const limiter *l, const float *frames, uint32_t n)
{
    float most = l->most;

    for (size_t i = 0; i < (size_t)n * l->channels; i++)
        most = fabsf(frames[i]) > most ? fabsf(frames[i]) : most;
    return most > l->most && most > 1 ? l->most / most : 1;
}

static void ramp(limiter *l, float *frames, uint32_t n, float from, float to)
{
    if (from == 1 && to == 1)
        return;
    l->turned_down += n;
    for (uint32_t i = 0; i < n; i++) {
        float gain = from + (to - from) * ((float)i / (float)n);

        for (uint32_t c = 0; c < l->channels; c++)
            frames[(size_t)i * l->channels + c] *= gain;
    }
}

/* The block that is held is complete, and `next` is what the one behind it allows. */
static ae_status release(limiter *l, uint32_t n, float next, limiter_sink sink, void *opaque,
                         ae_error *err)
{
    float from = l->before < l->gain ? l->before : l->gain, to = next < l->gain ? next : l->gain;

    ramp(l, l->held, n, from, to);
    l->before = l->gain;
    return n ? sink(opaque, l->held, n, err) : AE_OK;
}

static ae_status write_at_once(limiter *l, const float *frames, uint32_t n, limiter_sink sink,
                               void *opaque, ae_error *err)
{
    float gain = allowed(l, frames, n), from = l->before < gain ? l->before : gain;

    memcpy(l->held, frames, (size_t)n * l->channels * sizeof(float));
    ramp(l, l->held, n, from, gain);
    l->before = gain;
    return sink(opaque, l->held, n, err);
}

ae_status limiter_write(limiter *l, const float *frames, uint32_t n, limiter_sink sink,
                        void *opaque, ae_error *err)
{
    size_t frame = l->channels, block = (size_t)l->block * frame;
    ae_status st = AE_OK;

    if (isinf(l->most))
        return sink(opaque, frames, n, err);
    if (l->at_once)
        return write_at_once(l, frames, n, sink, opaque, err);
    while (n && st == AE_OK) {
        uint32_t most = 2 * l->block - l->n_held, take = n < most ? n : most;

        memcpy(l->held + l->n_held * frame, frames, take * frame * sizeof(float));
        l->n_held += take;
        frames += take * frame;
        n -= take;
        if (l->n_held < 2 * l->block)
            break;
        l->gain = allowed(l, l->held, l->block);
        st = release(l, l->block, allowed(l, l->held + block, l->block), sink, opaque, err);
        memmove(l->held, l->held + block, block * sizeof(float));
        l->n_held = l->block;
    }
    return st;
}

ae_status limiter_finish(limiter *l, limiter_sink sink, void *opaque, ae_error *err)
{
    uint32_t first = l->n_held < l->block ? l->n_held : l->block, rest = l->n_held - first;
    ae_status st;

    if (!l->n_held)
        return AE_OK;
    l->gain = allowed(l, l->held, first);
    st = release(l, first, allowed(l, l->held + (size_t)first * l->channels, rest), sink, opaque,
                 err);
    if (st != AE_OK || !rest)
        return st;
    memmove(l->held, l->held + (size_t)first * l->channels,
            (size_t)rest * l->channels * sizeof(float));
    l->gain = allowed(l, l->held, rest);
    l->n_held = 0;
    return release(l, rest, 1, sink, opaque, err);
}

void limiter_clear(limiter *l)
{
    ae_free(l->held);
    *l = (limiter){0};
}
