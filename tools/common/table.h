/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What a network sees of a table: numbers as deviations from their column's mean, words as a number
 * each that says whether it is this one. Means, deviations and words are learnt of the training
 * data and stay in the model (section COLS of doc/model-format.md), so that a line means the same
 * to it whatever else is in its file. */
#ifndef TABLE_H
#define TABLE_H

#include "ae/files.h"

enum { TABLE_WORDS = 64 /* of a column that are told apart, the most frequent ones */ };

typedef struct table_column {
    char *name; /* "column 3" where the file names none */
    /* of numbers; of words the root of the variance of all their numbers together, so that a column
     * of words weighs as much as one of numbers */
    double mean, deviation;
    /* mean square of what the network's reconstruction of it is off by, of training data; 0: not
     * known */
    double error;
    uint32_t n_words; /* 0: numbers */
    char **words;
    double *shares;       /* of the lines that have one, by word */
    uint32_t first, wide; /* its numbers among all of a line's */
} table_column;

typedef struct table {
    uint32_t n;
    table_column *columns;
    bool named;
    uint32_t wide; /* numbers of a line */
} table;

/* Learns columns from all rows of the readers that `next` gives (NULL: no more); they have columns
 * of the same kinds. Missing values count for nothing. */
ae_status table_learn(void *opaque,
                      ae_status (*next)(void *opaque, ae_reader **reader, ae_error *err),
                      table *out, ae_error *err);
void table_free(table *t);

/* All rows as the network sees them: *n lines of t->wide. Columns are found by their names where
 * both have names, else by their place. What is missing becomes NaN; a word that was not learnt
 * is none of those that were. Where row or column cannot be taken AE_ERR_MALFORMED or
 * AE_ERR_MISMATCH names them. */
ae_status table_read(const table *t, ae_reader *reader, float **lines, size_t *n, ae_error *err);

/* As text and back. */
ae_status table_pack(const table *t, char **text, size_t *n_bytes, ae_error *err);
ae_status table_unpack(const void *text, size_t n_bytes, table *out, ae_error *err);

#endif
