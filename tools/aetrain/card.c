/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Words that go into a model's card: its maker's own, and the command that made it, quoted so that
 * it can be pasted into a shell. */
#include "card.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

char *card_command(int argc, char **argv)
{
    static const char plain[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./=,:+@%";
    size_t n = 1;
    char *text, *at;

    for (int i = 0; i < argc; i++)
        n += 4 * strlen(argv[i]) + 3;
    text = at = ae_alloc(n, 1);
    for (int i = 0; at && i < argc; i++) {
        bool bare = *argv[i] && strspn(argv[i], plain) == strlen(argv[i]);

        if (i)
            *at++ = ' ';
        if (!bare)
            *at++ = '\'';
        for (const char *c = argv[i]; *c; c++)
            at += *c == '\'' ? sprintf(at, "'\\''") : sprintf(at, "%c", *c);
        if (!bare)
            *at++ = '\'';
    }
    return text;
}

ae_status card_read(const char *path, char **text, ae_error *err)
{
    enum { MOST = 1 << 20 };
    FILE *f = fopen(path, "rb");
    size_t n;
    ae_status st = AE_OK;

    *text = NULL;
    if (!f)
        return ae_fail(err, AE_ERR_IO, "%s: %s", path, strerror(errno));
    *text = ae_alloc(MOST + 1, 1);
    if (!*text) {
        st = ae_fail(err, AE_ERR_NOMEM, "%s", path);
    } else {
        n = fread(*text, 1, MOST + 1, f);
        if (ferror(f))
            st = ae_fail(err, AE_ERR_IO, "%s: %s", path, strerror(errno));
        else if (n > MOST)
            st = ae_fail(err, AE_ERR_LIMIT, "%s: a card of more than 1 MiB", path);
        else if (memchr(*text, 0, n))
            st = ae_fail(err, AE_ERR_MALFORMED, "%s: not a text file", path);
    }
    fclose(f);
    return st;
}
