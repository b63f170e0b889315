/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The numbers of a tile of an array one after another, each in bits from the highest on: what its
 * neighbours along the axes and earlier passages like this one say of a bit is mixed as in the
 * tiles of pictures (decision.h). doc/container.md, "Arrays". */
#ifndef AEI_ARRAYMODEL_H
#define AEI_ARRAYMODEL_H

#include "decision.h"

enum {
    AEI_ARRAY_BITS = 48,          /* of a number, at most */
    AEI_ARRAY_MAX_TILE = 1 << 20, /* numbers */
    AEI_ARRAY_COLUMNS = 1024
};

/* What the coder is told of a tile. */
typedef struct aei_array_shape {
    uint32_t n;     /* numbers */
    uint64_t first; /* place of the first of them in the array */
    uint64_t most;  /* largest number, at least 1 */
    /* numbers of which each is of a kind of its own, again and again; 1: all are alike */
    uint32_t columns;
    /* how far the neighbours along three axes are behind, nearest first; 0: there is none */
    uint64_t stride[3];
    bool equal;      /* whether numbers are often like one before, which is then asked first */
    uint64_t common; /* a number that is asked next, where it is not above `most` */
    bool window;     /* whether they are told from where they are expected on, else from 0 */
} aei_array_shape;

bool aei_array_shape_is_sound(const aei_array_shape *shape);

typedef struct aei_array_model aei_array_model;
aei_array_model *aei_array_model_create(void); /* NULL: out of memory */
void aei_array_model_free(aei_array_model *m);
/* *bytes belongs to the model until its next use. *n_bytes = 0 where more than `most` bytes would
 * be needed. */
ae_status aei_array_model_encode(aei_array_model *m, const aei_array_shape *shape,
                                 const uint64_t *values, size_t most, const uint8_t **bytes,
                                 size_t *n_bytes, ae_error *err);
void aei_array_model_decode(aei_array_model *m, const aei_array_shape *shape, const uint8_t *bytes,
                            size_t n_bytes, uint64_t *values);

#endif
