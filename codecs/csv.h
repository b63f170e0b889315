/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef AEI_CSV_H
#define AEI_CSV_H

#include "adapter.h"

/* Without the blanks around it; the text is changed. */
const char *aei_csv_trim(char *cell);
bool aei_csv_is_missing(const char *cell);
/* False: it is none. */
bool aei_csv_as_number(const char *cell, bool decimal_comma, double *value);
bool aei_csv_as_date(const char *cell, double *value);

void aei_csv_accepts(ae_signal_info *info, char note[160]);
ae_status aei_csv_create(ae_sink *sink, const ae_signal_info *info, const ae_meta *meta,
                         const ae_write_options *options, ae_writer *writer, ae_error *err);
ae_status aei_csv_write(ae_writer *writer, const void *rows, uint32_t n_rows, ae_error *err);
ae_status aei_csv_finish(ae_writer *writer, ae_error *err);
void aei_csv_abandon(ae_writer *writer);

#endif
