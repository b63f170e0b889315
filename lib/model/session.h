/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef AEI_SESSION_H
#define AEI_SESSION_H

#include "ae/model.h"

/* As ae_session_create, for inputs whose outermost `trim` pixels only surround what is wanted
 * (aei_plan_config). */
ae_status aei_session_create(const ae_model *model, uint32_t n, uint32_t h, uint32_t w,
                             uint32_t trim, ae_precision precision, ae_session **out,
                             ae_error *err);

#endif
