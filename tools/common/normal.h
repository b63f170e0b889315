/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What normal items look like to an autoencoder, and how unlike them another is: by the error of
 * its reconstruction and by the distance of its code. It is learnt of the data that a model is
 * trained on, and stays in the model's file (section NORM of doc/model-format.md). */
#ifndef NORMAL_H
#define NORMAL_H

#include "common/matrix.h"

enum { NORMAL_SHARES = 12, NORMAL_NAME = 64 };
/* rising, of items below a quantile; the last is 1 */
extern const double normal_shares[NORMAL_SHARES];

/* The score of an item with error e and a code of d numbers at the squared distance m is e / E, of
 * errors whose mean is E, m / d, or the sum of the two: about 1, 1 and 2 for normal ones. */
typedef enum normal_by { NORMAL_BOTH, NORMAL_ERROR, NORMAL_LATENT, NORMAL_WAYS } normal_by;

typedef struct normal_record {
    char layer[NORMAL_NAME]; /* whose values the codes are */
    size_t width;            /* of a code */
    bool full;               /* a triangle, else deviations alone: codes were too wide */
    double error;            /* mean */
    /* of the codes: mean; Cholesky factor of the covariance, row by row up to the diagonal */
    float *mean, *factor;
    double quantiles[NORMAL_WAYS][NORMAL_SHARES];
} normal_record;

/* codes and errors of normal items, at least 2. Failing, *out is all zeros. */
ae_status normal_learn(const char *layer, const matrix *codes, const float *errors,
                       normal_record *out, ae_error *err);
/* Quantiles of other scores instead, which are sorted; at least one. */
void normal_rank(normal_record *n, normal_by by, float *scores, size_t n_scores);
void normal_free(normal_record *n);

/* work: width numbers. */
double normal_score(const normal_record *n, normal_by by, const float *code, double error,
                    double *work);
/* The score below which this share of the normal items lies. */
double normal_threshold(const normal_record *n, normal_by by, double share);

/* As bytes (ae_alloc) and back; AE_ERR_MALFORMED says what is wrong. */
ae_status normal_pack(const normal_record *n, uint8_t **bytes, size_t *n_bytes, ae_error *err);
ae_status normal_unpack(const void *bytes, size_t n_bytes, normal_record *out, ae_error *err);

#endif
