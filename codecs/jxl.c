/* SPDX-License-Identifier: BSD-2-Clause
 *
 * JPEG XL through libjxl: 8 to 16 bits and float. Pictures come upright, as the library turns them.
 */
#include <string.h>

#include <jxl/decode.h>
#include <jxl/encode.h>

#include "ae/files.h"
#include "module.h"
#include "whole.h"

static void put_be32(uint8_t *p, uint32_t v)
{
    for (unsigned i = 0; i < 4; i++)
        p[i] = (uint8_t)(v >> (24 - 8 * i));
}

/* ---- reading ---- */

typedef struct box {
    uint8_t *data;
    size_t room;
    bool open, exif;
} box;

/* What pictures are read with. */
typedef struct reading {
    JxlDecoder *decoder;
    uint8_t *file;
    ae_reader *reader; /* in this call */
    JxlBasicInfo info;
    JxlPixelFormat format;
    box box;
    uint64_t n_frames, at; /* the one in hand */
    bool closed;
    uint64_t charged;
    ae_error *err;
} reading;

static void end_reading(void *opaque)
{
    reading *r = opaque;

    if (r->decoder)
        JxlDecoderDestroy(r->decoder);
    aei_give(&r->charged);
    ae_free(r->box.data);
    ae_free(r->file);
}

static ae_status take_info(reading *r)
{
    static const JxlDataType types[] = {
        [AE_U8] = JXL_TYPE_UINT8, [AE_U16] = JXL_TYPE_UINT16, [AE_F32] = JXL_TYPE_FLOAT};
    const JxlBasicInfo *i = &r->info;
    ae_signal_info info;
    ae_sample sample;
    ae_status st;

    if (JxlDecoderGetBasicInfo(r->decoder, &r->info) != JXL_DEC_SUCCESS)
        return ae_fail(r->err, AE_ERR_MALFORMED, "JPEG XL: no header");
    sample = i->exponent_bits_per_sample || i->bits_per_sample > 16 ? AE_F32
             : i->bits_per_sample > 8                               ? AE_U16
                                                                    : AE_U8;
    info = aei_image_info(i->xsize, i->ysize, sample,
                          (i->num_color_channels < 3 ? 1u : 3u) + (i->alpha_bits ? 1 : 0));
    if (sample == AE_U16)
        info.bits = i->bits_per_sample;
    if ((st = aei_check_size(&r->reader->limits, info.width, info.height, r->err)) != AE_OK)
        return st;
    r->format = (JxlPixelFormat){info.channels, types[sample], JXL_NATIVE_ENDIAN, 0};
    if (i->num_extra_channels > (i->alpha_bits ? 1u : 0))
        aei_note(r->reader->note, "further channels dropped");
    if (i->uses_original_profile)
        snprintf(r->reader->quality, sizeof(r->reader->quality), "lossless");
    st = aei_charge(&r->charged, &r->reader->limits, info.width * info.height * 32,
                    r->reader->codec, r->err);
    return st == AE_OK ? aei_whole_create(r->reader, &r->reader->limits, &info, r->err) : st;
}

/* A profile and, where the colours have numbers, those, unless they are the usual ones. */
static ae_status take_colour(reading *r)
{
    ae_meta *meta = &r->reader->meta;
    JxlColorEncoding e;
    uint8_t *icc;
    size_t n;
    ae_status st = AE_OK;

    if (JxlDecoderGetColorAsEncodedProfile(r->decoder, NULL, JXL_COLOR_PROFILE_TARGET_DATA, &e) ==
        JXL_DEC_SUCCESS) {
        bool grey = e.color_space == JXL_COLOR_SPACE_GRAY,
             d65 = e.white_point == JXL_WHITE_POINT_D65;
        unsigned primaries = grey || e.primaries == JXL_PRIMARIES_SRGB ? 1
                             : e.primaries == JXL_PRIMARIES_P3         ? 12
                                                                       : e.primaries;
        bool gamma = e.transfer_function == JXL_TRANSFER_FUNCTION_GAMMA,
             custom = !d65 || e.primaries == JXL_PRIMARIES_CUSTOM;

        if (d65 && primaries == 1 && e.transfer_function == JXL_TRANSFER_FUNCTION_SRGB)
            return AE_OK;
        if (!gamma && !custom)
            st = aei_add_cicp(meta, primaries, e.transfer_function, r->err);
        if (st == AE_OK && (gamma || e.transfer_function == JXL_TRANSFER_FUNCTION_LINEAR)) {
            uint8_t value[4];

            put_be32(value, gamma ? (uint32_t)(e.gamma * 100000 + 0.5) : 100000);
            st = aei_add_colour(meta, "gAMA", value, 4, r->err);
        }
        if (st == AE_OK && custom && !grey)
            st = aei_add_chromaticities(
                meta,
                (const double[8]){e.white_point_xy[0], e.white_point_xy[1], e.primaries_red_xy[0],
                                  e.primaries_red_xy[1], e.primaries_green_xy[0],
                                  e.primaries_green_xy[1], e.primaries_blue_xy[0],
                                  e.primaries_blue_xy[1]},
                r->err);
    }
    if (st != AE_OK ||
        JxlDecoderGetICCProfileSize(r->decoder, NULL, JXL_COLOR_PROFILE_TARGET_DATA, &n) !=
            JXL_DEC_SUCCESS ||
        !n)
        return st;
    if (n > r->reader->limits.max_meta)
        return ae_fail(r->err, AE_ERR_LIMIT, "JPEG XL: a profile of %zu bytes exceeds max_meta", n);
    if (!(icc = ae_alloc(n, 1)))
        return ae_fail(r->err, AE_ERR_NOMEM, "a profile of %zu bytes", n);
    if (JxlDecoderGetColorAsICCProfile(r->decoder, NULL, JXL_COLOR_PROFILE_TARGET_DATA, icc, n) ==
        JXL_DEC_SUCCESS)
        st = ae_meta_add(meta, AE_META_ICC, NULL, icc, n, r->err);
    ae_free(icc);
    return st;
}

static ae_status end_box(reading *r)
{
    box *b = &r->box;
    size_t n;
    ae_status st = AE_OK;

    if (!b->open)
        return AE_OK;
    b->open = false;
    n = b->room - JxlDecoderReleaseBoxBuffer(r->decoder);
    if (b->exif)
        st = aei_add_boxed_exif(&r->reader->meta, b->data, n, r->err);
    else if (!ae_meta_find(&r->reader->meta, AE_META_XMP))
        st = ae_meta_add(&r->reader->meta, AE_META_XMP, NULL, b->data, n, r->err);
    return st;
}

static ae_status grow_box(reading *r)
{
    box *b = &r->box;
    size_t room = b->open ? 2 * b->room : 1 << 16,
           used = b->open ? b->room - JxlDecoderReleaseBoxBuffer(r->decoder) : 0;
    uint8_t *data;

    if (room > r->reader->limits.max_meta && used >= r->reader->limits.max_meta)
        return ae_fail(r->err, AE_ERR_LIMIT, "JPEG XL: metadata exceed max_meta (%llu)",
                       (unsigned long long)r->reader->limits.max_meta);
    if (!(data = ae_realloc(b->data, b->data ? b->room : 0, room)))
        return ae_fail(r->err, AE_ERR_NOMEM, "metadata of %zu bytes", room);
    b->data = data;
    b->room = room;
    b->open = true;
    return JxlDecoderSetBoxBuffer(r->decoder, data + used, room - used) == JXL_DEC_SUCCESS
               ? AE_OK
               : ae_fail(r->err, AE_ERR_INTERNAL, "JPEG XL: no box");
}

static ae_status begin_box(reading *r)
{
    JxlBoxType type;
    ae_status st = end_box(r);

    if (st != AE_OK || JxlDecoderGetBoxType(r->decoder, type, JXL_TRUE) != JXL_DEC_SUCCESS ||
        (memcmp(type, "Exif", 4) != 0 && memcmp(type, "xml ", 4) != 0))
        return st;
    r->box.exif = type[0] == 'E';
    return grow_box(r);
}

static ae_status give_buffer(reading *r)
{
    aei_whole *w = r->reader->state;
    size_t n = w ? w->row_bytes * (size_t)r->reader->info.height : 0;

    return w && JxlDecoderSetImageOutBuffer(r->decoder, &r->format, w->pixels, n) == JXL_DEC_SUCCESS
               ? AE_OK
               : ae_fail(r->err, AE_ERR_INTERNAL, "JPEG XL: no picture");
}

/* All but the pixels, which are passed over: how many frames there are, and what they have. */
static ae_status survey(reading *r)
{
    for (;;) {
        ae_status st = AE_OK;

        switch (JxlDecoderProcessInput(r->decoder)) {
        case JXL_DEC_BASIC_INFO: st = take_info(r); break;
        case JXL_DEC_COLOR_ENCODING: st = take_colour(r); break;
        case JXL_DEC_FRAME: r->n_frames++; break;
        case JXL_DEC_BOX: st = begin_box(r); break;
        case JXL_DEC_BOX_NEED_MORE_OUTPUT: st = grow_box(r); break;
        case JXL_DEC_SUCCESS: return end_box(r);
        case JXL_DEC_NEED_MORE_INPUT:
            if (r->n_frames && !r->closed) { /* a last box that goes on to the end */
                JxlDecoderCloseInput(r->decoder);
                r->closed = true;
                break;
            }
            return ae_fail(r->err, AE_ERR_MALFORMED, "JPEG XL: truncated");
        default: return ae_fail(r->err, AE_ERR_MALFORMED, "JPEG XL: damaged");
        }
        if (st != AE_OK)
            return st;
    }
}

/* To the values that so many bits have. */
static void settle(ae_reader *reader)
{
    uint16_t *v = (uint16_t *)(void *)((aei_whole *)reader->state)->pixels;
    size_t n = (size_t)(reader->info.width * reader->info.height) * reader->info.channels;

    aei_reduce(v, n, reader->info.bits);
    aei_stretch(v, n, reader->info.bits);
}

/* Goes on to a frame, on the whole canvas; each is laid over what those before have left. */
static ae_status decode(reading *r, uint32_t n)
{
    const ae_signal_info *info = &r->reader->info;
    ae_status st = AE_OK;

    ((aei_whole *)r->reader->state)->y = 0;
    if (r->at == n)
        return AE_OK;
    while (r->at < n && st == AE_OK)
        switch (JxlDecoderProcessInput(r->decoder)) {
        case JXL_DEC_NEED_IMAGE_OUT_BUFFER: st = give_buffer(r); break;
        case JXL_DEC_FULL_IMAGE: r->at++; break;
        case JXL_DEC_NEED_MORE_INPUT:
            st = ae_fail(r->err, AE_ERR_MALFORMED, "JPEG XL: truncated");
            break;
        default: st = ae_fail(r->err, AE_ERR_MALFORMED, "JPEG XL: damaged");
        }
    if (st == AE_OK && info->sample == AE_U16 && info->bits < 16)
        settle(r->reader);
    return st;
}

static ae_status begin(reading *r, ae_source *source)
{
    enum { EVENTS = JXL_DEC_BASIC_INFO | JXL_DEC_COLOR_ENCODING | JXL_DEC_FRAME | JXL_DEC_BOX };
    size_t n;
    ae_status st = aei_whole_file(source, &r->reader->limits, &r->file, &n, r->err);

    if (st != AE_OK)
        return st;
    r->decoder = JxlDecoderCreate(NULL);
    if (!r->decoder || JxlDecoderSubscribeEvents(r->decoder, EVENTS) != JXL_DEC_SUCCESS ||
        JxlDecoderSetUnpremultiplyAlpha(r->decoder, JXL_TRUE) != JXL_DEC_SUCCESS ||
        JxlDecoderSetInput(r->decoder, r->file, n) != JXL_DEC_SUCCESS)
        return ae_fail(r->err, AE_ERR_NOMEM, "JPEG XL decoder");
    /* without Brotli they stay packed, and are not what they should be */
    (void)JxlDecoderSetDecompressBoxes(r->decoder, JXL_TRUE);
    if ((st = survey(r)) != AE_OK)
        return st;
    if (!r->n_frames)
        return ae_fail(r->err, AE_ERR_MALFORMED, "JPEG XL: no picture");
    JxlDecoderRewind(r->decoder);
    if (JxlDecoderSubscribeEvents(r->decoder, JXL_DEC_FULL_IMAGE) != JXL_DEC_SUCCESS ||
        JxlDecoderSetInput(r->decoder, r->file, n) != JXL_DEC_SUCCESS)
        return ae_fail(r->err, AE_ERR_INTERNAL, "JPEG XL: no second reading");
    return AE_OK;
}

static ae_status jxl_open(ae_source *source, const ae_limits *limits, ae_reader *reader,
                          ae_error *err)
{
    reading *r = aei_whole_begin(reader, sizeof(*r), end_reading, err);
    ae_status st;

    (void)limits; /* the reader's */
    if (!r)
        return AE_ERR_NOMEM;
    r->reader = reader;
    r->err = err;
    if ((st = begin(r, source)) == AE_OK && (st = decode(r, 1)) == AE_OK)
        st = aei_whole_turn(reader, 1, err); /* done already */
    if (st == AE_OK)
        aei_whole_further(reader, r->n_frames - 1);
    else
        aei_whole_close(reader);
    return st;
}

static ae_status jxl_picture(ae_reader *reader, uint32_t n, ae_error *err)
{
    reading *r = ((aei_whole *)reader->state)->more;

    r->reader = reader;
    r->err = err;
    return decode(r, n);
}

/* ---- writing ---- */

/* Among those numbers of H.273 that JPEG XL has. */
static bool knows_cicp(const uint8_t *p)
{
    return (p[0] == 1 || p[0] == 9 || p[0] == 12) && p[1] &&
           strchr("\1\6\10\15\16\17\20\22", p[1]) && !p[2] && p[3] == 1;
}

static ae_status jxl_create(ae_sink *sink, const ae_signal_info *info, const ae_meta *meta,
                            const ae_write_options *options, ae_writer *writer, ae_error *err)
{
    size_t n;
    const uint8_t *cicp = aei_find_colour(meta, "cICP", &n);
    bool known = cicp && knows_cicp(cicp);
    double gamma;
    bool odd = aei_get_gamma(meta, &gamma) && !(gamma > 0 && gamma <= 1);
    const char *held = known                ? "cICP sRGB"
                       : cicp || odd        ? "sRGB"
                       : info->channels < 3 ? "gAMA sRGB"
                                            : "gAMA cHRM sRGB";
    aei_profile icc = {0};
    ae_status st;

    if (info->width > 1 << 30 || info->height > 1 << 30)
        return ae_fail(err, AE_ERR_UNSUPPORTED, "JPEG XL holds at most 2^30 pixels along an edge");
    st = aei_canvas_create(sink, info, meta, held, options, writer, err);
    icc = st == AE_OK ? ((aei_canvas *)writer->state)->icc : icc;
    /* that one was made of the numbers by the library itself */
    if (known && icc.n_bytes && memcmp(icc.data + 4, "jxl ", 4) != 0)
        aei_note(writer->note, "colour profile dropped (cICP goes before it)");
    return st;
}

/* The numbers of H.273 that JPEG XL has, or gamma and primaries. */
static void describe(JxlColorEncoding *e, const ae_meta *meta, bool grey)
{
    size_t n;
    const uint8_t *cicp = aei_find_colour(meta, "cICP", &n);
    double gamma, xy[8];
    bool told = aei_get_gamma(meta, &gamma);
    bool wide = !grey && aei_get_chromaticities(meta, xy) && !aei_are_srgb(xy);

    JxlColorEncodingSetToSRGB(e, grey);
    if (cicp && knows_cicp(cicp)) {
        unsigned p = cicp[0], t = cicp[1];

        e->primaries = p == 9    ? JXL_PRIMARIES_2100
                       : p == 12 ? JXL_PRIMARIES_P3
                                 : JXL_PRIMARIES_SRGB;
        e->transfer_function = t == 1 || t == 6 || t == 14 || t == 15 ? JXL_TRANSFER_FUNCTION_709
                               : t == 8                               ? JXL_TRANSFER_FUNCTION_LINEAR
                               : t == 16                              ? JXL_TRANSFER_FUNCTION_PQ
                               : t == 18                              ? JXL_TRANSFER_FUNCTION_HLG
                                                                      : JXL_TRANSFER_FUNCTION_SRGB;
        return;
    }
    if (gamma >= 0.9999 && gamma <= 1.0001) {
        e->transfer_function = JXL_TRANSFER_FUNCTION_LINEAR;
    } else if (told && gamma > 0 && gamma < 1 && (wide || !(gamma > 0.45 && gamma < 0.46))) {
        /* beside sRGB's primaries that would be meant as its curve */
        e->transfer_function = JXL_TRANSFER_FUNCTION_GAMMA;
        e->gamma = gamma;
    }
    if (wide) {
        e->white_point = JXL_WHITE_POINT_CUSTOM;
        e->primaries = JXL_PRIMARIES_CUSTOM;
        for (int i = 0; i < 2; i++) {
            e->white_point_xy[i] = xy[i];
            e->primaries_red_xy[i] = xy[2 + i];
            e->primaries_green_xy[i] = xy[4 + i];
            e->primaries_blue_xy[i] = xy[6 + i];
        }
    }
}

static bool set_colour(JxlEncoder *encoder, const aei_canvas *c, bool grey)
{
    JxlColorEncoding e;
    size_t n;

    const uint8_t *cicp = aei_find_colour(c->meta, "cICP", &n);

    if (c->icc.n_bytes && !(cicp && knows_cicp(cicp)) &&
        JxlEncoderSetICCProfile(encoder, c->icc.data, c->icc.n_bytes) == JXL_ENC_SUCCESS)
        return true;
    describe(&e, c->meta, grey);
    if (JxlEncoderSetColorEncoding(encoder, &e) == JXL_ENC_SUCCESS)
        return true;
    JxlColorEncodingSetToSRGB(&e, grey);
    return JxlEncoderSetColorEncoding(encoder, &e) == JXL_ENC_SUCCESS;
}

static bool add_boxes(JxlEncoder *encoder, const ae_meta *meta)
{
    const ae_meta_item *exif = ae_meta_find(meta, AE_META_EXIF),
                       *xmp = ae_meta_find(meta, AE_META_XMP);
    bool good = true;

    if (!exif && !xmp)
        return true;
    if (JxlEncoderUseBoxes(encoder) != JXL_ENC_SUCCESS)
        return false;
    if (exif) {
        /* begins with where the structure is: at once */
        uint8_t *data = ae_alloc(exif->n_bytes + 4, 1);

        if (data)
            memcpy(data + 4, exif->value, exif->n_bytes);
        good = data && JxlEncoderAddBox(encoder, "Exif", data, exif->n_bytes + 4, JXL_FALSE) ==
                           JXL_ENC_SUCCESS;
        ae_free(data);
    }
    good = good && (!xmp || JxlEncoderAddBox(encoder, "xml ", xmp->value, xmp->n_bytes,
                                             JXL_FALSE) == JXL_ENC_SUCCESS);
    JxlEncoderCloseBoxes(encoder);
    return good;
}

/* As cjxl has it. */
static float distance_of(int quality)
{
    double q = quality;

    return (float)(q >= 30 ? 0.1 + (100 - q) * 0.09 : 53.0 / 3000 * q * q - 23.0 / 20 * q + 25);
}

/* Alpha without loss, as in other formats, by version 0.9 and later, which have a setting for it.
 * Those before blur the edges of masks where alpha is made progressive, and else round it a little.
 */
static bool keep_alpha(JxlEncoderFrameSettings *settings)
{
#if JPEGXL_NUMERIC_VERSION >= JPEGXL_COMPUTE_NUMERIC_VERSION(0, 9, 0)
    return JxlEncoderSetExtraChannelDistance(settings, 0, 0) == JXL_ENC_SUCCESS;
#else
    return JxlEncoderFrameSettingsSetOption(settings, JXL_ENC_FRAME_SETTING_RESPONSIVE, 0) ==
           JXL_ENC_SUCCESS;
#endif
}

static bool encode(JxlEncoder *encoder, const aei_canvas *c, const ae_signal_info *info)
{
    enum { EFFORT = 5 };
    static const JxlDataType types[] = {
        [AE_U8] = JXL_TYPE_UINT8, [AE_U16] = JXL_TYPE_UINT16, [AE_F32] = JXL_TYPE_FLOAT};
    JxlPixelFormat format = {info->channels, types[info->sample], JXL_NATIVE_ENDIAN, 0};
    JxlEncoderFrameSettings *settings;
    JxlBasicInfo basic;

    JxlEncoderInitBasicInfo(&basic);
    basic.xsize = (uint32_t)info->width;
    basic.ysize = (uint32_t)info->height;
    basic.bits_per_sample = info->sample == AE_U8 ? 8 : info->bits;
    basic.exponent_bits_per_sample = info->sample == AE_F32 ? 8 : 0;
    basic.num_color_channels = info->channels < 3 ? 1 : 3;
    basic.num_extra_channels = info->alpha;
    basic.alpha_bits = info->alpha ? basic.bits_per_sample : 0;
    basic.alpha_exponent_bits = info->alpha ? basic.exponent_bits_per_sample : 0;
    basic.uses_original_profile = c->lossless;
    basic.orientation = ae_meta_orientation(c->meta) ? (JxlOrientation)ae_meta_orientation(c->meta)
                                                     : JXL_ORIENT_IDENTITY;
    if (JxlEncoderSetBasicInfo(encoder, &basic) != JXL_ENC_SUCCESS ||
        !set_colour(encoder, c, info->channels < 3))
        return false;
    if (JxlEncoderGetRequiredCodestreamLevel(encoder) == 10 &&
        JxlEncoderSetCodestreamLevel(encoder, 10) != JXL_ENC_SUCCESS)
        return false;
    settings = JxlEncoderFrameSettingsCreate(encoder, NULL);
    if (!settings ||
        JxlEncoderFrameSettingsSetOption(settings, JXL_ENC_FRAME_SETTING_EFFORT, EFFORT) !=
            JXL_ENC_SUCCESS ||
        (c->lossless
             ? JxlEncoderSetFrameLossless(settings, JXL_TRUE)
             : JxlEncoderSetFrameDistance(settings, distance_of(c->quality))) != JXL_ENC_SUCCESS)
        return false;
    if (info->alpha && !c->lossless && !keep_alpha(settings))
        return false;
    if (!add_boxes(encoder, c->meta) ||
        JxlEncoderAddImageFrame(settings, &format, c->pixels,
                                c->row_bytes * (size_t)info->height) != JXL_ENC_SUCCESS)
        return false;
    JxlEncoderCloseInput(encoder);
    return true;
}

static ae_status jxl_finish(ae_writer *writer, ae_error *err)
{
    aei_canvas *c = writer->state;
    JxlEncoder *encoder = JxlEncoderCreate(NULL);
    JxlEncoderStatus more = JXL_ENC_NEED_MORE_OUTPUT;
    uint8_t buffer[1 << 15];
    ae_status st = encoder && encode(encoder, c, &writer->info)
                       ? AE_OK
                       : ae_fail(err, AE_ERR_INTERNAL, "JPEG XL encoder: failed");

    while (st == AE_OK && more == JXL_ENC_NEED_MORE_OUTPUT) {
        uint8_t *next = buffer;
        size_t left = sizeof(buffer);

        more = JxlEncoderProcessOutput(encoder, &next, &left);
        st = more == JXL_ENC_ERROR
                 ? ae_fail(err, AE_ERR_INTERNAL, "JPEG XL encoder: failed")
                 : c->sink->write(c->sink->opaque, buffer, (size_t)(next - buffer), err);
    }
    if (encoder)
        JxlEncoderDestroy(encoder);
    aei_canvas_free(writer);
    return st;
}

static const ae_codec codecs[] = {{
                                      .name = "jxl",
                                      .open = jxl_open,
                                      .read = aei_whole_read,
                                      .close = aei_whole_close,
                                      .picture = jxl_picture,
                                      .create = jxl_create,
                                      .write = aei_canvas_write,
                                      .finish = jxl_finish,
                                      .abandon = aei_canvas_free,
                                  },
                                  {0}};

AEI_MODULE aei_module_jxl = {AE_VERSION, codecs};
