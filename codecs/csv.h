/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef AEI_CSV_H
#define AEI_CSV_H

#include "adapter.h"

enum { AEI_CSV_CELL = 64 };
#define AEI_CSV_KEY "Table" /* of the text that says how a table is written */

/* Without the blanks around it; the text is changed. */
const char *aei_csv_trim(char *cell);
bool aei_csv_is_missing(const char *cell);
/* False: it is none. */
bool aei_csv_as_number(const char *cell, bool decimal_comma, double *value);
bool aei_csv_as_date(const char *cell, double *value);

typedef enum content { NUMBERS, DATES, WORDS, MISSING } content;

typedef struct aei_csv_column {
    content what;
    uint64_t n_numbers, n_dates, n_words; /* of the first pass */
    uint64_t odd_line;                    /* the first line whose cell is no number, 0: none */
    char odd[24];
    char **words;
    uint32_t n_known, capacity;
    uint32_t *slots; /* hash table of words: index + 1 */
    uint32_t n_slots;
    uint64_t first_word; /* lines that have the word of the first one */
    /* how its cells are written: 'n', 'f', 'd' or 'w' (csv_form.c) */
    char kind, between;
    uint8_t decimals, parts;
    bool utc, quoted, seen;                      /* seen: something by which to tell quoted */
    uint64_t not_fixed, not_shortest, not_dated; /* first lines where it is not so, 0: none */
} aei_csv_column;

typedef struct aei_csv_form {
    char separator, decimal;
    bool crlf, mark, names_quoted, unended, knows_missing;
    char missing[8];
    aei_csv_column *columns;
    uint32_t n_columns, odd_column;
    uint64_t odd_line; /* the first that will not come back as it is, 0: none */
    char *text;        /* that words lie in; NULL: each for itself */
} aei_csv_form;

/* Takes note of how a cell is written; v: its number or date. */
void aei_csv_learn(aei_csv_form *form, uint32_t column, const char *cell, double v, content is,
                   bool quoted, bool blanks, uint64_t line);
/* After the last, when it is known what columns hold. */
void aei_csv_conclude(aei_csv_form *form);
ae_status aei_csv_keep(const aei_csv_form *form, ae_meta *meta, ae_error *err);
/* What was kept; the usual, without columns, where there is none or it is none. */
ae_status aei_csv_take(aei_csv_form *form, const ae_meta *meta, uint32_t n_columns, ae_error *err);
void aei_csv_free(aei_csv_form *form);
/* A number as a cell of the column, but for words; returns its length. */
int aei_csv_cell(const aei_csv_column *column, double v, bool is_f64, char decimal,
                 char text[AEI_CSV_CELL]);
int aei_csv_number(double v, bool is_f64, char text[AEI_CSV_CELL]);

void aei_csv_accepts(ae_signal_info *info, char note[160]);
ae_status aei_csv_create(ae_sink *sink, const ae_signal_info *info, const ae_meta *meta,
                         const ae_write_options *options, ae_writer *writer, ae_error *err);
ae_status aei_csv_write(ae_writer *writer, const void *rows, uint32_t n_rows, ae_error *err);
ae_status aei_csv_finish(ae_writer *writer, ae_error *err);
void aei_csv_abandon(ae_writer *writer);

#endif
