/* SPDX-License-Identifier: BSD-2-Clause
 *
 * HEIC through libheif, read only. Pictures come upright and cropped, as the file says. */
#include <string.h>

#include <libheif/heif.h>

#include "module.h"
#include "whole.h"

static ae_status heif_failed(struct heif_error e, ae_error *err)
{
    bool unsupported = e.code == heif_error_Unsupported_filetype ||
                       e.code == heif_error_Unsupported_feature;

    return ae_fail(err,
                   e.code == heif_error_Memory_allocation_error ? AE_ERR_NOMEM
                   : unsupported                                ? AE_ERR_UNSUPPORTED
                                                                : AE_ERR_MALFORMED,
                   "HEIC: %s", e.message ? e.message : "damaged");
}

static ae_status add_profile(const struct heif_image_handle *handle, ae_meta *meta,
                             const ae_limits *limits, ae_error *err)
{
    size_t n = heif_image_handle_get_raw_color_profile_size(handle);
    struct heif_color_profile_nclx *nclx = NULL;
    ae_status st = AE_OK;

    if (n && n <= limits->max_meta) {
        uint8_t *data = ae_alloc(n, 1);

        if (!data)
            return ae_fail(err, AE_ERR_NOMEM, "a profile of %zu bytes", n);
        if (heif_image_handle_get_raw_color_profile(handle, data).code == heif_error_Ok)
            st = ae_meta_add(meta, AE_META_ICC, NULL, data, n, err);
        ae_free(data);
    }
    if (st == AE_OK &&
        heif_image_handle_get_nclx_color_profile(handle, &nclx).code == heif_error_Ok && nclx) {
        st = aei_add_cicp(meta, nclx->color_primaries, nclx->transfer_characteristics, err);
        heif_nclx_color_profile_free(nclx);
    }
    return st;
}

static ae_status add_blocks(const struct heif_image_handle *handle, ae_meta *meta,
                            const ae_limits *limits, ae_error *err)
{
    heif_item_id ids[16];
    int n = heif_image_handle_get_list_of_metadata_block_IDs(handle, NULL, ids, 16);
    ae_status st = AE_OK;

    for (int i = 0; i < n && st == AE_OK; i++) {
        size_t size = heif_image_handle_get_metadata_size(handle, ids[i]);
        const char *type = heif_image_handle_get_metadata_type(handle, ids[i]);
        const char *content = heif_image_handle_get_metadata_content_type(handle, ids[i]);
        bool xmp = type && content && strcmp(type, "mime") == 0 &&
                   strcmp(content, "application/rdf+xml") == 0;
        uint8_t *data;

        if (!size || size > limits->max_meta || !(xmp || (type && strcmp(type, "Exif") == 0)))
            continue;
        if (!(data = ae_alloc(size, 1)))
            return ae_fail(err, AE_ERR_NOMEM, "metadata of %zu bytes", size);
        if (heif_image_handle_get_metadata(handle, ids[i], data).code == heif_error_Ok) {
            if (!xmp)
                st = aei_add_boxed_exif(meta, data, size, err);
            else if (!ae_meta_find(meta, AE_META_XMP))
                st = ae_meta_add(meta, AE_META_XMP, NULL, data, size, err);
        }
        ae_free(data);
    }
    return st;
}

/* Interleaved samples of 8 bits, or little-endian ones of `bits` in 16. */
static void take_pixels(const uint8_t *from, int stride, const ae_reader *reader)
{
    const ae_signal_info *info = &reader->info;
    aei_whole *w = reader->state;
    uint64_t most = (1u << info->bits) - 1;

    for (uint64_t y = 0; y < info->height; y++) {
        const uint8_t *row = from + (ptrdiff_t)y * stride;
        uint16_t *out = (uint16_t *)(void *)(w->pixels + y * w->row_bytes);

        if (info->sample == AE_U8) {
            memcpy(out, row, w->row_bytes);
            continue;
        }
        for (uint64_t i = 0; i < info->width * info->channels; i++) {
            uint64_t v = (uint64_t)row[2 * i] | (uint64_t)row[2 * i + 1] << 8;

            out[i] = (uint16_t)(((v > most ? most : v) * 65535 + most / 2) / most);
        }
    }
}

static ae_status decode(const struct heif_image_handle *handle, const ae_limits *limits,
                        ae_reader *reader, uint64_t *charged, ae_error *err)
{
    int width = heif_image_handle_get_width(handle), height = heif_image_handle_get_height(handle);
    int bits = heif_image_handle_get_luma_bits_per_pixel(handle), stride = 0;
    bool alpha = heif_image_handle_has_alpha_channel(handle), wide = bits > 8;
    struct heif_image *image = NULL;
    struct heif_error e;
    ae_signal_info info;
    const uint8_t *pixels;
    ae_status st;

    if (width <= 0 || height <= 0 || bits < 1 || bits > 16)
        return ae_fail(err, AE_ERR_MALFORMED, "HEIC: a picture of %d x %d and %d bits", width,
                       height, bits);
    if ((st = aei_check_size(limits, (uint64_t)width, (uint64_t)height, err)) != AE_OK ||
        (st = aei_charge(charged, limits, (uint64_t)width * (uint64_t)height * 24, reader->codec,
                         err)) != AE_OK)
        return st;
    e = heif_decode_image(
        handle, &image, heif_colorspace_RGB,
        wide ? (alpha ? heif_chroma_interleaved_RRGGBBAA_LE : heif_chroma_interleaved_RRGGBB_LE)
             : (alpha ? heif_chroma_interleaved_RGBA : heif_chroma_interleaved_RGB),
        NULL);
    if (e.code != heif_error_Ok)
        return heif_failed(e, err);
    info = aei_image_info((uint64_t)heif_image_get_width(image, heif_channel_interleaved),
                          (uint64_t)heif_image_get_height(image, heif_channel_interleaved),
                          wide ? AE_U16 : AE_U8, alpha ? 4 : 3);
    if (wide)
        info.bits = (uint32_t)bits;
    pixels = heif_image_get_plane_readonly(image, heif_channel_interleaved, &stride);
    if (!pixels || stride < (int)ae_row_bytes(&info))
        st = ae_fail(err, AE_ERR_MALFORMED, "HEIC: no pixels");
    else if ((st = aei_whole_create(reader, limits, &info, err)) == AE_OK)
        take_pixels(pixels, stride, reader);
    heif_image_release(image);
    return st;
}

/* What pictures are read with. */
typedef struct heic_file {
    struct heif_context *context;
    uint8_t *data;
    heif_item_id *ids; /* of pictures, the primary one first */
    int n;
} heic_file;

static void end_file(void *opaque)
{
    heic_file *f = opaque;

    heif_context_free(f->context);
    ae_free(f->data);
    ae_free(f->ids);
}

/* Some files name a primary picture that they do not have. */
static bool is_there(struct heif_context *context, heif_item_id id)
{
    struct heif_image_handle *handle = NULL;
    struct heif_error e = heif_context_get_image_handle(context, id, &handle);

    heif_image_handle_release(handle);
    return e.code == heif_error_Ok;
}

static void drop(heic_file *f, int i)
{
    f->n--;
    memmove(f->ids + i, f->ids + i + 1, (size_t)(f->n - i) * sizeof(*f->ids));
}

static ae_status begin_file(heic_file *f, ae_source *source, const ae_reader *reader, ae_error *err)
{
    heif_item_id primary;
    struct heif_error e;
    size_t n;
    ae_status st = aei_whole_file(source, &reader->limits, &f->data, &n, err);

    if (st != AE_OK)
        return st;
    if (!(f->context = heif_context_alloc()))
        return ae_fail(err, AE_ERR_NOMEM, "HEIC decoder");
    heif_context_set_max_decoding_threads(f->context, 0);
    e = heif_context_read_from_memory_without_copy(f->context, f->data, n, NULL);
    if (e.code == heif_error_Ok)
        e = heif_context_get_primary_image_ID(f->context, &primary);
    if (e.code != heif_error_Ok)
        return heif_failed(e, err);
    f->n = heif_context_get_number_of_top_level_images(f->context);
    if (!(f->ids = ae_alloc((size_t)f->n + 1, sizeof(*f->ids))))
        return ae_fail(err, AE_ERR_NOMEM, "HEIC decoder");
    f->ids[0] = primary;
    f->n = heif_context_get_list_of_top_level_image_IDs(f->context, f->ids + 1, f->n) + 1;
    if (f->n > 1 && !is_there(f->context, primary))
        drop(f, 0);
    for (int i = f->n - 1; i > 0; i--)
        if (f->ids[i] == primary)
            drop(f, i);
    return AE_OK;
}

/* The n-th picture, with metadata and a note of its own. */
static ae_status heic_picture(ae_reader *reader, uint32_t n, ae_error *err)
{
    const heic_file *f = ((aei_whole *)reader->state)->more;
    const ae_limits *limits = &reader->limits;
    struct heif_image_handle *handle = NULL;
    struct heif_error e = heif_context_get_image_handle(f->context, f->ids[n - 1], &handle);
    uint64_t charged = 0;
    ae_status st;

    if (e.code != heif_error_Ok)
        return heif_failed(e, err);
    ae_meta_clear(&reader->meta);
    reader->note[0] = 0;
    if ((st = add_profile(handle, &reader->meta, limits, err)) == AE_OK &&
        (st = add_blocks(handle, &reader->meta, limits, err)) == AE_OK &&
        (st = decode(handle, limits, reader, &charged, err)) == AE_OK)
        st = aei_whole_turn(reader, 1, err); /* done already */
    if (heif_image_handle_get_number_of_auxiliary_images(handle,
                                                         LIBHEIF_AUX_IMAGE_FILTER_OMIT_ALPHA) > 0)
        aei_note(reader->note, "auxiliary pictures (depth, gain map) dropped");
    heif_image_handle_release(handle);
    aei_give(&charged);
    return st;
}

static ae_status heic_open(ae_source *source, const ae_limits *limits, ae_reader *reader,
                           ae_error *err)
{
    heic_file *f = aei_whole_begin(reader, sizeof(*f), end_file, err);
    ae_status st;

    (void)limits; /* the reader's */
    if (!f)
        return AE_ERR_NOMEM;
    if ((st = begin_file(f, source, reader, err)) == AE_OK)
        st = heic_picture(reader, 1, err);
    if (st == AE_OK)
        aei_whole_further(reader, (uint64_t)f->n - 1);
    else
        aei_whole_close(reader);
    return st;
}

static const ae_codec codecs[] = {{
                                      .name = "heic",
                                      .open = heic_open,
                                      .read = aei_whole_read,
                                      .close = aei_whole_close,
                                      .picture = heic_picture,
                                  },
                                  {0}};

AEI_MODULE aei_module_heif = {AE_VERSION, codecs};
