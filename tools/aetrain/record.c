/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A trained autoencoder is run over what it was trained on, MOST items of it at most, and what
 * their codes and errors look like is written into its file. The file is replaced as a whole. */
#include "record.h"

#include <math.h>

#include "common/lines.h"

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

/* The first item of a series that is held out, as the loader takes the last ones. */
static size_t held_out(const ae_recipe *r, size_t n)
{
    size_t wanted = (size_t)((double)r->holdout * (double)n);

    return n - (wanted > 1 ? wanted : 2 < n ? 2 : n);
}

static ae_status save(const char *path, const latents *l, const normal_record *found, bool half,
                      ae_error *err)
{
    ae_model_parts parts = {.recipe_text = ae_model_recipe_text(l->model),
                            .card = ae_model_card(l->model),
                            .half = half};
    uint8_t *bytes = NULL;
    char *columns = NULL;
    ae_status st = normal_pack(found, &bytes, &parts.n_normal, err);

    if (st == AE_OK && l->table.n)
        st = table_pack(&l->table, &columns, &parts.n_columns, err);
    if (st != AE_OK) {
        ae_free(bytes);
        return st;
    }
    parts.columns = columns;
    parts.values = ae_model_all_values(l->model, &parts.n_floats);
    parts.program = ae_model_program(l->model, &parts.n_program);
    parts.normal = bytes;
    st = ae_model_save(path, &parts, err);
    ae_free(bytes);
    ae_free(columns);
    return st;
}

static double mean_error(const line_errors *e, const table *t)
{
    double sum = 0, n = 0;

    for (size_t i = 0; i < e->n; i++) {
        double error = lines_error(e, t, i, NULL, NULL);

        sum += isnan(error) ? 0 : error;
        n += !isnan(error);
    }
    return fmax(sum / fmax(n, 1), 1e-12);
}

/* What each column is off by, and how lines score by that. */
static ae_status record_lines(latents *l, const latents_options *o, const dataset *data,
                              const matrix *codes, const matrix *items, normal_record *found,
                              ae_error *err)
{
    line_errors e;
    float *scores = NULL;
    size_t n = 0;
    ae_status st = lines_measure(&l->table, o, data, l->input, codes, items, found, &e, err);

    if (st != AE_OK)
        return st;
    for (uint32_t k = 0; k < e.columns; k++) {
        double sum = 0;

        n = 0;
        for (size_t i = 0; i < e.n; i++)
            if (!isnan(e.squares[i * e.columns + k])) {
                sum += (double)e.squares[i * e.columns + k];
                n++;
            }
        l->table.columns[k].error = n ? sum / (double)n : 0;
    }
    found->error = mean_error(&e, &l->table);
    scores = ae_alloc(e.n, sizeof(*scores));
    for (normal_by by = 0; scores && by < NORMAL_WAYS; by++) {
        n = 0;
        for (size_t i = 0; i < e.n; i++) {
            double score = lines_score(&e, &l->table, found, i, by);

            if (!isnan(score))
                scores[n++] = (float)score;
        }
        normal_rank(found, by, scores, n);
    }
    if (!scores)
        st = ae_fail(err, AE_ERR_NOMEM, "%zu scores", e.n);
    ae_free(scores);
    lines_free(&e);
    return st;
}

ae_status record_normal(const char *path, const dataset *data, uint32_t threads, bool half,
                        ae_error *err)
{
    latents_options o = {
        .jobs = threads, .quiet = true, .misfits = true, .usable = true, .most = MOST};
    matrix codes = {0}, items = {0};
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
    o.usable = !l.table.n;
    /* of series what was held out: a network is off by less where it learned */
    if (dataset_items(data)->overlap)
        o.first = held_out(ae_model_recipe(l.model), dataset_items(data)->n_items);
    if ((st = latents_encode(&l, &o, data, &codes, l.table.n ? &items : NULL, &errors, err)) ==
            AE_OK &&
        codes.n >= 2 && (st = normal_learn(l.layer, &codes, errors, &found, err)) == AE_OK &&
        (!l.table.n || (st = record_lines(&l, &o, data, &codes, &items, &found, err)) == AE_OK))
        st = save(path, &l, &found, half, err);
    normal_free(&found);
    matrix_free(&codes);
    matrix_free(&items);
    ae_free(errors);
    latents_close(&l);
    return st;
}
