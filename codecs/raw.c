/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Camera raw files through LibRaw, developed as plainly as can be: demosaicked, the camera's white
 * balance, linear light of the primaries of sRGB in 16 bits, upright. */
#include <string.h>

#include <libraw/libraw.h>

#include "exif.h"
#include "module.h"
#include "whole.h"

enum { HEAD = 4096 /* bytes that tell the kind */ };

static ae_status raw_failed(const char *name, int code, ae_error *err)
{
    return ae_fail(err,
                   code == LIBRAW_UNSUFFICIENT_MEMORY ? AE_ERR_NOMEM
                   : code == LIBRAW_FILE_UNSUPPORTED || code == LIBRAW_NOT_IMPLEMENTED
                       ? AE_ERR_UNSUPPORTED
                       : AE_ERR_MALFORMED,
                   "%s: %s", name, libraw_strerror(code));
}

static void on_damage(void *opaque, const char *file, const int offset)
{
    (void)file;
    (void)offset;
    *(bool *)opaque = true;
}

static ae_status add_meta(ae_source *source, const ae_limits *limits, ae_reader *reader,
                          ae_error *err)
{
    static const uint8_t linear[4] = {0, 1, 0x86, 0xa0}; /* a gamma of 1 */
    /* of what is TIFF inside */
    ae_status st = aei_exif_extract(source, 0, limits->max_meta, reader, err);

    if (st == AE_OK)
        st = aei_add_cicp(&reader->meta, 1, 8, err);
    return st == AE_OK ? aei_add_colour(&reader->meta, "gAMA", linear, 4, err) : st;
}

static ae_status take_picture(const char *name, libraw_data_t *raw, const ae_limits *limits,
                              ae_reader *reader, ae_error *err)
{
    int code = 0;
    libraw_processed_image_t *image = libraw_dcraw_make_mem_image(raw, &code);
    ae_signal_info info;
    ae_status st;

    if (!image)
        return raw_failed(name, code ? code : LIBRAW_UNSUFFICIENT_MEMORY, err);
    info = aei_image_info(image->width, image->height, AE_U16, image->colors);
    if (image->type != LIBRAW_IMAGE_BITMAP || image->bits != 16 ||
        (image->colors != 1 && image->colors != 3) ||
        image->data_size < info.height * ae_row_bytes(&info))
        st = ae_fail(err, AE_ERR_UNSUPPORTED, "%s: a picture of %u colours and %u bits", name,
                     image->colors, image->bits);
    else if ((st = aei_whole_create(reader, limits, &info, err)) == AE_OK)
        memcpy(((aei_whole *)reader->state)->pixels, image->data,
               (size_t)info.height * ae_row_bytes(&info));
    libraw_dcraw_clear_mem(image);
    return st;
}

static ae_status develop(const char *name, libraw_data_t *raw, uint8_t *file, size_t n,
                         const ae_limits *limits, ae_reader *reader, uint64_t *charged,
                         ae_error *err)
{
    bool damaged = false;
    int code;
    ae_status st;

    raw->params.use_camera_wb = 1;
    raw->params.output_bps = 16;
    raw->params.output_color = 1; /* sRGB's primaries */
    raw->params.gamm[0] = raw->params.gamm[1] = 1;
    raw->params.no_auto_bright = 1;
    libraw_set_dataerror_handler(raw, on_damage, &damaged);
    if ((code = libraw_open_buffer(raw, file, n)) != LIBRAW_SUCCESS)
        return raw_failed(name, code, err);
    if ((st = aei_check_size(limits, raw->sizes.raw_width, raw->sizes.raw_height, err)) != AE_OK ||
        (st = aei_check_size(limits, raw->sizes.iwidth, raw->sizes.iheight, err)) != AE_OK ||
        (st = aei_charge(charged, limits,
                         24 * (uint64_t)raw->sizes.raw_width * raw->sizes.raw_height, reader->codec,
                         err)) != AE_OK)
        return st;
    if ((code = libraw_unpack(raw)) != LIBRAW_SUCCESS ||
        (code = libraw_dcraw_process(raw)) != LIBRAW_SUCCESS)
        return raw_failed(name, code, err);
    if (damaged)
        return ae_fail(err, AE_ERR_MALFORMED, "%s: damaged or truncated", name);
    aei_note(reader->note, "developed to linear light");
    aei_further(reader, raw->idata.raw_count > 1 ? raw->idata.raw_count - 1 : 0);
    return take_picture(name, raw, limits, reader, err);
}

static ae_status raw_open(ae_source *source, const ae_limits *limits, ae_reader *reader,
                          ae_error *err)
{
    libraw_data_t *raw = NULL;
    uint64_t charged = 0;
    uint8_t *file = NULL;
    const char *name;
    size_t n;
    ae_status st = aei_whole_file(source, limits, &file, &n, err);

    if (st != AE_OK)
        return st;
    name = aei_raw_name(file, n < HEAD ? n : HEAD);
    name = name ? name : reader->codec->description;
    raw = libraw_init(0);
    st = raw ? develop(name, raw, file, n, limits, reader, &charged, err)
             : ae_fail(err, AE_ERR_NOMEM, "camera raw decoder");
    if (st == AE_OK)
        st = add_meta(source, limits, reader, err);
    if (st == AE_OK)
        st = aei_whole_turn(reader, 1, err); /* done already */
    if (st != AE_OK)
        aei_whole_close(reader);
    if (raw)
        libraw_close(raw);
    aei_give(&charged);
    ae_free(file);
    return st;
}

static const ae_codec codecs[] = {{
                                      .name = "raw",
                                      .open = raw_open,
                                      .read = aei_whole_read,
                                      .close = aei_whole_close,
                                  },
                                  {0}};

AEI_MODULE aei_module_raw = {AE_VERSION, codecs};
