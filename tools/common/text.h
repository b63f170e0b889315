/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Text that comes from files and strangers, on its way to a terminal. */
#ifndef CLI_TEXT_H
#define CLI_TEXT_H

#include "ae/status.h"

/* Length of the well-formed UTF-8 sequence at text and its code point; 0 where there is none
 * (overlong forms, surrogates and stray bytes included). */
size_t cli_utf8(const char *text, uint32_t *code);
/* Whether a code point commands a terminal or reorders what is read: C0, DEL, C1, the bidirectional
 * marks of Unicode. */
bool cli_is_control(uint32_t code);
/* Whether text has one of those, or bytes that are no UTF-8. */
bool cli_has_control(const char *text);
/* Writes text with those as \xHH (bytes) and \uHHHH; what does not fit is cut off. Returns `to`. */
char *cli_escape(const char *text, char *to, size_t n);

/* "0:01.25", "1:02:03.00" */
const char *sound_time(double seconds, char text[32]);

#endif
