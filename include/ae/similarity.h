/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Multi-scale structural similarity of two pictures (Wang, Simoncelli & Bovik 2003), handed over a
 * row at a time. */
#ifndef AE_SIMILARITY_H
#define AE_SIMILARITY_H

#include "ae/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* pixels: the coarsest of five scales then has the 11 that a window needs */
enum { AE_SIMILARITY_LEAST = 176 };

/* Memory for a dozen rows at each scale. */
typedef struct ae_similarity ae_similarity;
AE_API AE_NODISCARD ae_status ae_similarity_create(uint32_t width, ae_similarity **out,
                                                   ae_error *err);
AE_API void ae_similarity_free(ae_similarity *similarity); /* NULL is allowed */

/* The next row of both, `width` samples of luma, 0..255. */
AE_API void ae_similarity_add(ae_similarity *similarity, const float *a, const float *b);

/* Of all rows so far, at most 1: the product over five scales, each half the size of the one
 * before, of the mean contrast and structure to the powers .0448, .2856, .3001, .2363 and .1333,
 * luminance at the coarsest only; Gaussian windows of 11 x 11, deviation 1.5, whole ones. NAN of
 * pictures with an edge below AE_SIMILARITY_LEAST. */
AE_API double ae_similarity_value(const ae_similarity *similarity);

#ifdef __cplusplus
}
#endif

#endif
