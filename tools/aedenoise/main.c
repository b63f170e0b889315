/* SPDX-License-Identifier: BSD-2-Clause
 *
 * aedenoise: its options, and pictures. */
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <strings.h>

#include "ae/denoise.h"
#include "common/names.h"
#include "ae/files.h"
#include "defects.h"
#include "noisemap.h"
#include "sound.h"

enum deblock_when { DEBLOCK_AUTO, DEBLOCK_OFF, DEBLOCK_ON };
/* JPEG without blocks to speak of; of files written without theirs */
enum { CLEAN_QUALITY = 75, RESULT_QUALITY = 92 };

static struct {
    filter_options filter;
    denoise_sound_options sound;
    const char *model;
    double sigma; /* below 0: estimated */
    double level, strength;
    bool keep_defects;
    uint32_t deblock; /* a deblock_when */
} o = {.filter = {.tile = 640, .picture.kinds = 1u << AE_KIND_IMAGE | 1u << AE_KIND_AUDIO},
       .sigma = -1,
       .level = 1,
       .strength = 1};

/* A model for each kind, and one for JPEG's blocks, loaded when it is first needed. */
static struct {
    pthread_mutex_t mutex;
    ae_model *loaded[3];
} models = {.mutex = PTHREAD_MUTEX_INITIALIZER};

/* clang-format off */
static const cli_option options[] = {
    {0, NULL, CLI_HEADING, NULL, NULL, "Denoising", 0, 0},
    {'m', "model", CLI_STRING, &o.model, "NAME|FILE",
     "fast, balanced, best, photo, voice, another model's name or its file; photo for pictures "
     "(balanced where their noise is white), voice for sounds", 0, 0},
    {'s', "sigma", CLI_NUMBER, &o.sigma, "X",
     "pictures: the noise is white, of this deviation on the scale of 0 to 255, instead of "
     "estimated", 0, 255},
    {'l', "level", CLI_NUMBER, &o.level, "X", "take the noise for X times what is estimated", 0,
     20},
    {0, "noise-map", CLI_STRING, &o.filter.noise_map, "FILE",
     "also write what the network is told: luminance's deviation in green, chroma's in red, 4 "
     "times as bright", 0, 0},
    {0, "keep-defects", CLI_FLAG, &o.keep_defects, NULL,
     "leave hot and dead pixels, and rows and columns with offsets, to the network", 0, 0},
    {0, "deblock", CLI_CHOICE, &o.deblock, "auto|off|on",
     "smooth the blocks of JPEG files in their own grid; auto: below quality 75, where there is no "
     "more noise than that", 0, 0},
    {'t', "strength", CLI_NUMBER, &o.strength, "X", "blend of input (0) and result (1)", 0, 1},
    {0, NULL, CLI_HEADING, NULL, NULL, "Sounds", 0, 0},
    {0, "max-attenuation", CLI_NUMBER, &o.sound.max_attenuation, "DB",
     "turn nothing down by more than that; 0: no limit", 0, 200},
    {0, "profile", CLI_STRING, &o.sound.profile, "FROM-TO",
     "between these times, in seconds or as 1:02.5, there is nothing but noise", 0, 0},
    {0, "keep-steady", CLI_FLAG, &o.sound.keep_steady, NULL,
     "leave hum and noise that stays the same for seconds to the network, too", 0, 0},
    {0, "spectrogram", CLI_STRING, &o.sound.spectrogram, "FILE",
     "also write a picture (PNG) of the sound before and after", 0, 0},
    {0, "live", CLI_FLAG, &o.sound.file.live, NULL,
     "raw samples in and out every 10 ms, with a latency that is said at the start", 0, 0},
    SOUND_OPTIONS(o.sound.file),
    {0, NULL, CLI_HEADING, NULL, NULL, "Pictures and files", 0, 0},
    FILTER_OPTIONS(o.filter),
    {0},
};
/* clang-format on */

static const cli_tool tool = {
    "aedenoise",
    "[OPTION]... [FILE|DIRECTORY]...",
    "Removes noise from pictures and sounds. Without -o, NAME.jpg becomes NAME.denoised.jpg beside "
    "it; - is standard input or "
    "output, and the default in a pipe.",
    options,
    "Examples:\n"
    "  aedenoise photo.jpg                      photo.denoised.jpg, noise level found by itself\n"
    "  aedenoise -v -c both.png photo.jpg       says what it found, shows before and after\n"
    "  aedenoise -r -o clean/ holiday/          a whole tree\n"
    "  aedenoise --sigma 25 scan.png -o - | display\n"
    "  aedenoise -v --spectrogram both.png talk.wav    talk.denoised.wav, and what was done to it\n"
    "  arecord -f S16_LE -r 48000 | aedenoise --live --format s16le --rate 48000 | aplay -f S16_LE "
    "-r 48000\n",
};

/* white: its noise is that, or to be treated so */
static ae_status model_for(ae_kind kind, bool white, const ae_model **out, ae_error *err)
{
    bool sound = kind == AE_KIND_AUDIO;
    ae_model **m = &models.loaded[o.model ? 0 : sound ? 1 : white ? 2 : 0];
    ae_status st = AE_OK;

    pthread_mutex_lock(&models.mutex);
    if (!*m)
        st = filter_find(o.model ? o.model
                         : sound ? "voice"
                         : white ? "balanced"
                                 : "photo",
                         m, err);
    *out = *m;
    pthread_mutex_unlock(&models.mutex);
    if (st == AE_OK && !sound && ae_model_recipe(*out)->sound.bands)
        st = ae_fail(err, AE_ERR_MISMATCH, "model %s is one of sounds, and this is a picture",
                     ae_model_recipe(*out)->name);
    return st;
}

static ae_status denoise(void *opaque, const cli_item *item, ae_error *err);

static bool wanted(void *opaque, const char *path)
{
    /* NULL: there is a model for each kind */
    const ae_model *m = o.model ? models.loaded[0] : NULL;
    unsigned kinds = !m ? 1u << AE_KIND_IMAGE | 1u << AE_KIND_AUDIO
                        : 1u << (ae_model_recipe(m)->sound.bands ? AE_KIND_AUDIO : AE_KIND_IMAGE);

    (void)opaque;
    return picture_in_tree(path, kinds);
}

static cli_job job = {.beside = "%n.denoised.%e",
                      .under = "%n.%e",
                      .opaque = &o,
                      .process = denoise,
                      .wanted = wanted};

/* A model that was named is looked for at once. */
static int prepare(int n_operands)
{
    int status = denoise_sound_check(&o.sound, &o.filter,
                                     n_operands > 1 || o.filter.picture.batch.recursive);

    job.sides[1] = (cli_side){"spectrogram", o.sound.spectrogram};
    return status != CLI_GO_ON || !o.model ? status : filter_load(o.model, &models.loaded[0]);
}

/* By --level. A network that is told of more than about three times the noise there is leaves more
 * of it: beyond 2 more and more counts for less. */
static float level_factor(void)
{
    return (float)(o.level <= 2 ? o.level : 3 - exp(2 - o.level));
}

/* What the network itself makes of the noise that was found, where it can tell. */
static ae_status look_again(filter_picture *p, const picture_defects *defects, ae_noise *noise,
                            ae_error *err)
{
    const ae_control control = {.threads = p->item->threads, .cancel = &cli_cancel};
    const ae_model *model;
    ae_row_source rows;
    ae_status st;

    if (o.strength == 0 || noise->is_white || !noise->n_bins)
        return AE_OK;
    if ((st = model_for(AE_KIND_IMAGE, false, &model, err)) != AE_OK ||
        (st = filter_reopen(p, err)) != AE_OK ||
        (st = defects_rows(defects, p, &rows, err)) != AE_OK)
        return st;
    return ae_noise_look_again(model, &rows, (ae_precision)o.filter.precision, &control, noise,
                               err);
}

/* The noise that the network is told of: what --sigma says, white and independent in all channels,
 * or what a first pass over the picture finds. */
static ae_status find_noise(filter_picture *p, picture_defects *defects, ae_noise *noise,
                            ae_error *err)
{
    bool grey = p->reader.info.channels < 3;
    float factor = level_factor();
    ae_status st;

    if (o.sigma >= 0) {
        float sigma = (float)o.sigma;

        *noise = (ae_noise){.luminance = grey ? sigma : sigma * sqrtf(1.0f / 3.0f),
                            .chroma = grey ? 0 : sigma,
                            .white = sigma};
        return AE_OK;
    }
    st = o.keep_defects || o.strength == 0 ? ae_noise_estimate(&p->rows, &cli_cancel, noise, err)
                                           : defects_estimate(defects, p, noise, err);
    if (st != AE_OK || (st = look_again(p, defects, noise, err)) != AE_OK)
        return st;
    noise->luminance *= factor;
    noise->chroma *= factor;
    noise->white *= factor;
    for (uint32_t i = 0; i < noise->n_bins; i++) {
        noise->luminance_at[i] *= factor;
        noise->chroma_at[i] *= factor;
    }
    return filter_reopen(p, err);
}

static ae_status write_map(filter_picture *p, const ae_noise *noise, ae_error *err)
{
    ae_status st;

    if (!o.filter.noise_map)
        return AE_OK;
    st = noisemap_write(o.filter.noise_map, p->item->input, o.filter.picture.batch.force, &p->rows,
                        noise, &cli_cancel, err);
    return st == AE_OK ? filter_reopen(p, err) : picture_name_file(o.filter.noise_map, st, err);
}

/* Whether to smooth JPEG's blocks, of what table; the noise becomes what the network is to be told
 * then. */
static bool find_blocks(const filter_picture *p, ae_noise *noise, uint16_t table[64])
{
    int quality;
    float level;

    if (o.deblock == DEBLOCK_OFF || o.strength == 0 ||
        !ae_reader_quantisation(&p->reader, table, &quality))
        return false;
    level = ae_deblock_level(table);
    if (o.deblock == DEBLOCK_AUTO &&
        (o.model || o.sigma >= 0 || quality >= CLEAN_QUALITY || noise->white > level))
        return false;
    if (o.sigma >= 0) /* the network is told that, whatever the blocks are */
        return true;
    level *= level_factor();
    *noise = (ae_noise){.luminance = level, .chroma = level, .white = level};
    if (p->reader.info.channels == 1)
        noise->chroma = 0;
    else
        noise->luminance *= sqrtf(1.0f / 3.0f);
    return true;
}

/* Where the curves are shown: at a tenth, half and nine tenths of white. */
enum { DARK = AE_NOISE_BINS / 10, MIDDLE = AE_NOISE_BINS / 2, BRIGHT = AE_NOISE_BINS - 2 };

static void report(const filter_picture *p, const ae_noise *noise, bool blocks,
                   const ae_model *model, const ae_run_stats *stats)
{
    cli_json *json = p->item->json;
    char what[160];
    int n = snprintf(what, sizeof(what), "noise %s: luminance %.2f, chroma %.2f (of 255)%s",
                     o.sigma >= 0 ? "given"
                     : blocks     ? "of blocks"
                                  : "found",
                     (double)noise->luminance, (double)noise->chroma,
                     noise->is_white && !blocks ? ", white" : "");

    if (noise->n_bins)
        snprintf(what + n, sizeof(what) - (size_t)n,
                 ", dark %.1f %.1f, middle %.1f %.1f, bright %.1f %.1f",
                 (double)noise->luminance_at[DARK], (double)noise->chroma_at[DARK],
                 (double)noise->luminance_at[MIDDLE], (double)noise->chroma_at[MIDDLE],
                 (double)noise->luminance_at[BRIGHT], (double)noise->chroma_at[BRIGHT]);
    filter_report(p, what, model, stats);
    cli_json_number(json, "noise_luminance", (double)noise->luminance);
    cli_json_number(json, "noise_chroma", (double)noise->chroma);
    cli_json_number(json, "noise_white", (double)noise->white);
    if (o.sigma < 0)
        cli_json_number(json, "noise_confidence", (double)noise->confidence);
    cli_json_number(json, "deblocked", blocks);
}

static ae_status picture(const cli_item *item, filter_input *in, ae_error *err)
{
    filter_picture p;
    ae_run_stats stats;
    ae_denoise_options how = {.strength = (float)o.strength,
                              .tile = o.filter.tile,
                              .precision = (ae_precision)o.filter.precision,
                              .control = {item->threads, &cli_cancel, &p, filter_progress, NULL}};
    picture_defects defects = {0};
    ae_row_source rows, smooth;
    ae_row_sink sink = {0};
    ae_deblock *deblock = NULL;
    uint16_t table[64];
    bool blocks = false;
    const ae_model *model;
    ae_status st;

    filter_take(&p, &o.filter, item, in);
    if (o.sound.spectrogram)
        st = ae_fail(err, AE_ERR_ARGUMENT,
                     "--spectrogram is for sounds (--compare shows a picture before and after)");
    else
        st = find_noise(&p, &defects, &how.noise, err);
    if (st == AE_OK)
        st = write_map(&p, &how.noise, err);
    if (st == AE_OK && (blocks = find_blocks(&p, &how.noise, table)))
        p.quality = RESULT_QUALITY;
    if (st == AE_OK &&
        (st = model_for(AE_KIND_IMAGE, o.sigma >= 0 || blocks || how.noise.is_white, &model,
                        err)) == AE_OK &&
        (st = filter_begin(&p, &p.reader.info, err)) == AE_OK &&
        (st = defects_rows(&defects, &p, &rows, err)) == AE_OK &&
        (!blocks ||
         (st = ae_deblock_create(table, &rows, &p.sink, &smooth, &sink, &deblock, err)) == AE_OK) &&
        (st = ae_denoise(model, &how, blocks ? &smooth : &rows, blocks ? &sink : &p.sink, &stats,
                         err)) == AE_OK &&
        (st = filter_finish(&p, err)) == AE_OK) {
        if (blocks && o.filter.picture.batch.verbose)
            cli_item_note(p.item, "JPEG blocks smoothed (%s)", p.reader.quality);
        report(&p, &how.noise, blocks, model, &stats);
        defects_report(&defects, &p);
    }
    ae_deblock_free(deblock);
    ae_defects_free(defects.all);
    filter_close(&p);
    return st;
}

static ae_status sound(const cli_item *item, filter_input *in, ae_error *err)
{
    const ae_model *model;
    ae_status st = model_for(AE_KIND_AUDIO, false, &model, err);

    if (st != AE_OK) {
        filter_input_close(in);
        return st;
    }
    return denoise_sound(&o.sound, &o.filter, model, o.strength, o.level, item, in, err);
}

static ae_status denoise(void *opaque, const cli_item *item, ae_error *err)
{
    static const filter_kind kinds[] = {{AE_KIND_IMAGE, picture}, {AE_KIND_AUDIO, sound}, {0}};
    const sound_options *file = &o.sound.file;
    filter_input in = {0};
    ae_status st;

    (void)opaque;
    if (file->raw)
        st = ae_pcm_open(item->input, file->raw, file->rate, file->channels, &in.reader, err);
    else
        st = filter_input_open(&in, item->input, file->track, err);
    return st == AE_OK ? filter_by_kind(kinds, &o.filter, item, &in, err) : st;
}

int main(int argc, char **argv)
{
    int status = filter_main(&tool, &job, prepare, argc, argv);

    ae_model_free(models.loaded[0]);
    ae_model_free(models.loaded[1]);
    ae_model_free(models.loaded[2]);
    return status;
}
