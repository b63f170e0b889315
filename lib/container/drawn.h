/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A tile of drawn pixels: colours are told as a whole, by what stood in the same surroundings
 * (doc/container.md, "Drawn tiles"). */
#ifndef AEI_DRAWN_H
#define AEI_DRAWN_H

#include "decision.h"

typedef struct aei_drawing {
    uint32_t width, height, channels;
    uint32_t max;    /* of a sample */
    uint32_t period; /* rows after which pictures of one kind follow each other; 0: it is one */
} aei_drawing;

/* What was learnt; reusable. */
typedef struct aei_drawer aei_drawer;
aei_drawer *aei_drawer_create(void); /* NULL: out of memory */
void aei_drawer_free(aei_drawer *drawer);

/* coder: reset, and ready to write or read. False where the output has no room left, memory is
 * short or, decoding, a sample is larger than `max`. */
bool aei_drawing_encode(aei_drawer *drawer, aei_decider *coder, const aei_drawing *g,
                        const uint16_t *samples);
bool aei_drawing_decode(aei_drawer *drawer, aei_decider *coder, const aei_drawing *g,
                        uint16_t *samples);

#endif
