/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Raw samples, as they come from and go to pipes: nothing in them says what they are. */
#ifndef AE_PCM_H
#define AE_PCM_H

#include "ae/codec.h"

/* The adapter of that name, u8, s8, or s16le to f64be; NULL: none. They are also in the registry, for their writers. */
const ae_codec *ae_pcm_codec(const char *name);
/* Opens a file, or "-" for standard input, which is read as it comes and not spooled. ae_reader_close closes it. */
AE_NODISCARD ae_status ae_pcm_open(const char *path, const ae_codec *codec, double rate, uint32_t channels, ae_reader *reader,
                                   ae_error *err);

#endif
