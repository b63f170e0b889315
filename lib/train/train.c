/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A run of training: batches by the loader, steps by the trainer, on a schedule of steps or of
 * time; validation by pictures held out, the best parameters kept; progress, warnings and points of
 * the curve told on the way. It ends by its schedule, for want of patience, or when it is told to,
 * and can be gone on with from its checkpoint. */
#include "train/train_session.h"
#include "train/card.h"
#include "train/coarse.h"
#include "train/loss.h"
#include "train/watch.h"

#include <math.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

enum { MAX_FAULTS = 10 }; /* in a row */

#define COARSE 0.25 /* likeness of the noise of neighbours above which it is coarser than a pixel */

static bool cancelled(const aei_train_session *s)
{
    const ae_cancel *cancel = s->options->control.cancel;

    return cancel && cancel->requested;
}

/* ---- setting up ---- */

static ae_status check_arguments(const ae_recipe *recipe, const ae_dataset *data,
                                 const ae_train_options *options, ae_error *err)
{
    if (!recipe || !data || !data->load || !data->name || !options)
        return ae_fail(err, AE_ERR_ARGUMENT, "training: recipe, data and options must be given");
    if (!recipe->n_networks || !recipe->batch)
        return ae_fail(err, AE_ERR_ARGUMENT, "recipe %s: no network or empty batch", recipe->name);
    return AE_OK;
}

/* ---- validation ---- */

/* Decibels of the input as it is: of what a network must be better than. NaN where there is nothing
 * to compare. */
static double score_input(const aei_train_session *s, const aei_batch *batch)
{
    const ae_graph *graph = &s->recipe->networks[0].graph;
    ae_shape in = {0}, out = aei_trainer_picture(s->trainer);
    const float *input = NULL;
    size_t n = (size_t)out.n * out.h * out.w;
    double error = 0, weights = 0;

    if (!s->scores_psnr ||
        (s->recipe->task != AE_TASK_DENOISE && s->recipe->task != AE_TASK_SUPERRES))
        return NAN;
    for (uint32_t i = 0, k = 0; i < graph->n_nodes; i++) {
        if (graph->nodes[i].op != AE_OP_INPUT)
            continue;
        if (!strcmp(graph->nodes[i].name, AE_INPUT_IMAGE)) {
            input = batch->inputs[k];
            in = aei_trainer_input(s->trainer, k);
        }
        k++;
    }
    if (batch->base)
        input = batch->base;
    else if (in.h != out.h || in.w != out.w || in.c != out.c)
        return NAN;
    for (size_t i = 0; i < n; i++) {
        double weight = batch->weight ? (double)batch->weight[i] : 1;

        for (uint32_t k = 0; k < out.c; k++) {
            double d = fmin(fmax((double)input[i * out.c + k], 0), 1) -
                       (double)batch->target[i * out.c + k];

            error += weight * d * d;
        }
        weights += weight * out.c;
    }
    return aei_decibels(error / weights);
}

/* Mean score of the averaged parameters over the validation set; NaN where that is empty. */
static ae_status measure(aei_train_session *s, double *score, ae_error *err)
{
    uint32_t n = aei_loader_n_validation(s->loader);
    double sum = 0, psnr = 0, bpp = 0, input = 0, begun = aei_train_now();

    aei_trainer_freeze(s->trainer, aei_trainer_state(s->trainer)->average);
    for (uint32_t i = 0; i < n; i++) {
        aei_batch batch;
        aei_evaluation found;
        ae_status st;

        if ((st = aei_loader_validation(s->loader, i, &batch, err)) != AE_OK ||
            (st = aei_trainer_evaluate(s->trainer, &batch, &found, err)) != AE_OK)
            return st;
        sum += s->codec         ? -found.loss
               : s->scores_hits ? found.hit_share
               : s->scores_psnr ? aei_decibels(found.error)
                                : found.loss;
        input += score_input(s, &batch) / n;
        psnr += found.psnr / n;
        bpp += found.bpp / n;
    }
    *score = n ? sum / n : NAN;
    s->shown.psnr = s->codec && n ? psnr : NAN;
    s->shown.bpp = s->codec && n ? bpp : NAN;
    s->shown.input_score = n && !s->options->noisy_only ? input : NAN;
    s->validated = aei_train_now();
    s->cost = s->validated - begun;
    return AE_OK;
}

static void add_point(aei_train_session *s, double score)
{
    aei_progress *p = &s->progress;

    if (p->n_points == AEI_CURVE_MAX) {
        for (uint32_t i = 0; i < AEI_CURVE_MAX / 2; i++)
            p->points[i] = p->points[2 * i];
        p->n_points = AEI_CURVE_MAX / 2;
    }
    p->points[p->n_points++] = (aei_point){
        (double)p->step, s->point_steps ? s->point_loss / (double)s->point_steps : NAN,
        (double)s->moment.rate, score};
    s->point_share = aei_pace_share(&s->pace, p->step, aei_train_seconds(s));
    s->point_loss = 0;
    s->point_steps = 0;
}

static void warn_of_layer(void *opaque, const aei_ailing *what)
{
    aei_train_session *s = opaque;
    const char *name = s->recipe->networks[0].graph.nodes[what->node].name;

    if (!what->exploded)
        aei_train_warn(s,
                       "layer %s is dead: %u of its %u units let no gradient through, whatever "
                       "comes in (a lower rate, act: leaky or "
                       "another init may help)",
                       name, what->n_dead, what->n_units);
    else if (isfinite(what->size))
        aei_train_warn(s,
                       "layer %s explodes: its values are %.2g in size (a lower rate, clip: 1 or a "
                       "normalisation may help)",
                       name, what->size);
    else
        aei_train_warn(s, "layer %s explodes: its values are not finite", name);
}

/* Looks for layers that died or explode, on a shard of the first validation batch. */
static ae_status watch_layers(aei_train_session *s, ae_error *err)
{
    const ae_graph *g = &s->recipe->networks[0].graph;
    ae_shape in = aei_trainer_input(s->trainer, 0);
    aei_batch batch;
    ae_status st;

    if (s->codec || !aei_loader_n_validation(s->loader))
        return AE_OK;
    if (!s->warned && !(s->warned = ae_alloc(g->n_nodes, sizeof(*s->warned))))
        return ae_fail(err, AE_ERR_NOMEM, "training: names of layers");
    if ((st = aei_loader_validation(s->loader, 0, &batch, err)) != AE_OK)
        return st;
    return aei_watch(g, s->precision, in.n / s->recipe->shards, in.h, in.w,
                     aei_trainer_state(s->trainer)->average, batch.inputs, s->warned, s,
                     warn_of_layer, err);
}

/* Measures, keeps the best, and writes the model. */
static ae_status validate(aei_train_session *s, ae_error *err)
{
    aei_progress *p = &s->progress;
    ae_status st = measure(s, &p->score, err);

    if (st != AE_OK)
        return st;
    add_point(s, p->score);
    if ((st = watch_layers(s, err)) != AE_OK)
        return st;
    if (p->best && isfinite(p->score)) {
        bool rises = s->scores_psnr || s->codec || s->scores_hits;
        bool better = !p->has_best || (rises ? p->score > p->best_score : p->score < p->best_score);

        p->stale = better ? 0 : p->stale + 1;
        if (better) {
            p->best_score = p->score;
            p->has_best = true;
            memcpy(p->best, aei_trainer_state(s->trainer)->average,
                   aei_trainer_state(s->trainer)->n_floats * sizeof(float));
        }
    }
    return aei_train_save(s, err);
}

/* What training begins with: its score is the first, and unless something is better it stays the
 * model. */
static ae_status measure_first(aei_train_session *s, ae_error *err)
{
    aei_progress *p = &s->progress;
    uint32_t n = aei_loader_n_validation(s->loader);
    double coarseness;
    ae_status st;

    if (s->options->noisy_only) {
        if ((st = aei_noise_coarseness(s->data, &coarseness, err)) != AE_OK)
            return st;
        if (coarseness > COARSE)
            aei_train_warn(s,
                           "the noise of these pictures is coarser than a pixel (neighbours are "
                           "alike by %.0f %%, as in a camera's JPEG "
                           "files): what is learned from the surroundings of a pixel will copy it. "
                           "Pictures scaled down to half have less of "
                           "this",
                           100 * coarseness);
        aei_train_warn(s, "scores are taken against the noisy pixels themselves, which cannot be "
                          "known: they compare runs, and say nothing "
                          "of how clean pictures become");
        return AE_OK;
    }
    if (!n || (!s->start && s->options->time_limit <= 0))
        return AE_OK;
    if ((st = measure(s, &p->score, err)) != AE_OK)
        return st;
    s->shown.first_score = p->score;
    add_point(s, p->score);
    if (s->start && isfinite(p->score)) {
        memcpy(p->best, s->start, aei_trainer_state(s->trainer)->n_floats * sizeof(float));
        p->best_score = p->score;
        p->has_best = true;
    }
    return AE_OK;
}

/* The state to begin with: checkpoint, model or fresh. */
static ae_status begin(aei_train_session *s, const ae_dataset *data, ae_error *err)
{
    const ae_train_options *o = s->options;
    aei_progress *p = &s->progress;
    uint64_t saved_data;
    bool found = false;
    ae_status st;

    s->key = (aei_run_key){XXH3_64bits(s->recipe_text, strlen(s->recipe_text)),
                           0,
                           o->seed,
                           s->pace.steps,
                           s->precision,
                           o->noisy_only,
                           o->cache_bytes};
    if (o->time_limit > 0 || o->rate > 0) { /* another schedule for each */
        double schedule[2] = {o->time_limit, o->rate};

        s->key.steps = XXH3_64bits_withSeed(schedule, sizeof(schedule), s->pace.steps);
    }
    p->score = p->best_score = NAN;
    if (o->init &&
        (st = aei_train_start_from(s, !o->checkpoint || access(o->checkpoint, F_OK), err)) != AE_OK)
        return st;
    if (s->recipe->patience || s->start) {
        p->best = ae_alloc(aei_trainer_state(s->trainer)->n_floats, sizeof(float));
        if (!p->best)
            return ae_fail(err, AE_ERR_NOMEM, "training: best parameters");
    }
    if (o->checkpoint &&
        (st = aei_checkpoint_load(o->checkpoint, &s->key, aei_trainer_state(s->trainer), p, &found,
                                  err)) != AE_OK)
        return st;
    saved_data = s->key.data;
    if ((st = aei_train_set_up_loader(s, data, err)) != AE_OK)
        return st;
    s->key.data = aei_loader_fingerprint(s->loader, &(size_t){0});
    s->begun = s->validated = aei_train_now();
    s->seconds_before = p->seconds;
    if (!found)
        return measure_first(s, err);
    if (saved_data != s->key.data)
        return aei_checkpoint_mismatch(o->checkpoint, "data set", err);
    aei_trainer_refresh(s->trainer);
    if (p->n_points && p->points[0].step < 1)
        s->shown.first_score = p->points[0].score;
    aei_train_warn(s, "resumed at step %llu from %s", (unsigned long long)p->step, o->checkpoint);
    return AE_OK;
}

/* ---- the loop ---- */

static void report_progress(aei_train_session *s, bool validated)
{
    double t = aei_train_now(), lapse = t - s->mark, left = s->pace.limit - aei_train_seconds(s),
           done = (double)(s->progress.step - s->mark_step);
    ae_train_progress *r = &s->shown;
    const ae_control *control = &s->options->control;

    r->step = s->progress.step;
    r->steps = aei_pace_steps(&s->pace, s->progress.step, aei_train_seconds(s));
    r->score = s->progress.score;
    r->rate = (double)s->moment.rate;
    r->gradient_norm = s->norm;
    r->seconds = aei_train_seconds(s);
    r->validated = validated;
    r->kept = s->start && s->progress.has_best && s->progress.best_score == r->first_score;
    if (s->loss_steps)
        r->loss = s->loss_sum / (double)s->loss_steps;
    for (uint32_t i = 0; i < s->recipe->n_terms; i++) {
        r->terms[i] = s->term_steps[i] ? s->term_sums[i] / (double)s->term_steps[i] : NAN;
        s->term_sums[i] = 0;
        s->term_steps[i] = 0;
    }
    if (done > 0 && lapse > 0) {
        r->samples_per_second = done * s->recipe->batch / lapse;
        r->gflops = done * s->work / lapse * 1e-9;
        r->wait_share = s->waited / lapse;
        r->seconds_left = (double)(s->pace.steps - s->progress.step) * lapse / done;
        if (s->pace.limit > 0 && r->seconds_left > left)
            r->seconds_left = left > 0 ? left : 0;
    }
    if (control->progress)
        control->progress(control->opaque, aei_pace_share(&s->pace, r->step, r->seconds));
    if (s->options->watch)
        s->options->watch(control->opaque, r);
    s->mark = t;
    s->mark_step = s->progress.step;
    s->waited = s->loss_sum = 0;
    s->loss_steps = 0;
}

/* By steps, or by the clock where there is a limit. */
static aei_moment moment_now(const aei_train_session *s)
{
    const aei_progress *p = &s->progress;
    double share = aei_pace_share(&s->pace, p->step, aei_train_seconds(s));
    uint64_t at = s->pace.limit > 0 ? (uint64_t)(share * (double)s->pace.steps) : p->step;
    aei_moment m = aei_moment_of(s->recipe, at, s->pace.steps, p->step);

    if (!s->recipe->n_phases)
        m.rate = aei_pace_rate(&s->pace, p->step, aei_train_seconds(s));
    return m;
}

static ae_status take_step(aei_train_session *s, ae_error *err)
{
    aei_progress *p = &s->progress;
    aei_batch batch;
    aei_step_result result;
    ae_status st;

    s->moment = moment_now(s);
    aei_trainer_at(s->trainer, &s->moment);
    if ((st = aei_loader_next(s->loader, &batch, &s->waited, err)) != AE_OK ||
        (st = aei_trainer_step(s->trainer, &batch, p->step, s->moment.rate, &result, err)) != AE_OK)
        return st;
    if (!result.applied) {
        if (++p->faults >= MAX_FAULTS)
            return ae_fail(
                err, AE_ERR_MALFORMED,
                "step %llu: %s, as in the %d steps before; look at the data or lower the rate",
                (unsigned long long)p->step, result.fault, MAX_FAULTS - 1);
        aei_train_warn(s, "step %llu: %s; step skipped", (unsigned long long)p->step, result.fault);
    } else {
        p->faults = 0;
        s->norm = result.gradient_norm;
        s->loss_sum += result.loss;
        s->loss_steps++;
        for (uint32_t i = 0; i < s->recipe->n_terms; i++)
            if (!isnan(result.terms[i])) {
                s->term_sums[i] += result.terms[i];
                s->term_steps[i]++;
            }
        s->point_loss += result.loss;
        s->point_steps++;
    }
    p->step++;
    return AE_OK;
}

/* A schedule that must fit a time has no patience: its rate, and with it most of the gain, comes
 * down at the end. */
static bool patience_lost(const aei_train_session *s)
{
    return s->recipe->patience && s->pace.limit <= 0 && s->progress.stale >= s->recipe->patience;
}

/* A run that is shorter than the recipe's interval is looked at four times all the same. Within a
 * time limit validations are measured by the clock and take no more than a tenth of it. */
static bool validation_due(const aei_train_session *s)
{
    uint64_t every = s->recipe->validate_every ? s->recipe->validate_every : s->pace.steps;

    if (every > s->pace.steps)
        every = (s->pace.steps + 3) / 4;
    if (s->pace.limit > 0)
        return aei_train_now() - s->validated >= fmax(fmin(s->pace.limit / 8, 120), 10 * s->cost);
    return s->progress.step % every == 0;
}

static bool point_due(const aei_train_session *s)
{
    if (s->pace.limit > 0)
        return aei_pace_share(&s->pace, s->progress.step, aei_train_seconds(s)) >=
               s->point_share + 0.005;
    return s->progress.step % ((s->pace.steps + 499) / 500) == 0;
}

static ae_status loop(aei_train_session *s, ae_error *err)
{
    const ae_train_options *o = s->options;
    double every = o->checkpoint_seconds > 0 ? o->checkpoint_seconds : 300, saved = aei_train_now();
    aei_progress *p = &s->progress;
    ae_status st;

    s->mark = s->begun;
    s->mark_step = p->step;
    s->shown.loss = NAN;
    for (bool over = p->step >= s->pace.steps; !over && !patience_lost(s);) {
        bool due;

        if (cancelled(s))
            break;
        if ((st = take_step(s, err)) != AE_OK)
            return st;
        s->pace.reserve = fmin(s->cost, s->pace.limit / 4);
        over = aei_pace_share(&s->pace, p->step, aei_train_seconds(s)) >= 1;
        due = over || validation_due(s);
        if (over)
            s->pace.steps = p->step;
        if (due && (st = validate(s, err)) != AE_OK)
            return st;
        if (!due && point_due(s) && s->point_steps)
            add_point(s, NAN);
        if (due || aei_train_now() - s->mark >= 0.2)
            report_progress(s, due);
        if (aei_train_now() - saved >= every) {
            if ((st = aei_train_save_checkpoint(s, err)) != AE_OK)
                return st;
            saved = aei_train_now();
        }
    }
    if (p->step >= s->pace.steps || patience_lost(s)) {
        if (o->checkpoint)
            unlink(o->checkpoint);
        return AE_OK;
    }
    if ((st = aei_train_save_checkpoint(s, err)) != AE_OK || (st = aei_train_save(s, err)) != AE_OK)
        return st;
    report_progress(s, false);
    return ae_fail(err, AE_ERR_CANCELLED, "training: stopped at step %llu of %llu",
                   (unsigned long long)p->step, (unsigned long long)s->shown.steps);
}

static void finish(aei_train_session *s)
{
    aei_loader_free(s->loader);
    aei_trainer_free(s->trainer);
    ae_free(s->progress.best);
    ae_free(s->start);
    ae_free(s->warned);
    ae_free(s);
}

ae_status ae_train(const ae_recipe *recipe, const char *recipe_text, const ae_dataset *data,
                   const ae_train_options *options, const char *out_path, ae_error *err)
{
    aei_train_session *s;
    ae_status st = check_arguments(recipe, data, options, err);

    if (st != AE_OK)
        return st;
    if (!recipe_text || !out_path)
        return ae_fail(err, AE_ERR_ARGUMENT, "training: recipe text and output must be given");
    s = ae_alloc(1, sizeof(*s));
    if (!s)
        return ae_fail(err, AE_ERR_NOMEM, "training");
    s->recipe = recipe;
    s->recipe_text = recipe_text;
    s->options = options;
    s->data = data;
    s->out_path = out_path;
    s->begun = aei_train_now();
    if ((st = aei_train_set_up_trainer(s, data, err)) == AE_OK &&
        (st = begin(s, data, err)) == AE_OK)
        st = loop(s, err);
    finish(s);
    return st;
}

ae_status ae_train_bench(const ae_recipe *recipe, const ae_dataset *data,
                         const ae_train_options *options, uint64_t steps, ae_train_timing *out,
                         ae_error *err)
{
    uint64_t warm;
    aei_step_times before = {0}, after;
    double operations = 0, layers, n = (double)steps;
    uint32_t rounds = 0;
    aei_train_session *s;
    ae_status st = check_arguments(recipe, data, options, err);

    *out = (ae_train_timing){0};
    if (st != AE_OK)
        return st;
    if (!steps)
        return ae_fail(err, AE_ERR_ARGUMENT, "training: no steps to measure");
    s = ae_alloc(1, sizeof(*s));
    if (!s)
        return ae_fail(err, AE_ERR_NOMEM, "training");
    s->recipe = recipe;
    s->options = options;
    if ((st = aei_train_set_up_trainer(s, data, err)) != AE_OK ||
        (st = aei_train_set_up_loader(s, data, err)) != AE_OK)
        goto done;
    /* First until the pictures are decoded, as they are for nearly all of a real run. */
    warm = 5 + (data->n_items < 4096 ? data->n_items : 4096) / recipe->batch;
    for (uint64_t i = 0; i < warm + steps; i++) {
        if (i == warm) {
            before = aei_trainer_times(s->trainer);
            s->waited = 0;
        }
        if (cancelled(s)) {
            st = ae_fail(err, AE_ERR_CANCELLED, "training: stopped");
            goto done;
        }
        s->begun = aei_train_now();
        if ((st = take_step(s, err)) != AE_OK)
            goto done;
        if (i < warm)
            continue;
        out->step += (aei_train_now() - s->begun) / n;
        if ((i - warm) % 3)
            continue;
        /* In turns with the steps, so that what else the machine does slows both alike. */
        if ((st = aei_trainer_bench(s->trainer, &layers, &operations, err)) != AE_OK)
            goto done;
        out->layers += layers;
        rounds++;
    }
    out->layers /= rounds;
    after = aei_trainer_times(s->trainer);
    out->wait = s->waited / n;
    out->shards = (after.shards - before.shards) / n;
    out->update = (after.update - before.update) / n;
    out->weights = (after.weights - before.weights) / n;
    out->threads = s->threads;
    aei_hardware(out->hardware, sizeof(out->hardware));
    out->gflops = operations / out->step * 1e-9;
done:
    finish(s);
    return st;
}
