/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef AEI_CARD_H
#define AEI_CARD_H

#include "ae/train.h"

typedef struct aei_card {
    const ae_train_options *options;
    ae_precision precision; /* resolved */
    uint32_t threads;
    uint64_t step, steps;
    double seconds;
    size_t n_items;
    uint64_t fingerprint;
    const char *score_name; /* YAML key */
    /* of the model, of what it began with, of the input; NaN: none */
    double score, first_score, input_score;
} aei_card;

/* The model card as YAML text, to be freed by the caller; NULL when out of memory. */
char *aei_card_make(const aei_card *card);
/* "Some CPU, AVX2" */
void aei_hardware(char *text, size_t n_text);

#endif
