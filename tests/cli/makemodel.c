/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Writes a model with random weights from a recipe: makemodel RECIPE OUT [STRENGTH]. For tests that
 * need some model, not a good one. */
#include <stdio.h>
#include <stdlib.h>

#include "ae/model.h"

int main(int argc, char **argv)
{
    ae_recipe *recipe = NULL;
    ae_param *params = NULL;
    ae_model_parts parts = {.card = ""};
    uint32_t n_params;
    char *text = NULL;
    float *values = NULL;
    ae_error err;

    if (argc < 3 || ae_recipe_load(argv[1], NULL, &recipe, &text, &err) != AE_OK ||
        ae_graph_params(&recipe->networks[0].graph, &params, &n_params, &parts.n_floats, &err) !=
            AE_OK ||
        !(values = ae_alloc(parts.n_floats, sizeof(*values))) ||
        ae_graph_init(&recipe->networks[0].graph, 1, values, &err) != AE_OK) {
        fprintf(stderr, "makemodel: %s\n", argc < 3 ? "usage" : err.message);
        return 1;
    }
    for (size_t i = 0; argc > 3 && i < parts.n_floats; i++)
        values[i] *= (float)atof(argv[3]);
    parts.recipe_text = text;
    parts.values = values;
    if (ae_model_save(argv[2], &parts, &err) != AE_OK) {
        fprintf(stderr, "makemodel: %s\n", err.message);
        return 1;
    }
    ae_free(values);
    ae_free(params);
    ae_free(text);
    ae_recipe_free(recipe);
    return 0;
}
