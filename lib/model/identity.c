/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What makes two models the same: a canonical serialisation of what they compute,
 * doc/model-format.md. Names of layers, comments, the card, the training recipe and the way the
 * numbers are stored do not count. */
#include "model/format.h"

#include <string.h>

enum { WORDS_A_NODE = 28 + AE_MAX_FROM };

typedef struct writer {
    uint8_t *at;
} writer;

static void put(writer *w, uint32_t word)
{
    aei_store32(w->at, word);
    w->at += 4;
}

static void put_float(writer *w, float value)
{
    uint32_t bits;

    memcpy(&bits, &value, 4);
    put(w, bits);
}

static void put_node(writer *w, const ae_graph *g, uint32_t index)
{
    const ae_node *n = &g->nodes[index];
    uint32_t owner = 0, input = 0;

    while (strcmp(g->nodes[owner].param, n->param) != 0)
        owner++;
    if (n->op == AE_OP_INPUT)
        input = !strcmp(n->name, AE_INPUT_IMAGE)     ? 1
                : !strcmp(n->name, AE_INPUT_LEVEL)   ? 2
                : !strcmp(n->name, AE_INPUT_QUALITY) ? 4
                : !strcmp(n->name, AE_INPUT_PLACE)   ? 5
                                                     : 3;
    put(w, n->op);
    put(w, input);
    put(w, owner);
    put(w, n->n_from);
    for (uint32_t i = 0; i < n->n_from; i++)
        put(w, n->from[i]);
    put(w, (uint32_t)n->add);
    put(w, n->act);
    put_float(w, n->slope);
    put(w, n->out);
    for (int a = 0; a < 2; a++) {
        put(w, n->kernel[a]);
        put(w, n->stride[a]);
        put(w, n->dilation[a]);
        put(w, n->pad[a]);
    }
    put(w, n->groups);
    put(w, n->factor);
    put(w, n->first);
    put(w, n->height);
    put(w, n->width);
    put_float(w, n->value);
    put(w, n->bias | (uint32_t)n->causal << 1 | (uint32_t)n->transposed << 2);
    if (n->op == AE_OP_QUANTISE || n->op == AE_OP_BITS)
        put(w, n->parity);
}

ae_status aei_model_identity(const ae_recipe *r, const float *values, size_t n_floats,
                             uint8_t identity[16], ae_error *err)
{
    size_t n_words = 24;
    uint8_t *bytes;
    writer w;

    for (uint32_t i = 0; i < r->n_networks; i++)
        n_words += (size_t)r->networks[i].graph.n_nodes * WORDS_A_NODE + AE_MAX_FROM + 2;
    bytes = ae_alloc(n_words, 4);
    if (!bytes)
        return ae_fail(err, AE_ERR_NOMEM, "identity");
    w.at = bytes;
    put(&w, 1); /* version of this serialisation */
    put(&w, r->task);
    put(&w, r->residual);
    put(&w, r->scale);
    put(&w, r->n_networks);
    for (uint32_t i = 0; i < r->n_networks; i++) {
        const ae_graph *g = &r->networks[i].graph;

        put(&w, g->n_nodes);
        for (uint32_t k = 0; k < g->n_nodes; k++)
            put_node(&w, g, k);
        put(&w, g->n_outputs);
        for (uint32_t k = 0; k < g->n_outputs; k++)
            put(&w, g->outputs[k]);
    }
    if (r->bound > 0)
        put_float(&w, r->bound); /* came later; models that name none keep their identity */
    if (r->sound.bands) {        /* likewise */
        const ae_sound_features *f = &r->sound;

        put_float(&w, f->rate);
        put_float(&w, f->window);
        put_float(&w, f->hop);
        put(&w, f->bands);
        put(&w, f->linear);
        put_float(&w, f->power);
        put_float(&w, f->memory);
    }
    aei_digest(values, n_floats * sizeof(*values), w.at);
    w.at += 16;
    aei_digest(bytes, (size_t)(w.at - bytes), identity);
    ae_free(bytes);
    return AE_OK;
}
