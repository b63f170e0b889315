/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Adapters over large libraries live in modules, which are loaded when a file needs them: a process
 * that reads a PNG need not wait for the libraries of video. What stands in the registry are
 * adapters that know a file by its first bytes and pass everything else on to the one of the same
 * name in a module. */
#ifndef AEI_MODULE_H
#define AEI_MODULE_H

#include "adapter.h"

/* What a module NAME defines as aei_module_NAME. */
typedef struct aei_module {
    const char *version;    /* AE_VERSION, of the library that it was built with */
    const ae_codec *codecs; /* of which only names and functions count; ends with a NULL name */
} aei_module;

#define AEI_MODULE __attribute__((visibility("default"))) const aei_module

/* In a process that can open no files: modules that are needed are remembered from here on, not
 * loaded. */
void aei_module_forbid(void);
/* Those that were needed, one bit each, since the last call. */
uint32_t aei_module_missed(void);
/* Loads those. What fails is told when a file needs it. */
void aei_module_load(uint32_t modules);

/* ---- of ae_codec (ae/codec.h): what the adapter of the same name does in its module ---- */

ae_status aei_module_open(ae_source *source, const ae_limits *limits, ae_reader *reader,
                          ae_error *err);
ae_status aei_module_read(ae_reader *reader, void *rows, uint32_t n_rows, ae_error *err);
ae_status aei_module_read_some(ae_reader *reader, void *rows, uint32_t capacity, uint32_t *n_rows,
                               ae_error *err);
ae_status aei_module_picture(ae_reader *reader, uint32_t n, ae_error *err);
void aei_module_close(ae_reader *reader);
ae_status aei_module_create(ae_sink *sink, const ae_signal_info *info, const ae_meta *meta,
                            const ae_write_options *options, ae_writer *writer, ae_error *err);
ae_status aei_module_write(ae_writer *writer, const void *rows, uint32_t n_rows, ae_error *err);
ae_status aei_module_finish(ae_writer *writer, ae_error *err);
void aei_module_abandon(ae_writer *writer);

/* The frames of APNG files, for the adapter of PNG: open, picture, read, close. */
extern const ae_codec aei_codec_apng;

#endif
