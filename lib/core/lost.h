/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Which failures cost a tile and which all of an item. */
#ifndef AEI_LOST_H
#define AEI_LOST_H

#include "ae/status.h"

/* Damage costs its tile, where somebody is there to be told. What would be no different for the
 * next tile (memory, interruption, a newer format, a file that cannot be read) costs the item. */
static inline bool aei_costs_item(const ae_control *control, ae_status st)
{
    return st == AE_ERR_NOMEM || st == AE_ERR_CANCELLED || st == AE_ERR_TOO_NEW ||
           st == AE_ERR_IO || (st != AE_OK && !control->lost);
}

#endif
