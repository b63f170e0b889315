/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef RECORD_H
#define RECORD_H

#include "common/dataset.h"

/* Adds to a model that was just trained on these data what they look like to it (common/normal.h),
 * where it is one whose items have latents and come back as they were. `half`: as the model is
 * stored. */
ae_status record_normal(const char *path, const dataset *data, uint32_t threads, bool half,
                        ae_error *err);

#endif
