/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the adapters share. Not for tools, which include ae/files.h and ae/output.h. */
#ifndef AEI_ADAPTER_H
#define AEI_ADAPTER_H

#include <stdio.h>
#include <string.h>

#include "ae/files.h"

extern const ae_codec aei_codec_avif, aei_codec_bmp, aei_codec_exr, aei_codec_gif, aei_codec_heic,
    aei_codec_idx, aei_codec_jp2, aei_codec_jpeg, aei_codec_jxl, aei_codec_pam, aei_codec_pfm,
    aei_codec_pgm, aei_codec_png, aei_codec_pnm, aei_codec_ppm, aei_codec_qoi, aei_codec_raw,
    aei_codec_tga, aei_codec_tiff, aei_codec_webp;
extern const ae_codec aei_codec_csv, aei_codec_npy, aei_codec_tsv;
extern const ae_codec aei_codec_aiff, aei_codec_au, aei_codec_caf, aei_codec_flac, aei_codec_mp3,
    aei_codec_opus, aei_codec_vorbis, aei_codec_w64, aei_codec_wav;
extern const ae_codec aei_codec_aac, aei_codec_avi, aei_codec_m4a, aei_codec_mkv, aei_codec_mov,
    aei_codec_mp4, aei_codec_ts, aei_codec_webm, aei_codec_wma;
extern const ae_codec aei_codec_u8, aei_codec_s8, aei_codec_s16le, aei_codec_s16be, aei_codec_s24le,
    aei_codec_s24be, aei_codec_s32le, aei_codec_s32be, aei_codec_f32le, aei_codec_f32be,
    aei_codec_f64le, aei_codec_f64be;

/* The parts of BMP that libavcodec does not do. */
/* true where it is compressed: that shows in decoding */
bool aei_bmp_is_complete(const uint8_t *file, size_t n_bytes);
ae_status aei_bmp_density(ae_source *source, ae_meta *meta, ae_error *err);
void aei_bmp_accepts(ae_signal_info *info, char note[160]);
ae_status aei_bmp_create(ae_sink *sink, const ae_signal_info *info, const ae_meta *meta,
                         const ae_write_options *options, ae_writer *writer, ae_error *err);
ae_status aei_bmp_write(ae_writer *writer, const void *rows, uint32_t n_rows, ae_error *err);
ae_status aei_bmp_finish(ae_writer *writer, ae_error *err);
void aei_bmp_abandon(ae_writer *writer);

/* What a reader does in the process that decodes: ae/files.h has what it does for tools, and says
 * how. limits are resolved. */
ae_status aei_open_here(ae_source *source, const ae_limits *limits, uint32_t track,
                        ae_reader *reader, ae_error *err);
/* on failure *reader is zero */
ae_status aei_picture_here(ae_reader *reader, uint32_t n, ae_error *err);
ae_status aei_read_here(ae_reader *reader, void *rows, uint32_t n_rows, ae_error *err);
ae_status aei_read_some_here(ae_reader *reader, void *rows, uint32_t capacity, uint32_t *n_rows,
                             ae_error *err);
void aei_close_here(ae_reader *reader);
/* Where the next rows of a picture to be turned are to be put. */
void *aei_turner_next(ae_turner *turner, uint32_t n_rows);

/* The descriptor of a source, -1 of memory; and a source of one, which it takes over, of so many
 * bytes. */
int aei_source_descriptor(const ae_source *source);
ae_status aei_source_adopt(int fd, const char *name, uint64_t n_bytes, ae_source **out,
                           ae_error *err);

/* An unlinked temporary file, or -1 with *err set. */
int aei_temporary_file(ae_error *err);
ae_status aei_write_all(int fd, const void *data, size_t n_bytes, ae_error *err);

/* For writers that need to seek where the sink may not: then the bytes go to a temporary file and,
 * at the end, to the sink. Initialise fd to -1. */
typedef struct aei_spool {
    ae_sink *sink;
    int fd; /* -1: straight to the sink */
} aei_spool;
ae_status aei_spool_open(aei_spool *spool, ae_sink *sink, bool needs_seek, ae_error *err);
ae_status aei_spool_write(aei_spool *spool, const void *data, size_t n_bytes, ae_error *err);
ae_status aei_spool_seek(aei_spool *spool, uint64_t offset, ae_error *err);
ae_status aei_spool_finish(aei_spool *spool, ae_error *err); /* copies and closes */
void aei_spool_close(aei_spool *spool);

/* Fails where a picture is empty or exceeds the limits. */
ae_status aei_check_size(const ae_limits *limits, uint64_t width, uint64_t height, ae_error *err);
/* Charges what a library is about to take for a picture; *charged, 0 before the first call, is what
 * to give back by aei_give. */
ae_status aei_charge(uint64_t *charged, const ae_limits *limits, uint64_t bytes,
                     const ae_codec *codec, ae_error *err);
void aei_give(uint64_t *charged);
/* Fails where a decoder needs `bytes` for a whole picture and may not have them. */
ae_status aei_check_memory(const ae_limits *limits, uint64_t bytes, ae_error *err);

ae_signal_info aei_image_info(uint64_t width, uint64_t height, ae_sample sample, uint32_t channels);

#define AEI_DAMAGED_META "damaged metadata dropped"

/* Appends a clause to a note, once; what does not fit is cut. */
void aei_note(char note[160], const char *text);

/* Keeps a copy of what writers of the same format take over; and finds it, NULL where the reader is
 * none of `codec` or keeps nothing of that size. Another process may have sent it, and what decodes
 * strangers' files may lie: whoever takes it checks it. */
ae_status aei_keep(ae_reader *reader, const void *data, size_t n_bytes, ae_error *err);
const void *aei_kept(const ae_reader *reader, const ae_codec *codec, size_t n_bytes);

/* Tells of that many further pictures. */
void aei_further(ae_reader *reader, uint64_t n);

/* EXIF with or without the "Exif\0\0" in front; what is no EXIF is ignored. */
ae_status aei_add_exif(ae_meta *meta, const uint8_t *data, size_t n_bytes, ae_error *err);
ae_status aei_add_density(ae_meta *meta, double x_per_metre, double y_per_metre, ae_error *err);
/* False where there is none. */
bool aei_get_density(const ae_meta *meta, uint32_t *x_per_metre, uint32_t *y_per_metre);
/* The profile, if it is whole and fits pictures of so many channels (a grey one does not fit
 * colour); else false, with a note where there was one. It points into the metadata. */
enum { AEI_PROFILE_MAX = 1 << 24 }; /* in JPEG it is 255 segments at most */
typedef struct aei_profile {
    const uint8_t *data;
    size_t n_bytes;
} aei_profile;
bool aei_fitting_icc(const ae_meta *meta, const ae_signal_info *info, aei_profile *out,
                     char note[160]);
/* Descriptions of colour that are no profile, each by the type and with the data of a PNG chunk.
 * Adding leaves out what has another length than it should, and a second of its type. Types have
 * four letters; NULL where there is none. */
ae_status aei_add_colour(ae_meta *meta, const void *type, const uint8_t *data, size_t n_bytes,
                         ae_error *err);
const uint8_t *aei_find_colour(const ae_meta *meta, const void *type, size_t *n_bytes);
/* cHRM: x and y of white, red, green, blue. */
ae_status aei_add_chromaticities(ae_meta *meta, const double xy[8], ae_error *err);
bool aei_get_chromaticities(const ae_meta *meta, double xy[8]);
bool aei_are_srgb(const double xy[8]);
/* gAMA: the exponent that samples were made with; false where nothing is said. */
bool aei_get_gamma(const ae_meta *meta, double *gamma);
/* A profile that says what cICP, or else gAMA and cHRM say, from ae_alloc; NULL where they say what
 * cannot be said so, without memory, or where the library that makes profiles was not there to
 * build with. */
uint8_t *aei_make_profile(const ae_meta *meta, bool grey, size_t *n_bytes);
/* The profile for a format which holds profiles, and of descriptions only the types in `held`: the
 * one that there is, or one made of what would be lost and is unusual. That one is *made, to be
 * freed once it is written. Names what became a profile, and what is lost. */
void aei_profile_for(const ae_meta *meta, const ae_signal_info *info, const char *held,
                     aei_profile *out, uint8_t **made, char note[160]);
/* For formats that hold no profiles, and no more than the kinds in `held`, a bit 1 << ae_meta_kind
 * each. */
void aei_note_dropped(const ae_meta *meta, unsigned held, char note[160]);
/* The IPTC record among Photoshop's resources, if there is one and none has been added yet. */
ae_status aei_add_photoshop(ae_meta *meta, const uint8_t *resources, size_t n_bytes, ae_error *err);
/* What goes before an IPTC record to make it a resource; an odd one is followed by a zero, for
 * which its closing NUL serves. */
enum { AEI_PHOTOSHOP_HEAD = 12 };
void aei_photoshop_head(size_t n_bytes, uint8_t head[AEI_PHOTOSHOP_HEAD]);
/* IPTC or EXIF from a text "Raw profile type ..."; false where it is another text. */
bool aei_add_raw_profile(ae_meta *meta, const char *key, const char *text, ae_status *st,
                         ae_error *err);
/* the value of such a text, from ae_alloc, or NULL */
char *aei_make_raw_iptc(const ae_meta_item *item);
/* Text that is not UTF-8 is taken as Latin-1, the key too. */
ae_status aei_add_text(ae_meta *meta, const char *key, const void *text, size_t n_bytes,
                       ae_error *err);
/* likewise */
ae_status aei_add_tag(ae_meta *meta, const char *key, const void *text, size_t n_bytes,
                      ae_error *err);
bool aei_is_text(const ae_meta_item *item, const char *key);
/* Says in EXIF that the picture is upright, where EXIF says anything of it. */
void aei_forget_orientation(ae_meta *meta);

/* Whether a file that begins with these bytes has that text there. */
static inline bool aei_has_text(const uint8_t *head, size_t n_bytes, size_t at, const char *text)
{
    size_t n = strlen(text);

    return at + n <= n_bytes && memcmp(head + at, text, n) == 0;
}
/* The kind of a camera raw file, or NULL; the suffixes of such files. */
const char *aei_raw_name(const uint8_t *head, size_t n_bytes);
extern const char *const aei_raw_suffixes[];
/* How many pictures of AVIF's kind a file of HEIF's kind lists, without what belongs to another.
 * The source stands at 0 afterwards. */
uint32_t aei_heif_pictures(ae_source *source);
/* Whether a file of boxes begins with one of those brands, a list that ends in NULL. */
bool aei_has_brand(const uint8_t *head, size_t n_bytes, const char *const *brands);
/* Whether the sample data are of the image kind and of 1 to 4 channels, alpha where there are 2 or
 * 4: what writers take. */
ae_status aei_check_image(const ae_signal_info *info, ae_error *err);
/* Whether it is sound of a type that is for sound. */
ae_status aei_check_sound(const ae_signal_info *info, ae_error *err);

#endif
