/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Files written beside their target and renamed once complete: there is never a half file under the
 * name. */
#ifndef AEI_REPLACE_H
#define AEI_REPLACE_H

#include "ae/status.h"

#include <stdio.h>

typedef struct aei_replace {
    FILE *file; /* write here; errors may be left for commit to find */
    char *path, *temporary;
} aei_replace;

ae_status aei_replace_open(const char *path, aei_replace *out, ae_error *err);
/* Flushes to the disk, closes and renames; on failure the target is as it was. Either way *replace
 * is empty afterwards. */
ae_status aei_replace_commit(aei_replace *replace, ae_error *err);
void aei_replace_abandon(aei_replace *replace); /* fine on an empty one */

#endif
