/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Progress of training, for people and as records. */
#ifndef TALK_H
#define TALK_H

#include <stdio.h>

#include "ae/train.h"

typedef struct talk {
    const ae_recipe *recipe;
    FILE *json;
    bool terminal, quiet, verbose;
    double last; /* when a line was last printed or recorded */
    ae_train_progress seen;
} talk;

/* For ae_train_options; opaque: a talk. */
void talk_progress(void *opaque, const ae_train_progress *progress);
/* A warning; those that differ in their subject alone are counted (common/notes.h). */
void talk_warning(const char *message);

#endif
