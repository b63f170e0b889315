/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Records of one line, JSON. A record is put together in memory and written at once, so that those
 * of several threads and processes do not mix; numbers that are not finite become null. */
#include "common/json.h"

#include <math.h>
#include <string.h>

#include "common/text.h"

static void append(cli_json *j, const char *text, size_t n)
{
    if (!j->failed && n > j->capacity - j->n) {
        size_t capacity = 2 * j->capacity + n + 256;
        char *grown = ae_realloc(j->text, j->n, capacity);

        j->failed = !grown;
        if (grown) {
            j->text = grown;
            j->capacity = capacity;
        }
    }
    if (j->failed)
        return;
    memcpy(j->text + j->n, text, n);
    j->n += n;
}

static void append_string(cli_json *j, const char *value)
{
    append(j, "\"", 1);
    for (size_t n; *value; value += n) {
        char escape[8];
        uint32_t code;

        if ((n = cli_utf8(value, &code)) == 0) {
            append(j, "\xef\xbf\xbd", 3);
            n = 1;
        } else if (*value == '"' || *value == '\\') {
            append(j, "\\", 1);
            append(j, value, 1);
        } else if (cli_is_control(code)) {
            append(j, escape, (size_t)snprintf(escape, sizeof(escape), "\\u%04x", (unsigned)code));
        } else {
            append(j, value, n);
        }
    }
    append(j, "\"", 1);
}

static void append_key(cli_json *j, const char *key)
{
    append(j, j->n ? ", " : "{", j->n ? 2 : 1);
    append_string(j, key);
    append(j, ": ", 2);
}

void cli_json_string(cli_json *j, const char *key, const char *value)
{
    append_key(j, key);
    if (value)
        append_string(j, value);
    else
        append(j, "null", 4);
}

void cli_json_number(cli_json *j, const char *key, double value)
{
    char text[40] = "null";

    if (isfinite(value))
        snprintf(text, sizeof(text), fabs(value) < 1e15 && value == floor(value) ? "%.0f" : "%.9g",
                 value);
    append_key(j, key);
    append(j, text, strlen(text));
}

void cli_json_numbers(cli_json *j, const char *key, const double *values, size_t n)
{
    char text[40];

    append_key(j, key);
    append(j, "[", 1);
    for (size_t i = 0; i < n; i++)
        append(j, text, (size_t)snprintf(text, sizeof(text), i ? ", %.0f" : "%.0f", values[i]));
    append(j, "]", 1);
}

void cli_json_bool(cli_json *j, const char *key, bool value)
{
    append_key(j, key);
    append(j, value ? "true" : "false", value ? 4 : 5);
}

bool cli_json_write(cli_json *j, FILE *to)
{
    bool good;

    append(j, j->n ? "}\n" : "{}\n", j->n ? 2 : 3);
    good = !j->failed && fwrite(j->text, 1, j->n, to) == j->n && fflush(to) == 0;
    j->n = 0;
    j->failed = false;
    return good;
}

void cli_json_clear(cli_json *j)
{
    ae_free(j->text);
    *j = (cli_json){0};
}
