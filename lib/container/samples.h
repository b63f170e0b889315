/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef AEI_SAMPLES_H
#define AEI_SAMPLES_H

#include "frame.h"

/* Whole small pictures below each other, `period` rows each; samples as signals have them. Packing
 * leaves in them what unpacking will give. */
ae_status aei_samples_pack(const ae_signal_info *info, uint32_t period, uint32_t thirds,
                           void *samples, aei_buffer *out, ae_error *err);
ae_status aei_samples_unpack(const ae_signal_info *info, uint32_t period, const void *data,
                             size_t n_bytes, void *samples, ae_error *err);

#endif
