/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A codec opened: the integer program that decodes, and of a model that came with it the part of
 * the network up to the latents, which encodes. That both agree on how many latents there are, and
 * where, is checked here, so that encoding need not ask. */
#include "latent/coder.h"

#include <string.h>

#include "nn/graph_extract.h"

void ae_coder_free(ae_coder *c)
{
    if (!c)
        return;
    aei_engine_free(c->engine);
    ae_graph_free(&c->analysis);
    ae_free(c->values);
    ae_free(c);
}

static ae_status open_program(const void *data, size_t n_bytes, ae_coder **out, ae_error *err)
{
    ae_coder *c = ae_alloc(1, sizeof(*c));
    aei_program *program;
    ae_status st;

    *out = NULL;
    if (!c)
        return ae_fail(err, AE_ERR_NOMEM, "codec");
    if ((st = aei_program_load(data, n_bytes, &program, err)) == AE_OK)
        st = aei_engine_create(program, aei_cpu_best(), &c->engine, err);
    if (st == AE_OK)
        *out = c;
    else
        ae_free(c);
    return st;
}

/* The analysis must make what the program's latents are made from. */
static ae_status check_analysis(ae_coder *c, ae_error *err)
{
    const aei_program *p = c->engine->program;
    ae_shape *shapes = ae_alloc(c->analysis.n_nodes, sizeof(*shapes));
    uint32_t edge = 4 * AE_CODER_TILE, stride;
    ae_status st = shapes ? ae_graph_shapes(&c->analysis, 1, edge, edge, shapes, err)
                          : ae_fail(err, AE_ERR_NOMEM, "codec");

    for (uint32_t i = 0; st == AE_OK && i < c->analysis.n_nodes; i++)
        if (c->analysis.nodes[i].op == AE_OP_INPUT &&
            !strcmp(c->analysis.nodes[i].name, AE_INPUT_IMAGE))
            c->planes = c->analysis.nodes[i].out;
    if (st == AE_OK &&
        (c->analysis.n_outputs != p->n_sources || c->planes != p->ops[p->n_ops - 1].channels))
        st = ae_fail(err, AE_ERR_MISMATCH,
                     "recipe and decoder program of the model do not belong together");
    for (uint32_t i = 0; st == AE_OK && i < p->n_entropy; i++) {
        const aei_op *op = &p->ops[i];
        const ae_shape *s;

        if (op->kind != AEI_LATENT)
            continue;
        s = &shapes[c->analysis.outputs[op->source]];
        if (s->h * op->grid != edge || s->w * op->grid != edge || op->source_first > s->c ||
            op->channels > s->c - op->source_first)
            st = ae_fail(err, AE_ERR_MISMATCH,
                         "recipe and decoder program of the model do not belong together");
        c->source_channels[op->source] = s->c;
    }
    if (st == AE_OK) {
        ae_graph_field(&c->analysis, &stride, &c->field);
        if (!stride || AE_CODER_TILE % stride || p->stride % stride)
            st = ae_fail(err, AE_ERR_UNSUPPORTED, "an analysis of stride %u", stride);
    }
    ae_free(shapes);
    return st;
}

ae_status ae_coder_open(const ae_model *model, ae_coder **out, ae_error *err)
{
    const ae_graph *graph = ae_model_graph(model);
    size_t n_bytes, n_floats;
    const void *program = ae_model_program(model, &n_bytes);
    uint32_t sources[AEI_MAX_SOURCES], n_sources;
    ae_coder *c = NULL;
    ae_status st;

    *out = NULL;
    if (!program)
        return ae_fail(err, AE_ERR_MISMATCH,
                       "model %s holds no decoder program: it is no codec, or was not exported yet",
                       ae_model_recipe(model)->name);
    if ((st = open_program(program, n_bytes, &c, err)) == AE_OK &&
        (st = aei_export_sources(graph, sources, &n_sources, err)) == AE_OK &&
        (st = aei_graph_extract(graph, sources, n_sources, &c->analysis, NULL, err)) == AE_OK &&
        (st = aei_graph_extract_values(graph, ae_model_values(model, &n_floats), &c->analysis,
                                       &c->values, err)) == AE_OK)
        st = check_analysis(c, err);
    if (st == AE_OK) {
        c->encodes = true;
        c->model = model;
        *out = c;
    } else {
        ae_coder_free(c);
    }
    return st;
}

ae_status ae_coder_open_program(const void *data, size_t n_bytes, ae_coder **out, ae_error *err)
{
    return open_program(data, n_bytes, out, err);
}

const void *ae_coder_program(const ae_coder *coder, size_t *n_bytes)
{
    *n_bytes = coder->engine->program->n_bytes;
    return coder->engine->program->bytes;
}

void ae_coder_identity(const ae_coder *coder, uint8_t identity[16])
{
    memcpy(identity, coder->engine->program->identity, 16);
}

uint32_t ae_coder_tiles(const ae_coder_picture *picture)
{
    return aei_tiles_along(picture->width) * aei_tiles_along(picture->height);
}

ae_status aei_coder_check_picture(const ae_coder *c, uint64_t width, uint64_t height,
                                  uint32_t planes, ae_sample sample, ae_error *err)
{
    uint32_t made = c->engine->program->ops[c->engine->program->n_ops - 1].channels;

    if (!width || !height || width >= 1 << 20 || height >= 1 << 20)
        return ae_fail(err, AE_ERR_ARGUMENT, "a picture of %llu x %llu pixels",
                       (unsigned long long)width, (unsigned long long)height);
    if ((planes != 1 && planes != 3) || (sample != AE_U8 && sample != AE_U16 && sample != AE_F32))
        return ae_fail(err, AE_ERR_UNSUPPORTED, "pictures of %u planes of this type", planes);
    if (planes > made)
        return ae_fail(err, AE_ERR_MISMATCH, "the model codes grey pictures only");
    return AE_OK;
}
