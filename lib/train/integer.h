/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Integer fine-tuning (doc/recipe.md): parameters as a codec's integer decoder will hold them. */
#ifndef AEI_INTEGER_H
#define AEI_INTEGER_H

#include "ae/graph.h"
#include "core/threads.h"

typedef struct aei_integer aei_integer;

/* params, which must outlive it, are all of the graph's. */
ae_status aei_integer_create(const ae_graph *graph, const ae_param *params, uint32_t n_params,
                             aei_integer **out, ae_error *err);
void aei_integer_free(aei_integer *integer); /* NULL is fine */
/* All values, those of decoding convolutions' weights rounded; good until the next call. */
const float *aei_integer_round(aei_integer *integer, aei_pool *pool, const float *values);

#endif
