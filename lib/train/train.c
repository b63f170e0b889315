/* SPDX-License-Identifier: BSD-2-Clause */
#include "ae/compress.h"
#include "ae/train.h"
#include "train/card.h"
#include "train/join.h"
#include "train/coarse.h"
#include "train/loss.h"
#include "train/pace.h"
#include "train/report.h"
#include "train/watch.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <xxhash.h>

enum { MAX_FAULTS = 10 /* in a row */, MOST_EXPORTED = 8 /* pictures */ };

#define COARSE 0.25 /* likeness of the noise of neighbours above which it is coarser than a pixel */

/* One call of ae_train. */
typedef struct session {
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
    bool scores_psnr;         /* else the loss, where less is better; a codec's with its sign turned */
    bool scores_hits;         /* of labels */
    bool codec;
    float *start;             /* the parameters of a trained network to begin with; NULL: there was none */
    double validated, cost;   /* when the last validation ended, and the seconds that it took */
    double point_share;       /* of the schedule, at the last point of the curve */
    double work;              /* floating-point operations of a step */
    double begun, seconds_before;

    /* since the last report */
    double mark, waited, loss_sum, term_sums[AE_MAX_TERMS];
    uint64_t loss_steps, term_steps[AE_MAX_TERMS], mark_step;
    double point_loss;        /* since the last point of the curve */
    uint64_t point_steps;
    double norm;
    aei_moment moment;
    ae_train_progress shown;
    bool *warned;             /* by node of the first network: that its layer is dead or explodes */
} session;

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Seconds of all sessions of this run. */
static double passed(const session *s)
{
    return s->seconds_before + now() - s->begun;
}

static bool cancelled(const session *s)
{
    return s->options->cancel && s->options->cancel->requested;
}

static void warn(const session *s, const char *format, ...) AE_PRINTF(2, 3);
static void warn(const session *s, const char *format, ...)
{
    char text[512];
    va_list args;

    if (!s->options->warning)
        return;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    s->options->warning(s->options->opaque, text);
}

/* ---- setting up ---- */

/* Multiplications and additions of all layers, forward and both backwards, in one step. */
static double step_work(const session *s)
{
    bool per_item;
    double macs = ae_graph_macs(&s->recipe->networks[0].graph, &per_item);
    ae_shape in = aei_trainer_input(s->trainer, 0);

    return 6 * macs * in.n * (per_item ? 1 : (double)in.h * in.w);
}

static ae_status check_arguments(const ae_recipe *recipe, const ae_dataset *data, const ae_train_options *options, ae_error *err)
{
    if (!recipe || !data || !data->load || !data->name || !options)
        return ae_fail(err, AE_ERR_ARGUMENT, "training: recipe, data and options must be given");
    if (!recipe->n_networks || !recipe->batch)
        return ae_fail(err, AE_ERR_ARGUMENT, "recipe %s: no network or empty batch", recipe->name);
    return AE_OK;
}

/* Labels where the recipe wants some. */
static ae_status check_labels(session *s, const ae_dataset *data, ae_error *err)
{
    const ae_recipe *r = s->recipe;
    uint32_t last = r->n_phases ? r->phases[r->n_phases - 1].terms : UINT32_MAX;

    for (uint32_t k = 0; k < r->n_terms; k++) {
        if (r->terms[k].against != AE_AGAINST_LABEL)
            continue;
        if (!data->labels)
            return ae_fail(err, AE_ERR_ARGUMENT, "recipe %s: term %s needs the labels of the data (--labels)", r->name,
                           r->terms[k].name);
        s->scores_hits = s->scores_hits || last >> k & 1;
    }
    return aei_trainer_labels(s->trainer, data, err);
}

static ae_status set_up_trainer(session *s, const ae_dataset *data, ae_error *err)
{
    uint32_t h, w;
    ae_status st;

    s->precision = s->options->precision;
    if (s->recipe->integer && s->precision == AE_PRECISION_AUTO)
        s->precision = AE_PRECISION_F32; /* bf16 would round the weights far more */
    s->precision = ae_precision_resolve(s->precision);
    s->threads = s->options->threads ? s->options->threads : aei_cpu_count();
    s->pace = (aei_pace){.recipe = s->recipe, .steps = s->options->steps ? s->options->steps : s->recipe->steps,
                         .limit = s->options->time_limit, .rate = s->options->rate};
    aei_loader_input_size(s->recipe, &h, &w);
    if ((st = aei_trainer_create(s->recipe, h, w, s->precision, s->threads, s->options->seed, &s->trainer, err)) != AE_OK)
        return st;
    if ((st = check_labels(s, data, err)) != AE_OK)
        return st;
    s->work = step_work(s);
    s->codec = s->recipe->task == AE_TASK_COMPRESS;
    s->scores_psnr = !s->codec && !s->recipe->sound.bands && !s->scores_hits &&
                     (aei_trainer_picture(s->trainer).c == 1 || aei_trainer_picture(s->trainer).c == 3);
    s->shown.psnr = s->shown.bpp = s->shown.input_score = s->shown.first_score = NAN;
    s->shown.unit = s->scores_psnr ? "dB" : "";
    return AE_OK;
}

static ae_status set_up_loader(session *s, const ae_dataset *data, ae_error *err)
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
        .opaque = o->opaque,
        .warning = o->warning,
    };

    return aei_loader_create(&config, &s->loader, err);
}

/* The tensor of that name in another model's parameters. */
static const ae_param *find_param(const ae_param *params, uint32_t n, const char *name)
{
    for (uint32_t i = 0; i < n; i++)
        if (!strcmp(params[i].name, name))
            return &params[i];
    return NULL;
}

/* Takes over one tensor. Convolutions that differ only in their input channels share the leading ones and begin with zeros for the
 * others, so that a network which is told more starts out as one that does not listen. */
static bool take_tensor(const ae_param *from, const float *values, const ae_param *to, float *value)
{
    size_t taps = (size_t)to->dims[2] * to->dims[3], in = to->dims[1], most = from->dims[1] < in ? from->dims[1] : in;

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
        memcpy(value + to->offset + o * in * taps, values + from->offset + o * from->dims[1] * taps, most * taps * sizeof(float));
    return true;
}

static ae_status start_from(session *s, bool tell, ae_error *err)
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
        st = ae_fail(err, AE_ERR_MISMATCH, "%s: none of its tensors has name and shape of one of recipe %s", path, s->recipe->name);
        goto done;
    }
    memcpy(state->average, state->value, state->n_floats * sizeof(float));
    aei_trainer_refresh(s->trainer);
    s->pace.trained = n_taken == n_ours && n_floats == state->n_floats;
    if (tell)
        warn(s, "%u of %u tensors taken from %s", n_taken, n_ours, path);
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

/* ---- what is written ---- */

static const float *final_values(const session *s)
{
    return s->progress.has_best ? s->progress.best : aei_trainer_state(s->trainer)->average;
}

static double final_score(const session *s)
{
    return s->progress.has_best ? s->progress.best_score : s->progress.score;
}

static char *make_card(const session *s)
{
    const aei_progress *p = &s->progress;
    aei_card card = {
        .options = s->options,
        .precision = s->precision,
        .threads = s->threads,
        .step = p->step,
        .steps = aei_pace_steps(&s->pace, p->step, passed(s)),
        .seconds = p->seconds,
        .score_name = s->codec         ? "validation_score"
                      : s->scores_hits ? "validation_accuracy"
                      : s->scores_psnr ? "validation_psnr" : "validation_loss",
        .score = final_score(s),
        .first_score = s->shown.first_score,
        .input_score = s->shown.input_score,
    };

    card.fingerprint = aei_loader_fingerprint(s->loader, &card.n_items);
    return aei_card_make(&card);
}

/* One batch of held-out pictures, as they go in, as they came out at first and come out now, and as they should. */
static ae_status show_pictures(session *s, aei_report *report, float **before, ae_error *err)
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
            report->galleries[0] = (aei_gallery){"input", s->shown.input_score, batch.inputs[k], aei_trainer_input(s->trainer, k)};
        k++;
    }
    report->galleries[1] = (aei_gallery){"before", s->shown.first_score, *before, shape};
    report->galleries[2] = (aei_gallery){s->start ? "after" : "output", final_score(s), found.prediction, shape};
    report->galleries[3] = (aei_gallery){"target", NAN, batch.target, shape};
    return AE_OK;
}

static ae_status save_report(session *s, const char *card, ae_error *err)
{
    aei_report report = {
        .recipe = s->recipe,
        .recipe_text = s->recipe_text,
        .card = card,
        .score_name = s->codec ? "score" : s->scores_hits ? "accuracy" : s->scores_psnr ? "PSNR (dB)" : "validation loss",
        .unit = s->shown.unit,
        .first_score = s->shown.first_score,
        .input_score = s->shown.input_score,
        .score = final_score(s),
        .progress = &s->progress,
        .steps = aei_pace_steps(&s->pace, s->progress.step, passed(s)),
        .noisy_only = s->options->noisy_only,
    };
    float *before = NULL;
    ae_status st = AE_OK;

    if ((s->scores_psnr || s->codec) && aei_loader_n_validation(s->loader))
        st = show_pictures(s, &report, &before, err);
    if (st == AE_OK)
        st = aei_report_write(s->options->report, &report, err);
    ae_free(before);
    return st;
}

/* The integer decoder of a codec, with ranges measured on held-out pictures. A network without an integer form is worth saving,
 * too. */
static ae_status export(session *s, const float *values, uint8_t **program, size_t *n_bytes, ae_error *err)
{
    const ae_graph *graph = &s->recipe->networks[0].graph;
    uint32_t h, w, n = s->recipe->batch < MOST_EXPORTED ? s->recipe->batch : MOST_EXPORTED, image = 0;
    aei_batch batch;
    ae_error why = {0};
    ae_status st;

    if (!aei_loader_n_validation(s->loader)) {
        warn(s, "no held-out pictures to measure ranges on: the model cannot be decoded with yet (--export)");
        return AE_OK;
    }
    for (uint32_t i = 0; strcmp(graph->nodes[i].name, AE_INPUT_IMAGE) != 0; i++)
        image += graph->nodes[i].op == AE_OP_INPUT;
    aei_loader_input_size(s->recipe, &h, &w);
    if ((st = aei_loader_validation(s->loader, 0, &batch, err)) != AE_OK)
        return st;
    st = ae_export(graph, values, batch.inputs[image], n, w, program, n_bytes, &why);
    if (st == AE_ERR_UNSUPPORTED) {
        warn(s, "%s", why.message);
        return AE_OK;
    }
    if (st != AE_OK && err)
        *err = why;
    return st;
}

static ae_status save(session *s, ae_error *err)
{
    ae_model_parts parts = {
        .recipe_text = s->recipe_text,
        .half = s->options->half,
    };
    char *card;
    uint8_t *program = NULL;
    float *values = NULL;
    uint32_t n_params;
    const ae_param *params = aei_trainer_params(s->trainer, &n_params);
    ae_status st;

    s->progress.seconds = passed(s);
    parts.card = card = make_card(s);
    if (!card)
        return ae_fail(err, AE_ERR_NOMEM, "training: model card");
    st = aei_joined_to_model(s->recipe, params, n_params, final_values(s), &values, &parts.n_floats, err);
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

static ae_status save_checkpoint(session *s, ae_error *err)
{
    if (!s->options->checkpoint)
        return AE_OK;
    s->progress.seconds = passed(s);
    return aei_checkpoint_save(s->options->checkpoint, &s->key, aei_trainer_state(s->trainer), &s->progress, err);
}

/* ---- validation ---- */

/* Decibels of the input as it is: of what a network must be better than. NaN where there is nothing to compare. */
static double score_input(const session *s, const aei_batch *batch)
{
    const ae_graph *graph = &s->recipe->networks[0].graph;
    ae_shape in = {0}, out = aei_trainer_picture(s->trainer);
    const float *input = NULL;
    size_t n = (size_t)out.n * out.h * out.w;
    double error = 0, weights = 0;

    if (!s->scores_psnr || (s->recipe->task != AE_TASK_DENOISE && s->recipe->task != AE_TASK_SUPERRES))
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
            double d = fmin(fmax((double)input[i * out.c + k], 0), 1) - (double)batch->target[i * out.c + k];

            error += weight * d * d;
        }
        weights += weight * out.c;
    }
    return aei_decibels(error / weights);
}

/* Mean score of the averaged parameters over the validation set; NaN where that is empty. */
static ae_status measure(session *s, double *score, ae_error *err)
{
    uint32_t n = aei_loader_n_validation(s->loader);
    double sum = 0, psnr = 0, bpp = 0, input = 0, begun = now();

    aei_trainer_freeze(s->trainer, aei_trainer_state(s->trainer)->average);
    for (uint32_t i = 0; i < n; i++) {
        aei_batch batch;
        aei_evaluation found;
        ae_status st;

        if ((st = aei_loader_validation(s->loader, i, &batch, err)) != AE_OK ||
            (st = aei_trainer_evaluate(s->trainer, &batch, &found, err)) != AE_OK)
            return st;
        sum += s->codec     ? -found.loss
               : s->scores_hits ? found.hit_share
               : s->scores_psnr ? aei_decibels(found.error) : found.loss;
        input += score_input(s, &batch) / n;
        psnr += found.psnr / n;
        bpp += found.bpp / n;
    }
    *score = n ? sum / n : NAN;
    s->shown.psnr = s->codec && n ? psnr : NAN;
    s->shown.bpp = s->codec && n ? bpp : NAN;
    s->shown.input_score = n && !s->options->noisy_only ? input : NAN;
    s->validated = now();
    s->cost = s->validated - begun;
    return AE_OK;
}

static void add_point(session *s, double score)
{
    aei_progress *p = &s->progress;

    if (p->n_points == AEI_CURVE_MAX) {
        for (uint32_t i = 0; i < AEI_CURVE_MAX / 2; i++)
            p->points[i] = p->points[2 * i];
        p->n_points = AEI_CURVE_MAX / 2;
    }
    p->points[p->n_points++] = (aei_point){(double)p->step, s->point_steps ? s->point_loss / (double)s->point_steps : NAN,
                                           (double)s->moment.rate, score};
    s->point_share = aei_pace_share(&s->pace, p->step, passed(s));
    s->point_loss = 0;
    s->point_steps = 0;
}

static void warn_of_layer(void *opaque, const aei_ailing *what)
{
    session *s = opaque;
    const char *name = s->recipe->networks[0].graph.nodes[what->node].name;

    if (!what->exploded)
        warn(s, "layer %s is dead: %u of its %u units let no gradient through, whatever comes in (a lower rate, act: leaky or "
             "another init may help)", name, what->n_dead, what->n_units);
    else if (isfinite(what->size))
        warn(s, "layer %s explodes: its values are %.2g in size (a lower rate, clip: 1 or a normalisation may help)", name,
             what->size);
    else
        warn(s, "layer %s explodes: its values are not finite", name);
}

/* Looks for layers that died or explode, on a shard of the first validation batch. */
static ae_status watch_layers(session *s, ae_error *err)
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
    return aei_watch(g, s->precision, in.n / s->recipe->shards, in.h, in.w, aei_trainer_state(s->trainer)->average, batch.inputs,
                     s->warned, s, warn_of_layer, err);
}

/* Measures, keeps the best, and writes the model. */
static ae_status validate(session *s, ae_error *err)
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
            memcpy(p->best, aei_trainer_state(s->trainer)->average, aei_trainer_state(s->trainer)->n_floats * sizeof(float));
        }
    }
    return save(s, err);
}

/* What training begins with: its score is the first, and unless something is better it stays the model. */
static ae_status measure_first(session *s, ae_error *err)
{
    aei_progress *p = &s->progress;
    uint32_t n = aei_loader_n_validation(s->loader);
    double coarseness;
    ae_status st;

    if (s->options->noisy_only) {
        if ((st = aei_noise_coarseness(s->data, &coarseness, err)) != AE_OK)
            return st;
        if (coarseness > COARSE)
            warn(s, "the noise of these pictures is coarser than a pixel (neighbours are alike by %.0f %%, as in a camera's JPEG "
                 "files): what is learned from the surroundings of a pixel will copy it. Pictures scaled down to half have less of "
                 "this",
                 100 * coarseness);
        warn(s, "scores are taken against the noisy pixels themselves, which cannot be known: they compare runs, and say nothing "
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
static ae_status begin(session *s, const ae_dataset *data, ae_error *err)
{
    const ae_train_options *o = s->options;
    aei_progress *p = &s->progress;
    uint64_t saved_data;
    bool found = false;
    ae_status st;

    s->key = (aei_run_key){XXH3_64bits(s->recipe_text, strlen(s->recipe_text)), 0, o->seed, s->pace.steps, s->precision,
                           o->noisy_only, o->cache_bytes};
    if (o->time_limit > 0 || o->rate > 0) { /* another schedule for each */
        double schedule[2] = {o->time_limit, o->rate};

        s->key.steps = XXH3_64bits_withSeed(schedule, sizeof(schedule), s->pace.steps);
    }
    p->score = p->best_score = NAN;
    if (o->init && (st = start_from(s, !o->checkpoint || access(o->checkpoint, F_OK), err)) != AE_OK)
        return st;
    if (s->recipe->patience || s->start) {
        p->best = ae_alloc(aei_trainer_state(s->trainer)->n_floats, sizeof(float));
        if (!p->best)
            return ae_fail(err, AE_ERR_NOMEM, "training: best parameters");
    }
    if (o->checkpoint &&
        (st = aei_checkpoint_load(o->checkpoint, &s->key, aei_trainer_state(s->trainer), p, &found, err)) != AE_OK)
        return st;
    saved_data = s->key.data;
    if ((st = set_up_loader(s, data, err)) != AE_OK)
        return st;
    s->key.data = aei_loader_fingerprint(s->loader, &(size_t){0});
    s->begun = s->validated = now();
    s->seconds_before = p->seconds;
    if (!found)
        return measure_first(s, err);
    if (saved_data != s->key.data)
        return aei_checkpoint_mismatch(o->checkpoint, "data set", err);
    aei_trainer_refresh(s->trainer);
    if (p->n_points && p->points[0].step < 1)
        s->shown.first_score = p->points[0].score;
    warn(s, "resumed at step %llu from %s", (unsigned long long)p->step, o->checkpoint);
    return AE_OK;
}

/* ---- the loop ---- */

static void report_progress(session *s, bool validated)
{
    double t = now(), lapse = t - s->mark, left = s->pace.limit - passed(s), done = (double)(s->progress.step - s->mark_step);
    ae_train_progress *r = &s->shown;

    r->step = s->progress.step;
    r->steps = aei_pace_steps(&s->pace, s->progress.step, passed(s));
    r->score = s->progress.score;
    r->rate = (double)s->moment.rate;
    r->gradient_norm = s->norm;
    r->seconds = passed(s);
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
    if (s->options->progress)
        s->options->progress(s->options->opaque, r);
    s->mark = t;
    s->mark_step = s->progress.step;
    s->waited = s->loss_sum = 0;
    s->loss_steps = 0;
}

/* By steps, or by the clock where there is a limit. */
static aei_moment moment_now(const session *s)
{
    const aei_progress *p = &s->progress;
    double share = aei_pace_share(&s->pace, p->step, passed(s));
    uint64_t at = s->pace.limit > 0 ? (uint64_t)(share * (double)s->pace.steps) : p->step;
    aei_moment m = aei_moment_of(s->recipe, at, s->pace.steps, p->step);

    if (!s->recipe->n_phases)
        m.rate = aei_pace_rate(&s->pace, p->step, passed(s));
    return m;
}

static ae_status take_step(session *s, ae_error *err)
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
            return ae_fail(err, AE_ERR_MALFORMED, "step %llu: %s, as in the %d steps before; look at the data or lower the rate",
                           (unsigned long long)p->step, result.fault, MAX_FAULTS - 1);
        warn(s, "step %llu: %s; step skipped", (unsigned long long)p->step, result.fault);
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

/* A schedule that must fit a time has no patience: its rate, and with it most of the gain, comes down at the end. */
static bool patience_lost(const session *s)
{
    return s->recipe->patience && s->pace.limit <= 0 && s->progress.stale >= s->recipe->patience;
}

/* Within a time limit validations are measured by the clock and take no more than a tenth of it. */
static bool validation_due(const session *s)
{
    uint64_t every = s->recipe->validate_every ? s->recipe->validate_every : s->pace.steps;

    if (s->pace.limit > 0)
        return now() - s->validated >= fmax(fmin(s->pace.limit / 8, 120), 10 * s->cost);
    return s->progress.step % every == 0;
}

static bool point_due(const session *s)
{
    if (s->pace.limit > 0)
        return aei_pace_share(&s->pace, s->progress.step, passed(s)) >= s->point_share + 0.005;
    return s->progress.step % ((s->pace.steps + 499) / 500) == 0;
}

static ae_status loop(session *s, ae_error *err)
{
    const ae_train_options *o = s->options;
    double every = o->checkpoint_seconds > 0 ? o->checkpoint_seconds : 300, saved = now();
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
        over = aei_pace_share(&s->pace, p->step, passed(s)) >= 1;
        due = over || validation_due(s);
        if (over)
            s->pace.steps = p->step;
        if (due && (st = validate(s, err)) != AE_OK)
            return st;
        if (!due && point_due(s) && s->point_steps)
            add_point(s, NAN);
        if (due || now() - s->mark >= 0.2)
            report_progress(s, due);
        if (now() - saved >= every) {
            if ((st = save_checkpoint(s, err)) != AE_OK)
                return st;
            saved = now();
        }
    }
    if (p->step >= s->pace.steps || patience_lost(s)) {
        if (o->checkpoint)
            unlink(o->checkpoint);
        return AE_OK;
    }
    if ((st = save_checkpoint(s, err)) != AE_OK || (st = save(s, err)) != AE_OK)
        return st;
    report_progress(s, false);
    return ae_fail(err, AE_ERR_CANCELLED, "training: stopped at step %llu of %llu", (unsigned long long)p->step,
                   (unsigned long long)s->shown.steps);
}

static void finish(session *s)
{
    aei_loader_free(s->loader);
    aei_trainer_free(s->trainer);
    ae_free(s->progress.best);
    ae_free(s->start);
    ae_free(s->warned);
    ae_free(s);
}

ae_status ae_train(const ae_recipe *recipe, const char *recipe_text, const ae_dataset *data, const ae_train_options *options,
                   const char *out_path, ae_error *err)
{
    session *s;
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
    s->begun = now();
    if ((st = set_up_trainer(s, data, err)) == AE_OK && (st = begin(s, data, err)) == AE_OK)
        st = loop(s, err);
    finish(s);
    return st;
}

ae_status ae_train_bench(const ae_recipe *recipe, const ae_dataset *data, const ae_train_options *options, uint64_t steps,
                         ae_train_timing *out, ae_error *err)
{
    uint64_t warm;
    aei_step_times before = {0}, after;
    double operations = 0, layers, n = (double)steps;
    uint32_t rounds = 0;
    session *s;
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
    if ((st = set_up_trainer(s, data, err)) != AE_OK || (st = set_up_loader(s, data, err)) != AE_OK)
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
        s->begun = now();
        if ((st = take_step(s, err)) != AE_OK)
            goto done;
        if (i < warm)
            continue;
        out->step += (now() - s->begun) / n;
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
