/* SPDX-License-Identifier: BSD-2-Clause
 *
 * JPEG through libjpeg-turbo: the adapter as the registry sees it. Reading is in jpeg_read.c,
 * writing in jpeg_write.c, and what both need, the library's errors above all, in jpeg_io.c. */
#include "jpeg.h"

static const char *const suffixes[] = {"jpg", "jpeg", "jpe", "jfif", NULL};

const ae_codec aei_codec_jpeg = {
    .name = "jpeg",
    .description = "JPEG",
    .suffixes = suffixes,
    .kind = AE_KIND_IMAGE,
    .probe = aei_jpeg_probe,
    .open = aei_jpeg_open,
    .read = aei_jpeg_read,
    .close = aei_jpeg_close,
    .accepts = aei_jpeg_accepts,
    .create = aei_jpeg_create,
    .write = aei_jpeg_write,
    .finish = aei_jpeg_finish,
    .abandon = aei_jpeg_abandon,
};
