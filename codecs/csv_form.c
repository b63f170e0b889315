/* SPDX-License-Identifier: BSD-2-Clause
 *
 * How a table is written, so that it comes back as it was. Among metadata it is one text "Table":
 * in the first line the separator, the decimal point, n or r for line ends of LF or CR LF, b where
 * a byte order mark stands in front or -, q where names of columns are quoted or -, u where the
 * last line has no end or -, then what stands for what is missing. A line follows for each column:
 * q where its cells are quoted or -, then n: numbers of the fewest digits, fN: with N decimals, d:
 * dates, dSNZ: with a time behind S, of N parts, where Z ends it, or w and the words, a tabulator
 * before each; in these \t, \n and \\ stand for a tabulator, a line end and a backslash. */
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "csv.h"

enum { EXACT_DIGITS = 15 /* of a decimal number: as many as every double brings back */ };

/* ---- cells ---- */

/* The shortest text that brings the number back; f32 need fewer digits. */
int aei_csv_number(double v, bool is_f64, char text[AEI_CSV_CELL])
{
    int digits = is_f64 ? EXACT_DIGITS : 6, most = digits + 3;
    double back;

    do {
        snprintf(text, AEI_CSV_CELL, "%.*g", digits, v);
        back = strtod(text, NULL);
    } while (digits++ < most && !(is_f64 ? back == v : (double)(float)back == v));
    return (int)strlen(text);
}

/* A day and a time from days since 1970 (Hinnant's algorithm). */
static int write_date(const aei_csv_column *c, double v, char text[AEI_CSV_CELL])
{
    double day = floor(v), second = rint((v - day) * 86400);
    long z, era, of_era, year_of_era, of_year, month, year;
    int n;

    if (!(fabs(v) < 3e6)) /* years of more than four digits */
        return -1;
    if (second >= 86400) {
        second = 0;
        day++;
    }
    z = (long)day + 719468;
    era = (z >= 0 ? z : z - 146096) / 146097;
    of_era = z - era * 146097;
    year_of_era = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    month = (5 * of_year + 2) / 153;
    year = year_of_era + era * 400 + (month > 9);
    n = snprintf(text, AEI_CSV_CELL, "%04ld-%02ld-%02ld", year, month + (month < 10 ? 3 : -9),
                 of_year - (153 * month + 2) / 5 + 1);
    if (c->parts)
        n += snprintf(text + n, AEI_CSV_CELL - (size_t)n, "%c%02d:%02d", c->between,
                      (int)(second / 3600), (int)(second / 60) % 60);
    if (c->parts == 3)
        n += snprintf(text + n, AEI_CSV_CELL - (size_t)n, ":%02d", (int)second % 60);
    if (c->utc)
        n += snprintf(text + n, AEI_CSV_CELL - (size_t)n, "Z");
    return n;
}

int aei_csv_cell(const aei_csv_column *c, double v, bool is_f64, char decimal,
                 char text[AEI_CSV_CELL])
{
    int n = -1;
    double back;

    if (c->kind == 'd' && (n = write_date(c, v, text)) >= 0 &&
        !(aei_csv_as_date(text, &back) && fabs(back - v) < 1e-6))
        n = -1;
    if (c->kind == 'f' && fabs(v) < 1e15) {
        n = snprintf(text, AEI_CSV_CELL, "%.*f", c->decimals, v);
        if (strtod(text, NULL) != v)
            n = -1;
    }
    if (n < 0)
        n = aei_csv_number(v, is_f64, text);
    for (char *at = text; decimal != '.' && c->kind != 'd' && *at; at++)
        if (*at == '.')
            *at = decimal;
    return n;
}

/* ---- learning ---- */

/* Whether a text is what %f makes of that many decimals, and whether %g makes it. */
static void look_at_digits(const char *s, char decimal, uint32_t *decimals, bool *fixed,
                           bool *shortest)
{
    const char *begin = s + (*s == '-'), *at = begin, *point = NULL;
    uint32_t zeros = 0, digits = 0;
    bool leading = true;

    for (; isdigit((unsigned char)*at) || (*at == decimal && !point && at > begin); at++) {
        if (*at == decimal) {
            point = at;
            continue;
        }
        leading &= *at == '0';
        zeros += leading;
        digits += !leading;
    }
    *decimals = point ? (uint32_t)(at - point - 1) : 0;
    *fixed = !*at && at > begin && (!point || *decimals) && digits <= EXACT_DIGITS &&
             *decimals <= EXACT_DIGITS && !(*begin == '0' && isdigit((unsigned char)begin[1]));
    *shortest = *fixed && (!point || at[-1] != '0') && zeros < 5;
}

static void learn_number(aei_csv_column *c, const char *cell, double v, char decimal, uint64_t line)
{
    uint32_t decimals;
    bool fixed, shortest;
    char text[AEI_CSV_CELL];
    aei_csv_column plain = {.kind = 'n'};

    look_at_digits(cell, decimal, &decimals, &fixed, &shortest);
    if (!shortest && !c->not_shortest) {
        aei_csv_cell(&plain, v, true, decimal, text);
        shortest = strcmp(text, cell) == 0;
    }
    if (!c->n_numbers++)
        c->decimals = (uint8_t)decimals;
    if ((!fixed || decimals != c->decimals) && !c->not_fixed)
        c->not_fixed = line;
    if (!shortest && !c->not_shortest)
        c->not_shortest = line;
}

static void learn_date(aei_csv_column *c, const char *cell, double v, uint64_t line)
{
    size_t n = strlen(cell);
    char text[AEI_CSV_CELL];

    if (!c->n_dates++) {
        c->between = n > 10 ? cell[10] : 0;
        c->parts = n >= 19 ? 3 : n > 10 ? 2 : 0;
        c->utc = cell[n - 1] == 'Z';
    }
    if (!c->not_dated && (write_date(c, v, text) < 0 || strcmp(text, cell) != 0))
        c->not_dated = line;
}

void aei_csv_learn(aei_csv_form *f, uint32_t k, const char *cell, double v, content is, bool quoted,
                   bool blanks, uint64_t line)
{
    aei_csv_column *c = &f->columns[k];
    bool odd = blanks;

    if (is == MISSING) {
        if (!f->knows_missing)
            snprintf(f->missing, sizeof(f->missing), "%s", cell);
        f->knows_missing = true;
        /* the only cell of a line is quoted where it is empty */
        odd |= quoted != (f->n_columns == 1 && !*cell) || strcmp(f->missing, cell) != 0;
    } else {
        bool needed = strpbrk(cell, "\"\n\r") || strchr(cell, f->separator);

        if (!needed) {
            odd |= c->seen && c->quoted != quoted;
            c->quoted |= !c->seen && quoted;
            c->seen = true;
        }
        odd |= needed && !quoted;
    }
    if (is == NUMBERS)
        learn_number(c, cell, v, f->decimal, line);
    if (is == DATES)
        learn_date(c, cell, v, line);
    if (odd && !f->odd_line) {
        f->odd_line = line;
        f->odd_column = k + 1;
    }
}

void aei_csv_conclude(aei_csv_form *f)
{
    for (uint32_t k = 0; k < f->n_columns; k++) {
        aei_csv_column *c = &f->columns[k];
        uint64_t odd = 0;

        if (c->what == NUMBERS) {
            c->kind = c->not_shortest && !c->not_fixed ? 'f' : 'n';
            odd = c->not_fixed < c->not_shortest ? c->not_shortest : c->not_fixed;
            odd = c->not_fixed && c->not_shortest ? odd : 0; /* from there on it is neither */
        } else {
            c->kind = c->what == DATES ? 'd' : 'w';
            odd = c->what == DATES ? c->not_dated : 0;
        }
        if (odd && (!f->odd_line || odd < f->odd_line)) {
            f->odd_line = odd;
            f->odd_column = k + 1;
        }
    }
}

/* ---- as text ---- */

typedef struct growing {
    char *text;
    size_t n, room;
} growing;

static bool put(growing *to, const char *text, size_t n)
{
    if (to->n + n + 1 > to->room) {
        size_t room = 2 * (to->n + n) + 256;
        char *grown = ae_realloc(to->text, to->n, room);

        if (!grown)
            return false;
        to->text = grown;
        to->room = room;
    }
    memcpy(to->text + to->n, text, n);
    to->n += n;
    return true;
}

static bool put_word(growing *to, const char *word)
{
    bool good = put(to, "\t", 1);

    for (; *word && good; word++)
        good = *word == '\t'   ? put(to, "\\t", 2)
               : *word == '\n' ? put(to, "\\n", 2)
               : *word == '\\' ? put(to, "\\\\", 2)
                               : put(to, word, 1);
    return good;
}

/* As tables are written of which nothing is known. */
static bool is_usual(const aei_csv_form *f)
{
    bool usual = f->separator == ',' && f->decimal == '.' && !f->crlf && !f->mark &&
                 !f->names_quoted && !f->unended && !*f->missing;

    for (uint32_t k = 0; k < f->n_columns; k++)
        usual &= f->columns[k].kind == 'n' && !f->columns[k].quoted;
    return usual;
}

ae_status aei_csv_keep(const aei_csv_form *f, ae_meta *meta, ae_error *err)
{
    growing to = {0};
    char line[AEI_CSV_CELL];
    int n = snprintf(line, sizeof(line), "%c%c%c%c%c%c%s", f->separator, f->decimal,
                     f->crlf ? 'r' : 'n', f->mark ? 'b' : '-', f->names_quoted ? 'q' : '-',
                     f->unended ? 'u' : '-', f->missing);
    bool good;
    ae_status st;

    if (is_usual(f))
        return AE_OK;
    good = put(&to, line, (size_t)n);
    for (uint32_t k = 0; k < f->n_columns && good; k++) {
        const aei_csv_column *c = &f->columns[k];

        n = snprintf(line, sizeof(line), "\n%c%c", c->quoted ? 'q' : '-', c->kind);
        if (c->kind == 'f')
            n += snprintf(line + n, sizeof(line) - (size_t)n, "%u", c->decimals);
        if (c->kind == 'd' && c->parts)
            n += snprintf(line + n, sizeof(line) - (size_t)n, "%c%u%s", c->between, c->parts,
                          c->utc ? "Z" : "");
        good = put(&to, line, (size_t)n);
        for (uint32_t i = 0; i < c->n_known && good; i++)
            good = put_word(&to, c->words[i]);
    }
    st = good ? ae_meta_add(meta, AE_META_TEXT, AEI_CSV_KEY, to.text, to.n, err)
              : ae_fail(err, AE_ERR_NOMEM, "words of a table");
    ae_free(to.text);
    return st;
}

/* The words of a column, in place, the first behind `next`; false without memory. */
static bool take_words(aei_csv_column *c, char *next)
{
    for (const char *t = next; t; t = strchr(t + 1, '\t'))
        c->capacity++;
    if (c->capacity && !(c->words = ae_alloc(c->capacity, sizeof(*c->words))))
        return false;
    while (next) {
        char *word = next + 1, *to = word;

        if ((next = strchr(word, '\t')) != NULL)
            *next = 0;
        for (const char *from = word; *from; from++)
            if (*from == '\\' && from[1])
                *to++ = *++from == 't' ? '\t' : *from == 'n' ? '\n' : *from;
            else
                *to++ = *from;
        *to = 0;
        c->words[c->n_known++] = word;
    }
    return true;
}

/* False: it says what no table is. */
static bool take_column(aei_csv_column *c, char *line, bool *memory)
{
    int n = 0;
    unsigned number = 0;

    if (strlen(line) < 2 || (*line != 'q' && *line != '-'))
        return false;
    c->quoted = *line == 'q';
    c->kind = line[1];
    line += 2;
    switch (c->kind) {
    case 'n': return !*line;
    case 'f':
        if (sscanf(line, "%2u%n", &number, &n) != 1 || line[n] || number > EXACT_DIGITS)
            return false;
        c->decimals = (uint8_t)number;
        return true;
    case 'd':
        if (!*line)
            return true;
        c->between = line[0];
        c->parts = (uint8_t)(line[1] - '0');
        c->utc = line[1] && line[2] == 'Z';
        return (c->between == 'T' || c->between == ' ') && (c->parts == 2 || c->parts == 3) &&
               !line[2 + c->utc];
    case 'w':
        if (*line && *line != '\t')
            return false;
        *memory = take_words(c, *line ? line : NULL);
        return *memory;
    default: return false;
    }
}

static bool take_table(aei_csv_form *f, const char *line)
{
    if (strlen(line) < 6 || strlen(line + 6) >= sizeof(f->missing) || !strchr(",;\t|", line[0]) ||
        !strchr(".,", line[1]) || !aei_csv_is_missing(line + 6))
        return false;
    f->separator = line[0];
    f->decimal = line[1];
    f->crlf = line[2] == 'r';
    f->mark = line[3] == 'b';
    f->names_quoted = line[4] == 'q';
    f->unended = line[5] == 'u';
    snprintf(f->missing, sizeof(f->missing), "%s", line + 6);
    return true;
}

ae_status aei_csv_take(aei_csv_form *f, const ae_meta *meta, uint32_t n_columns, ae_error *err)
{
    const ae_meta_item *item = NULL;
    bool good, memory = true;
    uint32_t k = 0;
    char *line;

    *f = (aei_csv_form){.separator = ',', .decimal = '.'};
    for (size_t i = 0; i < meta->n_items && !item; i++)
        if (meta->items[i].kind == AE_META_TEXT && strcmp(meta->items[i].key, AEI_CSV_KEY) == 0)
            item = &meta->items[i];
    if (!item)
        return AE_OK;
    if (!(f->text = ae_strdup((const char *)item->value)) ||
        !(f->columns = ae_alloc(n_columns, sizeof(*f->columns)))) {
        aei_csv_free(f);
        return ae_fail(err, AE_ERR_NOMEM, "words of a table");
    }
    f->n_columns = n_columns;
    line = strchr(f->text, '\n');
    if (line)
        *line++ = 0;
    good = take_table(f, f->text);
    for (; line && good; k++) {
        char *next = strchr(line, '\n');

        if (next)
            *next++ = 0;
        good = k < n_columns && take_column(&f->columns[k], line, &memory);
        line = next;
    }
    if (good && k == n_columns)
        return AE_OK;
    aei_csv_free(f); /* what is not as it should be says nothing */
    *f = (aei_csv_form){.separator = ',', .decimal = '.'};
    return memory ? AE_OK : ae_fail(err, AE_ERR_NOMEM, "words of a table");
}

void aei_csv_free(aei_csv_form *f)
{
    for (uint32_t k = 0; f->columns && k < f->n_columns; k++) {
        for (uint32_t i = 0; !f->text && i < f->columns[k].n_known; i++)
            ae_free(f->columns[k].words[i]);
        ae_free(f->columns[k].words);
        ae_free(f->columns[k].slots);
    }
    ae_free(f->columns);
    ae_free(f->text);
    f->columns = NULL;
    f->text = NULL;
}
