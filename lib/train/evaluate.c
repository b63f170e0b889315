/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What a finished model's terms are on data, all of which are held out for that. */
#include "ae/train.h"
#include "core/threads.h"
#include "train/join.h"
#include "train/loss.h"
#include "train/trainer.h"

#include <math.h>
#include <string.h>

enum { MOST = 512 /* items at a time */, SHARDS = 4 };

/* So many items at a time that all batches are full. */
static uint32_t batch_of(size_t n)
{
    uint32_t b = n < MOST ? (uint32_t)n : MOST;

    while (n % b)
        b--;
    return b;
}

static bool draws(const ae_graph *g)
{
    for (uint32_t i = 0; i < g->n_nodes; i++)
        if (g->nodes[i].op == AE_OP_GAUSSIAN)
            return true;
    return false;
}

typedef struct sums {
    double square, psnr, hits, labelled, bpp, terms[AE_MAX_TERMS];
} sums;

static void add_psnr(const aei_batch *batch, const float *prediction, ae_shape s, sums *to)
{
    size_t n = (size_t)s.h * s.w * s.c;

    for (uint32_t i = 0; i < s.n; i++) {
        const float *p = prediction + i * n, *t = batch->target + i * n,
                    *w = batch->weight ? batch->weight + i * (n / s.c) : NULL;
        double square = 0, counted = 0;

        for (size_t k = 0; k < n; k++) {
            double d = (double)p[k] - (double)t[k], own = w ? (double)w[k / s.c] : 1;

            square += own * d * d;
            counted += own;
        }
        square /= counted > 0 ? counted : 1;
        to->square += square;
        to->psnr += aei_decibels(square);
    }
}

/* One batch: what comes of the means, and the terms, with draws where the network has some. */
static ae_status take_batch(aei_trainer *t, aei_loader *loader, const ae_recipe *r, uint32_t i,
                            sums *to, ae_error *err)
{
    aei_batch batch;
    aei_evaluation found;
    double labelled = 0;
    ae_status st;

    if ((st = aei_loader_validation(loader, i, &batch, err)) != AE_OK ||
        (st = aei_trainer_evaluate(t, &batch, &found, err)) != AE_OK)
        return st;
    add_psnr(&batch, found.prediction, aei_trainer_picture(t), to);
    to->bpp += found.bpp;
    for (uint32_t k = 0; batch.label && k < batch.n; k++)
        labelled += batch.label[k] >= 0;
    if (labelled > 0 && !isnan(found.hit_share)) {
        to->hits += found.hit_share * labelled;
        to->labelled += labelled;
    }
    if (draws(&r->networks[0].graph)) {
        aei_trainer_draw(t, i + 1);
        st = aei_trainer_evaluate(t, &batch, &found, err);
        aei_trainer_draw(t, 0);
    }
    for (uint32_t k = 0; k < r->n_terms; k++)
        to->terms[k] += found.terms[k];
    return st;
}

ae_status ae_evaluate(const ae_model *model, const ae_dataset *data, const ae_train_options *o,
                      ae_evaluated *out, ae_error *err)
{
    ae_recipe *r = ae_alloc(1, sizeof(*r));
    aei_trainer *t = NULL;
    aei_loader *loader = NULL;
    aei_loader_config config = {.recipe = r,
                                .data = data,
                                .noise = o->noise,
                                .rooms = o->rooms,
                                .music = o->music,
                                .noisy = o->noisy,
                                .seed = o->seed,
                                .threads = 1,
                                .cache_bytes = o->cache_bytes,
                                .opaque = o->control.opaque,
                                .warning = o->warning,
                                .all = true};
    const ae_param *params;
    uint32_t h, w, n_params, n;
    size_t n_floats;
    const float *values = ae_model_all_values(model, &n_floats);
    sums sum = {0};
    ae_status st;

    *out = (ae_evaluated){.accuracy = NAN, .bpp = NAN};
    if (!r)
        return ae_fail(err, AE_ERR_NOMEM, "evaluation");
    *r = *ae_model_recipe(model);
    r->batch = batch_of(data->n_items ? data->n_items : 1);
    for (r->shards = SHARDS; r->batch % r->shards; r->shards--)
        ;
    r->integer = false;
    aei_loader_input_size(r, &h, &w);
    st = aei_trainer_create(r, h, w, ae_precision_resolve(o->precision),
                            o->control.threads ? o->control.threads : aei_cpu_count(), o->seed, &t,
                            err);
    if (st != AE_OK)
        goto done;
    params = aei_trainer_params(t, &n_params);
    if ((st = aei_joined_from_model(r, params, n_params, values, aei_trainer_state(t)->value,
                                    err)) != AE_OK ||
        (st = aei_trainer_labels(t, data, err)) != AE_OK ||
        (st = aei_loader_create(&config, &loader, err)) != AE_OK)
        goto done;
    aei_trainer_freeze(t, aei_trainer_state(t)->value);
    n = aei_loader_n_validation(loader);
    for (uint32_t i = 0; i < n && st == AE_OK; i++) {
        if (o->control.cancel && o->control.cancel->requested)
            st = ae_fail(err, AE_ERR_CANCELLED, "evaluation: stopped");
        else
            st = take_batch(t, loader, r, i, &sum, err);
    }
    out->n_items = (size_t)n * r->batch;
    out->mse = sum.square / (double)out->n_items;
    out->psnr = sum.psnr / (double)out->n_items;
    if (sum.labelled > 0)
        out->accuracy = sum.hits / sum.labelled;
    if (r->task == AE_TASK_COMPRESS)
        out->bpp = sum.bpp / n;
    for (uint32_t k = 0; k < r->n_terms; k++)
        out->terms[k] = sum.terms[k] / n;
done:
    aei_loader_free(loader);
    aei_trainer_free(t);
    ae_free(r);
    return st;
}
