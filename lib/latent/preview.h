/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Previews without synthesis: means of 8 x 8 pixels, by one linear map of the latents
 * (doc/exact-decoder.md). */
#ifndef AEI_PREVIEW_H
#define AEI_PREVIEW_H

#include "latent/program.h"

enum { AEI_PREVIEW = 8 };

/* The entropy part of a program and, in place of its synthesis, the map; its output has a grid of
 * AEI_PREVIEW. It points into the program. *out is NULL where the synthesis has no linear path to
 * take the map from. */
ae_status aei_preview_program(const aei_program *program, aei_program **out, ae_error *err);

#endif
