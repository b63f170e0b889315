/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Training: a recipe and a data set in, a model file out (DESIGN: doc/training.md). */
#ifndef AE_TRAIN_H
#define AE_TRAIN_H

#include "ae/model.h"
#include "ae/signal.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The items to learn from, for code that knows no file format. Called from several threads at once.
 */
typedef struct ae_dataset {
    void *opaque;
    size_t n_items;
    /* Decodes item i whole: *pixels is an ae_alloc array of info->height rows (pictures: 8- or
     * 16-bit or f32, 1 or 3 channels, no alpha; sound: any samples and channels) that the caller
     * frees. Failing items are skipped with a message; all failing is an error. */
    ae_status (*load)(void *opaque, size_t i, ae_signal_info *info, void **pixels, ae_error *err);
    const char *(*name)(void *opaque, size_t i);
    /* n_items classes, from 0, -1 where one is not known; NULL: none. For terms `to: label` */
    const float *labels;
    /* so many neighbours on either side share samples with an item, as windows of a series do; 0:
     * items are apart. What is held out then lies at the end, and no sample of it is learned from
     */
    size_t overlap;
} ae_dataset;

typedef struct ae_train_progress {
    uint64_t step, steps;
    double loss; /* mean since the last report */
    /* of the recipe, likewise, each without its weight; NaN where it does not count now */
    double terms[AE_MAX_TERMS];
    /* last validation: PSNR in dB, of a codec -loss, with a term on labels the share of them that
     * is right, or the loss where no picture comes out; NaN before the first */
    double score;
    /* of the input as it is, and of what training began with; NaN where there is none */
    double input_score, first_score;
    const char *unit; /* of the scores: "dB", or "" */
    bool kept; /* nothing scored better than what training began with, which is the model written */
    double psnr, bpp; /* likewise, of a codec: means over samples of all qualities; NaN otherwise */
    double rate, gradient_norm;
    double samples_per_second, gflops; /* since the last report */
    double seconds, seconds_left;
    double wait_share; /* of the time, spent waiting for data */
    bool validated;    /* the score is new */
} ae_train_progress;

typedef struct ae_train_options {
    uint64_t seed;
    ae_precision precision;
    /* seconds in which the whole schedule is fitted, down to its lowest rate; 0: none */
    double time_limit;
    /* the highest; 0: the recipe's, or of a network given by init less in shorter runs */
    double rate;
    uint64_t steps; /* 0: the recipe's */
    /* model file to start from, or NULL: tensors of equal name and shape are taken */
    const char *init;
    /* written atomically beside the output, read if it exists (resume); NULL: none */
    const char *checkpoint;
    double checkpoint_seconds; /* default 300 */
    /* recipes of sound, beside the clean sound: noises, impulse responses of rooms, music that
     * shall stay; each may be NULL */
    const ae_dataset *noise, *rooms, *music;
    /* item i with its noise, as it is, instead of the recipe's corruptions: pairs; NULL: none */
    const ae_dataset *noisy;
    bool noisy_only; /* the data are noisy themselves: blind-spot masking instead of corruption */
    uint64_t cache_bytes; /* decoded pictures kept in memory; 0: 2 GiB */
    const char *report;   /* HTML file, rewritten at each validation; NULL: none */
    bool half;            /* ae_model_parts.half of the model written */
    const void *columns;  /* ae_model_parts.columns, likewise; NULL: none */
    size_t n_columns;
    const char *command;    /* recorded in the card */
    const char *card_extra; /* YAML lines for the card: data, licences */
    /* progress: of the schedule. lost is not called: `warning` names items that are left out */
    ae_control control;
    /* with the opaque of `control`; each may be NULL */
    void (*watch)(void *opaque, const ae_train_progress *progress); /* as often as progress */
    void (*warning)(void *opaque, const char *message);
} ae_train_options;

/* The model is rewritten at every validation, so that a usable one exists early. AE_ERR_CANCELLED
 * after a clean stop: checkpoint and model (the best so far) are written. The checkpoint is removed
 * once training is complete, which it also is by the time limit. With `init` all of whose tensors
 * suit, the model written scores no worse than what it began with. */
AE_API AE_NODISCARD ae_status ae_train(const ae_recipe *recipe, const char *recipe_text,
                                       const ae_dataset *data, const ae_train_options *options,
                                       const char *out_path, ae_error *err);

/* What a model makes of data, none of which it need have seen: means over the items that can be
 * used. */
typedef struct ae_evaluated {
    size_t n_items;
    double mse, psnr; /* of what comes out against what should, without clipping */
    /* share of the labels that are right; NaN: there are none, or no term on them */
    double accuracy;
    double bpp; /* codecs: bits a pixel; NaN otherwise */
    /* of the model's recipe, each without its weight, with draws as in training where a layer
     * draws; NaN: not measured (perceptual terms, those on weights, or on labels that are not
     * there) */
    double terms[AE_MAX_TERMS];
} ae_evaluated;
/* Of the options seed, precision, cache_bytes, data of sound, warning, threads and cancel count. */
AE_API AE_NODISCARD ae_status ae_evaluate(const ae_model *model, const ae_dataset *data,
                                          const ae_train_options *options, ae_evaluated *out,
                                          ae_error *err);

/* Where the time of a training step goes, in seconds. */
typedef struct ae_train_timing {
    double step; /* the whole, mean over the steps measured */
    /* parts: waiting for data; forward, loss, backward; optimiser; preparing weights */
    double wait, shards, update, weights;
    /* what the network's layers take, forward and both backwards, each timed alone in every thread,
     * in turns with steps */
    double layers;
    double gflops; /* of those layers, over the whole step */
    uint32_t threads;
    char hardware[160]; /* processor and instruction set */
} ae_train_timing;
/* Trains for some steps, writes nothing. */
AE_API AE_NODISCARD ae_status ae_train_bench(const ae_recipe *recipe, const ae_dataset *data,
                                             const ae_train_options *options, uint64_t steps,
                                             ae_train_timing *out, ae_error *err);

#ifdef __cplusplus
}
#endif
#endif
