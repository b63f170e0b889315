/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The update of a weight matrix by its orthogonalised momentum (Jordan et al. 2024, "Muon"; the
 * polynomials: Amsel et al. 2025, "Polar Express"), scaled so that its size is that of an update of
 * Adam (Liu et al. 2025, "Muon is scalable for LLM training"). */
#ifndef AEI_MUON_H
#define AEI_MUON_H

#include "ae/model.h"
#include "train/optimizer.h"

typedef struct aei_muon aei_muon;

/* Whether a parameter is updated so: weights seen as output channels x all the rest, both at least
 * 16. */
bool aei_muon_wants(const ae_param *param);
/* precision: of the matrix products, resolved. */
ae_status aei_muon_create(const ae_param *param, ae_precision precision, aei_muon **out,
                          ae_error *err);
void aei_muon_free(aei_muon *muon); /* NULL is fine */
/* Arrays of param->count, in its order. */
ae_status aei_muon_apply(aei_muon *muon, const aei_update *update, const float *gradient,
                         float *value, float *momentum, float *average, ae_error *err);

#endif
