/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The networks of a recipe in training: parameters, optimiser state and the step.
 *
 * A batch is cut into the recipe's shards. Each is run forward and backward by one thread into a
 * gradient of its own; the gradients are added in the order of the shards, so that no result
 * depends on the number of threads. Nothing allocates in a step. */
#ifndef AEI_TRAINER_H
#define AEI_TRAINER_H

#include "core/threads.h"
#include "train/loader.h"
#include "train/phases.h"

typedef struct aei_trainer aei_trainer;

/* Flat arrays of n_floats in the order of ae_graph_params, all in one allocation beginning at
 * `value`. */
typedef struct aei_state {
    size_t n_floats;
    float *value, *first, *second, *average; /* masters, moments, moving average of the masters */
    uint64_t n_updates;
    uint64_t *skipped;  /* of these, by parameter: those that left it alone */
    uint32_t n_skipped; /* parameters, of recipes with phases; else 0, and all are 0 */
} aei_state;

typedef struct aei_step_result {
    double loss, gradient_norm;
    double terms[AE_MAX_TERMS]; /* each without its weight; NaN where it does not count now */
    bool applied;    /* false: loss or gradient were not finite and the parameters are unchanged */
    char fault[160]; /* then: which */
} aei_step_result;

/* Seconds of all steps so far: forward, loss and backward; summing and updating; preparing the
 * weights. */
typedef struct aei_step_times {
    double shards, update, weights;
} aei_step_times;

/* h, w: of the first network's free inputs. Parameters begin as the recipe draws them from seed;
 * others are written to the state. */
ae_status aei_trainer_create(const ae_recipe *recipe, uint32_t h, uint32_t w,
                             ae_precision precision, uint32_t n_threads, uint64_t seed,
                             aei_trainer **out, ae_error *err);
void aei_trainer_free(aei_trainer *trainer); /* NULL is fine */
const ae_param *aei_trainer_params(const aei_trainer *trainer, uint32_t *n_params);
/* Whether the labels of the data, where they have some, are classes of the terms on them; else
 * AE_ERR_MISMATCH. */
ae_status aei_trainer_labels(const aei_trainer *trainer, const ae_dataset *data, ae_error *err);
/* What the next steps train and by which terms; at first all, by all of the first phase. */
void aei_trainer_at(aei_trainer *trainer, const aei_moment *moment);
/* Whoever writes to the state calls aei_trainer_refresh before the next step. */
aei_state *aei_trainer_state(aei_trainer *trainer);
void aei_trainer_refresh(aei_trainer *trainer);

ae_status aei_trainer_step(aei_trainer *trainer, const aei_batch *batch, uint64_t step, float rate,
                           aei_step_result *result, ae_error *err);
aei_step_times aei_trainer_times(const aei_trainer *trainer);

/* Evaluation, with the parameters given last to aei_trainer_freeze; codecs in f32, others in the
 * precision of the training. */
typedef struct aei_evaluation {
    double error; /* weighted mean squared error after clipping to [0, 1] */
    /* of the last phase's terms but those of perceptual kind, on parameters, or without their
     * labels */
    double loss;
    double terms[AE_MAX_TERMS]; /* each without its weight; NaN: not measured */
    double hit_share;           /* of the labels; NaN: there are none */
    double psnr, bpp;           /* codecs: means over the samples */
    const float *prediction;    /* the whole batch, in the shape of its target */
} aei_evaluation;
/* values: parameters, laid out as those of the state; they must live until the last evaluation by
 * them. */
void aei_trainer_freeze(aei_trainer *trainer, const float *values);
/* Draws of layers gaussian, with this seed, in evaluations from now on; 0, as at first: their
 * means. */
void aei_trainer_draw(aei_trainer *trainer, uint64_t seed);
ae_status aei_trainer_evaluate(aei_trainer *trainer, const aei_batch *batch, aei_evaluation *out,
                               ae_error *err);
ae_shape aei_trainer_picture(const aei_trainer *trainer);           /* of a batch's target */
ae_shape aei_trainer_input(const aei_trainer *trainer, uint32_t i); /* of a batch's input */

/* aei_plan_bench in all threads at once: seconds that the layers of a whole step take, and their
 * operations. */
ae_status aei_trainer_bench(aei_trainer *trainer, double *seconds, double *operations,
                            ae_error *err);

#endif
