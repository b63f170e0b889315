/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What a run writes: checkpoints on the way, and at each end the model with its card, the integer
 * decoder of a codec and the report with held-out pictures. */
#include "train/train_session.h"
#include "ae/compress.h"
#include "ae/sound.h"
#include "train/card.h"
#include "train/join.h"
#include "train/report.h"

#include <math.h>
#include <string.h>

enum { MOST_EXPORTED = 8 }; /* pictures */

static const float *final_values(const aei_train_session *s)
{
    return s->progress.has_best ? s->progress.best : aei_trainer_state(s->trainer)->average;
}

static double final_score(const aei_train_session *s)
{
    return s->progress.has_best ? s->progress.best_score : s->progress.score;
}

static char *make_card(const aei_train_session *s)
{
    const aei_progress *p = &s->progress;
    aei_card card = {
        .options = s->options,
        .precision = s->precision,
        .threads = s->threads,
        .step = p->step,
        .steps = aei_pace_steps(&s->pace, p->step, aei_train_seconds(s)),
        .seconds = p->seconds,
        .score_name = s->codec         ? "validation_score"
                      : s->scores_hits ? "validation_accuracy"
                      : s->scores_psnr ? "validation_psnr"
                                       : "validation_loss",
        .score = final_score(s),
        .first_score = s->shown.first_score,
        .input_score = s->shown.input_score,
    };

    card.fingerprint = aei_loader_fingerprint(s->loader, &card.n_items);
    return aei_card_make(&card);
}

/* One batch of held-out pictures, as they go in, as they came out at first and come out now, and as
 * they should. */
static ae_status show_pictures(aei_train_session *s, aei_report *report, float **before,
                               ae_error *err)
{
    const ae_graph *graph = &s->recipe->networks[0].graph;
    ae_shape shape = aei_trainer_picture(s->trainer);
    size_t n = (size_t)shape.n * shape.h * shape.w * shape.c;
    aei_batch batch;
    aei_evaluation found;
    ae_status st;

    if ((st = aei_loader_validation(s->loader, 0, &batch, err)) != AE_OK)
        return st;
    if (s->start) {
        aei_trainer_freeze(s->trainer, s->start);
        *before = ae_alloc(n, sizeof(float));
        if (!*before)
            return ae_fail(err, AE_ERR_NOMEM, "training: pictures of the report");
        if ((st = aei_trainer_evaluate(s->trainer, &batch, &found, err)) != AE_OK)
            return st;
        memcpy(*before, found.prediction, n * sizeof(float));
    }
    aei_trainer_freeze(s->trainer, final_values(s));
    if ((st = aei_trainer_evaluate(s->trainer, &batch, &found, err)) != AE_OK)
        return st;
    for (uint32_t i = 0, k = 0; i < graph->n_nodes; i++) {
        if (graph->nodes[i].op != AE_OP_INPUT)
            continue;
        if (!strcmp(graph->nodes[i].name, AE_INPUT_IMAGE))
            report->galleries[0] = (aei_gallery){"input", s->shown.input_score, batch.inputs[k],
                                                 aei_trainer_input(s->trainer, k)};
        k++;
    }
    report->galleries[1] = (aei_gallery){"before", s->shown.first_score, *before, shape};
    report->galleries[2] = (aei_gallery){s->start ? "after" : "output", final_score(s),
                                         found.prediction, shape};
    report->galleries[3] = (aei_gallery){"target", NAN, batch.target, shape};
    return AE_OK;
}

/* What the model that was saved makes of a mixture, all versions as loud, the loudest just so that
 * it does not clip. */
static ae_status hear(const ae_model *model, double rate, const float *mixture, const float *clean,
                      size_t n, aei_heard *to, ae_error *err)
{
    ae_sound_denoiser *d = NULL;
    ae_status st = ae_sound_denoiser_new(model, rate, 1, NULL, &d, err);
    size_t room = st == AE_OK ? ae_sound_room(d, n) : 0, done = 0, rest = 0;
    float peak = 1e-9f;

    to->n = n;
    for (int k = 0; k < AEI_REPORT_VERSIONS && st == AE_OK; k++)
        if (!(to->samples[k] = ae_alloc(k == 1 ? room : n, sizeof(float))))
            st = ae_fail(err, AE_ERR_NOMEM, "training: sounds of the report");
    if (st == AE_OK)
        st = ae_sound_process(d, mixture, n, to->samples[1], room, &done, err);
    if (st == AE_OK)
        st = ae_sound_finish(d, to->samples[1] + done, n - done, &rest, err);
    ae_sound_denoiser_free(d);
    if (st != AE_OK)
        return st;
    memcpy(to->samples[0], mixture, n * sizeof(float));
    memcpy(to->samples[2], clean, n * sizeof(float));
    for (int k = 0; k < AEI_REPORT_VERSIONS; k++)
        for (size_t i = 0; i < n; i++)
            peak = fmaxf(peak, fabsf(to->samples[k][i]));
    for (int k = 0; k < AEI_REPORT_VERSIONS; k++)
        for (size_t i = 0; i < n; i++)
            to->samples[k][i] *= 0.95f / peak;
    return AE_OK;
}

/* The first mixtures held out in which there is something to keep. */
static ae_status show_sounds(aei_train_session *s, aei_report *report, ae_error *err)
{
    uint32_t held = aei_loader_n_validation(s->loader), shown = 0;
    ae_model *model = NULL;
    ae_status st = ae_model_open(s->out_path, NULL, &model, err);

    for (uint32_t i = 0; i < held && shown < AEI_REPORT_SOUNDS && st == AE_OK; i++) {
        const float *mixture, *clean;
        double power = 0;
        size_t n;

        if ((st = aei_loader_sounds(s->loader, i, &mixture, &clean, &n, err)) != AE_OK)
            break;
        for (size_t k = 0; k < n; k++)
            power += (double)clean[k] * clean[k];
        if (power > 0)
            st = hear(model, s->recipe->sound.rate, mixture, clean, n, &report->sounds[shown++],
                      err);
    }
    ae_model_free(model);
    return st;
}

static ae_status save_report(aei_train_session *s, const char *card, ae_error *err)
{
    aei_report report = {
        .recipe = s->recipe,
        .recipe_text = s->recipe_text,
        .card = card,
        .score_name = s->codec         ? "score"
                      : s->scores_hits ? "accuracy"
                      : s->scores_psnr ? "PSNR (dB)"
                                       : "validation loss",
        .unit = s->shown.unit,
        .first_score = s->shown.first_score,
        .input_score = s->shown.input_score,
        .score = final_score(s),
        .progress = &s->progress,
        .steps = aei_pace_steps(&s->pace, s->progress.step, aei_train_seconds(s)),
        .noisy_only = s->options->noisy_only,
    };
    float *before = NULL;
    ae_status st = AE_OK;

    if (s->recipe->sound.bands)
        st = show_sounds(s, &report, err);
    else if ((s->scores_psnr || s->codec) && aei_loader_n_validation(s->loader))
        st = show_pictures(s, &report, &before, err);
    if (st == AE_OK)
        st = aei_report_write(s->options->report, &report, err);
    ae_free(before);
    for (int i = 0; i < AEI_REPORT_SOUNDS; i++)
        for (int k = 0; k < AEI_REPORT_VERSIONS; k++)
            ae_free(report.sounds[i].samples[k]);
    return st;
}

/* The integer decoder of a codec, with ranges measured on held-out pictures. A network without an
 * integer form is worth saving, too. */
static ae_status export(aei_train_session *s, const float *values, uint8_t **program,
                        size_t *n_bytes, ae_error *err)
{
    const ae_graph *graph = &s->recipe->networks[0].graph;
    uint32_t h, w, n = s->recipe->batch < MOST_EXPORTED ? s->recipe->batch : MOST_EXPORTED,
                   image = 0;
    aei_batch batch;
    ae_error why = {0};
    ae_status st;

    if (!aei_loader_n_validation(s->loader)) {
        aei_train_warn(s, "no held-out pictures to measure ranges on: the model cannot be decoded "
                          "with yet (--export)");
        return AE_OK;
    }
    for (uint32_t i = 0; strcmp(graph->nodes[i].name, AE_INPUT_IMAGE) != 0; i++)
        image += graph->nodes[i].op == AE_OP_INPUT;
    aei_loader_input_size(s->recipe, &h, &w);
    if ((st = aei_loader_validation(s->loader, 0, &batch, err)) != AE_OK)
        return st;
    st = ae_export(graph, values, batch.inputs[image], n, w, program, n_bytes, &why);
    if (st == AE_ERR_UNSUPPORTED) {
        aei_train_warn(s, "%s", why.message);
        return AE_OK;
    }
    if (st != AE_OK && err)
        *err = why;
    return st;
}

ae_status aei_train_save(aei_train_session *s, ae_error *err)
{
    ae_model_parts parts = {
        .recipe_text = s->recipe_text,
        .half = s->options->half,
        .columns = s->options->columns,
        .n_columns = s->options->n_columns,
    };
    char *card;
    uint8_t *program = NULL;
    float *values = NULL;
    uint32_t n_params;
    const ae_param *params = aei_trainer_params(s->trainer, &n_params);
    ae_status st;

    s->progress.seconds = aei_train_seconds(s);
    parts.card = card = make_card(s);
    if (!card)
        return ae_fail(err, AE_ERR_NOMEM, "training: model card");
    st = aei_joined_to_model(s->recipe, params, n_params, final_values(s), &values, &parts.n_floats,
                             err);
    parts.values = values;
    if (st == AE_OK && s->codec)
        st = export(s, parts.values, &program, &parts.n_program, err);
    parts.program = program;
    if (st == AE_OK)
        st = ae_model_save(s->out_path, &parts, err);
    if (st == AE_OK && s->options->report)
        st = save_report(s, card, err);
    ae_free(values);
    ae_free(program);
    ae_free(card);
    return st;
}

ae_status aei_train_save_checkpoint(aei_train_session *s, ae_error *err)
{
    if (!s->options->checkpoint)
        return AE_OK;
    s->progress.seconds = aei_train_seconds(s);
    return aei_checkpoint_save(s->options->checkpoint, &s->key, aei_trainer_state(s->trainer),
                               &s->progress, err);
}
