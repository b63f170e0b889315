/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the files of the adapter for sounds share. libsndfile reads and writes samples and what it
 * takes to understand them; what else stands in a file (tags of every name, pictures, cue points,
 * loops, broadcast data) is carried here as it stands. */
#ifndef AEI_SOUNDFILE_H
#define AEI_SOUNDFILE_H

#include <string.h>

#include "adapter.h"
#include "ae/output.h"

typedef enum sound_family {
    SOUND_RIFF,
    SOUND_RIFX, /* RIFF of big-endian numbers */
    SOUND_W64,
    SOUND_AIFF,
    SOUND_AU,
    SOUND_CAF,
    SOUND_FLAC,
    SOUND_OGG,
    SOUND_MPEG,
    SOUND_AV /* what avwrite.c writes */
} sound_family;

/* A row of the registry: symbol_probe knows the format, `functions` are initialisers of the others,
 * and suffixes follow. */
#define AEI_SOUND_CODEC(symbol, text, functions, ...)                                              \
    static const char *const symbol##_suffixes[] = {__VA_ARGS__, NULL};                            \
    const ae_codec aei_codec_##symbol = {.name = #symbol,                                          \
                                         .description = text,                                      \
                                         .suffixes = symbol##_suffixes,                            \
                                         .kind = AE_KIND_AUDIO,                                    \
                                         .probe = symbol##_probe,                                  \
                                         functions};

/* What soundmeta.c finds. */
typedef struct sound_layout {
    uint64_t claimed, present; /* bytes of samples; claimed is 0 where the header does not say */
    bool found; /* where the samples should be; always for formats that have no place for them */
    uint64_t patch_at; /* a size of 32 bits left open that libsndfile shall not see; 0: none */
    bool counted;      /* AIFF: the header counts the frames */
    uint64_t frames;
    bool unfinished; /* an Ogg stream without its last page */
} sound_layout;

/* Walks the file: tags, covers and chunks into *meta, the rest into *layout. Damage behind the
 * samples costs metadata only and is noted. Tags in chunks are left to libsndfile. */
ae_status aei_sound_meta(ae_source *source, sound_family family, const ae_limits *limits,
                         ae_meta *meta, sound_layout *layout, char note[160], ae_error *err);

/* avsound.c */
ae_status aei_mp3_open(ae_source *source, const ae_limits *limits, ae_reader *reader,
                       ae_error *err);

/* The tags that libsndfile knows, as both call them. */
typedef struct sound_tag {
    int sndfile;      /* SF_STR_... */
    const char *name; /* as in Vorbis comments */
    /* The chunk within LIST INFO, the chunk, the key within info, the frame of ID3; NULL: there is
     * none. */
    const char *riff, *aiff, *caf, *id3;
} sound_tag;
extern const sound_tag aei_sound_tags[]; /* ends with a NULL name */

/* The bytes that libsndfile writes, on their way to a sink. */
typedef struct sound_sink {
    aei_spool spool;
    sound_family family;
    uint64_t at, end;      /* where libsndfile stands, and the end, as it sees them */
    uint64_t head;         /* the first bytes of what it writes stay in their place: */
    uint64_t shift;        /* all others come so much later */
    uint64_t placed;       /* where the sink stands */
    char form[4];          /* "RIFF", "RF64" ... */
    const ae_meta *meta;   /* for FLAC and Ogg, until the head is written */
    ae_memory_output held; /* the head, until it is complete */
    bool begun;            /* the head is out */
    bool odd;              /* an odd number of bytes of samples, as far as they are written */
    uint64_t frames;
    void *ogg;
    ae_error error;
    ae_status status;
} sound_sink;

ae_status aei_sound_sink_open(sound_sink *s, sound_family family, ae_sink *sink,
                              const ae_meta *meta, bool seeks, ae_error *err);
/* s->status has what became of it */
void aei_sound_sink_write(sound_sink *s, const void *data, size_t n_bytes);
/* After libsndfile has closed the file: the chunks that come last, sizes put right. Frees
 * everything. */
ae_status aei_sound_sink_finish(sound_sink *s, ae_error *err);
void aei_sound_sink_close(sound_sink *s);

/* What of *meta the family holds goes into `head` (metadata blocks of FLAC without their
 * STREAMINFO, the comment packet of Ogg, the ID3 tag of MPEG) or into `tail` (chunks behind the
 * samples); the rest is noted. */
ae_status aei_sound_head(sound_family family, const ae_meta *meta, ae_memory_output *head,
                         ae_error *err);
ae_status aei_sound_tail(sound_family family, const ae_meta *meta, ae_memory_output *tail,
                         ae_error *err);
void aei_sound_dropped(sound_family family, const ae_meta *meta, char note[160]);

/* A number of n bytes. */
static inline uint64_t aei_sound_number(const uint8_t *p, unsigned n, bool big_endian)
{
    uint64_t v = 0;

    for (unsigned i = 0; i < n; i++)
        v |= (uint64_t)p[i] << 8 * (big_endian ? n - 1 - i : i);
    return v;
}

/* list ends with NULL. */
static inline bool aei_is_one_of(const char *name, const char *const *list)
{
    while (*list && strcmp(*list, name) != 0)
        list++;
    return *list;
}

#endif
