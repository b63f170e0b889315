/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What is recorded in a model's card. */
#ifndef CARD_H
#define CARD_H

#include "ae/status.h"

/* The command line, quoted where a shell would need it. An ae_alloc string, NULL without memory. */
char *card_command(int argc, char **argv);
/* A file of text, of at most 1 MiB. *text: an ae_alloc string. */
ae_status card_read(const char *path, char **text, ae_error *err);

#endif
