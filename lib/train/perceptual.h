/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The perceptual loss: mean absolute difference between what a node of another model makes of two
 * pictures. */
#ifndef AEI_PERCEPTUAL_H
#define AEI_PERCEPTUAL_H

#include "train/loss.h"
#include "ae/model.h"

typedef struct aei_perceptual aei_perceptual;

/* picture: the shape of a shard's pictures. Opens the model that the loss names. */
ae_status aei_perceptual_create(const ae_term *loss, ae_shape picture, ae_precision precision,
                                uint32_t n_threads, aei_perceptual **out, ae_error *err);
void aei_perceptual_free(aei_perceptual *perceptual); /* NULL is fine */
/* As aei_loss_add; increases *loss. thread < n_threads. */
ae_status aei_perceptual_add(aei_perceptual *perceptual, uint32_t thread, double weight,
                             const aei_loss_view *view, double *loss, ae_error *err);

#endif
