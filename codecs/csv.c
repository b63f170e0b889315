/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Tables as text (RFC 4180 and its relatives). A line is an item, a column one of its numbers, read
 * as f64. Separator (comma, semicolon, tab or bar), decimal comma and header are told by the
 * content. The file is read once to learn what the columns hold and to count lines, then again for
 * the rows, so that memory does not grow with it. A column of words becomes numbers in the order in
 * which they first appear, one of dates becomes days since 1970, what is missing becomes NaN. How
 * all that is written goes among the metadata (csv_form.c). */
#include <ctype.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "csv.h"

enum {
    MAX_COLUMNS = 1 << 16,
    MAX_LINE = 1 << 22,
    MAX_WORDS = 1 << 16,
    BUFFER = 1 << 16,
    SAMPLE_LINES = 64
};

typedef struct table {
    ae_source *source;
    aei_csv_form form; /* its columns are the table's */
    bool header;
    uint64_t line, n_rows, n_crlf, n_ends, n_empty;
    char *text; /* of the line in hand, cells ended by NUL */
    size_t n_text, capacity;
    char **cells;
    uint32_t n_cells;
    bool *quoted;
    uint8_t buffer[BUFFER];
    size_t n_buffer, at;
} table;

static int next_byte(table *t)
{
    if (t->at == t->n_buffer) {
        t->n_buffer = ae_source_read(t->source, t->buffer, BUFFER);
        t->at = 0;
        if (!t->n_buffer)
            return -1;
    }
    return t->buffer[t->at++];
}

static bool is_next(table *t, char c)
{
    int next = next_byte(t);

    t->at -= next >= 0;
    return next == c;
}

static void start_again(table *t)
{
    static const uint8_t mark[] = {0xef, 0xbb, 0xbf}; /* of UTF-8, as spreadsheets write it */

    ae_source_seek(t->source, 0);
    t->n_buffer = ae_source_read(t->source, t->buffer, BUFFER);
    t->form.mark = t->n_buffer >= 3 && memcmp(t->buffer, mark, 3) == 0;
    t->at = t->form.mark ? 3 : 0;
    t->line = t->n_crlf = t->n_ends = t->n_empty = 0;
}

static ae_status add_char(table *t, char c, ae_error *err)
{
    if (t->n_text == MAX_LINE)
        return ae_fail(err, AE_ERR_LIMIT, "CSV: line %" PRIu64 " has more than %d bytes", t->line,
                       MAX_LINE);
    if (t->n_text == t->capacity) {
        size_t capacity = 2 * t->capacity + 4096;
        char *text = ae_realloc(t->text, t->n_text, capacity);

        if (!text)
            return ae_fail(err, AE_ERR_NOMEM, "a line of a table");
        t->text = text;
        t->capacity = capacity;
    }
    t->text[t->n_text++] = c;
    return AE_OK;
}

/* The next line that is not empty, cut into cells; *more is false at the end. Quoted cells may hold
 * separators, line ends and doubled quotes. */
static ae_status read_line(table *t, bool *more, ae_error *err)
{
    bool in_quotes = false, was_quoted = false, any = false;
    size_t start = 0;
    uint32_t n = 0;
    int c;
    ae_status st = AE_OK;

    t->n_text = 0;
    t->line++;
    for (;;) {
        bool ends;

        c = next_byte(t);
        if (c == '\r' && !in_quotes) {
            t->n_crlf += is_next(t, '\n');
            continue;
        }
        if (c == '"' && (in_quotes || t->n_text == start)) {
            if (in_quotes && is_next(t, '"')) {
                t->at++;
                if ((st = add_char(t, '"', err)) != AE_OK)
                    return st;
            } else {
                in_quotes = !in_quotes;
                was_quoted = true;
            }
            any = true;
            continue;
        }
        if (c == -1 && in_quotes)
            return ae_fail(err, AE_ERR_MALFORMED, "CSV: line %" PRIu64 ": a quote is not closed",
                           t->line);
        ends = c == -1 || (!in_quotes && c == '\n');
        t->n_ends += ends && c != -1;
        if (!ends && (in_quotes || c != t->form.separator)) {
            any = true;
            if ((st = add_char(t, c == 0 ? ' ' : (char)c, err)) != AE_OK)
                return st;
            continue;
        }
        if (ends && !any && !n && t->n_text == 0) { /* an empty line */
            if (c == -1) {
                *more = false;
                return AE_OK;
            }
            t->line++;
            t->n_empty++;
            continue;
        }
        if (n == MAX_COLUMNS)
            return ae_fail(err, AE_ERR_LIMIT, "CSV: line %" PRIu64 " has more than %d cells",
                           t->line, MAX_COLUMNS);
        if ((st = add_char(t, 0, err)) != AE_OK)
            return st;
        t->quoted[n] = was_quoted;
        t->cells[n++] = (char *)(uintptr_t)start; /* an offset: text may still move */
        start = t->n_text;
        was_quoted = false;
        if (ends)
            break;
    }
    for (uint32_t i = 0; i < n; i++)
        t->cells[i] = t->text + (uintptr_t)t->cells[i];
    t->n_cells = n;
    *more = true;
    return AE_OK;
}

/* ---- words ---- */

static uint64_t hash(const char *word)
{
    uint64_t h = UINT64_C(14695981039346656037); /* FNV-1a */

    for (; *word; word++)
        h = (h ^ (unsigned char)*word) * UINT64_C(1099511628211);
    return h;
}

static void place(aei_csv_column *c, uint32_t index)
{
    uint64_t at = hash(c->words[index]);

    while (c->slots[at % c->n_slots])
        at++;
    c->slots[at % c->n_slots] = index + 1;
}

static bool find_word(const aei_csv_column *c, const char *word, double *value)
{
    for (uint64_t at = hash(word); c->n_slots && c->slots[at % c->n_slots]; at++)
        if (strcmp(c->words[c->slots[at % c->n_slots] - 1], word) == 0) {
            *value = c->slots[at % c->n_slots] - 1;
            return true;
        }
    return false;
}

static ae_status learn_word(const table *t, uint32_t k, const char *word, ae_error *err)
{
    aei_csv_column *c = &t->form.columns[k];
    double known;

    if (find_word(c, word, &known))
        return AE_OK;
    if (c->n_known == MAX_WORDS)
        return ae_fail(err, AE_ERR_LIMIT,
                       "CSV: line %" PRIu64 ", column %u: more than %d different words", t->line,
                       k + 1, MAX_WORDS);
    if (c->n_known == c->capacity) {
        uint32_t capacity = 2 * c->capacity + 16;
        char **words = ae_realloc(c->words, c->n_known * sizeof(*words), capacity * sizeof(*words));
        uint32_t *slots = words ? ae_alloc(2 * capacity, sizeof(*slots)) : NULL;

        if (words) {
            c->words = words;
            c->capacity = slots ? capacity : c->n_known;
        }
        if (!slots)
            return ae_fail(err, AE_ERR_NOMEM, "words of a table");
        ae_free(c->slots);
        c->slots = slots;
        c->n_slots = 2 * capacity;
        for (uint32_t i = 0; i < c->n_known; i++)
            place(c, i);
    }
    if (!(c->words[c->n_known] = ae_strdup(word)))
        return ae_fail(err, AE_ERR_NOMEM, "words of a table");
    place(c, c->n_known++);
    return AE_OK;
}

/* ---- the first pass ---- */

/* The separator that cuts the first lines into the most cells of equal number. */
static char find_separator(table *t)
{
    static const char candidates[] = {'\t', ';', ',', '|'};
    size_t best_count = 0;
    char best = ',';

    start_again(t);
    for (size_t k = 0; k < sizeof(candidates); k++) {
        size_t first = 0, count = 0, lines = 0;
        bool in_quotes = false, even = true;

        for (size_t i = t->at; i < t->n_buffer && lines < SAMPLE_LINES; i++) {
            if (t->buffer[i] == '"')
                in_quotes = !in_quotes;
            else if (!in_quotes && t->buffer[i] == (uint8_t)candidates[k])
                count++;
            else if (!in_quotes && t->buffer[i] == '\n') {
                first = lines ? first : count;
                even &= count == first || !count;
                count = 0;
                lines++;
            }
        }
        first = lines ? first : count;
        if (even && first > best_count) {
            best_count = first;
            best = candidates[k];
        }
    }
    return best;
}

static void look_at_cell(table *t, uint32_t k)
{
    aei_csv_column *c = &t->form.columns[k];
    size_t n = strlen(t->cells[k]);
    const char *cell = aei_csv_trim(t->cells[k]);
    double v = 0;
    content is = WORDS;

    if (aei_csv_is_missing(cell))
        is = MISSING;
    else if (aei_csv_as_number(cell, t->form.decimal == ',', &v))
        is = NUMBERS;
    else if (aei_csv_as_date(cell, &v))
        is = DATES;
    c->n_words += is == WORDS;
    if ((is == DATES || is == WORDS) && !c->odd_line) {
        c->odd_line = t->line;
        snprintf(c->odd, sizeof(c->odd), "%.20s", cell);
    }
    aei_csv_learn(&t->form, k, cell, v, is, t->quoted[k], strlen(cell) != n, t->line);
}

static ae_status look_at_cells(table *t, ae_error *err)
{
    if (t->n_cells != t->form.n_columns)
        return ae_fail(err, AE_ERR_MALFORMED,
                       "CSV: line %" PRIu64 " has %u cells, those before it %u", t->line,
                       t->n_cells, t->form.n_columns);
    for (uint32_t k = 0; k < t->n_cells; k++)
        look_at_cell(t, k);
    return AE_OK;
}

/* A header is a first line none of whose cells is a number, above lines some of which are. */
static bool all_words(table *t)
{
    double v;

    for (uint32_t k = 0; k < t->n_cells; k++)
        if (aei_csv_as_number(aei_csv_trim(t->cells[k]), t->form.decimal == ',', &v))
            return false;
    return true;
}

static ae_status keep_names(const table *t, ae_meta *meta, ae_error *err)
{
    ae_status st = AE_OK;

    for (uint32_t k = 0; k < t->n_cells && st == AE_OK; k++)
        st = ae_meta_add(meta, AE_META_TEXT, "Column", t->cells[k], strlen(t->cells[k]), err);
    return st;
}

/* Numbers with a comma and none with a point, where the comma does not separate. */
static bool has_decimal_comma(table *t)
{
    size_t commas = 0, points = 0;

    if (t->form.separator == ',')
        return false;
    start_again(t);
    for (size_t i = 1; i + 1 < t->n_buffer; i++)
        if (isdigit(t->buffer[i - 1]) && isdigit(t->buffer[i + 1])) {
            commas += t->buffer[i] == ',';
            points += t->buffer[i] == '.';
        }
    return commas > points;
}

static ae_status first_pass(table *t, ae_meta *meta, ae_error *err)
{
    bool more = false, first_has_words, numbers = false;
    ae_status st;

    t->form.separator = find_separator(t);
    t->form.decimal = has_decimal_comma(t) ? ',' : '.';
    start_again(t);
    if ((st = read_line(t, &more, err)) != AE_OK)
        return st;
    if (!more)
        return ae_fail(err, AE_ERR_MALFORMED, "CSV: no line in it");
    t->form.n_columns = t->n_cells;
    if (!(t->form.columns = ae_alloc(t->form.n_columns, sizeof(*t->form.columns))))
        return ae_fail(err, AE_ERR_NOMEM, "%u columns", t->form.n_columns);
    if ((first_has_words = all_words(t)) && (st = keep_names(t, meta, err)) != AE_OK)
        return st;
    if (!first_has_words && (st = look_at_cells(t, err)) != AE_OK)
        return st;
    t->form.names_quoted = first_has_words;
    for (uint32_t k = 0; k < t->n_cells; k++)
        t->form.names_quoted &= t->quoted[k];
    t->n_rows = 1;
    while ((st = read_line(t, &more, err)) == AE_OK && more) {
        if ((st = look_at_cells(t, err)) != AE_OK)
            return st;
        t->n_rows++;
    }
    for (uint32_t k = 0; k < t->form.n_columns; k++)
        numbers |= t->form.columns[k].n_numbers > 0 || t->form.columns[k].n_dates > 0;
    t->header = first_has_words && numbers && t->n_rows > 1;
    t->n_rows -= t->header;
    t->form.crlf = t->n_crlf > 0;
    t->form.unended = t->n_ends == t->n_rows + t->header + t->n_empty - 1;
    if (t->n_empty || (t->n_crlf && t->n_crlf < t->n_ends))
        t->form.odd_line = 1;
    if (first_has_words && !t->header) {
        ae_meta_clear(meta);
        if (t->form.names_quoted != t->form.columns[0].quoted)
            t->form.odd_line = 1;
        t->form.names_quoted = false;
    }
    return st;
}

static ae_status decide_columns(table *t, ae_error *err)
{
    for (uint32_t k = 0; k < t->form.n_columns; k++) {
        aei_csv_column *c = &t->form.columns[k];

        c->what = c->n_words > c->n_numbers + c->n_dates ? WORDS
                  : c->n_dates > c->n_numbers            ? DATES
                                                         : NUMBERS;
        if (c->what == NUMBERS && (c->n_words || c->n_dates) && c->n_numbers)
            return ae_fail(err, AE_ERR_MALFORMED,
                           "CSV: line %" PRIu64 ", column %u: '%s' in a column of numbers",
                           c->odd_line, k + 1, c->odd);
        if (c->what == DATES && (c->n_words || c->n_numbers))
            return ae_fail(err, AE_ERR_MALFORMED, "CSV: column %u holds dates and other things",
                           k + 1);
    }
    return AE_OK;
}

/* In a table of words alone the first line is a header where none of its words comes again in its
 * column, and others do in every column. */
static bool is_header_of_words(const table *t)
{
    bool header = !t->header;

    for (uint32_t k = 0; k < t->form.n_columns && header; k++) {
        const aei_csv_column *c = &t->form.columns[k];

        header = c->what == WORDS && c->first_word == 1 && c->n_known <= c->n_words;
    }
    return header;
}

/* Words of all columns that hold some, in the order of the lines. */
static ae_status learn_words(table *t, ae_error *err)
{
    bool more = true, any = false;
    ae_status st = AE_OK;

    for (uint32_t k = 0; k < t->form.n_columns; k++)
        any |= t->form.columns[k].what == WORDS;
    start_again(t);
    if (t->header)
        st = read_line(t, &more, err);
    while (any && more && st == AE_OK && (st = read_line(t, &more, err)) == AE_OK && more)
        for (uint32_t k = 0; k < t->form.n_columns && st == AE_OK; k++) {
            const char *cell = aei_csv_trim(t->cells[k]);

            if (t->form.columns[k].what != WORDS || aei_csv_is_missing(cell))
                continue;
            st = learn_word(t, k, cell, err);
            t->form.columns[k].first_word += st == AE_OK &&
                                             !strcmp(cell, t->form.columns[k].words[0]);
        }
    return st;
}

static ae_status find_words(table *t, ae_meta *meta, ae_error *err)
{
    bool more;
    ae_status st = learn_words(t, err);

    if (st != AE_OK || !is_header_of_words(t))
        return st;
    start_again(t);
    if ((st = read_line(t, &more, err)) != AE_OK || (st = keep_names(t, meta, err)) != AE_OK)
        return st;
    t->header = t->form.names_quoted = true;
    t->n_rows--;
    for (uint32_t k = 0; k < t->form.n_columns; k++) {
        aei_csv_column *c = &t->form.columns[k];

        t->form.names_quoted &= t->quoted[k];
        ae_free(c->words[0]); /* the first to come, so that the others move up */
        memmove(c->words, c->words + 1, --c->n_known * sizeof(*c->words));
        memset(c->slots, 0, c->n_slots * sizeof(*c->slots));
        for (uint32_t i = 0; i < c->n_known; i++)
            place(c, i);
    }
    return AE_OK;
}

/* ---- the reader ---- */

static void free_table(table *t)
{
    aei_csv_free(&t->form);
    ae_free(t->cells);
    ae_free(t->quoted);
    ae_free(t->text);
    ae_free(t);
}

static void describe(const aei_csv_form *f, char note[160])
{
    char text[120];

    if (!f->odd_line)
        return;
    snprintf(text, sizeof(text),
             "not all is written as most of it is (line %" PRIu64
             "), and comes back in another way: the same values",
             f->odd_line);
    aei_note(note, text);
}

static ae_status csv_open(ae_source *source, const ae_limits *limits, ae_reader *reader,
                          ae_error *err)
{
    table *t = ae_alloc(1, sizeof(*t));
    bool more;
    ae_status st = AE_OK;

    (void)limits;
    if (t) {
        t->source = source;
        t->cells = ae_alloc(MAX_COLUMNS, sizeof(*t->cells));
        t->quoted = ae_alloc(MAX_COLUMNS, sizeof(*t->quoted));
    }
    if (!t || !t->cells || !t->quoted)
        st = ae_fail(err, AE_ERR_NOMEM, "CSV reader");
    if (st == AE_OK && (st = first_pass(t, &reader->meta, err)) == AE_OK &&
        (st = decide_columns(t, err)) == AE_OK &&
        (st = find_words(t, &reader->meta, err)) == AE_OK) {
        aei_csv_conclude(&t->form);
        if ((st = aei_csv_keep(&t->form, &reader->meta, err)) == AE_OK)
            start_again(t);
        if (st == AE_OK && t->header)
            st = read_line(t, &more, err);
    }
    if (st != AE_OK) {
        if (t)
            free_table(t);
        return st;
    }
    describe(&t->form, reader->note);
    reader->info = (ae_signal_info){.kind = AE_KIND_TENSOR,
                                    .sample = AE_F64,
                                    .bits = 64,
                                    .channels = 1,
                                    .width = t->form.n_columns,
                                    .height = t->n_rows,
                                    .rank = 1,
                                    .dims = {t->form.n_columns}};
    reader->state = t;
    return AE_OK;
}

static double cell_value(const table *t, const aei_csv_column *c, char *raw)
{
    const char *cell = aei_csv_trim(raw);
    double v = NAN;

    if (aei_csv_is_missing(cell))
        return NAN;
    if (c->what == WORDS)
        find_word(c, cell, &v);
    else if (c->what == DATES)
        aei_csv_as_date(cell, &v);
    else
        aei_csv_as_number(cell, t->form.decimal == ',', &v);
    return v;
}

static ae_status csv_read(ae_reader *reader, void *rows, uint32_t n_rows, ae_error *err)
{
    table *t = reader->state;
    double *to = rows;

    for (uint32_t i = 0; i < n_rows; i++) {
        bool more = false;
        ae_status st = read_line(t, &more, err);

        if (st != AE_OK)
            return st;
        if (!more || t->n_cells != t->form.n_columns)
            return ae_fail(err, AE_ERR_MALFORMED,
                           "CSV: line %" PRIu64 " is not what it was when it was first read",
                           t->line);
        for (uint32_t k = 0; k < t->form.n_columns; k++)
            *to++ = cell_value(t, &t->form.columns[k], t->cells[k]);
    }
    return AE_OK;
}

static void csv_close(ae_reader *reader)
{
    if (reader->state)
        free_table(reader->state);
}

/* Text that begins like a table is one only if its name says so, too. */
static int csv_probe(const uint8_t *head, size_t n_bytes)
{
    (void)head;
    (void)n_bytes;
    return 0;
}

static const char *const csv_suffixes[] = {"csv", NULL};
static const char *const tsv_suffixes[] = {"tsv", "tab", NULL};

#define TABLE(format, says, ends)                                                                  \
    {                                                                                              \
        .name = format, .description = says, .suffixes = ends, .kind = AE_KIND_TENSOR,             \
        .probe = csv_probe, .open = csv_open, .read = csv_read, .close = csv_close,                \
        .accepts = aei_csv_accepts, .create = aei_csv_create, .write = aei_csv_write,              \
        .finish = aei_csv_finish, .abandon = aei_csv_abandon,                                      \
    }

const ae_codec aei_codec_csv = TABLE("csv", "table of comma-separated values", csv_suffixes);
const ae_codec aei_codec_tsv = TABLE("tsv", "table of tab-separated values", tsv_suffixes);
