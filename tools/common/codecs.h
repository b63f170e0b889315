/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The codecs that items of a file name by their identities: the one embedded in the file, and those
 * installed. Each is opened once, and what was looked for in vain is not looked for again, however
 * many items name it. */
#ifndef CLI_CODECS_H
#define CLI_CODECS_H

#include "ae/container.h"

enum { CODECS_OPEN = 4 };

typedef struct codecs {
    struct codecs_open {
        uint8_t identity[16];
        ae_coder *coder; /* NULL: free */
        ae_model *model; /* NULL: the coder is of a program alone */
    } embedded, open[CODECS_OPEN];
    uint32_t next; /* the place that is taken next */
    bool looked;   /* for an embedded one */
    ae_error why;  /* what is wrong with it; AE_OK: nothing */
    /* of the models visited so far */
    struct codecs_known {
        uint8_t identity[16];
        char *path;
    } * known;
    size_t n_known, capacity;
    bool complete; /* there are no others */
} codecs;

/* *coder is the finder's and lives until the next call. name: a model that it must be, NULL: any.
 * Zeroes begin a finder. */
ae_status codecs_find(codecs *c, const ae_container *container, const uint8_t identity[16],
                      const char *name, ae_coder **coder, ae_error *err);
void codecs_clear(codecs *c);

#endif
