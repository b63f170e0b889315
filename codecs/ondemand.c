/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Pictures whose libraries are loaded on demand, as the registry sees them: how each is known by
 * its first bytes and what its writer takes. The rest is in modules; where a library was not there
 * to build with, a file is named and refused. */
#include <string.h>

#include "module.h"

static int bmp_probe(const uint8_t *head, size_t n_bytes)
{
    return n_bytes >= 18 && memcmp(head, "BM", 2) == 0 && head[14] >= 12 && head[14] <= 124 &&
                   !head[15] && !head[16]
               ? 80
               : 0;
}

static int gif_probe(const uint8_t *head, size_t n_bytes)
{
    return n_bytes >= 6 && (memcmp(head, "GIF87a", 6) == 0 || memcmp(head, "GIF89a", 6) == 0) ? 100
                                                                                              : 0;
}

static int jp2_probe(const uint8_t *head, size_t n_bytes)
{
    return n_bytes >= 12 && (memcmp(head + 4, "jP  \r\n\x87\n", 8) == 0 ||
                             memcmp(head, "\xff\x4f\xff\x51", 4) == 0)
               ? 100
               : 0;
}

static int exr_probe(const uint8_t *head, size_t n_bytes)
{
    return n_bytes >= 4 && memcmp(head, "\x76\x2f\x31\x01", 4) == 0 ? 100 : 0;
}

static int qoi_probe(const uint8_t *head, size_t n_bytes)
{
    return n_bytes >= 14 && memcmp(head, "qoif", 4) == 0 ? 100 : 0;
}

/* Targa has no signature, only fields with few good values. */
static int tga_probe(const uint8_t *head, size_t n_bytes)
{
    unsigned type = n_bytes >= 18 ? head[2] & ~8u : 0, depth = n_bytes >= 18 ? head[16] : 0;

    return type >= 1 && type <= 3 && head[2] <= 11 && head[1] == (type == 1) &&
                   (depth == 8 || depth == 16 || depth == 24 || depth == 32) &&
                   (head[12] || head[13]) && (head[14] || head[15]) && !(head[17] & 0xc0)
               ? 10
               : 0;
}

static int avif_probe(const uint8_t *head, size_t n_bytes)
{
    static const char *const brands[] = {"avif", "avis", NULL};

    return aei_has_brand(head, n_bytes, brands) ? 100 : 0;
}

static int heic_probe(const uint8_t *head, size_t n_bytes)
{
    static const char *const brands[] = {"heic", "heix", "heim", "heis", "hevc",
                                         "hevx", "mif1", "msf1", NULL};

    return aei_has_brand(head, n_bytes, brands) ? 90 : 0;
}

static int jxl_probe(const uint8_t *head, size_t n_bytes)
{
    return n_bytes >= 12 && memcmp(head + 4, "JXL \r\n\x87\n", 8) == 0 ? 100
           : n_bytes >= 2 && memcmp(head, "\xff\x0a", 2) == 0          ? 60
                                                                       : 0;
}

static int raw_probe(const uint8_t *head, size_t n_bytes)
{
    return aei_raw_name(head, n_bytes) ? 100 : 0;
}

static void avif_accepts(ae_signal_info *info, char note[160])
{
    if (info->sample == AE_U8)
        return;
    if (info->sample == AE_F32)
        aei_note(note, "float samples rounded to 12 bits");
    else if (info->bits > 12)
        aei_note(note, "samples rounded to 12 bits");
    info->sample = AE_U16;
    info->bits = info->bits <= 10 ? 10 : 12;
}

static void jxl_accepts(ae_signal_info *info, char note[160])
{
    (void)info;
    (void)note;
}

/* ---- where the library is missing ---- */

__attribute__((unused)) static ae_status heif_refused(ae_source *source, const ae_limits *limits,
                                                      ae_reader *reader, ae_error *err)
{
    (void)source;
    (void)limits;
    return ae_fail(err, AE_ERR_UNSUPPORTED, "%s is not read; convert it with heif-convert",
                   reader->codec->description);
}

__attribute__((unused)) static ae_status jxl_refused(ae_source *source, const ae_limits *limits,
                                                     ae_reader *reader, ae_error *err)
{
    (void)source;
    (void)limits;
    (void)reader;
    return ae_fail(err, AE_ERR_UNSUPPORTED, "JPEG XL is not read; convert it with djxl");
}

__attribute__((unused)) static ae_status raw_refused(ae_source *source, const ae_limits *limits,
                                                     ae_reader *reader, ae_error *err)
{
    uint8_t head[4096];
    const char *name = aei_raw_name(head, ae_source_read(source, head, sizeof(head)));

    (void)limits;
    (void)reader;
    return ae_fail(err, AE_ERR_UNSUPPORTED,
                   "%s is not read; convert it with darktable-cli, rawtherapee-cli or dcraw",
                   name ? name : "camera raw");
}

/* ---- the formats ---- */

#define READS .open = aei_module_open, .read = aei_module_read, .close = aei_module_close
#define WRITES                                                                                     \
    .create = aei_module_create, .write = aei_module_write, .finish = aei_module_finish,           \
    .abandon = aei_module_abandon

#define PICTURE(symbol, text, ...)                                                                 \
    const ae_codec aei_codec_##symbol = {.name = #symbol,                                          \
                                         .description = text,                                      \
                                         .suffixes = symbol##_suffixes,                            \
                                         .kind = AE_KIND_IMAGE,                                    \
                                         .probe = symbol##_probe,                                  \
                                         __VA_ARGS__}

static const char *const
    bmp_suffixes[] = {"bmp", NULL},
    *const gif_suffixes[] = {"gif", NULL}, *const jp2_suffixes[] = {"jp2", NULL},
    *const exr_suffixes[] = {"exr", NULL}, *const qoi_suffixes[] = {"qoi", NULL},
    *const tga_suffixes[] = {"tga", NULL}, *const avif_suffixes[] = {"avif", NULL},
    *const jxl_suffixes[] = {"jxl", NULL}, *const heic_suffixes[] = {"heic", "heif", "hif", NULL};

PICTURE(bmp, "BMP", READS, .accepts = aei_bmp_accepts, .create = aei_bmp_create,
        .write = aei_bmp_write, .finish = aei_bmp_finish, .abandon = aei_bmp_abandon);
PICTURE(gif, "GIF", READS, .picture = aei_module_picture);
PICTURE(jp2, "JPEG 2000", READS);
PICTURE(exr, "OpenEXR", READS);
PICTURE(qoi, "QOI", READS);
PICTURE(tga, "Targa", READS);
#ifdef AEI_HAVE_AVIF
/* libavif reads sequences, but of several pictures only one; libheif refuses more. */
static ae_status avif_open(ae_source *source, const ae_limits *limits, ae_reader *reader,
                           ae_error *err)
{
#ifdef AEI_HAVE_HEIF
    if (aei_heif_pictures(source) > 1) {
        ae_status st;

        reader->codec = &aei_codec_heic;
        if ((st = aei_module_open(source, limits, reader, err)) != AE_ERR_MALFORMED)
            return st;
        ae_meta_clear(&reader->meta);
        reader->note[0] = 0;
        reader->codec = &aei_codec_avif;
    }
#endif
    return aei_module_open(source, limits, reader, err);
}

PICTURE(avif, "AVIF", .open = avif_open, .read = aei_module_read, .close = aei_module_close,
        .picture = aei_module_picture, .accepts = avif_accepts, WRITES);
#else
PICTURE(avif, "AVIF", .open = heif_refused);
#endif
#ifdef AEI_HAVE_HEIF
PICTURE(heic, "HEIC", READS, .picture = aei_module_picture);
#else
PICTURE(heic, "HEIC", .open = heif_refused);
#endif
#ifdef AEI_HAVE_JXL
PICTURE(jxl, "JPEG XL", READS, .picture = aei_module_picture, .accepts = jxl_accepts, WRITES);
#else
PICTURE(jxl, "JPEG XL", .open = jxl_refused);
#endif
#define raw_suffixes aei_raw_suffixes
#ifdef AEI_HAVE_RAW
PICTURE(raw, "camera raw", READS);
#else
PICTURE(raw, "camera raw", .open = raw_refused);
#endif

const ae_codec aei_codec_apng = {.name = "apng",
                                 .description = "Portable Network Graphics",
                                 READS,
                                 .picture = aei_module_picture};
