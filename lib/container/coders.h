/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The installed codecs that items of files name by their identities. Each is opened once and stays
 * open, and what was looked for in vain is not looked for again, however many items name it. */
#ifndef AEI_CODERS_H
#define AEI_CODERS_H

#include <pthread.h>

#include "ae/archive.h"

struct ae_coders {
    pthread_mutex_t mutex;
    /* of the models visited so far */
    struct aei_known_coder {
        uint8_t identity[16];
        char *path;
        ae_model *model; /* once it was asked for, as is its coder */
        ae_coder *coder;
    } * known;
    size_t n_known, capacity;
    bool complete; /* there are no others */
};

/* *coder lives as long as the coders. name: a model that it must be, NULL: any. unfit: why one
 * embedded in the file cannot be used, where there is one. */
ae_status aei_coders_find(ae_coders *c, const uint8_t identity[16], const char *name,
                          const ae_error *unfit, ae_coder **coder, ae_error *err);

#endif
