/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef AEI_MEMORY_H
#define AEI_MEMORY_H

#include <stddef.h>

/* Where this thread's last request was refused by the budget: appends why to a message of n bytes, and forgets it. */
void aei_memory_explain(char *message, size_t n);

#endif
