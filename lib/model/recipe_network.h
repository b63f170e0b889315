/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef AEI_RECIPE_NETWORK_H
#define AEI_RECIPE_NETWORK_H

#include "ae/recipe.h"
#include "model/yaml_tree.h"

/* Reads the map `at` into *network and checks its graph; on failure the caller frees the graph. */
ae_status aei_recipe_network(const aei_yaml *yaml, uint32_t at, ae_network *network, ae_error *err);

#endif
