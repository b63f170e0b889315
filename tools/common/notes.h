/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Notes about many inputs: of one kind the first few are said, the others are counted, so that a
 * thousand files that lose the same thing do not hide what else was said. Safe from any thread. */
#ifndef CLI_NOTES_H
#define CLI_NOTES_H

#include "ae/status.h"

/* "aedenoise: SUBJECT: TEXT". Texts that differ in numbers alone are of one kind. */
void cli_note(const char *subject, const char *text);
/* Says how many more of each kind there were, and begins anew. */
void cli_notes_end(void);

extern bool cli_notes_all; /* nothing is only counted */

#endif
