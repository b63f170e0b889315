/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Text for people: control characters escaped, sizes and times formatted. */
#include "common/text.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

size_t cli_utf8(const char *text, uint32_t *code)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    const unsigned char *s = (const unsigned char *)text;
    size_t n = s[0] < 0x80             ? 1
               : (s[0] & 0xe0) == 0xc0 ? 2
               : (s[0] & 0xf0) == 0xe0 ? 3
               : (s[0] & 0xf8) == 0xf0 ? 4
                                       : 0;
    uint32_t v = n > 1 ? s[0] & (0x7fu >> n) : s[0];

    for (size_t i = 1; i < n; i++) {
        if ((s[i] & 0xc0) != 0x80)
            return 0;
        v = v << 6 | (s[i] & 0x3f);
    }
    *code = v;
    return n && v >= least[n] && v <= 0x10ffff && (v < 0xd800 || v > 0xdfff) ? n : 0;
}

bool cli_is_control(uint32_t code)
{
    return code < 0x20 || (code >= 0x7f && code < 0xa0) || code == 0x61c || code == 0x200e ||
           code == 0x200f || (code >= 0x202a && code <= 0x202e) ||
           (code >= 0x2066 && code <= 0x2069);
}

bool cli_has_control(const char *text)
{
    uint32_t code;

    for (size_t n; *text; text += n)
        if (!(n = cli_utf8(text, &code)) || cli_is_control(code))
            return true;
    return false;
}

char *cli_escape(const char *text, char *to, size_t n)
{
    char *at = to, *end = to + n - 1; /* room for the NUL */

    while (*text) {
        char escaped[8];
        uint32_t code;
        size_t length = cli_utf8(text, &code), n_escaped = length;

        if (length && !cli_is_control(code))
            memcpy(escaped, text, length);
        else if (length > 1)
            n_escaped = (size_t)snprintf(escaped, sizeof(escaped), "\\u%04x",
                                         (unsigned)(code & 0xffff));
        else
            n_escaped = (size_t)snprintf(escaped, sizeof(escaped), "\\x%02x",
                                         (unsigned)(unsigned char)*text);
        if (n_escaped > (size_t)(end - at))
            break;
        memcpy(at, escaped, n_escaped);
        at += n_escaped;
        text += length ? length : 1;
    }
    *at = 0;
    return to;
}

const char *sound_time(double seconds, char text[32])
{
    double whole = floor(seconds * 100 + 0.5) / 100;
    unsigned long minutes = whole > 0 && whole < 1e12 ? (unsigned long)(whole / 60) : 0;

    if (minutes < 60)
        snprintf(text, 32, "%lu:%05.2f", minutes, whole - 60.0 * (double)minutes);
    else
        snprintf(text, 32, "%lu:%02lu:%05.2f", minutes / 60, minutes % 60,
                 whole - 60.0 * (double)minutes);
    return text;
}
