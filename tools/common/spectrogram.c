/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Columns of mean power are kept, one for each transform at first. Where there would be too many,
 * two become one, and from then on a column takes twice as long: a recording of any length ends as
 * COLUMNS / 2 to COLUMNS of them. */
#include "common/spectrogram.h"

#include <fftw3.h>
#include <math.h>
#include <string.h>

#include "ae/files.h"

enum {
    COLUMNS = 1600,
    ROWS = 256,
    LEFT = 56,
    RIGHT = 14,
    TOP = 22,
    BELOW = 26,
    LEAST_WIDTH = 800,
    RANGE_DB = 90
};

typedef struct panel {
    float *frames; /* the last `size` of them, interleaved */
    uint32_t n_frames;
    uint64_t per_column; /* transforms */
    uint64_t n_in_last;  /* in the last column */
    uint32_t n_columns;
    uint64_t n_total; /* frames */
    float *power;     /* COLUMNS x ROWS sums */
} panel;

struct spectrogram {
    double rate;
    uint32_t channels, size;
    panel panels[2];
    float *window, *values;
    fftwf_complex *bins;
    fftwf_plan plan;
};

void spectrogram_free(spectrogram *s)
{
    if (!s)
        return;
    for (int i = 0; i < 2; i++) {
        ae_free(s->panels[i].frames);
        ae_free(s->panels[i].power);
    }
    if (s->plan)
        fftwf_destroy_plan(s->plan);
    ae_free(s->window);
    ae_free(s->values);
    ae_free(s->bins);
    ae_free(s);
}

ae_status spectrogram_new(double rate, uint32_t channels, spectrogram **out, ae_error *err)
{
    spectrogram *s = ae_alloc(1, sizeof(*s));
    bool good = s != NULL;

    *out = NULL;
    if (good) {
        s->rate = rate;
        s->channels = channels;
        for (s->size = 2 * ROWS; s->size < rate * 0.03; s->size *= 2)
            ;
        s->window = ae_alloc(s->size, sizeof(float));
        s->values = ae_alloc(s->size, sizeof(float));
        s->bins = ae_alloc(s->size / 2 + 1, sizeof(*s->bins));
        good = s->window && s->values && s->bins &&
               (s->plan = fftwf_plan_dft_r2c_1d((int)s->size, s->values, s->bins, FFTW_ESTIMATE));
        for (int i = 0; i < 2; i++) {
            s->panels[i].frames = ae_alloc(s->size, channels * sizeof(float));
            s->panels[i].power = ae_alloc(COLUMNS * ROWS, sizeof(float));
            s->panels[i].per_column = 1;
            good = good && s->panels[i].frames && s->panels[i].power;
        }
    }
    if (!good) {
        spectrogram_free(s);
        return ae_fail(err, AE_ERR_NOMEM, "spectrogram");
    }
    for (uint32_t i = 0; i < s->size; i++)
        s->window[i] = (float)(0.5 - 0.5 * cos(2 * M_PI * (i + 0.5) / s->size));
    *out = s;
    return AE_OK;
}

static void merge_columns(panel *p)
{
    for (uint32_t i = 0; i < COLUMNS / 2; i++)
        for (uint32_t r = 0; r < ROWS; r++)
            p->power[i * ROWS + r] = p->power[2 * i * ROWS + r] + p->power[(2 * i + 1) * ROWS + r];
    memset(p->power + COLUMNS / 2 * ROWS, 0, COLUMNS / 2 * ROWS * sizeof(float));
    p->n_columns = COLUMNS / 2;
    p->per_column *= 2;
}

static void transform(spectrogram *s, panel *p)
{
    float *to;
    uint32_t bins_a_row = s->size / 2 / ROWS;

    if (p->n_columns == 0 || p->n_in_last == p->per_column) {
        if (p->n_columns == COLUMNS)
            merge_columns(p);
        p->n_columns++;
        p->n_in_last = 0;
    }
    to = p->power + (size_t)(p->n_columns - 1) * ROWS;
    for (uint32_t c = 0; c < s->channels; c++) {
        for (uint32_t i = 0; i < s->size; i++) {
            float v = p->frames[(size_t)i * s->channels + c];

            s->values[i] = isfinite(v) ? v * s->window[i] : 0;
        }
        fftwf_execute(s->plan);
        for (uint32_t b = 0; b < ROWS * bins_a_row; b++)
            to[b / bins_a_row] += s->bins[b][0] * s->bins[b][0] + s->bins[b][1] * s->bins[b][1];
    }
    p->n_in_last++;
}

void spectrogram_feed(spectrogram *s, int which, const float *frames, size_t n)
{
    panel *p = &s->panels[which];
    size_t frame = s->channels;

    p->n_total += n;
    while (n) {
        uint32_t room = s->size - p->n_frames, take = n < room ? (uint32_t)n : room;

        memcpy(p->frames + p->n_frames * frame, frames, take * frame * sizeof(float));
        p->n_frames += take;
        frames += take * frame;
        n -= take;
        if (p->n_frames == s->size) {
            transform(s, p);
            p->n_frames = s->size / 2;
            memmove(p->frames, p->frames + p->n_frames * frame,
                    p->n_frames * frame * sizeof(float));
        }
    }
}

/* ---- drawing ---- */

typedef struct canvas {
    uint8_t *pixels; /* RGB */
    uint32_t width, height;
} canvas;

static void dot(canvas *c, uint32_t x, uint32_t y, const uint8_t colour[3])
{
    if (x < c->width && y < c->height)
        memcpy(c->pixels + ((size_t)y * c->width + x) * 3, colour, 3);
}

/* Letters of 5 x 7 dots: a row is 5 bits, the left one highest. */
static void draw_text(canvas *c, uint32_t x, uint32_t y, const char *text)
{
    static const char letters[] = "0123456789.:kHzsbeforta";
    static const uint8_t dots[][7] = {
        {14, 17, 19, 21, 25, 17, 14}, {4, 12, 4, 4, 4, 4, 14},      {14, 17, 1, 2, 4, 8, 31},
        {31, 2, 4, 2, 1, 17, 14},     {2, 6, 10, 18, 31, 2, 2},     {31, 16, 30, 1, 1, 17, 14},
        {6, 8, 16, 30, 17, 17, 14},   {31, 1, 2, 4, 8, 8, 8},       {14, 17, 17, 14, 17, 17, 14},
        {14, 17, 17, 15, 1, 2, 12},   {0, 0, 0, 0, 0, 12, 12},      {0, 12, 12, 0, 12, 12, 0},
        {16, 16, 18, 20, 24, 20, 18}, {17, 17, 17, 31, 17, 17, 17}, {0, 0, 31, 2, 4, 8, 31},
        {0, 0, 14, 16, 14, 1, 30},    {16, 16, 22, 25, 17, 17, 30}, {0, 0, 14, 17, 31, 16, 14},
        {6, 9, 8, 28, 8, 8, 8},       {0, 0, 14, 17, 17, 17, 14},   {0, 0, 22, 25, 16, 16, 16},
        {8, 8, 28, 8, 8, 9, 6},       {0, 0, 14, 1, 15, 17, 15},
    };
    static const uint8_t ink[3] = {230, 230, 230};

    for (; *text; text++, x += 6) {
        const char *at = strchr(letters, *text);

        for (uint32_t i = 0; at && i < 35; i++)
            if (dots[at - letters][i / 5] >> (4 - i % 5) & 1)
                dot(c, x + i % 5, y + i / 5, ink);
    }
}

/* From black by violet and orange to pale yellow: brightness rises evenly. */
static void colour_of(float share, uint8_t colour[3])
{
    static const uint8_t steps[][3] = {{0, 0, 4},      {40, 11, 84},   {101, 21, 110},
                                       {159, 42, 99},  {212, 72, 66},  {245, 125, 21},
                                       {250, 193, 39}, {252, 255, 164}};
    float at = share > 0 ? (share < 1 ? share * 7 : 7) : 0;
    int i = at < 6 ? (int)at : 6;

    for (int k = 0; k < 3; k++)
        colour[k] = (uint8_t)lrintf((float)steps[i][k] +
                                    (at - (float)i) * (float)(steps[i + 1][k] - steps[i][k]));
}

/* 1, 2 or 5 times a power of ten: the least that makes at most `most` steps. */
static double step_of(double range, int most)
{
    double step = pow(10, floor(log10(range / most)));

    return range / step <= most         ? step
           : range / (2 * step) <= most ? 2 * step
           : range / (5 * step) <= most ? 5 * step
                                        : 10 * step;
}

static void draw_axes(canvas *c, uint32_t top, uint32_t width, double seconds, double rate)
{
    static const uint8_t line[3] = {130, 130, 130};
    double step;
    char text[40];

    for (uint32_t x = 0; x <= width + 1; x++) {
        dot(c, LEFT - 1 + x, top - 1, line);
        dot(c, LEFT - 1 + x, top + ROWS, line);
    }
    for (uint32_t y = 0; y <= ROWS + 1; y++) {
        dot(c, LEFT - 1, top - 1 + y, line);
        dot(c, LEFT + width, top - 1 + y, line);
    }
    step = step_of(rate / 2000, 6);
    for (double khz = 0; khz <= rate / 2000; khz += step) {
        uint32_t y = top + ROWS - (uint32_t)lrint(khz / (rate / 2000) * ROWS);

        for (uint32_t i = 1; i < 5; i++)
            dot(c, LEFT - 1 - i, y, line);
        snprintf(text, sizeof(text), step < 1 ? "%.1f kHz" : "%.0f kHz", khz);
        draw_text(c, LEFT - 8 - 6 * (uint32_t)strlen(text), y > 3 ? y - 3 : 0, text);
    }
    if (!(seconds > 0))
        return;
    step = step_of(seconds, 10);
    if (step > 10)
        step = ceil(step / 60) * 60;
    for (double t = 0; t <= seconds; t += step) {
        uint32_t x = LEFT + (uint32_t)lrint(t / seconds * width);

        for (uint32_t i = 1; i < 5; i++)
            dot(c, x, top + ROWS + i, line);
        if (step >= 60 && seconds >= 3600)
            snprintf(text, sizeof(text), "%.0f:%02.0f:00", floor(t / 3600),
                     floor(fmod(t, 3600) / 60));
        else if (seconds >= 60)
            snprintf(text, sizeof(text), "%.0f:%02.0f", floor(t / 60), fmod(t, 60));
        else
            snprintf(text, sizeof(text), step < 0.1 ? "%.2f s" : step < 1 ? "%.1f s" : "%.0f s", t);
        draw_text(c, x - 3 * (uint32_t)strlen(text), top + ROWS + 8, text);
    }
}

static float level(const panel *p, uint32_t column, uint32_t row)
{
    double n = (double)(column + 1 == p->n_columns ? p->n_in_last : p->per_column);
    double v = (double)p->power[(size_t)column * ROWS + row] / n;

    return v > 0 ? (float)(10 * log10(v)) : -INFINITY;
}

static void draw(const spectrogram *s, canvas *c, uint32_t width)
{
    static const char *const names[] = {"before", "after"};
    float top_db = -300;

    for (int i = 0; i < 2; i++)
        for (uint32_t x = 0; x < s->panels[i].n_columns; x++)
            for (uint32_t r = 0; r < ROWS; r++)
                top_db = fmaxf(top_db, level(&s->panels[i], x, r));
    for (int i = 0; i < 2; i++) {
        const panel *p = &s->panels[i];
        uint32_t top = TOP + (uint32_t)i * (TOP + ROWS + BELOW);

        for (uint32_t x = 0; x < width && p->n_columns; x++)
            for (uint32_t r = 0; r < ROWS; r++) {
                uint8_t colour[3];

                colour_of(
                    1 + (level(p, (uint32_t)((uint64_t)x * p->n_columns / width), r) - top_db) /
                            RANGE_DB,
                    colour);
                dot(c, LEFT + x, top + ROWS - 1 - r, colour);
            }
        draw_text(c, LEFT, top - 13, names[i]);
        draw_axes(c, top, width, (double)p->n_total / s->rate, s->rate);
    }
}

ae_status spectrogram_write(spectrogram *s, ae_sink *sink, ae_error *err)
{
    uint32_t width, times;
    ae_signal_info info = {.kind = AE_KIND_IMAGE, .sample = AE_U8, .bits = 8, .channels = 3};
    ae_encoder encoder = {0};
    canvas c;
    ae_status st;

    /* what was too short for a single transform is one with silence behind */
    for (int i = 0; i < 2; i++)
        if (!s->panels[i].n_columns && s->panels[i].n_frames)
            transform(s, &s->panels[i]);
    width = s->panels[0].n_columns;
    times = width && width < LEAST_WIDTH ? (LEAST_WIDTH + width - 1) / width : 1;
    c = (canvas){.width = LEFT + (width ? width * times : LEAST_WIDTH) + RIGHT,
                 .height = 2 * (TOP + ROWS + BELOW)};
    info.width = c.width;
    info.height = c.height;
    if (!(c.pixels = ae_alloc((size_t)c.width * c.height, 3)))
        return ae_fail(err, AE_ERR_NOMEM, "spectrogram");
    draw(s, &c, c.width - LEFT - RIGHT);
    if ((st = ae_encoder_open(ae_codec_for_name("png"), sink, &info, NULL, NULL, &encoder, err)) ==
        AE_OK) {
        st = ae_encoder_write(&encoder, c.pixels, c.height, err);
        if (st == AE_OK)
            st = ae_encoder_finish(&encoder, err);
        else
            ae_encoder_abandon(&encoder);
    }
    ae_free(c.pixels);
    return st;
}
