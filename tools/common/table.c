/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Columns are learnt of all files of the training data: of numbers the mean and the deviation, of
 * words those that are most frequent. A line then becomes numbers by the same table in training
 * and in use, whatever the order of the columns in its file, and the table goes into the model as
 * text. */
#include "common/table.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_COLUMNS = 65536, MOST_WORDS = 4096, ROWS = 256 };

/* ---- what a file says of its columns ---- */

/* Name and words of a reader's column. */
typedef struct file_column {
    const char *name;
    char **words; /* NULL: numbers */
    uint32_t n_words;
} file_column;

typedef struct file_columns {
    uint32_t n;
    bool named;
    file_column *columns;
    char *text; /* that words lie in */
} file_columns;

static void free_file_columns(file_columns *f)
{
    for (uint32_t k = 0; f->columns && k < f->n; k++)
        ae_free(f->columns[k].words);
    ae_free(f->columns);
    ae_free(f->text);
    *f = (file_columns){0};
}

/* The words of a column in place, as the line "-w<TAB>word<TAB>word" of codecs/csv_form.c has them.
 */
static ae_status take_words(file_column *c, char *line, ae_error *err)
{
    uint32_t n = 0;

    for (const char *at = line; (at = strchr(at, '\t')); at++)
        n++;
    if (!(c->words = ae_alloc(n + 1, sizeof(*c->words))))
        return ae_fail(err, AE_ERR_NOMEM, "%u words", n);
    strsep(&line, "\t");
    while (line) {
        char *word = strsep(&line, "\t"), *to = word;

        c->words[c->n_words++] = word;
        for (const char *from = word; *from; from++) {
            char escaped = *from == '\\' ? *++from : 0;

            *to++ = escaped == 't' || escaped == 'n' ? ' ' : *from;
            if (!*from)
                break;
        }
        *to = 0;
    }
    return AE_OK;
}

/* What a CSV reader says of its columns; lines of other kinds than words are of numbers. */
static ae_status take_form(file_columns *f, const ae_meta_item *item, ae_error *err)
{
    char *at;
    ae_status st = AE_OK;

    if (f->text)
        return AE_OK;
    if (!(f->text = at = ae_strdup((const char *)item->value)))
        return ae_fail(err, AE_ERR_NOMEM, "words of a table");
    strsep(&at, "\n");
    for (uint32_t k = 0; k < f->n && at && st == AE_OK; k++) {
        char *line = strsep(&at, "\n");

        if (*line && line[1] == 'w')
            st = take_words(&f->columns[k], line, err);
    }
    return st;
}

static ae_status read_file_columns(const ae_reader *reader, file_columns *f, ae_error *err)
{
    uint32_t n_names = 0;
    ae_status st = AE_OK;

    *f = (file_columns){0};
    if (reader->info.rank != 1 || !reader->info.width || reader->info.width > MOST_COLUMNS)
        return ae_fail(err, AE_ERR_MISMATCH, "its items are no lines of a table");
    f->n = (uint32_t)reader->info.width;
    if (!(f->columns = ae_alloc(f->n, sizeof(*f->columns))))
        return ae_fail(err, AE_ERR_NOMEM, "%u columns", f->n);
    for (size_t i = 0; i < reader->meta.n_items && st == AE_OK; i++) {
        const ae_meta_item *item = &reader->meta.items[i];

        if (item->kind != AE_META_TEXT)
            continue;
        if (strcmp(item->key, "Column") == 0 && n_names < f->n)
            f->columns[n_names++].name = (const char *)item->value;
        else if (strcmp(item->key, "Table") == 0)
            st = take_form(f, item, err);
    }
    f->named = n_names == f->n;
    if (st != AE_OK)
        free_file_columns(f);
    return st;
}

/* ---- rows ---- */

static ae_status check_value(double v, uint64_t row, const file_column *c, uint32_t k,
                             ae_error *err)
{
    if (isnan(v) || (v > -1e30 && v < 1e30))
        return AE_OK;
    return ae_fail(err, AE_ERR_MALFORMED, "row %llu, column %u%s%s%s holds %g",
                   (unsigned long long)row + 1, k + 1, c->name ? " (" : "", c->name ? c->name : "",
                   c->name ? ")" : "", v);
}

/* Calls back with each row as numbers. */
static ae_status each_row(ae_reader *reader, const file_columns *file, void *opaque,
                          void (*take)(void *opaque, const double *values), ae_error *err)
{
    uint32_t width = file->n;
    uint8_t *rows = ae_alloc(ROWS, ae_row_bytes(&reader->info));
    double *values = ae_alloc(width, sizeof(*values));
    ae_status st = rows && values ? AE_OK : ae_fail(err, AE_ERR_NOMEM, "rows of a table");

    for (uint64_t row = 0; row < reader->info.height && st == AE_OK; row += ROWS) {
        uint64_t rest = reader->info.height - row;
        uint32_t n = (uint32_t)(rest < ROWS ? rest : ROWS);

        st = ae_reader_read(reader, rows, n, err);
        for (uint32_t i = 0; i < n && st == AE_OK; i++) {
            for (uint32_t k = 0; k < width && st == AE_OK; k++) {
                values[k] = ae_sample_number(reader->info.sample, rows, (size_t)i * width + k);
                st = check_value(values[k], row + i, &file->columns[k], k, err);
                if (file->columns[k].words &&
                    !(values[k] >= 0 && values[k] < file->columns[k].n_words))
                    values[k] = NAN;
            }
            if (st == AE_OK)
                take(opaque, values);
        }
    }
    ae_free(rows);
    ae_free(values);
    return st;
}

/* ---- learning ---- */

typedef struct sums {
    double n, shift, sum, squares; /* of numbers, less the first of them */
    uint32_t n_words;
    char **words; /* MOST_WORDS of them, NULL: numbers so far */
    double *counts;
    uint32_t *map; /* from the words of the file in hand */
} sums;

typedef struct learning {
    uint32_t n;
    char **names; /* NULL: none */
    sums *sums;
} learning;

static void free_learning(learning *l)
{
    for (uint32_t k = 0; k < l->n; k++) {
        for (uint32_t i = 0; l->sums && i < l->sums[k].n_words; i++)
            ae_free(l->sums[k].words[i]);
        if (l->sums) {
            ae_free(l->sums[k].words);
            ae_free(l->sums[k].counts);
            ae_free(l->sums[k].map);
        }
        if (l->names)
            ae_free(l->names[k]);
    }
    ae_free(l->sums);
    ae_free(l->names);
}

static void learn_row(void *opaque, const double *values)
{
    learning *l = opaque;

    for (uint32_t k = 0; k < l->n; k++) {
        sums *s = &l->sums[k];
        double v = values[k];

        if (isnan(v))
            continue;
        s->n++;
        if (s->words) {
            s->counts[s->map[(uint32_t)v]]++;
            continue;
        }
        if (s->n == 1)
            s->shift = v;
        s->sum += v - s->shift;
        s->squares += (v - s->shift) * (v - s->shift);
    }
}

/* The words of a file's column among those of the files before. */
static ae_status map_words(sums *s, const file_column *c, uint32_t k, ae_error *err)
{
    if (!s->words) {
        s->words = ae_alloc(MOST_WORDS, sizeof(*s->words));
        s->counts = ae_alloc(MOST_WORDS, sizeof(*s->counts));
    }
    ae_free(s->map);
    s->map = ae_alloc(c->n_words + 1, sizeof(*s->map));
    if (!s->words || !s->counts || !s->map)
        return ae_fail(err, AE_ERR_NOMEM, "words of a table");
    for (uint32_t i = 0; i < c->n_words; i++) {
        uint32_t w = 0;

        while (w < s->n_words && strcmp(s->words[w], c->words[i]) != 0)
            w++;
        if (w == MOST_WORDS)
            return ae_fail(err, AE_ERR_LIMIT,
                           "column %u%s%s%s: more than %d different words: names or text, and no "
                           "categories to learn from",
                           k + 1, c->name ? " (" : "", c->name ? c->name : "", c->name ? ")" : "",
                           MOST_WORDS);
        if (w == s->n_words && !(s->words[s->n_words++] = ae_strdup(c->words[i])))
            return ae_fail(err, AE_ERR_NOMEM, "words of a table");
        s->map[i] = w;
    }
    return AE_OK;
}

static ae_status begin_learning(learning *l, const file_columns *file, ae_error *err)
{
    l->n = file->n;
    l->sums = ae_alloc(l->n, sizeof(*l->sums));
    l->names = file->named ? ae_alloc(l->n, sizeof(*l->names)) : NULL;
    if (!l->sums || (file->named && !l->names))
        return ae_fail(err, AE_ERR_NOMEM, "%u columns", l->n);
    for (uint32_t k = 0; k < l->n && file->named; k++)
        if (!(l->names[k] = ae_strdup(file->columns[k].name)))
            return ae_fail(err, AE_ERR_NOMEM, "%u columns", l->n);
    return AE_OK;
}

static ae_status learn_file(learning *l, ae_reader *reader, ae_error *err)
{
    file_columns file;
    ae_status st = read_file_columns(reader, &file, err);

    if (st == AE_OK && !l->sums)
        st = begin_learning(l, &file, err);
    if (st == AE_OK && file.n != l->n)
        st = ae_fail(err, AE_ERR_MISMATCH, "has %u columns, the table before it %u", file.n, l->n);
    for (uint32_t k = 0; k < file.n && st == AE_OK; k++)
        if (file.columns[k].words && l->sums[k].n > 0 && !l->sums[k].words)
            st = ae_fail(err, AE_ERR_MISMATCH,
                         "column %u holds words, and numbers in the table before it", k + 1);
        else if (file.columns[k].words)
            st = map_words(&l->sums[k], &file.columns[k], k, err);
        else if (l->sums[k].words)
            st = ae_fail(err, AE_ERR_MISMATCH,
                         "column %u holds numbers, and words in the table before it", k + 1);
    if (st == AE_OK)
        st = each_row(reader, &file, l, learn_row, err);
    free_file_columns(&file);
    return st;
}

/* The most frequent words, in falling order; those as frequent in the order in which they came. */
static ae_status settle_words(table_column *c, sums *s, ae_error *err)
{
    double left = 1;

    c->n_words = s->n_words < TABLE_WORDS ? s->n_words : TABLE_WORDS;
    c->words = ae_alloc(c->n_words, sizeof(*c->words));
    c->shares = ae_alloc(c->n_words, sizeof(*c->shares));
    if (!c->words || !c->shares)
        return ae_fail(err, AE_ERR_NOMEM, "words of a table");
    for (uint32_t i = 0; i < c->n_words; i++) {
        uint32_t most = 0;

        for (uint32_t w = 1; w < s->n_words; w++)
            if (s->counts[w] > s->counts[most])
                most = w;
        c->words[i] = s->words[most];
        s->words[most] = NULL;
        c->shares[i] = s->counts[most] / fmax(s->n, 1);
        s->counts[most] = -1;
        left -= c->shares[i] * c->shares[i];
    }
    c->deviation = sqrt(fmax(left, 0));
    return AE_OK;
}

static ae_status settle(learning *l, table *t, ae_error *err)
{
    ae_status st = AE_OK;

    t->named = l->names != NULL;
    if (!(t->columns = ae_alloc(l->n, sizeof(*t->columns))))
        return ae_fail(err, AE_ERR_NOMEM, "%u columns", l->n);
    for (uint32_t k = 0; k < l->n && st == AE_OK; k++) {
        table_column *c = &t->columns[t->n++];
        sums *s = &l->sums[k];
        char text[32];

        snprintf(text, sizeof(text), "column %u", k + 1);
        if (!(c->name = ae_strdup(l->names ? l->names[k] : text)))
            return ae_fail(err, AE_ERR_NOMEM, "%u columns", l->n);
        for (char *at = c->name; *at; at++)
            *at = (unsigned char)*at < ' ' ? ' ' : *at;
        if (s->n_words) {
            st = settle_words(c, s, err);
        } else if (s->n > 0) {
            double mean = s->sum / s->n;

            c->mean = s->shift + mean;
            c->deviation = sqrt(fmax(s->squares / s->n - mean * mean, 0));
        }
        /* a column of one value, up to rounding, says nothing, but what differs from it does */
        if (!(c->deviation > 1e-9 * fabs(c->mean)))
            c->deviation = 1;
    }
    return st;
}

static void count_wide(table *t)
{
    t->wide = 0;
    for (uint32_t k = 0; k < t->n; k++) {
        t->columns[k].first = t->wide;
        t->columns[k].wide = t->columns[k].n_words ? t->columns[k].n_words : 1;
        t->wide += t->columns[k].wide;
    }
}

ae_status table_learn(void *opaque,
                      ae_status (*next)(void *opaque, ae_reader **reader, ae_error *err),
                      table *out, ae_error *err)
{
    learning l = {0};
    ae_reader *reader;
    ae_status st;

    *out = (table){0};
    while ((st = next(opaque, &reader, err)) == AE_OK && reader &&
           (st = learn_file(&l, reader, err)) == AE_OK)
        ;
    if (st == AE_OK && !l.sums)
        st = ae_fail(err, AE_ERR_MALFORMED, "no table among the data");
    if (st == AE_OK && (st = settle(&l, out, err)) == AE_OK)
        count_wide(out);
    free_learning(&l);
    if (st != AE_OK)
        table_free(out);
    return st;
}

void table_free(table *t)
{
    for (uint32_t k = 0; k < t->n; k++) {
        for (uint32_t i = 0; t->columns[k].words && i < t->columns[k].n_words; i++)
            ae_free(t->columns[k].words[i]);
        ae_free(t->columns[k].words);
        ae_free(t->columns[k].shares);
        ae_free(t->columns[k].name);
    }
    ae_free(t->columns);
    *t = (table){0};
}

/* ---- reading ---- */

typedef struct reading {
    const table *t;
    uint32_t *from; /* columns of the file */
    uint32_t **map; /* words of the file to the table's, n_words: not known; NULL: numbers */
    float *to;
} reading;

static void free_reading(reading *r)
{
    for (uint32_t k = 0; r->map && k < r->t->n; k++)
        ae_free(r->map[k]);
    ae_free(r->map);
    ae_free(r->from);
}

static void read_row(void *opaque, const double *values)
{
    reading *r = opaque;

    for (uint32_t k = 0; k < r->t->n; k++) {
        const table_column *c = &r->t->columns[k];
        double v = values[r->from[k]];
        float *to = r->to + c->first;

        if (!c->n_words)
            *to = (float)((v - c->mean) / c->deviation);
        for (uint32_t i = 0; i < c->n_words; i++)
            to[i] = isnan(v)
                        ? NAN
                        : (float)(((r->map[k][(uint32_t)v] == i) - c->shares[i]) / c->deviation);
    }
    r->to += r->t->wide;
}

static ae_status find_column(const table *t, uint32_t k, const file_columns *file, uint32_t *from,
                             ae_error *err)
{
    const char *name = t->columns[k].name;

    *from = k;
    if (t->named && file->named) {
        for (*from = 0; *from < file->n && strcmp(file->columns[*from].name, name) != 0; ++*from)
            ;
        if (*from == file->n)
            return ae_fail(err, AE_ERR_MISMATCH, "has no column '%s', which the model takes", name);
    } else if (file->n != t->n) {
        return ae_fail(err, AE_ERR_MISMATCH, "has %u columns, the model takes %u", file->n, t->n);
    }
    return AE_OK;
}

static ae_status match_column(reading *r, uint32_t k, const file_columns *file, ae_error *err)
{
    const table_column *c = &r->t->columns[k];
    const file_column *f;
    ae_status st = find_column(r->t, k, file, &r->from[k], err);

    if (st != AE_OK)
        return st;
    f = &file->columns[r->from[k]];
    if ((f->words != NULL) != (c->n_words > 0))
        return ae_fail(err, AE_ERR_MISMATCH, "column %u (%s) holds %s, the model takes %s there",
                       r->from[k] + 1, c->name, f->words ? "words" : "numbers",
                       f->words ? "numbers" : "words");
    if (!c->n_words)
        return AE_OK;
    if (!(r->map[k] = ae_alloc(f->n_words + 1, sizeof(**r->map))))
        return ae_fail(err, AE_ERR_NOMEM, "words of a table");
    for (uint32_t i = 0; i < f->n_words; i++)
        while (r->map[k][i] < c->n_words && strcmp(c->words[r->map[k][i]], f->words[i]) != 0)
            r->map[k][i]++;
    return AE_OK;
}

ae_status table_read(const table *t, ae_reader *reader, float **lines, size_t *n, ae_error *err)
{
    reading r = {.t = t};
    file_columns file;
    ae_status st = read_file_columns(reader, &file, err);

    *lines = NULL;
    *n = (size_t)reader->info.height;
    if (st != AE_OK)
        return st;
    r.from = ae_alloc(t->n, sizeof(*r.from));
    r.map = ae_alloc(t->n, sizeof(*r.map));
    if (!r.from || !r.map || !(*lines = ae_alloc(*n, (size_t)t->wide * sizeof(**lines))))
        st = ae_fail(err, AE_ERR_NOMEM, "a table of %zu x %u numbers", *n, t->wide);
    r.to = *lines;
    for (uint32_t k = 0; k < t->n && st == AE_OK; k++)
        st = match_column(&r, k, &file, err);
    if (st == AE_OK)
        st = each_row(reader, &file, &r, read_row, err);
    free_reading(&r);
    free_file_columns(&file);
    if (st != AE_OK) {
        ae_free(*lines);
        *lines = NULL;
    }
    return st;
}

/* ---- as text ---- */

static const char head[] = "columns 1 ";

ae_status table_pack(const table *t, char **text, size_t *n_bytes, ae_error *err)
{
    FILE *f = open_memstream(text, n_bytes);
    char *copy = NULL;

    if (f) {
        fprintf(f, "%s%s\n", head, t->named ? "named" : "unnamed");
        for (uint32_t k = 0; k < t->n; k++) {
            const table_column *c = &t->columns[k];

            fprintf(f, "%s\t%.17g\t%.17g\t%.17g", c->name, c->mean, c->deviation, c->error);
            for (uint32_t i = 0; i < c->n_words; i++)
                fprintf(f, "\t%s\t%.17g", c->words[i], c->shares[i]);
            fputc('\n', f);
        }
        if (fclose(f) == 0)
            copy = ae_strdup(*text);
        free(*text);
    }
    *text = copy;
    return copy ? AE_OK : ae_fail(err, AE_ERR_NOMEM, "columns of a table");
}

/* The next field of a line; NULL: there is none. */
static char *next_field(char **at)
{
    return strsep(at, "\t");
}

static bool next_number(char **at, double least, double *value)
{
    char *text = next_field(at), *end;

    *value = text && *text ? strtod(text, &end) : NAN;
    return text && *text && !*end && *value >= least && *value < 1e300;
}

static bool read_line(char *line, table_column *c)
{
    uint32_t n = 0;
    char *word;

    for (const char *tab = line; (tab = strchr(tab, '\t')); tab++)
        n++;
    if (n < 3 || n % 2 == 0 || (n - 3) / 2 > TABLE_WORDS)
        return false;
    n = (n - 3) / 2;
    if (!(c->name = ae_strdup(next_field(&line))) || !next_number(&line, -1e300, &c->mean) ||
        !next_number(&line, 1e-300, &c->deviation) || !next_number(&line, 0, &c->error))
        return false;
    c->words = n ? ae_alloc(n, sizeof(*c->words)) : NULL;
    c->shares = n ? ae_alloc(n, sizeof(*c->shares)) : NULL;
    if (n && (!c->words || !c->shares))
        return false;
    while ((word = next_field(&line))) {
        if (!(c->words[c->n_words++] = ae_strdup(word)) ||
            !next_number(&line, 0, &c->shares[c->n_words - 1]))
            return false;
    }
    return true;
}

ae_status table_unpack(const void *text, size_t n_bytes, table *out, ae_error *err)
{
    char *copy = ae_alloc(n_bytes + 1, 1), *at = copy, *line;
    uint32_t n = 0;
    bool good;

    *out = (table){0};
    if (!copy)
        return ae_fail(err, AE_ERR_NOMEM, "columns of a table");
    memcpy(copy, text, n_bytes);
    for (size_t i = 0; i < n_bytes; i++)
        n += copy[i] == '\n';
    good = n > 1 && n <= MOST_COLUMNS + 1 && !memchr(copy, 0, n_bytes) &&
           copy[n_bytes - 1] == '\n' && !strncmp(copy, head, strlen(head));
    line = strsep(&at, "\n");
    out->named = good && !strcmp(line + strlen(head), "named");
    good = good && (out->columns = ae_alloc(n - 1, sizeof(*out->columns)));
    while (good && --n && (line = strsep(&at, "\n")))
        good = read_line(line, &out->columns[out->n++]);
    ae_free(copy);
    if (good) {
        count_wide(out);
        return AE_OK;
    }
    table_free(out);
    return ae_fail(err, AE_ERR_MALFORMED, "what the model says of its columns is damaged");
}
