/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Layers that died: the derivative of their activation is next to nothing wherever it is asked for,
 * so that no gradient comes through and they never come back. Layers that explode: values thousands
 * of times those of the network's inputs. Values of layers are wanted for that which nobody keeps,
 * so a plan is made for each look, and for as many layers at a time as memory is worth. */
#include "train/watch.h"

#include "nn/acts.h"
#include "nn/exec.h"

#include <math.h>
#include <string.h>

#define FLAT 1e-3    /* a derivative below this lets nothing through, */
#define MOSTLY 0.9   /* a layer with this share of such units is dead, */
#define POSITIONS 32 /* judged from so many places or more */
#define EXPLODED 1e4 /* times the inputs' size, at least 1 */

enum { MOST_TAPS = 64, MOST_FLOATS = 1 << 24 };

typedef struct look {
    const ae_graph *graph;
    const ae_shape *shapes;
    aei_plan_config config; /* but the taps */
    const float *const *inputs;
    double input_size;
    bool *known;
    void *opaque;
    void (*tell)(void *opaque, const aei_ailing *what);
} look;

static size_t count(ae_shape s)
{
    return (size_t)s.n * s.h * s.w * s.c;
}

static double size_of(const float *x, size_t n)
{
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += (double)x[i] * (double)x[i];
    return isfinite(sum) ? sqrt(sum / (double)(n ? n : 1)) : NAN;
}

/* The derivative of an activation where its value is y. */
static float derivative(const ae_node *node, const aei_act_info *act, float y)
{
    switch (act->from) {
    case AEI_FROM_SIGN: return y > 0 ? 1 : act->takes_slope ? node->slope : 0;
    case AEI_FROM_SIGMOID: return y * (1 - y);
    case AEI_FROM_RANGE: return y > 0 && y < 1;
    case AEI_FROM_VALUE: return act->by_value(y);
    case AEI_FROM_INPUT: break;
    }
    return 1;
}

static uint32_t dead_units(const ae_node *node, const float *x, ae_shape s)
{
    const aei_act_info *act = aei_act_info_of(node->act);
    size_t n = (size_t)s.n * s.h * s.w;
    uint32_t dead = 0;

    if (!act || !act->value || n < POSITIONS)
        return 0;
    for (uint32_t k = 0; k < s.c; k++) {
        size_t i = 0;

        while (i < n && fabsf(derivative(node, act, x[i * s.c + k])) < FLAT)
            i++;
        dead += i == n;
    }
    return dead;
}

static void judge(const look *l, uint32_t node, const float *x)
{
    ae_shape s = l->shapes[node];
    aei_ailing found = {.node = node, .n_units = s.c, .size = size_of(x, count(s))};

    found.exploded = !(found.size <= EXPLODED * fmax(1, l->input_size));
    found.n_dead = found.exploded ? 0 : dead_units(&l->graph->nodes[node], x, s);
    if (!found.exploded && found.n_dead < MOSTLY * found.n_units)
        return;
    l->known[node] = true;
    l->tell(l->opaque, &found);
}

/* What comes out may well be black all over: marks the outputs and what they only rearrange. */
static void mark_outputs(const ae_graph *g, bool *mark)
{
    for (uint32_t i = 0; i < g->n_outputs; i++) {
        uint32_t at = g->outputs[i];

        mark[at] = true;
        while ((g->nodes[at].op == AE_OP_RESHAPE || g->nodes[at].op == AE_OP_SHUFFLE ||
                g->nodes[at].op == AE_OP_CROP) &&
               g->nodes[at].act == AE_ACT_NONE) {
            at = g->nodes[at].from[0];
            mark[at] = true;
        }
    }
}

static ae_status look_at(const look *l, const float *values, const uint32_t *taps, uint32_t n_taps,
                         float *room, ae_error *err)
{
    aei_plan_config config = l->config;
    float *outputs[256] = {NULL};
    aei_plan *plan = NULL;
    aei_weights *weights = NULL;
    aei_run *run = NULL;
    ae_status st;

    config.taps = taps;
    config.n_taps = n_taps;
    st = aei_plan_create(l->graph, &config, &plan, err);
    for (uint32_t i = 0; i < n_taps; room += count(l->shapes[taps[i++]]))
        outputs[l->graph->n_outputs + i] = room;
    if (st == AE_OK && (st = aei_weights_create(plan, &weights, err)) == AE_OK &&
        (st = aei_run_create(plan, &run, err)) == AE_OK) {
        aei_weights_set(weights, values);
        st = aei_run_forward(run, weights, l->inputs, outputs, 0, err);
    }
    for (uint32_t i = 0; st == AE_OK && i < n_taps; i++)
        judge(l, taps[i], outputs[l->graph->n_outputs + i]);
    aei_run_free(run);
    aei_weights_free(weights);
    aei_plan_free(plan);
    return st;
}

ae_status aei_watch(const ae_graph *graph, ae_precision precision, uint32_t n, uint32_t h,
                    uint32_t w, const float *values, const float *const *inputs, bool *known,
                    void *opaque, void (*tell)(void *opaque, const aei_ailing *what), ae_error *err)
{
    ae_shape *shapes = ae_alloc(graph->n_nodes, sizeof(*shapes));
    bool *skip = ae_alloc(graph->n_nodes, sizeof(*skip));
    look l = {graph,  shapes, {.n = n, .h = h, .w = w, .precision = precision}, inputs, 0, known,
              opaque, tell};
    uint32_t taps[MOST_TAPS], n_taps = 0, k = 0;
    size_t all = 0;
    float *room = NULL;
    ae_status st = shapes && skip ? ae_graph_shapes(graph, n, h, w, shapes, err)
                                  : ae_fail(err, AE_ERR_NOMEM, "shapes");

    if (st != AE_OK)
        goto done;
    mark_outputs(graph, skip);
    for (uint32_t i = 0; i < graph->n_nodes; i++)
        if (graph->nodes[i].op == AE_OP_INPUT)
            l.input_size = fmax(l.input_size, size_of(inputs[k++], count(shapes[i])));
    for (uint32_t i = 0; i <= graph->n_nodes && st == AE_OK; i++) {
        bool end = i == graph->n_nodes,
             wanted = !end && graph->nodes[i].op != AE_OP_INPUT && !skip[i] && !known[i];

        if (n_taps &&
            (end || n_taps == MOST_TAPS || (wanted && all + count(shapes[i]) > MOST_FLOATS))) {
            room = ae_alloc(all, sizeof(*room));
            st = room ? look_at(&l, values, taps, n_taps, room, err)
                      : ae_fail(err, AE_ERR_NOMEM, "values of layers");
            ae_free(room);
            n_taps = 0;
            all = 0;
        }
        if (wanted) {
            taps[n_taps++] = i;
            all += count(shapes[i]);
        }
    }
done:
    ae_free(shapes);
    ae_free(skip);
    return st;
}
