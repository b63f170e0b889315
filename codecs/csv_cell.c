/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What a cell of a table says: nothing, a number, a date. */
#include "csv.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *aei_csv_trim(char *cell)
{
    char *end;

    while (isspace((unsigned char)*cell))
        cell++;
    end = cell + strlen(cell);
    while (end > cell && isspace((unsigned char)end[-1]))
        *--end = 0;
    return cell;
}

bool aei_csv_is_missing(const char *cell)
{
    static const char *const names[] = {"",     "NA",   "N/A",  "NaN", "nan",
                                        "null", "NULL", "None", "?",   "-"};

    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        if (strcmp(cell, names[i]) == 0)
            return true;
    return false;
}

/* Plain decimal numbers in any locale; a point or, if that is what the file has, a comma. */
bool aei_csv_as_number(const char *cell, bool decimal_comma, double *value)
{
    char text[64];
    size_t n = strlen(cell);
    char *end;

    if (!n || n >= sizeof(text) || strspn(cell, "+-0123456789.,eE") != n)
        return false;
    memcpy(text, cell, n + 1);
    for (char *c = text; decimal_comma && *c; c++)
        if (*c == ',')
            *c = '.';
        else if (*c == '.')
            return false;
    *value = strtod(text, &end);
    return !*end && isfinite(*value);
}

/* 2026-11-30, with or without a time of day: days since 1970 in the proleptic Gregorian calendar
 * (Hinnant's algorithm). */
bool aei_csv_as_date(const char *cell, double *value)
{
    int y, m, d, hour = 0, minute = 0, n = 0;
    double second = 0, day_of_era;
    long era, year_of_era, day_of_year;

    if (sscanf(cell, "%4d-%2d-%2d%n", &y, &m, &d, &n) != 3 || !n || m < 1 || m > 12 || d < 1 ||
        d > 31)
        return false;
    cell += n;
    if (*cell == 'T' || *cell == ' ') {
        n = 0;
        if (sscanf(cell + 1, "%2d:%2d%n", &hour, &minute, &n) != 2 || !n)
            return false;
        cell += 1 + n;
        if (*cell == ':') {
            char *end;

            second = strtod(cell + 1, &end);
            cell = end;
        }
        if (*cell == 'Z')
            cell++;
    }
    if (*cell || hour > 24 || minute > 59 || second > 60)
        return false;
    y -= m <= 2;
    era = (y >= 0 ? y : y - 399) / 400;
    year_of_era = y - era * 400;
    day_of_year = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
    day_of_era = (double)(year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year);
    *value = (double)era * 146097 + day_of_era - 719468 +
             (hour + minute / 60.0 + second / 3600) / 24;
    return true;
}
