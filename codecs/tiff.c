/* SPDX-License-Identifier: BSD-2-Clause
 *
 * TIFF through libtiff: the adapter as the registry sees it. Reading is in tiff_read.c, writing in
 * tiff_write.c, the bytes below both in tiff_io.c. */
#include "tiff.h"

static const char *const suffixes[] = {"tif", "tiff", NULL};

const ae_codec aei_codec_tiff = {
    .name = "tiff",
    .description = "TIFF",
    .suffixes = suffixes,
    .kind = AE_KIND_IMAGE,
    .probe = aei_tiff_probe,
    .open = aei_tiff_reader_open,
    .read = aei_tiff_reader_read,
    .close = aei_tiff_reader_close,
    .picture = aei_tiff_reader_picture,
    .accepts = aei_tiff_accepts,
    .create = aei_tiff_create,
    .write = aei_tiff_write,
    .finish = aei_tiff_finish,
    .abandon = aei_tiff_abandon,
};
