/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A recipe's terms over what one shard's run gives: values at the outputs and the layers that terms
 * look at, loss and gradients. */
#ifndef AEI_OBJECTIVE_H
#define AEI_OBJECTIVE_H

#include "nn/exec.h"
#include "train/join.h"
#include "train/loader.h"
#include "train/loss.h"

typedef struct aei_objective aei_objective;

enum { AEI_MAX_TAPS = 6 * AE_MAX_TERMS, AEI_MAX_OUTPUTS = AE_MAX_FROM + AEI_MAX_TAPS };

/* Terms against networks: what cannot be is AE_ERR_MISMATCH or AE_ERR_ARGUMENT. All given must
 * outlive it. */
ae_status aei_objective_create(const ae_recipe *recipe, const aei_joined *joined,
                               const ae_param *params, uint32_t n_params, aei_objective **out,
                               ae_error *err);
void aei_objective_free(aei_objective *o); /* NULL is fine */
/* The layers looked at, whose values follow those of the graph's outputs. */
const uint32_t *aei_objective_taps(const aei_objective *o, uint32_t *n);
/* Whether a gradient comes back at output or tap k; only then its array is needed. */
bool aei_objective_wants(const aei_objective *o, uint32_t k);
/* Whether it does so now, as the terms weigh. */
bool aei_objective_moves(const aei_objective *o, uint32_t k);
/* Once there is a plan, which must outlive it: the sizes of layers that are held against each
 * other. */
ae_status aei_objective_prepare(aei_objective *o, const aei_plan *plan, ae_precision precision,
                                uint32_t n_threads, ae_error *err);

/* Before the shards of a batch. weight: of each term, 0: does not count; the arrays must last until
 * the shards are done. */
void aei_objective_begin(aei_objective *o, const float *weight, const aei_batch *batch,
                         const float *parameters);

typedef struct aei_shard_view {
    uint32_t index, thread;
    /* of outputs and taps; gradients need not be cleared */
    float *const *values, *const *gradients;
    aei_loss_view prediction; /* output 0 with what it is added to */
    const float *levels;      /* recipes with a bound: those told, of level_c channels */
    uint32_t level_c;
} aei_shard_view;

/* The shard's part of each term, times its weight, and of the hits among labels of the term
 * cross_entropy that is last; adds up gradients. Codecs: their own terms are elsewhere. Shards may
 * run at a time. */
ae_status aei_objective_add(aei_objective *o, const aei_shard_view *view, double *terms,
                            double *hits, ae_error *err);
/* After all shards: adds what terms say of parameters apart from layers' values (jacobian) to the
 * flat gradient. */
void aei_objective_collect(const aei_objective *o, const float *parameters, float *gradient);
/* The term whose labels can be hit, -1: none; and how many labels the batch has. */
int32_t aei_objective_classes(const aei_objective *o);
double aei_objective_labelled(const aei_objective *o);

#endif
