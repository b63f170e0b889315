/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The network's part behind the latents is run forward on what the decoder will see and backward
 * from the errors of the picture; one step moves the targets against the gradient, over the
 * curvature that a latent has on average, and the entropy coder chooses symbols for them again. The
 * best round is kept. */
#include "latent/refine.h"

#include <math.h>
#include <string.h>

#include "core/rng.h"
#include "nn/exec.h"
#include "nn/graph_extract.h"

/* The second derivative of rate and distortion by a latent in steps is about 17 bits: a uniform
 * quantiser is optimal at high rate where an error of one squared step is worth 6 / ln 2. Latents
 * that others are predicted from without being predicted themselves matter far more. */
static const double curvature = 17, hyper_curvature = 170, first_noise = 0.2;

/* What one `quantise` of the network makes: a part of a source, at positions of its parity. */
typedef struct latent {
    uint32_t source, first, channels, grid, w, h;
    ae_parity parity;
    bool hyper;              /* its distribution depends on the quality alone */
    float *value, *gradient; /* of what is seen */
    float *step;             /* by channel */
} latent;

typedef struct refiner {
    const ae_coder *coder;
    const aei_refining *job;
    ae_graph graph; /* latents are its inputs */
    latent latents[AE_MAX_FROM];
    uint32_t n_inputs, quality_input;
    float *values;
    aei_plan *plan;
    aei_weights *weights;
    aei_run *run;
    float *outputs[AE_MAX_FROM], *d_outputs[AE_MAX_FROM];
    float *decoded[AEI_MAX_SOURCES], *best[AEI_MAX_SOURCES];
} refiner;

/* What a node that quantises makes, of the whole graph. */
static ae_status describe(const refiner *r, const ae_graph *whole, const ae_node *quantise,
                          latent *v, ae_error *err)
{
    const aei_program *p = r->coder->engine->program;
    uint32_t sources[AEI_MAX_SOURCES], n, node = quantise->from[0];
    ae_status st = aei_export_sources(whole, sources, &n, err);

    if (st != AE_OK)
        return st;
    *v = (latent){.channels = whole->nodes[node].out,
                  .parity = quantise->parity,
                  .hyper = whole->nodes[quantise->from[1]].op == AE_OP_EMBED};
    for (; whole->nodes[node].op == AE_OP_CROP; node = whole->nodes[node].from[0])
        v->first += whole->nodes[node].first;
    while (v->source < n && sources[v->source] != node)
        v->source++;
    for (uint32_t k = 0; k < p->n_entropy; k++)
        if (p->ops[k].kind == AEI_LATENT && p->ops[k].source == v->source)
            v->grid = p->ops[k].grid;
    if (!v->grid)
        return ae_fail(err, AE_ERR_MISMATCH,
                       "recipe and decoder program of the model do not belong together");
    v->w = (uint32_t)(r->job->seen.x1 - r->job->seen.x0) / v->grid;
    v->h = (uint32_t)(r->job->seen.y1 - r->job->seen.y0) / v->grid;
    return AE_OK;
}

/* The node that quantises what `bits` counts. */
static bool find_quantised(const ae_graph *g, uint32_t bits, uint32_t *at)
{
    const ae_node *b = &g->nodes[bits], *q = g->nodes;

    while (q < b &&
           (q->op != AE_OP_QUANTISE || q->from[0] != b->from[0] || q->from[1] != b->from[1] ||
            q->from[2] != b->from[3] || q->parity != b->parity))
        q++;
    *at = (uint32_t)(q - g->nodes);
    return q < b;
}

/* The graph with inputs in the place of what quantises. */
static ae_status cut(refiner *r, ae_error *err)
{
    const ae_model *model = r->coder->model;
    const ae_graph *whole = ae_model_graph(model);
    ae_graph g = *whole;
    size_t n_floats;
    ae_status st = AE_OK;

    if (!(g.nodes = ae_alloc(whole->n_nodes, sizeof(*g.nodes))))
        return ae_fail(err, AE_ERR_NOMEM, "a codec");
    memcpy(g.nodes, whole->nodes, whole->n_nodes * sizeof(*g.nodes));
    for (uint32_t i = 0; st == AE_OK && i < whole->n_nodes; i++) {
        const ae_node *from = &whole->nodes[i];
        ae_node *to = &g.nodes[i];
        latent v;

        if (from->op == AE_OP_EMBED) {
            to->init = AE_INIT_HE; /* theirs follows from the analysis, which is left out */
        } else if (from->op == AE_OP_BITS && !find_quantised(whole, i, &to->from[0])) {
            st = ae_fail(err, AE_ERR_UNSUPPORTED,
                         "refining: '%s' counts what is not quantised before", from->name);
        } else if (from->op == AE_OP_QUANTISE &&
                   (st = describe(r, whole, from, &v, err)) == AE_OK) {
            *to = (ae_node){
                .op = AE_OP_INPUT, .out = v.channels, .add = -1, .width = v.w, .height = v.h};
            memcpy(to->name, from->name, sizeof(to->name));
        }
    }
    if (st == AE_OK)
        st = aei_graph_extract(&g, g.outputs, g.n_outputs, &r->graph, NULL, err);
    for (uint32_t i = 0; st == AE_OK && i < r->graph.n_nodes; i++) {
        const ae_node *node = &r->graph.nodes[i];

        if (node->op != AE_OP_INPUT)
            continue;
        if (r->n_inputs == AE_MAX_FROM)
            st = ae_fail(err, AE_ERR_UNSUPPORTED, "refining: more than %d latents",
                         AE_MAX_FROM - 1);
        else if (strcmp(node->name, AE_INPUT_QUALITY) == 0)
            r->quality_input = r->n_inputs;
        else
            st = describe(r, whole, &whole->nodes[ae_graph_find(whole, node->name)],
                          &r->latents[r->n_inputs], err);
        r->n_inputs++;
    }
    ae_free(g.nodes);
    return st == AE_OK ? aei_graph_extract_values(whole, ae_model_values(model, &n_floats),
                                                  &r->graph, &r->values, err)
                       : st;
}

/* The latent's sample at (x, y) of the tile in an array that is laid out like the targets. */
static size_t place(const refiner *r, const latent *v, uint32_t x, uint32_t y)
{
    uint32_t w = (uint32_t)(r->job->tile.x1 - r->job->tile.x0) / v->grid;

    return ((size_t)y * w + x) * r->coder->source_channels[v->source] + v->first;
}

static aei_rect inside(const refiner *r, const latent *v)
{
    const aei_refining *job = r->job;
    int32_t grid = (int32_t)v->grid;

    return (aei_rect){(job->tile.x0 - job->seen.x0) / grid, (job->tile.y0 - job->seen.y0) / grid,
                      (job->tile.x1 - job->seen.x0) / grid, (job->tile.y1 - job->seen.y0) / grid};
}

static bool counts(const latent *v, int32_t x, int32_t y)
{
    return !v->parity || (x + y) % 2 == (v->parity == AE_PARITY_ODD);
}

/* What surrounds the tile is as the analysis has it: its symbols are not known. Tiles begin at even
 * positions. */
static void surround(const refiner *r, latent *v)
{
    const aei_refining *job = r->job;
    uint32_t pitch = r->coder->source_channels[v->source], x0 = (uint32_t)job->seen.x0 / v->grid,
             y0 = (uint32_t)job->seen.y0 / v->grid;

    for (uint32_t y = 0; y < v->h; y++)
        for (uint32_t x = 0; x < v->w; x++) {
            const float *from = job->sources[v->source] +
                                ((size_t)(y + y0) * (job->source_w / v->grid) + x + x0) * pitch +
                                v->first;

            if (counts(v, (int32_t)x, (int32_t)y))
                memcpy(v->value + ((size_t)y * v->w + x) * v->channels, from,
                       v->channels * sizeof(float));
        }
}

/* The steps that the program takes at the quality. */
static void find_steps(const refiner *r, latent *v)
{
    const aei_program *p = r->coder->engine->program;

    for (uint32_t k = 0; k < p->n_entropy; k++) {
        const aei_op *op = &p->ops[k];

        if (op->kind == AEI_LATENT && op->source == v->source && op->source_first == v->first)
            for (uint32_t c = 0; c < op->channels && c < v->channels; c++)
                v->step[c] = (float)(aei_finer(
                                         aei_embed(op->table, op->channels, c, r->job->quality),
                                         aei_beyond(p, op, r->job->quality)) /
                                     ((double)(1u << op->unit) * (double)(1u << op->shift)));
    }
}

static ae_status prepare_latent(refiner *r, latent *v, ae_error *err)
{
    size_t n = (size_t)v->w * v->h * v->channels;

    v->value = ae_alloc(n, sizeof(float));
    v->gradient = ae_alloc(n, sizeof(float));
    v->step = ae_alloc(v->channels, sizeof(float));
    if (!v->value || !v->gradient || !v->step)
        return ae_fail(err, AE_ERR_NOMEM, "latents of %u x %u", v->w, v->h);
    surround(r, v);
    find_steps(r, v);
    return AE_OK;
}

static size_t source_floats(const refiner *r, uint32_t source)
{
    for (uint32_t i = 0; i < r->n_inputs; i++) {
        const latent *v = &r->latents[i];

        if (i != r->quality_input && v->source == source)
            return place(r, v, 0, (uint32_t)(r->job->tile.y1 - r->job->tile.y0) / v->grid) -
                   v->first;
    }
    return 0;
}

/* Bits count in the tile alone: what is around it is coded without it. */
static void weigh_bits(const refiner *r, ae_shape s, float *to)
{
    const aei_refining *job = r->job;
    int32_t grid = (job->seen.x1 - job->seen.x0) / (int32_t)s.w, dx = job->tile.x0 - job->seen.x0,
            dy = job->tile.y0 - job->seen.y0;

    for (int32_t y = 0; y < (int32_t)s.h; y++)
        for (int32_t x = 0; x < (int32_t)s.w; x++)
            for (uint32_t c = 0; c < s.c; c++)
                to[((size_t)y * s.w + (size_t)x) * s.c + c] = x * grid >= dx &&
                                                              x * grid <
                                                                  dx + (int32_t)job->visible_w &&
                                                              y * grid >= dy &&
                                                              y * grid <
                                                                  dy + (int32_t)job->visible_h;
}

static ae_status prepare(refiner *r, ae_error *err)
{
    aei_plan_config config = {.n = 1,
                              .h = (uint32_t)(r->job->seen.y1 - r->job->seen.y0),
                              .w = (uint32_t)(r->job->seen.x1 - r->job->seen.x0),
                              .precision = ae_precision_resolve(r->job->precision),
                              .train = true,
                              .input_gradients = true,
                              .refine = true};
    ae_status st;

    if ((st = cut(r, err)) != AE_OK ||
        (st = aei_plan_create(&r->graph, &config, &r->plan, err)) != AE_OK ||
        (st = aei_weights_create(r->plan, &r->weights, err)) != AE_OK ||
        (st = aei_run_create(r->plan, &r->run, err)) != AE_OK)
        return st;
    aei_weights_set(r->weights, r->values);
    for (uint32_t i = 0; i < r->n_inputs; i++)
        if (i != r->quality_input && (st = prepare_latent(r, &r->latents[i], err)) != AE_OK)
            return st;
    for (uint32_t i = 0; i < r->coder->analysis.n_outputs; i++) {
        r->decoded[i] = ae_alloc(source_floats(r, i), sizeof(float));
        r->best[i] = ae_alloc(source_floats(r, i), sizeof(float));
        if (!r->decoded[i] || !r->best[i])
            return ae_fail(err, AE_ERR_NOMEM, "latents of a tile");
    }
    for (uint32_t i = 0; i < r->graph.n_outputs; i++) {
        ae_shape s = aei_plan_output_shape(r->plan, i);

        r->d_outputs[i] = ae_alloc((size_t)s.w * s.h, s.c * sizeof(float));
        r->outputs[i] = i ? NULL : ae_alloc((size_t)s.w * s.h, s.c * sizeof(float));
        if (!r->d_outputs[i] || (!i && !r->outputs[i]))
            return ae_fail(err, AE_ERR_NOMEM, "%u x %u samples", s.w, s.h);
        if (i)
            weigh_bits(r, s, r->d_outputs[i]);
    }
    return AE_OK;
}

/* lambda * 255^2 * the tile's squared error by channel, which stands beside bits, and its gradient.
 */
static double weigh_errors(refiner *r, double lambda)
{
    const aei_refining *job = r->job;
    uint32_t c = r->coder->planes, w = (uint32_t)(job->seen.x1 - job->seen.x0);
    double scale = lambda * 255 * 255 / c, sum = 0;

    memset(r->d_outputs[0], 0,
           (size_t)w * (uint32_t)(job->seen.y1 - job->seen.y0) * c * sizeof(float));
    for (uint32_t y = 0; y < job->visible_h; y++) {
        size_t at = ((size_t)(y + (uint32_t)(job->tile.y0 - job->seen.y0)) * w +
                     (uint32_t)(job->tile.x0 - job->seen.x0)) *
                    c;
        const float *wanted = job->picture + ((size_t)(y + (uint32_t)job->tile.y0) * job->source_w +
                                              (uint32_t)job->tile.x0) *
                                                 c;

        for (uint32_t k = 0; k < job->visible_w * c; k++) {
            float error = r->outputs[0][at + k] - wanted[k];

            sum += scale * error * error;
            r->d_outputs[0][at + k] = (float)(2 * scale) * error;
        }
    }
    return sum;
}

static void put_decoded(const refiner *r, latent *v)
{
    aei_rect in = inside(r, v);

    for (int32_t y = in.y0; y < in.y1; y++)
        for (int32_t x = in.x0; x < in.x1; x++)
            if (counts(v, x, y))
                memcpy(v->value + ((size_t)y * v->w + (size_t)x) * v->channels,
                       r->decoded[v->source] +
                           place(r, v, (uint32_t)(x - in.x0), (uint32_t)(y - in.y0)),
                       v->channels * sizeof(float));
}

/* Newton's step by the diagonal from what was decoded, and noise, which frees from where no single
 * step leads on. What hyper-latents decode to would take every small step back, and their own bits
 * count in the gradient, so their targets themselves descend. remaining: 1 .. 0 */
static void move_targets(const refiner *r, const latent *v, double remaining, aei_rng *rng)
{
    aei_rect in = inside(r, v);
    float rate = (float)(v->hyper ? remaining / hyper_curvature : 1 / curvature),
          noise = (float)(v->hyper ? 0 : first_noise * remaining);

    for (int32_t y = in.y0; y < in.y1; y++)
        for (int32_t x = in.x0; x < in.x1; x++) {
            size_t at = place(r, v, (uint32_t)(x - in.x0), (uint32_t)(y - in.y0));
            const float *g = v->gradient + ((size_t)y * v->w + (size_t)x) * v->channels,
                        *from = (v->hyper ? r->job->targets : r->decoded)[v->source] + at;
            float *to = r->job->targets[v->source] + at;

            for (uint32_t c = 0; c < v->channels && counts(v, x, y); c++) {
                float steps = fminf(fmaxf(-rate * g[c] * v->step[c], -1), 1);

                to[c] = from[c] + v->step[c] * (steps + noise * (aei_rng_float(rng) - 0.5f));
            }
        }
}

static void release(refiner *r)
{
    for (uint32_t i = 0; i < AE_MAX_FROM; i++) {
        latent *v = &r->latents[i];

        ae_free(v->value);
        ae_free(v->gradient);
        ae_free(v->step);
        ae_free(r->outputs[i]);
        ae_free(r->d_outputs[i]);
        ae_free(r->decoded[i]);
        ae_free(r->best[i]);
    }
    ae_free(r->values);
    aei_run_free(r->run);
    aei_weights_free(r->weights);
    aei_plan_free(r->plan);
    ae_graph_free(&r->graph);
}

/* Chooses symbols for the targets. *cost: bits and weighted errors of what they decode to. */
static ae_status try_targets(refiner *r, const float *const *inputs, double lambda, double *cost,
                             ae_error *err)
{
    const aei_refining *job = r->job;
    aei_latents l = {.sources = (const float *const *)job->targets,
                     .n_channels = r->coder->source_channels,
                     .effort = job->effort,
                     .visible_w = job->visible_w,
                     .visible_h = job->visible_h,
                     .decoded = r->decoded};
    ae_status st;

    aei_walk_quality(job->walk, job->quality);
    if ((st = aei_walk_entropy(job->walk, (uint32_t)(job->tile.x1 - job->tile.x0),
                               (uint32_t)(job->tile.y1 - job->tile.y0), &l, err)) != AE_OK)
        return st;
    for (uint32_t i = 0; i < r->n_inputs; i++)
        if (i != r->quality_input)
            put_decoded(r, &r->latents[i]);
    st = aei_run_forward(r->run, r->weights, inputs, r->outputs, 0, err);
    *cost = st == AE_OK ? l.bits + weigh_errors(r, lambda) : 0;
    return st;
}

static void copy_targets(const refiner *r, float *const *to, float *const *from)
{
    for (uint32_t s = 0; s < r->coder->analysis.n_outputs; s++)
        memcpy(to[s], from[s], source_floats(r, s) * sizeof(float));
}

ae_status aei_refine(const ae_coder *coder, const aei_refining *job, ae_error *err)
{
    const ae_term *loss = &ae_model_recipe(coder->model)->terms[0];
    float quality = fminf((float)job->quality / AE_QUALITY_ONE, 1);
    double lambda = loss->lambda_min * pow((double)loss->lambda_max / loss->lambda_min,
                                           (double)job->quality / AE_QUALITY_ONE);
    double cost, least = 0;
    refiner r = {.coder = coder, .job = job};
    const float *inputs[AE_MAX_FROM];
    float *d_inputs[AE_MAX_FROM];
    aei_rng rng = aei_rng_make(0, 0, 0);
    ae_status st = prepare(&r, err);

    for (uint32_t i = 0; i < r.n_inputs; i++) {
        inputs[i] = i == r.quality_input ? &quality : r.latents[i].value;
        d_inputs[i] = i == r.quality_input ? NULL : r.latents[i].gradient;
    }
    for (uint32_t round = 0;
         st == AE_OK && (st = try_targets(&r, inputs, lambda, &cost, err)) == AE_OK; round++) {
        if (!round || cost < least) {
            least = cost;
            copy_targets(&r, r.best, job->targets);
        }
        if (round == job->rounds)
            break;
        st = aei_run_backward(r.run, r.weights, (const float *const *)r.d_outputs, NULL, d_inputs,
                              err);
        for (uint32_t i = 0; i < r.n_inputs && st == AE_OK; i++)
            if (i != r.quality_input)
                move_targets(&r, &r.latents[i], 1 - (double)round / job->rounds, &rng);
    }
    if (st == AE_OK)
        copy_targets(&r, job->targets, r.best);
    release(&r);
    return st;
}
