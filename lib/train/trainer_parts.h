/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the files of the trainer share: what it holds, the work of one shard, and the update of the
 * parameters. */
#ifndef AEI_TRAINER_PARTS_H
#define AEI_TRAINER_PARTS_H

#include "train/integer.h"
#include "train/muon.h"
#include "train/objective.h"
#include "train/optimizer.h"
#include "train/trainer.h"

/* A range of one parameter tensor. */
typedef struct aei_param_block {
    size_t offset, count;
    uint32_t param;
    bool trainable, decay;
    bool fixed;  /* never updated */
    bool given;  /* statistics of the data, measured in the beginning */
    bool matrix; /* updated as a whole, by Muon */
} aei_param_block;

/* Blocks [first, last) and what summing them found. */
typedef struct aei_update_job {
    uint32_t first, last;
    double squares, l1, l2;
} aei_update_job;

/* A parameter that is updated as a whole; muon is NULL where it is updated in blocks. */
typedef struct aei_matrix_update {
    aei_muon *muon;
    ae_status status;
    ae_error message;
} aei_matrix_update;

/* One thread's. */
typedef struct aei_train_lane {
    aei_run *run, *frozen;
    /* NULL where the objective does not look */
    float *values[AEI_MAX_OUTPUTS], *gradients[AEI_MAX_OUTPUTS];
    float *draws[AE_MAX_FROM];
    ae_status bench_status;
    ae_error bench_error;
    double bench_seconds, bench_operations;
} aei_train_lane;

typedef struct aei_train_shard {
    float *native;              /* its gradient in the kernels' layouts */
    double terms[AE_MAX_TERMS]; /* times their weights */
    double hits, error, psnr, bpp;
    ae_status status;
    ae_error message;
} aei_train_shard;

struct aei_trainer {
    const ae_recipe *recipe;
    aei_joined joined;
    const ae_graph *graph; /* the joined one */
    ae_param *params;
    uint32_t n_params;
    aei_state state;
    uint64_t seed;
    aei_pool *pool;
    aei_plan *plan, *frozen_plan;
    aei_weights *weights, *frozen_weights;
    aei_integer *integer;          /* NULL: weights are used as they are */
    uint64_t drawn;                /* seed of draws in evaluation; 0: there are none */
    const float *used, *frozen;    /* the parameters, perhaps rounded; those evaluated */
    uint32_t level_input, level_c; /* with a bound: what it goes by */
    uint32_t n_inputs, n_fed;      /* n_fed: of them by the batch; then come draws */
    uint32_t n_values;             /* outputs and taps */
    aei_objective *objective;
    aei_train_lane *lanes;
    aei_train_shard *shards;
    float *gradient;             /* of the batch, flat */
    aei_matrix_update *matrices; /* n_params of them, as of the next two */
    aei_update *updates;
    bool *trained; /* by each phase */
    float *prediction;
    aei_param_block *blocks;
    aei_update_job *jobs;
    uint32_t n_jobs;
    double n_decaying;
    aei_step_times times;

    /* of the step in progress */
    const aei_batch *batch;
    uint64_t step;
    aei_moment moment;
    float weight[AE_MAX_TERMS]; /* of the terms */
    const bool *trains;         /* row of `trained` */
    double total;
    double l1, l2; /* weights of the terms on parameters */
};

static inline bool aei_trains_codec(const aei_trainer *trainer)
{
    return trainer->recipe->task == AE_TASK_COMPRESS;
}

/* Jobs of a pool, `context` being the trainer: one shard of t->batch forward and backward into its
 * gradient, or forward through the frozen parameters; what it found, or why it failed, is in
 * t->shards. */
void aei_shard_train(void *context, uint32_t index, uint32_t thread);
void aei_shard_evaluate(void *context, uint32_t index, uint32_t thread);

/* Sums the shards' gradients, always in the same order, and adds those of terms on parameters.
 * *squares: of the gradient of all that is trained; *l1, *l2: sums over the parameters that decay,
 * where terms are on them. */
void aei_trainer_sum(aei_trainer *trainer, double *squares, double *l1, double *l2);
/* Moves the parameters, their moments and averages by t->updates. */
ae_status aei_trainer_update(aei_trainer *trainer, ae_error *err);

#endif
