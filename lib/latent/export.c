/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Numbers: a tensor's value v is stored as v * 2^e, with one e for all tensors that are added,
 * joined or rearranged into one another, as large as the measured range allows. A convolution's
 * weights have a scale for each output, as large as 16 bits and the sum's 32 allow. */
#include "latent/export.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ae/compress.h"
#include "latent/walk.h"
#include "nn/exec.h"

/* of latents and of the picture */
enum { LIMIT = 8191, WIDE = 16383, PER_OCTAVE = 8, N_SCALES = 96, PROBE = 2048 };
static const double least_scale = 0.11;

typedef struct exporter {
    const ae_graph *graph;
    const float *values;
    ae_param *params;
    uint32_t n_params;
    ae_shape *shapes;        /* for pictures of PROBE x PROBE */
    bool *decoder, *entropy; /* by node */
    uint32_t *group;         /* nodes of one exponent: the representative */
    double *peak;            /* largest magnitude seen; of a group at its representative */
    bool *wide;
    int32_t *exponent;
    int32_t *op_of; /* by node, -1: none */
    uint32_t sources[AEI_MAX_SOURCES], n_sources;
    aei_op ops[AEI_MAX_OPS];
    uint32_t n_ops;
    const float *pictures;
    uint32_t n_pictures, edge;
    aei_walk *walk;     /* of the program with normal distributions ... */
    aei_counts *counts; /* ... and what it codes */
    void *owned[3 * AEI_MAX_OPS];
    uint32_t n_owned;
} exporter;

static ae_status unsupported(const ae_node *n, const char *what, ae_error *err)
{
    return ae_fail(err, AE_ERR_UNSUPPORTED, "layer %s (%s) has no integer form: %s", n->name,
                   ae_op_name(n->op), what);
}

static void *own(exporter *x, size_t count, size_t size)
{
    void *memory = ae_alloc(count, size);

    if (memory)
        x->owned[x->n_owned++] = memory;
    return memory;
}

/* ---- ranges ---- */

/* Runs the network on every picture at several qualities and lets `see` look at some of its
 * tensors. */
typedef ae_status (*observer)(exporter *x, uint32_t quality, uint32_t edge, float *const *tensors,
                              const ae_shape *shapes, ae_error *err);

static ae_status run_pictures(exporter *x, const uint32_t *nodes, uint32_t n_nodes,
                              uint32_t n_qualities, observer see, ae_error *err)
{
    const ae_graph *g = x->graph;
    aei_plan_config config = {.n = 1,
                              .h = x->edge,
                              .w = x->edge,
                              .precision = AE_PRECISION_F32,
                              .taps = nodes,
                              .n_taps = n_nodes};
    aei_plan *plan = NULL;
    aei_weights *weights = NULL;
    aei_run *run = NULL;
    uint32_t n_outputs = g->n_outputs + n_nodes, n_inputs = 0, image = 0;
    float **outputs = ae_alloc(n_outputs, sizeof(*outputs)), quality;
    ae_shape *shapes = ae_alloc(n_outputs, sizeof(*shapes));
    const float *inputs[2];
    size_t picture = 0;
    bool complete = outputs && shapes;
    ae_status st = AE_OK;

    for (uint32_t i = 0; i < g->n_nodes; i++) {
        if (g->nodes[i].op != AE_OP_INPUT)
            continue;
        if (!strcmp(g->nodes[i].name, AE_INPUT_IMAGE)) {
            picture = (size_t)x->edge * x->edge * g->nodes[i].out;
            image = n_inputs;
        }
        n_inputs++;
    }
    if (n_inputs != 2 || !picture)
        st = ae_fail(err, AE_ERR_UNSUPPORTED, "a codec whose inputs are not image and quality");
    if (st != AE_OK || (st = aei_plan_create(g, &config, &plan, err)) != AE_OK ||
        (st = aei_weights_create(plan, &weights, err)) != AE_OK ||
        (st = aei_run_create(plan, &run, err)) != AE_OK)
        goto done;
    aei_weights_set(weights, x->values);
    for (uint32_t i = g->n_outputs; complete && i < n_outputs; i++) {
        shapes[i] = aei_plan_output_shape(plan, i);
        complete = (outputs[i] = ae_alloc((size_t)shapes[i].h * shapes[i].w * shapes[i].c,
                                          sizeof(float))) != NULL;
    }
    if (!complete)
        st = ae_fail(err, AE_ERR_NOMEM, "activations of %u x %u pixels", x->edge, x->edge);
    for (uint32_t k = 0; st == AE_OK && k < x->n_pictures * n_qualities; k++) {
        uint32_t q = k % n_qualities * AE_QUALITY_ONE / (n_qualities - 1);

        quality = (float)q / AE_QUALITY_ONE;
        inputs[image] = x->pictures + k / n_qualities * picture;
        inputs[1 - image] = &quality;
        if ((st = aei_run_forward(run, weights, inputs, outputs, 0, err)) == AE_OK)
            st = see(x, q, x->edge, outputs + g->n_outputs, shapes + g->n_outputs, err);
    }
done:
    for (uint32_t i = 0; outputs && i < n_outputs; i++)
        ae_free(outputs[i]);
    ae_free(outputs);
    ae_free(shapes);
    aei_run_free(run);
    aei_weights_free(weights);
    aei_plan_free(plan);
    return st;
}

static ae_status see_ranges(exporter *x, uint32_t quality, uint32_t edge, float *const *tensors,
                            const ae_shape *shapes, ae_error *err)
{
    (void)quality;
    (void)edge;
    (void)err;
    for (uint32_t i = 0, t = 0; i < x->graph->n_nodes; i++) {
        if (!x->decoder[i])
            continue;
        for (size_t k = 0; k < (size_t)shapes[t].h * shapes[t].w * shapes[t].c; k++)
            x->peak[i] = fmax(x->peak[i], fabs((double)tensors[t][k]));
        t++;
    }
    return AE_OK;
}

static ae_status measure(exporter *x, ae_error *err)
{
    uint32_t *nodes = ae_alloc(x->graph->n_nodes, sizeof(*nodes)), n = 0;
    ae_status st;

    if (!nodes)
        return ae_fail(err, AE_ERR_NOMEM, "decoder program");
    for (uint32_t i = 0; i < x->graph->n_nodes; i++)
        if (x->decoder[i])
            nodes[n++] = i;
    st = run_pictures(x, nodes, n, 3, see_ranges, err);
    ae_free(nodes);
    return st;
}

static const float *tensor(const exporter *x, const ae_node *n, const char *suffix)
{
    for (uint32_t i = 0; i < x->n_params; i++) {
        size_t length = strlen(n->param);

        if (!strncmp(x->params[i].name, n->param, length) &&
            !strcmp(x->params[i].name + length, suffix))
            return x->values + x->params[i].offset;
    }
    return NULL;
}

/* An embedded table at position row of 65. */
static double embedded(const exporter *x, const ae_node *n, uint32_t row, uint32_t c)
{
    const float *table = tensor(x, n, ".weight");
    double at = row * (n->factor - 1.0) / (AEI_EMBED_ROWS - 1);
    uint32_t k = (uint32_t)at < n->factor - 1 ? (uint32_t)at : n->factor - 1;
    double low = (double)table[k * n->out + c],
           high = k + 1 < n->factor ? (double)table[(k + 1) * n->out + c] : low;

    return low + (at - k) * (high - low);
}

static void choose_exponents(exporter *x)
{
    const ae_graph *g = x->graph;

    for (uint32_t i = 0; i < g->n_nodes; i++) {
        const ae_node *n = &g->nodes[i],
                      *step = n->op == AE_OP_QUANTISE ? &g->nodes[n->from[2]] : n;
        uint32_t root = aei_export_find(x->group, i);

        if (!x->decoder[i])
            continue;
        /* A latent's steps are stored in its own unit. */
        for (uint32_t r = 0; step->op == AE_OP_EMBED && r < AEI_EMBED_ROWS; r++)
            for (uint32_t c = 0; c < n->out; c++)
                x->peak[i] = fmax(x->peak[i], step == n ? fabs(embedded(x, n, r, c))
                                                        : exp2(embedded(x, step, r, c)));
        x->peak[root] = fmax(x->peak[root], x->peak[i]);
        x->wide[root] |= n->op == AE_OP_QUANTISE || i == g->outputs[0];
    }
    for (uint32_t i = 0; i < g->n_nodes; i++)
        if (x->decoder[i] && aei_export_find(x->group, i) == i) {
            double room = fmax(x->peak[i], 1e-3) * (x->wide[i] ? 1.5 : 1.25);

            x->exponent[i] = (int32_t)floor(log2((x->wide[i] ? WIDE : LIMIT) / room));
            x->exponent[i] = x->exponent[i] > 14 ? 14 : x->exponent[i];
        }
}

static int32_t exponent_of(exporter *x, uint32_t node)
{
    return x->exponent[aei_export_find(x->group, node)];
}

/* ---- operators ---- */

static int16_t to_int16(double v, int32_t limit)
{
    return (int16_t)lrint(fmin(fmax(v, -limit), limit));
}

static ae_status leak_of(const ae_node *n, uint32_t *leak, ae_error *err)
{
    *leak = AEI_NO_LEAK;
    if (n->act == AE_ACT_RELU)
        *leak = AEI_RELU;
    else if (n->act == AE_ACT_LEAKY)
        for (*leak = 1; *leak < 16 && ldexpf(1, -(int)*leak) != n->slope; ++*leak)
            ;
    else if (n->act != AE_ACT_NONE && n->act != AE_ACT_CLIP)
        return unsupported(n, "its activation", err);
    return *leak == 16
               ? unsupported(n, "the slope of its activation is not 1/2, 1/4, 1/8, ...", err)
               : AE_OK;
}

/* One output's weights, as fine as they can be. */
static bool quantise_output(const float *w, double bias, size_t n, uint32_t in, uint32_t kernel2,
                            double scale, int32_t magnitude, int64_t room, int16_t *to,
                            int32_t *to_bias, uint8_t *to_shift)
{
    for (int s = 24; s >= 0; s--) {
        double gain = scale * ldexp(1, s), largest = 0,
               sum = fabs(bias) * ldexp(1, s) + ldexp(1, s) + 1;

        for (size_t i = 0; i < n; i++) {
            largest = fmax(largest, fabs((double)w[i] * gain));
            sum += (fabs((double)w[i] * gain) + 0.5) * magnitude;
        }
        if (largest > 32767 || sum >= 2147483647.0 ||
            (sum / ldexp(1, s)) + (double)room >= 2147483647.0)
            continue;
        for (uint32_t k = 0; k < kernel2; k++) /* I x KH x KW becomes KH x KW x I */
            for (uint32_t c = 0; c < in; c++)
                to[k * in + c] = (int16_t)lrint((double)w[c * kernel2 + k] * gain);
        *to_bias = (int32_t)lrint(bias * ldexp(1, s));
        *to_shift = (uint8_t)s;
        return true;
    }
    return false;
}

static ae_status emit_conv(exporter *x, const ae_node *n, uint32_t index, aei_op *op, ae_error *err)
{
    uint32_t in = x->shapes[n->from[0]].c, kernel2 = n->kernel[0] * n->kernel[0];
    size_t per_output = (size_t)in * kernel2;
    int32_t e_in = exponent_of(x, n->from[0]), e_out = exponent_of(x, index);
    const float *weights = tensor(x, n, ".weight"), *bias = tensor(x, n, ".bias");
    int16_t *w = own(x, per_output, n->out * sizeof(*w));
    int32_t *b = own(x, n->out, sizeof(*b));
    uint8_t *s = own(x, n->out, 1);

    if (!w || !b || !s)
        return ae_fail(err, AE_ERR_NOMEM, "decoder program");
    if (n->kernel[0] != n->kernel[1] || n->stride[0] != n->stride[1] || n->pad[0] != n->pad[1] ||
        n->causal || n->groups != 1 || n->dilation[0] != 1 || n->dilation[1] != 1)
        return unsupported(n, "kernels that are not square, groups or dilation", err);
    op->kind = AEI_CONV;
    op->kernel = n->kernel[0];
    op->stride = n->stride[0];
    op->pad = n->pad[0];
    op->weights = w;
    op->bias = b;
    op->shifts = s;
    if (n->add >= 0)
        op->in[op->n_in++] = (uint32_t)x->op_of[n->add];
    for (uint32_t o = 0; o < n->out; o++)
        if (!quantise_output(weights + o * per_output, bias ? ldexp((double)bias[o], e_out) : 0,
                             per_output, in, kernel2, ldexp(1, e_out - e_in), x->ops[op->in[0]].hi,
                             WIDE + (1 << 16), w + o * per_output, &b[o], &s[o]))
            return unsupported(n, "its weights are too large", err);
    return AE_OK;
}

static ae_status emit_embed(exporter *x, const ae_node *n, uint32_t index, aei_op *op,
                            ae_error *err)
{
    int16_t *table = own(x, (size_t)AEI_EMBED_ROWS * n->out, sizeof(*table));

    if (!table)
        return ae_fail(err, AE_ERR_NOMEM, "decoder program");
    if (strcmp(x->graph->nodes[n->from[0]].name, "quality") != 0)
        return unsupported(n, "its position is not the quality", err);
    op->kind = AEI_EMBED;
    op->n_in = 0;
    op->table = table;
    for (uint32_t r = 0; r < AEI_EMBED_ROWS; r++)
        for (uint32_t c = 0; c < n->out; c++)
            table[r * n->out + c] = to_int16(ldexp(embedded(x, n, r, c), exponent_of(x, index)),
                                             op->hi);
    return AE_OK;
}

static ae_status emit_latent(exporter *x, const ae_node *n, uint32_t index, aei_op *op,
                             ae_error *err)
{
    const ae_node *bits = aei_export_bits(x->graph, n), *step = &x->graph->nodes[n->from[2]];
    uint32_t source = n->from[0];
    int32_t e = exponent_of(x, index), e_scale;
    int16_t *table = own(x, 2 * (size_t)AEI_EMBED_ROWS * n->out, sizeof(*table)), *logs;
    double largest = 0;

    if (!table)
        return ae_fail(err, AE_ERR_NOMEM, "decoder program");
    logs = table + (size_t)AEI_EMBED_ROWS * n->out;
    if (!bits)
        return unsupported(n, "no bits of the same inputs", err);
    if (step->op != AE_OP_EMBED || step->act != AE_ACT_NONE || step->out != n->out)
        return unsupported(n, "its step is not an embedded table", err);
    e_scale = exponent_of(x, bits->from[2]);
    if (e < 0 || e_scale < 3)
        return unsupported(n, "means or scales are too large", err);
    aei_export_look_through(x->graph, &source, &op->source_first);
    for (op->source = 0; x->sources[op->source] != source; op->source++)
        ;
    op->kind = AEI_LATENT;
    op->parity = n->parity;
    op->grid = PROBE / x->shapes[index].h;
    op->unit = (uint32_t)e;
    op->in[0] = (uint32_t)x->op_of[n->from[1]];
    op->in[1] = (uint32_t)x->op_of[bits->from[2]];
    op->n_in = 2;
    op->table = table;
    op->log_steps = logs;
    op->index_shift = (uint32_t)e_scale - 3; /* PER_OCTAVE = 2^3 */
    op->index_offset = (int32_t)lrint(ldexp(0.5 / PER_OCTAVE - log2(least_scale), e_scale));
    for (uint32_t r = 0; r < AEI_EMBED_ROWS; r++)
        for (uint32_t c = 0; c < n->out; c++)
            largest = fmax(largest, ldexp(exp2(embedded(x, step, r, c)), e));
    if (largest > 32767)
        return unsupported(n, "its steps are too large", err);
    while (op->shift < 15 && ldexp(largest, (int)op->shift + 1) <= 32767)
        op->shift++;
    for (uint32_t r = 0; r < AEI_EMBED_ROWS; r++)
        for (uint32_t c = 0; c < n->out; c++) {
            double v = embedded(x, step, r, c);

            table[r * n->out + c] = to_int16(fmax(ldexp(exp2(v), e + (int)op->shift), 1), 32767);
            logs[r * n->out + c] = to_int16(ldexp(v, e_scale), 32767);
        }
    return AE_OK;
}

/* What is added to a product has an operator of its own. */
static ae_status emit_mul(exporter *x, const ae_node *n, uint32_t index, aei_op *op, ae_error *err)
{
    int32_t shift = exponent_of(x, n->from[0]) + exponent_of(x, n->from[1]) - exponent_of(x, index);
    aei_op *sum = op + 1;

    if (shift < 0 || shift > 30)
        return unsupported(n, "the ranges of its operands", err);
    if (n->add >= 0) {
        if (x->n_ops == AEI_MAX_OPS - 2)
            return ae_fail(err, AE_ERR_LIMIT, "more than %d layers in the decoder", AEI_MAX_OPS);
        *sum = *op;
        sum->kind = AEI_ADD;
        sum->in[0] = x->n_ops++;
        sum->in[1] = (uint32_t)x->op_of[n->add];
        op->leak = AEI_NO_LEAK;
        op->lo = -op->hi;
    }
    op->kind = AEI_MUL;
    op->shift = (uint32_t)shift;
    return AE_OK;
}

static ae_status emit(exporter *x, uint32_t index, ae_error *err)
{
    const ae_node *n = &x->graph->nodes[index];
    aei_op *op = &x->ops[x->n_ops];
    int32_t limit = x->wide[aei_export_find(x->group, index)] ? WIDE : LIMIT;
    ae_status st;

    if (x->n_ops == AEI_MAX_OPS - 1)
        return ae_fail(err, AE_ERR_LIMIT, "more than %d layers in the decoder", AEI_MAX_OPS);
    if (aei_export_is_pair(x->graph, x->decoder, n)) {
        uint32_t a = n->from[0] < n->from[1] ? n->from[0] : n->from[1],
                 b = n->from[0] + n->from[1] - a;

        x->op_of[index] = x->op_of[b];
        x->ops[x->op_of[b]].in[2] = (uint32_t)x->op_of[a];
        x->ops[x->op_of[b]].n_in = 3;
        return AE_OK;
    }
    *op = (aei_op){.channels = x->shapes[index].c, .lo = -limit, .hi = limit};
    if ((st = leak_of(n, &op->leak, err)) != AE_OK)
        return st;
    if (n->act == AE_ACT_CLIP) {
        op->lo = 0;
        op->hi = 1 << exponent_of(x, index);
    }
    if (n->act && n->op != AE_OP_CONV && n->op != AE_OP_ADD && n->op != AE_OP_ACT &&
        !(n->op == AE_OP_MUL && n->add >= 0))
        return unsupported(n, "its activation", err);
    if (n->op != AE_OP_QUANTISE && n->op != AE_OP_EMBED)
        for (; op->n_in < n->n_from; op->n_in++)
            op->in[op->n_in] = (uint32_t)x->op_of[n->from[op->n_in]];
    switch (n->op) {
    case AE_OP_CONV: st = emit_conv(x, n, index, op, err); break;
    case AE_OP_EMBED: st = emit_embed(x, n, index, op, err); break;
    case AE_OP_QUANTISE: st = emit_latent(x, n, index, op, err); break;
    case AE_OP_ADD:
    case AE_OP_ACT: op->kind = AEI_ADD; break;
    case AE_OP_MUL: st = emit_mul(x, n, index, op, err); break;
    case AE_OP_CONCAT: op->kind = AEI_CONCAT; break;
    case AE_OP_CROP:
        op->kind = AEI_CROP;
        op->first = n->first;
        break;
    case AE_OP_SHUFFLE:
        op->kind = AEI_SHUFFLE;
        op->factor = n->factor;
        break;
    default: st = unsupported(n, "such an operator", err);
    }
    x->op_of[index] = (int32_t)x->n_ops++;
    return st;
}

static ae_status emit_output(exporter *x, ae_error *err)
{
    uint32_t picture = x->graph->outputs[0];
    int32_t e = exponent_of(x, picture);

    if (e < 4)
        return unsupported(&x->graph->nodes[picture], "the range of the picture", err);
    x->ops[x->n_ops++] = (aei_op){.kind = AEI_OUTPUT,
                                  .channels = x->shapes[picture].c,
                                  .n_in = 1,
                                  .in = {(uint32_t)x->op_of[picture]},
                                  .lo = -WIDE,
                                  .hi = WIDE,
                                  .shift = (uint32_t)e};
    return AE_OK;
}

static ae_status build(exporter *x, ae_error *err)
{
    const ae_graph *g = x->graph;
    size_t n_floats;
    ae_status st;

    if ((st = ae_graph_params(g, &x->params, &x->n_params, &n_floats, err)) != AE_OK ||
        (st = ae_graph_shapes(g, 1, PROBE, PROBE, x->shapes, err)) != AE_OK ||
        (st = aei_export_sources(g, x->sources, &x->n_sources, err)) != AE_OK)
        return st;
    aei_export_decoder(g, x->decoder);
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        x->entropy[i] = x->decoder[i] && g->nodes[i].op == AE_OP_QUANTISE;
        x->op_of[i] = -1;
        if (x->decoder[i] && g->nodes[i].op == AE_OP_INPUT)
            return unsupported(&g->nodes[i], "the decoder would need it", err);
    }
    aei_export_mark(g, x->entropy);
    aei_export_group(g, x->decoder, x->group);
    if ((st = measure(x, err)) != AE_OK)
        return st;
    choose_exponents(x);
    for (uint32_t k = 0; k < 2; k++)
        for (uint32_t i = 0; i < g->n_nodes; i++)
            if (x->decoder[i] && x->entropy[i] == !k && (st = emit(x, i, err)) != AE_OK)
                return st;
    return emit_output(x, err);
}

/* ---- distributions ---- */

static ae_status see_symbols(exporter *x, uint32_t quality, uint32_t edge, float *const *tensors,
                             const ae_shape *shapes, ae_error *err)
{
    uint32_t n_channels[AEI_MAX_SOURCES];
    aei_latents latents = {.sources = (const float *const *)tensors,
                           .n_channels = n_channels,
                           .counts = x->counts,
                           .effort = AE_EFFORT_CHOOSES,
                           .visible_w = edge,
                           .visible_h = edge};

    for (uint32_t i = 0; i < x->n_sources; i++)
        n_channels[i] = shapes[i].c;
    aei_walk_quality(x->walk, quality);
    return aei_walk_entropy(x->walk, edge, edge, &latents, err);
}

/* The program with the distributions that its symbols have. */
static ae_status pack(exporter *x, uint8_t **bytes, size_t *n_bytes, ae_error *err)
{
    aei_scale scales[N_SCALES];
    uint16_t *starts = NULL;
    aei_program *program = NULL;
    aei_engine *engine = NULL;
    aei_weights_of *weights = ae_alloc(N_SCALES, sizeof(*weights));
    ae_status st;

    x->counts = ae_alloc(N_SCALES, sizeof(*x->counts));
    if (!weights || !x->counts) {
        st = ae_fail(err, AE_ERR_NOMEM, "distributions");
        goto done;
    }
    if ((st = aei_fit_tables(NULL, least_scale, PER_OCTAVE, N_SCALES, scales, &starts, err)) !=
            AE_OK ||
        (st = aei_program_pack(x->ops, x->n_ops, scales, N_SCALES, bytes, n_bytes, err)) != AE_OK ||
        (st = aei_program_load(*bytes, *n_bytes, &program, err)) != AE_OK)
        goto done;
    if (x->edge > AE_CODER_TILE || x->edge % program->stride) {
        st = ae_fail(err, AE_ERR_ARGUMENT, "pictures of %u pixels, not a multiple of %u up to %d",
                     x->edge, program->stride, AE_CODER_TILE);
        aei_program_free(program);
        goto done;
    }
    if ((st = aei_engine_create(program, aei_cpu_best(), &engine, err)) != AE_OK ||
        (st = aei_walk_create(engine, &x->walk, err)) != AE_OK ||
        (st = run_pictures(x, x->sources, x->n_sources, 5, see_symbols, err)) != AE_OK)
        goto done;
    aei_fit(x->counts, least_scale, PER_OCTAVE, N_SCALES, weights);
    ae_free(starts);
    ae_free(*bytes);
    *bytes = NULL;
    if ((st = aei_fit_tables(weights, least_scale, PER_OCTAVE, N_SCALES, scales, &starts, err)) ==
        AE_OK)
        st = aei_program_pack(x->ops, x->n_ops, scales, N_SCALES, bytes, n_bytes, err);
done:
    aei_walk_free(x->walk);
    aei_engine_free(engine);
    ae_free(x->counts);
    ae_free(weights);
    ae_free(starts);
    if (st != AE_OK) {
        ae_free(*bytes);
        *bytes = NULL;
    }
    return st;
}

ae_status ae_export(const ae_graph *graph, const float *values, const float *pictures, uint32_t n,
                    uint32_t edge, uint8_t **bytes, size_t *n_bytes, ae_error *err)
{
    exporter *x = ae_alloc(1, sizeof(*x));
    uint32_t count = graph->n_nodes;
    ae_status st = AE_OK;

    *bytes = NULL;
    *n_bytes = 0;
    if (!x)
        return ae_fail(err, AE_ERR_NOMEM, "decoder program");
    x->graph = graph;
    x->values = values;
    x->pictures = pictures;
    x->n_pictures = n;
    x->edge = edge;
    x->shapes = ae_alloc(count, sizeof(*x->shapes));
    x->decoder = ae_alloc(count, sizeof(bool));
    x->entropy = ae_alloc(count, sizeof(bool));
    x->wide = ae_alloc(count, sizeof(bool));
    x->group = ae_alloc(count, sizeof(*x->group));
    x->peak = ae_alloc(count, sizeof(*x->peak));
    x->exponent = ae_alloc(count, sizeof(*x->exponent));
    x->op_of = ae_alloc(count, sizeof(*x->op_of));
    if (!x->shapes || !x->decoder || !x->entropy || !x->wide || !x->group || !x->peak ||
        !x->exponent || !x->op_of)
        st = ae_fail(err, AE_ERR_NOMEM, "decoder program");
    if (st == AE_OK && (st = build(x, err)) == AE_OK)
        st = pack(x, bytes, n_bytes, err);
    for (uint32_t i = 0; i < x->n_owned; i++)
        ae_free(x->owned[i]);
    ae_free(x->params);
    ae_free(x->shapes);
    ae_free(x->decoder);
    ae_free(x->entropy);
    ae_free(x->wide);
    ae_free(x->group);
    ae_free(x->peak);
    ae_free(x->exponent);
    ae_free(x->op_of);
    ae_free(x);
    return st;
}
