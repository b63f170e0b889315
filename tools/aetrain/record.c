/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A trained autoencoder is run over what it was trained on, MOST items of it at most, and what
 * their codes and errors look like is written into its file. The file is replaced as a whole. */
#include "record.h"

#include "common/latents.h"

enum { MOST = 10000 /* items */ };

static bool comes_back(const ae_recipe *r)
{
    const ae_graph *g = &r->networks[0].graph;
    uint32_t n_inputs = 0;
    bool fixed = true;

    for (uint32_t i = 0; i < g->n_nodes; i++)
        if (g->nodes[i].op == AE_OP_INPUT) {
            n_inputs++;
            fixed = fixed && g->nodes[i].height && g->nodes[i].width;
        }
    return n_inputs == 1 && fixed &&
           (r->task == AE_TASK_AUTOENCODE || r->task == AE_TASK_DENOISE) && !r->sound.bands;
}

static ae_status save(const char *path, const latents *l, const normal_record *found, bool half,
                      ae_error *err)
{
    ae_model_parts parts = {.recipe_text = ae_model_recipe_text(l->model),
                            .card = ae_model_card(l->model),
                            .half = half};
    uint8_t *bytes;
    ae_status st = normal_pack(found, &bytes, &parts.n_normal, err);

    if (st != AE_OK)
        return st;
    parts.values = ae_model_all_values(l->model, &parts.n_floats);
    parts.program = ae_model_program(l->model, &parts.n_program);
    parts.normal = bytes;
    st = ae_model_save(path, &parts, err);
    ae_free(bytes);
    return st;
}

ae_status record_normal(const char *path, const dataset *data, uint32_t threads, bool half,
                        ae_error *err)
{
    latents_options o = {
        .jobs = threads, .quiet = true, .misfits = true, .usable = true, .most = MOST};
    matrix codes = {0};
    float *errors = NULL;
    normal_record found = {0};
    ae_model *model;
    latents l;
    bool suits;
    ae_status st = ae_model_open(path, NULL, &model, err);

    if (st != AE_OK)
        return st;
    suits = comes_back(ae_model_recipe(model)) && dataset_items(data)->n_items >= 2;
    ae_model_free(model);
    /* no layer is narrower than the input: nothing to record */
    if (!suits || latents_of_model(path, NULL, &l, NULL) != AE_OK)
        return AE_OK;
    if ((st = latents_encode(&l, &o, data, &codes, NULL, &errors, err)) == AE_OK && codes.n >= 2 &&
        (st = normal_learn(l.layer, &codes, errors, &found, err)) == AE_OK)
        st = save(path, &l, &found, half, err);
    normal_free(&found);
    matrix_free(&codes);
    ae_free(errors);
    latents_close(&l);
    return st;
}
