/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Of each kind of note SAID are printed as they come; kinds are told apart with their numbers
 * folded. The table is small and fixed: beyond it nothing is withheld. */
#include "common/notes.h"

#include <ctype.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "common/progress.h"

enum {
    SAID = 3,   /* of each kind */
    KINDS = 32, /* told apart; others are all said */
    LENGTH = 320
};

bool cli_notes_all;

static struct kind {
    char folded[LENGTH], first[LENGTH];
    size_t n;
} kinds[KINDS];
static size_t n_kinds;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

/* A run of digits is one 0. */
static void fold(const char *text, char to[LENGTH])
{
    size_t n = 0;

    for (; *text && n < LENGTH - 1; text++) {
        bool digit = isdigit((unsigned char)*text) != 0;

        if (!digit || !n || to[n - 1] != '0')
            to[n++] = digit ? '0' : *text;
    }
    to[n] = 0;
}

/* Whether to say it. */
static bool count(const char *text)
{
    char folded[LENGTH];
    size_t i = 0;

    fold(text, folded);
    while (i < n_kinds && strcmp(kinds[i].folded, folded) != 0)
        i++;
    if (i == KINDS)
        return true;
    if (i == n_kinds) {
        kinds[n_kinds].n = 0;
        memcpy(kinds[n_kinds].folded, folded, sizeof(folded));
        snprintf(kinds[n_kinds++].first, LENGTH, "%s", text);
    }
    return ++kinds[i].n <= SAID;
}

void cli_note(const char *subject, const char *text)
{
    bool say = cli_notes_all;

    if (!say) {
        pthread_mutex_lock(&mutex);
        say = count(text);
        pthread_mutex_unlock(&mutex);
    }
    if (say)
        cli_message("%s: %s", subject, text);
}

void cli_notes_end(void)
{
    pthread_mutex_lock(&mutex);
    for (size_t i = 0; i < n_kinds; i++)
        if (kinds[i].n > SAID)
            cli_message("and %zu more like \"%s\" (-v says each)", kinds[i].n - SAID,
                        kinds[i].first);
    n_kinds = 0;
    pthread_mutex_unlock(&mutex);
}
