/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef AEI_MEMORY_H
#define AEI_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Takes bytes from the budget; ae_memory_give gives them back. False: it has not so many. */
bool aei_memory_charge(uint64_t n_bytes);
/* Where this thread's last request was refused by the budget: appends why to a message of n bytes,
 * and forgets it. */
void aei_memory_explain(char *message, size_t n);

#endif
