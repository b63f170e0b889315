/* SPDX-License-Identifier: BSD-2-Clause
 *
 * All networks of a recipe in one graph, as they are trained. Nodes of the first keep their names
 * and come first, so that its parameters are the leading ones; those of others are called
 * NETWORK.LAYER. */
#ifndef AEI_JOIN_H
#define AEI_JOIN_H

#include "ae/recipe.h"

typedef struct aei_joined {
    ae_graph graph;
    uint32_t *network;          /* of each node, the number of its network */
    int32_t told[AE_MAX_TERMS]; /* of each term ADVERSARY: what its network makes of the codes, */
    /* and of unit normal draws, in copies that share their parameters; else -1 */
    int32_t drawn[AE_MAX_TERMS];
    uint32_t n_draws; /* inputs behind those of the first network: to be fed with such draws */
} aei_joined;

/* A later network that says `param` of the first one's shares it. */
ae_status aei_join(const ae_recipe *recipe, aei_joined *out, ae_error *err);
/* Between the parameters of the joined graph, flat, and those of all networks one after another, as
 * a model file has them (*n of them; shared ones several times). */
ae_status aei_joined_to_model(const ae_recipe *recipe, const ae_param *params, uint32_t n_params,
                              const float *flat, float **out, size_t *n,
                              ae_error *err); /* an ae_alloc array */
ae_status aei_joined_from_model(const ae_recipe *recipe, const ae_param *params, uint32_t n_params,
                                const float *model, float *flat, ae_error *err);
void aei_joined_free(aei_joined *joined);

#endif
