/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The perceptual loss (Johnson, Alahi and Fei-Fei 2016): prediction and target both pass through a
 * part of another model, and their features are compared by mean absolute difference. The other
 * model is frozen; the gradient passes through it to the prediction. */
#include "train/perceptual.h"
#include "nn/exec.h"
#include "nn/graph_extract.h"

#include <string.h>

typedef struct lane { /* one thread's */
    aei_run *run;
    float *target, *value, *d_value; /* features and the gradient by them */
    float *d_picture;
} lane;

struct aei_perceptual {
    ae_graph graph; /* the part of the model that the tap depends on */
    aei_plan *plan;
    aei_weights *weights;
    uint32_t image; /* index of the picture among the inputs */
    float *zeros;   /* for the other inputs */
    uint32_t n_lanes;
    lane *lanes;
};

static size_t count(ae_shape s)
{
    return (size_t)s.n * s.h * s.w * s.c;
}

void aei_perceptual_free(aei_perceptual *p)
{
    if (!p)
        return;
    for (uint32_t i = 0; p->lanes && i < p->n_lanes; i++) {
        lane *l = &p->lanes[i];

        aei_run_free(l->run);
        ae_free(l->target);
        ae_free(l->value);
        ae_free(l->d_value);
        ae_free(l->d_picture);
    }
    ae_free(p->lanes);
    ae_free(p->zeros);
    aei_weights_free(p->weights);
    aei_plan_free(p->plan);
    ae_graph_free(&p->graph);
    ae_free(p);
}

/* The part of the model that its layer `node` depends on, and its parameters. */
static ae_status take_part(aei_perceptual *p, const ae_model *model, const ae_term *loss,
                           float **values, ae_error *err)
{
    const ae_graph *whole = ae_model_graph(model);
    int32_t tap = ae_graph_find(whole, loss->node);
    uint32_t output = (uint32_t)tap;
    size_t n_floats;
    ae_status st;

    if (tap < 0)
        return ae_fail(err, AE_ERR_MISMATCH, "perceptual loss: model %s has no node \"%s\"",
                       loss->model, loss->node);
    st = aei_graph_extract(whole, &output, 1, &p->graph, NULL, err);
    return st == AE_OK ? aei_graph_extract_values(whole, ae_model_values(model, &n_floats),
                                                  &p->graph, values, err)
                       : st;
}

static ae_status prepare_inputs(aei_perceptual *p, const ae_term *loss, ae_shape picture,
                                ae_error *err)
{
    size_t most = 0;
    bool found = false;

    for (uint32_t i = 0, k = 0; i < p->graph.n_nodes; i++) {
        ae_shape s;

        if (p->graph.nodes[i].op != AE_OP_INPUT)
            continue;
        s = aei_plan_input_shape(p->plan, k);
        if (!strcmp(p->graph.nodes[i].name, AE_INPUT_IMAGE)) {
            if (memcmp(&s, &picture, sizeof(s)))
                return ae_fail(err, AE_ERR_MISMATCH,
                               "perceptual loss: model %s takes %ux%ux%u pictures, not %ux%ux%u",
                               loss->model, s.w, s.h, s.c, picture.w, picture.h, picture.c);
            p->image = k;
            found = true;
        } else if (count(s) > most) {
            most = count(s);
        }
        if (++k > AE_MAX_FROM)
            return ae_fail(err, AE_ERR_UNSUPPORTED, "perceptual loss: model %s has too many inputs",
                           loss->model);
    }
    if (!found)
        return ae_fail(err, AE_ERR_MISMATCH,
                       "perceptual loss: model %s has no input \"" AE_INPUT_IMAGE
                       "\" before node %s",
                       loss->model, loss->node);
    p->zeros = ae_alloc(most, sizeof(*p->zeros));
    return p->zeros ? AE_OK : ae_fail(err, AE_ERR_NOMEM, "perceptual loss: inputs");
}

static ae_status prepare_lane(aei_perceptual *p, lane *l, ae_error *err)
{
    size_t n = count(aei_plan_output_shape(p->plan, 0)),
           pixels = count(aei_plan_input_shape(p->plan, p->image));

    l->target = ae_alloc(n, sizeof(float));
    l->value = ae_alloc(n, sizeof(float));
    l->d_value = ae_alloc(n, sizeof(float));
    l->d_picture = ae_alloc(pixels, sizeof(float));
    if (!l->target || !l->value || !l->d_value || !l->d_picture)
        return ae_fail(err, AE_ERR_NOMEM, "perceptual loss: %zu features", n);
    return aei_run_create(p->plan, &l->run, err);
}

ae_status aei_perceptual_create(const ae_term *loss, ae_shape picture, ae_precision precision,
                                uint32_t n_threads, aei_perceptual **out, ae_error *err)
{
    aei_plan_config config = {.n = picture.n,
                              .h = picture.h,
                              .w = picture.w,
                              .precision = precision,
                              .train = true,
                              .input_gradients = true};
    char path[4096];
    ae_model *model = NULL;
    float *values = NULL;
    aei_perceptual *p = ae_alloc(1, sizeof(*p));
    ae_status st;

    *out = NULL;
    if (!p)
        return ae_fail(err, AE_ERR_NOMEM, "perceptual loss");
    if ((st = ae_model_find(loss->model, path, sizeof(path), err)) != AE_OK ||
        (st = ae_model_open(path, NULL, &model, err)) != AE_OK ||
        (st = take_part(p, model, loss, &values, err)) != AE_OK ||
        (st = aei_plan_create(&p->graph, &config, &p->plan, err)) != AE_OK ||
        (st = prepare_inputs(p, loss, picture, err)) != AE_OK ||
        (st = aei_weights_create(p->plan, &p->weights, err)) != AE_OK)
        goto done;
    aei_weights_set(p->weights, values);
    p->lanes = ae_alloc(n_threads, sizeof(*p->lanes));
    if (!p->lanes) {
        st = ae_fail(err, AE_ERR_NOMEM, "perceptual loss");
        goto done;
    }
    for (p->n_lanes = 0; p->n_lanes < n_threads && st == AE_OK; p->n_lanes++)
        st = prepare_lane(p, &p->lanes[p->n_lanes], err);
done:
    ae_free(values);
    ae_model_free(model);
    if (st == AE_OK)
        *out = p;
    else
        aei_perceptual_free(p);
    return st;
}

ae_status aei_perceptual_add(aei_perceptual *p, uint32_t thread, double weight,
                             const aei_loss_view *v, double *loss, ae_error *err)
{
    lane *l = &p->lanes[thread];
    const float *inputs[AE_MAX_FROM];
    float *d_inputs[AE_MAX_FROM] = {0};
    float *outputs[1] = {l->target};
    const float *d_outputs[1] = {l->d_value};
    aei_loss_view features = {aei_plan_output_shape(p->plan, 0),
                              l->value,
                              l->target,
                              NULL,
                              0,
                              v->share,
                              l->d_value,
                              false};
    size_t n = count(features.shape);
    ae_status st;

    for (uint32_t i = 0; i < aei_plan_n_inputs(p->plan); i++)
        inputs[i] = p->zeros;
    inputs[p->image] = v->target;
    d_inputs[p->image] = l->d_picture;
    if ((st = aei_run_forward(l->run, p->weights, inputs, outputs, 0, err)) != AE_OK)
        return st;
    inputs[p->image] = v->value;
    outputs[0] = l->value;
    if ((st = aei_run_forward(l->run, p->weights, inputs, outputs, 0, err)) != AE_OK)
        return st;
    memset(l->d_value, 0, n * sizeof(float));
    features.total = (double)n / features.shape.c / v->share;
    *loss += aei_loss_add(AE_LOSS_L1, weight, &features);
    if ((st = aei_run_backward(l->run, p->weights, d_outputs, NULL, d_inputs, err)) != AE_OK)
        return st;
    for (size_t i = 0; i < count(v->shape); i++)
        v->gradient[i] += l->d_picture[i];
    return AE_OK;
}
