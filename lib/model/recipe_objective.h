/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef AEI_RECIPE_OBJECTIVE_H
#define AEI_RECIPE_OBJECTIVE_H

#include "ae/recipe.h"
#include "model/yaml_tree.h"

/* Of the keys so called, each a node of the tree or 0 where it is not there: the recipe's terms and
 * phases. Its networks have been read. */
ae_status aei_recipe_objective(const aei_yaml *yaml, uint32_t loss, uint32_t penalties,
                               uint32_t terms, uint32_t phases, ae_recipe *recipe, ae_error *err);
/* The node that a term calls NAME, a layer of the first network, or NETWORK.LAYER; NULL: there is
 * none. */
const ae_node *aei_recipe_layer(const ae_recipe *recipe, const char *name);

#endif
