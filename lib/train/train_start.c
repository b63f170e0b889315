/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What a run is set up with: the trainer and what its validation scores by, the loader, and where
 * it is to begin with another model the tensors of the same name and shape, and those of
 * convolutions that differ only in how many channels they read. */
#include "train/train_session.h"

#include <math.h>
#include <string.h>

/* Multiplications and additions of all layers, forward and both backwards, in one step. */
static double step_work(const aei_train_session *s)
{
    bool per_item;
    double macs = ae_graph_macs(&s->recipe->networks[0].graph, &per_item);
    ae_shape in = aei_trainer_input(s->trainer, 0);

    return 6 * macs * in.n * (per_item ? 1 : (double)in.h * in.w);
}

/* Labels where the recipe wants some. */
static ae_status check_labels(aei_train_session *s, const ae_dataset *data, ae_error *err)
{
    const ae_recipe *r = s->recipe;
    uint32_t last = r->n_phases ? r->phases[r->n_phases - 1].terms : UINT32_MAX;

    for (uint32_t k = 0; k < r->n_terms; k++) {
        if (r->terms[k].against != AE_AGAINST_LABEL)
            continue;
        if (!data->labels)
            return ae_fail(err, AE_ERR_ARGUMENT,
                           "recipe %s: term %s needs the labels of the data (--labels)", r->name,
                           r->terms[k].name);
        s->scores_hits = s->scores_hits || last >> k & 1;
    }
    return aei_trainer_labels(s->trainer, data, err);
}

ae_status aei_train_set_up_trainer(aei_train_session *s, const ae_dataset *data, ae_error *err)
{
    uint32_t h, w;
    ae_status st;

    s->precision = s->options->precision;
    if (s->recipe->integer && s->precision == AE_PRECISION_AUTO)
        s->precision = AE_PRECISION_F32; /* bf16 would round the weights far more */
    s->precision = ae_precision_resolve(s->precision);
    s->threads = s->options->control.threads;
    if (!s->threads)
        s->threads = aei_cpu_count();
    s->pace = (aei_pace){.recipe = s->recipe,
                         .steps = s->options->steps ? s->options->steps : s->recipe->steps,
                         .limit = s->options->time_limit,
                         .rate = s->options->rate};
    aei_loader_input_size(s->recipe, &h, &w);
    if ((st = aei_trainer_create(s->recipe, h, w, s->precision, s->threads, s->options->seed,
                                 &s->trainer, err)) != AE_OK)
        return st;
    if ((st = check_labels(s, data, err)) != AE_OK)
        return st;
    s->work = step_work(s);
    s->codec = s->recipe->task == AE_TASK_COMPRESS;
    s->scores_psnr = !s->codec && !s->recipe->sound.bands && !s->recipe->columns &&
                     !s->recipe->text && !s->scores_hits &&
                     (aei_trainer_picture(s->trainer).c == 1 ||
                      aei_trainer_picture(s->trainer).c == 3);
    s->shown.psnr = s->shown.bpp = s->shown.input_score = s->shown.first_score = NAN;
    s->shown.unit = s->scores_psnr ? "dB" : "";
    return AE_OK;
}

ae_status aei_train_set_up_loader(aei_train_session *s, const ae_dataset *data, ae_error *err)
{
    const ae_train_options *o = s->options;
    aei_loader_config config = {
        .recipe = s->recipe,
        .data = data,
        .noise = o->noise,
        .rooms = o->rooms,
        .music = o->music,
        .noisy = o->noisy,
        .seed = o->seed,
        .threads = s->threads,
        .first_step = s->progress.step,
        .noisy_only = o->noisy_only,
        .cache_bytes = o->cache_bytes,
        .opaque = o->control.opaque,
        .warning = o->warning,
    };

    return aei_loader_create(&config, &s->loader, err);
}

/* ---- another model's parameters ---- */

/* The tensor of that name in another model's parameters. */
static const ae_param *find_param(const ae_param *params, uint32_t n, const char *name)
{
    for (uint32_t i = 0; i < n; i++)
        if (!strcmp(params[i].name, name))
            return &params[i];
    return NULL;
}

/* Takes over one tensor. Convolutions that differ only in their input channels share the leading
 * ones and begin with zeros for the others, so that a network which is told more starts out as one
 * that does not listen. */
static bool take_tensor(const ae_param *from, const float *values, const ae_param *to, float *value)
{
    size_t taps = (size_t)to->dims[2] * to->dims[3], in = to->dims[1],
           most = from->dims[1] < in ? from->dims[1] : in;

    if (from->n_dims != to->n_dims)
        return false;
    for (uint32_t d = 0; d < to->n_dims; d++)
        if (from->dims[d] != to->dims[d] && !(d == 1 && to->n_dims == 4))
            return false;
    if (from->count == to->count) {
        memcpy(value + to->offset, values + from->offset, to->count * sizeof(float));
        return true;
    }
    memset(value + to->offset, 0, to->count * sizeof(float));
    for (size_t o = 0; o < to->dims[0]; o++)
        memcpy(value + to->offset + o * in * taps, values + from->offset + o * from->dims[1] * taps,
               most * taps * sizeof(float));
    return true;
}

ae_status aei_train_start_from(aei_train_session *s, bool tell, ae_error *err)
{
    aei_state *state = aei_trainer_state(s->trainer);
    char path[4096];
    ae_model *model = NULL;
    ae_param *theirs = NULL;
    const ae_param *ours;
    uint32_t n_theirs, n_ours, n_taken = 0;
    size_t n_floats;
    const float *values;
    ae_status st;

    if ((st = ae_model_find(s->options->init, path, sizeof(path), err)) != AE_OK ||
        (st = ae_model_open(path, NULL, &model, err)) != AE_OK ||
        (st = ae_graph_params(ae_model_graph(model), &theirs, &n_theirs, &n_floats, err)) != AE_OK)
        goto done;
    values = ae_model_values(model, &n_floats);
    ours = aei_trainer_params(s->trainer, &n_ours);
    for (uint32_t i = 0; i < n_ours; i++) {
        const ae_param *from = find_param(theirs, n_theirs, ours[i].name);

        n_taken += from && take_tensor(from, values, &ours[i], state->value);
    }
    if (!n_taken) {
        st = ae_fail(err, AE_ERR_MISMATCH,
                     "%s: none of its tensors has name and shape of one of recipe %s", path,
                     s->recipe->name);
        goto done;
    }
    memcpy(state->average, state->value, state->n_floats * sizeof(float));
    aei_trainer_refresh(s->trainer);
    s->pace.trained = n_taken == n_ours && n_floats == state->n_floats;
    if (tell)
        aei_train_warn(s, "%u of %u tensors taken from %s", n_taken, n_ours, path);
    if (s->pace.trained && !s->options->noisy_only) {
        s->start = ae_alloc(state->n_floats, sizeof(float));
        if (!s->start)
            st = ae_fail(err, AE_ERR_NOMEM, "training: parameters to begin with");
        else
            memcpy(s->start, state->value, state->n_floats * sizeof(float));
    }
done:
    ae_free(theirs);
    ae_model_free(model);
    return st;
}
