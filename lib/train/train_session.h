/* SPDX-License-Identifier: BSD-2-Clause
 *
 * One run of training, as the files that start it, go through it and write what comes of it see it.
 */
#ifndef AEI_TRAIN_SESSION_H
#define AEI_TRAIN_SESSION_H

#include "ae/train.h"
#include "train/loader.h"
#include "train/pace.h"
#include "train/trainer.h"
#include "train/checkpoint.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>

/* One call of ae_train. */
typedef struct aei_train_session {
    const ae_recipe *recipe;
    const char *recipe_text, *out_path;
    const ae_train_options *options;
    const ae_dataset *data;
    ae_precision precision;
    uint32_t threads;
    aei_pace pace;
    aei_trainer *trainer;
    aei_loader *loader;
    aei_run_key key;
    aei_progress progress;
    bool scores_psnr; /* else the loss, where less is better; a codec's with its sign turned */
    bool scores_hits; /* of labels */
    bool codec;
    float *start; /* the parameters of a trained network to begin with; NULL: there was none */
    double validated, cost; /* when the last validation ended, and the seconds that it took */
    double point_share;     /* of the schedule, at the last point of the curve */
    double work;            /* floating-point operations of a step */
    double begun, seconds_before;

    /* since the last report */
    double mark, waited, loss_sum, term_sums[AE_MAX_TERMS];
    uint64_t loss_steps, term_steps[AE_MAX_TERMS], mark_step;
    double point_loss; /* since the last point of the curve */
    uint64_t point_steps;
    double norm;
    aei_moment moment;
    ae_train_progress shown;
    bool *warned; /* by node of the first network: that its layer is dead or explodes */
} aei_train_session;

static inline double aei_train_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Seconds of all sessions of this run. */
static inline double aei_train_seconds(const aei_train_session *s)
{
    return s->seconds_before + aei_train_now() - s->begun;
}

AE_PRINTF(2, 3)
static inline void aei_train_warn(const aei_train_session *s, const char *format, ...)
{
    char text[512];
    va_list args;

    if (!s->options->warning)
        return;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    s->options->warning(s->options->control.opaque, text);
}

ae_status aei_train_set_up_trainer(aei_train_session *session, const ae_dataset *data,
                                   ae_error *err);
ae_status aei_train_set_up_loader(aei_train_session *session, const ae_dataset *data,
                                  ae_error *err);

/* The parameters begin as those of the model that is to be started from, as far as names and shapes
 * are the same; `tell`: says how many were. */
ae_status aei_train_start_from(aei_train_session *session, bool tell, ae_error *err);

/* The model, with its card and, of a codec, its integer decoder, and the report where one is
 * wanted. */
ae_status aei_train_save(aei_train_session *session, ae_error *err);
/* Where one is wanted. */
ae_status aei_train_save_checkpoint(aei_train_session *session, ae_error *err);

#endif
