/* SPDX-License-Identifier: BSD-2-Clause
 *
 * One tile, coded by the network and as samples, to see which is better. */
#ifndef TRIAL_H
#define TRIAL_H

#include <pthread.h>

#include "encoding.h"
#include "promise.h"

/* What a picture looks like: how many tiles are drawn, and about the least bytes that it may take
 * without loss. */
typedef struct survey {
    uint32_t drawn;
    double least;
} survey;

/* In drawings flat areas hide nothing: at q, they are coded as photographs at this higher quality,
 * and they are left without loss for up to so many times the bytes. */
double choose_drawn_q(double q);
double choose_drawn_odds(double q);

/* A tile by itself. */
typedef struct trial_crop {
    ae_signal_info info; /* of colours alone */
    uint8_t *pixels;
    uint32_t read, compared; /* rows */
    error_map map;
    double *row;
    struct coded_tile coded;
} trial_crop;

/* What it is tried for. */
typedef struct trial_job {
    compressed *c;
    const compress_options *o;
    uint32_t threads; /* of a trial */
    double q, head;   /* head: bits that the network takes beside its tile, and samples do not */
    survey *survey;   /* not NULL: nothing more is asked; shared, with `mutex` */
    pthread_mutex_t *mutex;
    bool broken; /* the network has coded it and broken its word */
    /* colours; more than that speaks for a drawing, which is held to choose_drawn_q */
    bool few, drawn;
} trial_job;

/* Whether the three channels are equal everywhere: that makes the crop grey. */
bool trial_is_grey(const trial_crop *c);
/* *samples: whether that is how the tile is coded; then it lies in c->coded, within *bound. */
ae_status trial_judge(trial_job *j, trial_crop *c, bool grey, bool *samples, uint32_t *bound,
                      ae_error *err);

#endif
