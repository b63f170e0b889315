/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The codecs that items of a file name by their identities: the one embedded in the file, and those
 * installed. Each is opened once, and what was looked for in vain is not looked for again, however
 * many items name it. */
#ifndef AEI_CODERS_H
#define AEI_CODERS_H

#include "ae/container.h"

enum { AEI_CODERS_OPEN = 4 };

typedef struct aei_coders {
    struct aei_open_coder {
        uint8_t identity[16];
        ae_coder *coder; /* NULL: free */
        ae_model *model; /* NULL: the coder is of a program alone */
    } embedded, open[AEI_CODERS_OPEN];
    uint32_t next; /* the place that is taken next */
    bool looked;   /* for an embedded one */
    ae_error why;  /* what is wrong with it; AE_OK: nothing */
    /* of the models visited so far */
    struct aei_known_coder {
        uint8_t identity[16];
        char *path;
    } * known;
    size_t n_known, capacity;
    bool complete; /* there are no others */
} aei_coders;

/* *coder is the finder's and lives until the next call. name: a model that it must be, NULL: any.
 * Zeroes begin a finder. */
ae_status aei_coders_find(aei_coders *c, const ae_container *container, const uint8_t identity[16],
                          const char *name, ae_coder **coder, ae_error *err);
void aei_coders_clear(aei_coders *c);

#endif
