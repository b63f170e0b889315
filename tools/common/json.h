/* SPDX-License-Identifier: BSD-2-Clause
 *
 * One JSON object a line. */
#ifndef CLI_JSON_H
#define CLI_JSON_H

#include <stdio.h>

#include "ae/status.h"

/* A line being made; zeroed is empty. Running out of memory latches `failed`. */
typedef struct cli_json {
    char *text;
    size_t n, capacity;
    bool failed;
} cli_json;

/* bytes that are no UTF-8 become U+FFFD; NULL: null */
void cli_json_string(cli_json *json, const char *key, const char *value);
void cli_json_number(cli_json *json, const char *key, double value); /* NaN and infinities: null */
/* whole ones */
void cli_json_numbers(cli_json *json, const char *key, const double *values, size_t n);
void cli_json_bool(cli_json *json, const char *key, bool value);
/* Writes "{...}\n" in one go, flushes and empties *json. False where memory or the file failed. */
bool cli_json_write(cli_json *json, FILE *to);
void cli_json_clear(cli_json *json);

#endif
