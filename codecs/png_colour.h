/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Chunks of PNG that say what samples mean. */
#ifndef AEI_PNG_COLOUR_H
#define AEI_PNG_COLOUR_H

#include <png.h>

#include "adapter.h"

#define AEI_PNG_COLOURS "cICP gAMA cHRM sRGB sBIT mDCV cLLI"

/* Adds the chunk of n bytes, at whose data the source stands, to the metadata if it is one of these
 * or a profile. */
ae_status aei_png_take_colour(ae_source *source, const uint8_t *type, uint32_t n,
                              const ae_limits *limits, ae_reader *reader, ae_error *err);
/* Has libpng leave out what the above has taken. */
void aei_png_ignore_colour(png_structp png);

/* The content of an iCCP chunk; n_bytes 0: none. Free data with ae_free. */
typedef struct aei_packed_profile {
    uint8_t *data;
    size_t n_bytes;
} aei_packed_profile;
ae_status aei_png_pack_profile(const ae_meta *meta, ae_writer *writer, aei_packed_profile *out,
                               ae_error *err);
/* Before the palette and the picture; may not return (png_error). */
void aei_png_write_colour(png_structp png, const ae_meta *meta, const aei_packed_profile *profile,
                          const ae_signal_info *info);

#endif
