/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Nothing clips that did not clip before. Taking parts out of a sound can raise its peaks, and what
 * is stored in integers has an end: around what would exceed it the sound is turned down for some
 * milliseconds, all channels alike; everywhere else it stays as it is, bit for bit. */
#ifndef CLI_LIMITER_H
#define CLI_LIMITER_H

#include "ae/signal.h"

typedef struct limiter {
    uint32_t channels, block; /* frames */
    float most;               /* what is reached at most */
    bool at_once; /* frames come out in the call that they go into, for live use: less smooth */
    float *held;  /* a block, and the one that comes */
    uint32_t n_held;
    float gain, before;   /* that the block that is held allows, and the one before it */
    uint64_t turned_down; /* frames */
} limiter;

AE_NODISCARD ae_status limiter_init(limiter *l, const ae_signal_info *info, bool at_once,
                                    ae_error *err);
/* Takes n frames, at most l->block; gives them or those before them to `sink` as f32. */
typedef ae_status (*limiter_sink)(void *opaque, const float *frames, uint32_t n, ae_error *err);
AE_NODISCARD ae_status limiter_write(limiter *l, const float *frames, uint32_t n, limiter_sink sink,
                                     void *opaque, ae_error *err);
AE_NODISCARD ae_status limiter_finish(limiter *l, limiter_sink sink, void *opaque, ae_error *err);
void limiter_clear(limiter *l);

#endif
