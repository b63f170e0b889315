/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The before/after picture: input (enlarged to the output's size) and output side by side, a
 * divider between them, written while both stream by. */
#ifndef COMPARE_H
#define COMPARE_H

#include <pthread.h>

#include "ae/output.h"
#include "ae/files.h"

typedef struct compare {
    ae_output *output;
    ae_encoder encoder;
    uint8_t *waiting; /* a ring of input rows whose output has not come */
    size_t row_bytes, divider_bytes;
    size_t half_bytes; /* of a row of either half as it is shown */
    uint32_t capacity, first, n;
    uint8_t *row;          /* a row of the comparison */
    pthread_mutex_t mutex; /* input and output rows come from different threads */
    /* pictures that EXIF has turned are held whole and shown upright; else NULL */
    ae_turner *turned[2];
    ae_meta meta; /* of the comparison: what its colours mean */
} compare;

/* like: the reader that `input` is read with; result: of either half. On failure nothing is left
 * behind. */
ae_status compare_open(compare *c, const char *path, const char *input, bool force,
                       const ae_reader *like, const ae_signal_info *result, ae_error *err);
ae_status compare_before(compare *c, const void *rows, uint32_t n_rows, ae_error *err);
/* of as many rows as `before` has seen */
ae_status compare_after(compare *c, const void *rows, uint32_t n_rows, ae_error *err);
ae_status compare_finish(compare *c, ae_error *err); /* frees whether it succeeds or not */
void compare_abandon(compare *c);                    /* zeroed and finished ones are fine */

#endif
