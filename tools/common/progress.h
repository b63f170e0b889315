/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What a tool says on stderr: messages, and one progress line that is there only when stderr is a
 * terminal. Safe from any thread. */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include "ae/status.h"

extern const char *cli_name; /* the running tool's, before its messages */

/* "aedenoise: ..." and a newline; the progress line makes way. */
void cli_message(const char *format, ...) AE_PRINTF(1, 2);

/* Off until switched on, and off for ever where stderr is no terminal. */
void cli_progress_on(void);
/* True at most five times a second: time to show a new line. Always false while off. */
bool cli_progress_due(void);
void cli_progress_show(const char *format, ...) AE_PRINTF(1, 2);
void cli_progress_clear(void);

double cli_seconds(void); /* monotonic */
/* "0:07", "12:31", "1:02:03" */
const char *cli_format_time(double seconds, char text[24]);

#endif
