/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Messages and one line of progress on standard error, from any thread. The line is drawn on
 * terminals alone, at most five times a second and no wider than it fits, and makes way for
 * messages. What comes from files is escaped, so that no name moves the cursor. */
#define _GNU_SOURCE
#include "common/progress.h"

#include <pthread.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "common/text.h"

const char *cli_name = "ae";
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static bool on, shown;
static double next_time;

double cli_seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void clear(void)
{
    if (shown)
        fputs("\r\033[K", stderr);
    shown = false;
}

void cli_message(const char *format, ...)
{
    char text[4096], escaped[2 * sizeof(text)];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    pthread_mutex_lock(&mutex);
    clear();
    fprintf(stderr, "%s: %s\n", cli_name, cli_escape(text, escaped, sizeof(escaped)));
    pthread_mutex_unlock(&mutex);
}

void cli_progress_on(void)
{
    on = isatty(STDERR_FILENO);
}

bool cli_progress_due(void)
{
    bool due = false;

    if (!on)
        return false;
    pthread_mutex_lock(&mutex);
    if (cli_seconds() >= next_time) {
        next_time = cli_seconds() + 0.2;
        due = true;
    }
    pthread_mutex_unlock(&mutex);
    return due;
}

void cli_progress_show(const char *format, ...)
{
    struct winsize size;
    char text[512], escaped[2 * sizeof(text)];
    int width = 80;
    va_list args;

    if (!on)
        return;
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1)
        width = size.ws_col;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    pthread_mutex_lock(&mutex);
    clear();
    fprintf(stderr, "%.*s", width - 1, cli_escape(text, escaped, sizeof(escaped)));
    fflush(stderr);
    shown = true;
    pthread_mutex_unlock(&mutex);
}

void cli_progress_clear(void)
{
    pthread_mutex_lock(&mutex);
    clear();
    fflush(stderr);
    pthread_mutex_unlock(&mutex);
}

const char *cli_format_time(double seconds, char text[24])
{
    unsigned long s = seconds > 0 && seconds < 3.6e8 ? (unsigned long)(seconds + 0.5) : 0;

    if (s < 3600)
        snprintf(text, 24, "%lu:%02lu", s / 60, s % 60);
    else
        snprintf(text, 24, "%lu:%02lu:%02lu", s / 3600, s / 60 % 60, s % 60);
    return text;
}
