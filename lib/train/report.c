/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Writes the report of a run as one HTML file: curves as SVG, pictures as BMP in base64, so that it
 * opens anywhere without a network. */
#include "train/report.h"
#include "audio/spectrum.h"
#include "core/replace.h"

#include <math.h>
#include <string.h>

enum {
    PLOT_W = 420,
    PLOT_H = 200,
    PLOT_LEFT = 64,
    PLOT_BOTTOM = 24,
    MAX_PICTURES = 6,
    MAX_EDGE = 512,
    SHOWN_EDGE = 320
};

static void put_escaped(FILE *f, const char *text)
{
    for (; *text; text++)
        switch (*text) {
        case '&': fputs("&amp;", f); break;
        case '<': fputs("&lt;", f); break;
        case '>': fputs("&gt;", f); break;
        default: fputc(*text, f);
        }
}

/* ---- pictures, as BMP: the simplest format that browsers show ---- */

typedef struct base64 {
    FILE *f;
    uint32_t held;
    int n;
} base64;

static void put_sextets(base64 *b, int n)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    for (int i = 0; i < 4; i++)
        fputc(i < n ? digits[b->held >> (18 - 6 * i) & 63] : '=', b->f);
    b->held = 0;
    b->n = 0;
}

static void put_byte(base64 *b, uint32_t byte)
{
    b->held |= (byte & 255) << (16 - 8 * b->n);
    if (++b->n == 3)
        put_sextets(b, 4);
}

static void put_u32(base64 *b, uint32_t x)
{
    for (int i = 0; i < 32; i += 8)
        put_byte(b, x >> i);
}

static uint32_t to_byte(float x)
{
    return x > 0 ? x < 1 ? (uint32_t)(x * 255 + 0.5f) : 255 : 0; /* NaN: 0 */
}

static void put_picture(FILE *f, const float *pixels, ae_shape s)
{
    uint32_t h = s.h < MAX_EDGE ? s.h : MAX_EDGE, w = s.w < MAX_EDGE ? s.w : MAX_EDGE,
             row = (w * 3 + 3) / 4 * 4;
    base64 b = {f, 0, 0};

    fprintf(f, "<img width=\"%u\" src=\"data:image/bmp;base64,", w * ((SHOWN_EDGE + w - 1) / w));
    put_byte(&b, 'B');
    put_byte(&b, 'M');
    put_u32(&b, 54 + row * h);
    put_u32(&b, 0);
    put_u32(&b, 54);
    put_u32(&b, 40);
    put_u32(&b, w);
    put_u32(&b, h);
    put_u32(&b, 1 | 24 << 16); /* one plane, 24 bits */
    for (int i = 0; i < 6; i++)
        put_u32(&b, 0);
    for (uint32_t y = h; y-- > 0;) {
        for (uint32_t x = 0; x < w; x++)
            for (int k = 2; k >= 0; k--)
                put_byte(&b, to_byte(pixels[((size_t)y * s.w + x) * s.c + (s.c < 3 ? 0 : k)]));
        for (uint32_t x = w * 3; x < row; x++)
            put_byte(&b, 0);
    }
    if (b.n)
        put_sextets(&b, b.n + 1);
    fputs("\" alt=\"\">\n", f);
}

/* A row for each sample, so that what is to be compared stands side by side. */
static void put_galleries(FILE *f, const aei_report *r)
{
    enum { N = sizeof(r->galleries) / sizeof(*r->galleries) };
    uint32_t most = 0;

    fputs("<table>\n<tr>", f);
    for (int g = 0; g < N; g++) {
        const aei_gallery *a = &r->galleries[g];

        if (!a->pixels)
            continue;
        fprintf(f, "<th>%s", a->title);
        if (isfinite(a->score))
            fprintf(f, "<br>%.2f %s", a->score, r->unit);
        fputs("</th>", f);
        most = a->shape.n > most ? a->shape.n : most;
    }
    fputs("</tr>\n", f);
    for (uint32_t i = 0; i < most && i < MAX_PICTURES; i++) {
        fputs("<tr>", f);
        for (int g = 0; g < N; g++) {
            const aei_gallery *a = &r->galleries[g];

            if (!a->pixels)
                continue;
            fputs("<td>", f);
            put_picture(f, a->pixels + (size_t)i * a->shape.h * a->shape.w * a->shape.c, a->shape);
            fputs("</td>", f);
        }
        fputs("</tr>\n", f);
    }
    fputs("</table>\n", f);
}

/* ---- sounds: spectrograms, and WAV for the players ---- */

#define DARKEST (-95.0f) /* dB of a full-scale sine */

/* Time to the right, frequency upwards, so bright as it is loud. */
static ae_status put_spectrogram(FILE *f, aei_spectrum *s, const float *samples, size_t n,
                                 ae_error *err)
{
    uint32_t hop = aei_spectrum_hop(s), window = aei_spectrum_window(s), rows = 192,
             per_row = aei_spectrum_bins(s) / rows;
    ae_shape shape = {1, rows, n < window ? 1 : (uint32_t)((n - window) / hop) + 1, 1};
    float *pixels, *bins = ae_alloc(aei_spectrum_bins(s), 2 * sizeof(float));

    shape.w = shape.w < MAX_EDGE ? shape.w : MAX_EDGE;
    pixels = ae_alloc(shape.w, rows * sizeof(float));
    if (!pixels || !bins) {
        ae_free(pixels);
        ae_free(bins);
        return ae_fail(err, AE_ERR_NOMEM, "a spectrogram of %u columns", shape.w);
    }
    for (uint32_t x = 0; x < shape.w && n >= window; x++) {
        aei_spectrum_forward(s, samples + (size_t)x * hop, bins);
        for (uint32_t y = 0; y < rows; y++) {
            const float *from = bins + (size_t)2 * y * per_row;
            float power = 0;

            for (uint32_t k = 0; k < 2 * per_row; k++)
                power += from[k] * from[k];
            pixels[(rows - 1 - y) * shape.w + x] = 1 - 10 *
                                                           log10f(power / (float)per_row + 1e-12f) /
                                                           DARKEST;
        }
    }
    put_picture(f, pixels, shape);
    ae_free(pixels);
    ae_free(bins);
    return AE_OK;
}

static void put_player(FILE *f, const float *samples, size_t n, uint32_t rate)
{
    static const char head[] = "WAVEfmt ";
    uint32_t size = 2 * (uint32_t)n;
    base64 b = {f, 0, 0};

    fputs("<br><audio controls src=\"data:audio/wav;base64,", f);
    put_u32(&b, 0x46464952); /* RIFF */
    put_u32(&b, 36 + size);
    for (const char *c = head; *c; c++)
        put_byte(&b, (uint32_t)*c);
    put_u32(&b, 16);
    put_u32(&b, 1 | 1 << 16); /* whole numbers, one channel */
    put_u32(&b, rate);
    put_u32(&b, 2 * rate);
    put_u32(&b, 2 | 16 << 16); /* bytes a frame, bits */
    put_u32(&b, 0x61746164);   /* data */
    put_u32(&b, size);
    for (size_t i = 0; i < n; i++) {
        uint32_t v = (uint32_t)(int32_t)lrintf(32767 * fmaxf(-1, fminf(samples[i], 1)));

        put_byte(&b, v);
        put_byte(&b, v >> 8);
    }
    if (b.n)
        put_sextets(&b, b.n + 1);
    fputs("\"></audio>", f);
}

static ae_status put_sounds(FILE *f, const aei_report *r, ae_error *err)
{
    static const char *const titles[AEI_REPORT_VERSIONS] = {"mixture", "output", "clean"};
    const ae_sound_features *features = &r->recipe->sound;
    aei_spectrum *spectrum;
    ae_status st = aei_spectrum_create(features, features->rate, &spectrum, err);

    if (st != AE_OK)
        return st;
    fputs("<table>\n<tr>", f);
    for (int k = 0; k < AEI_REPORT_VERSIONS; k++)
        fprintf(f, "<th>%s<br>%.1f s, 0 to %g kHz</th>", titles[k],
                (double)r->sounds[0].n / features->rate, features->rate / 2e3);
    fputs("</tr>\n", f);
    for (int i = 0; i < AEI_REPORT_SOUNDS && r->sounds[i].samples[0] && st == AE_OK; i++) {
        fputs("<tr>", f);
        for (int k = 0; k < AEI_REPORT_VERSIONS && st == AE_OK; k++) {
            const float *samples = r->sounds[i].samples[k];

            fputs("<td>", f);
            st = put_spectrogram(f, spectrum, samples, r->sounds[i].n, err);
            put_player(f, samples, r->sounds[i].n, (uint32_t)features->rate);
            fputs("</td>", f);
        }
        fputs("</tr>\n", f);
    }
    fputs("</table>\n", f);
    aei_spectrum_free(spectrum);
    return st;
}

/* ---- curves ---- */

/* The point's value in this curve (0 loss, 1 score, 2 rate); loss on a logarithmic scale. */
static double value_of(const aei_point *p, int curve)
{
    return curve == 0 ? log10(p->loss) : curve == 1 ? p->score : p->rate;
}

static double across(double step, double end)
{
    return PLOT_LEFT + PLOT_W * step / end;
}

/* Steps, and the time that they took. */
static void put_axis(FILE *f, const aei_progress *p, double end)
{
    fprintf(f, "<text x=\"%d\" y=\"%d\">0</text><text x=\"%d\" y=\"%d\">%.0f</text>", PLOT_LEFT + 4,
            PLOT_H + 16, PLOT_LEFT + PLOT_W / 2, PLOT_H + 16, end / 2);
    fprintf(f, "<text x=\"%d\" y=\"%d\">step %.0f", PLOT_LEFT + PLOT_W, PLOT_H + 16, end);
    if (p->seconds >= 1)
        fprintf(f,
                p->seconds < 120    ? ", %.0f s"
                : p->seconds < 7200 ? ", %.0f minutes"
                                    : ", %.1f h",
                p->seconds < 120    ? p->seconds
                : p->seconds < 7200 ? p->seconds / 60
                                    : p->seconds / 3600);
    fputs("</text>", f);
}

/* The points, as they are or, behind a wide line, the mean of those before each. Few are marked,
 * too. */
static void put_line(FILE *f, const aei_progress *p, int curve, double lo, double hi, double end,
                     uint32_t n, bool smooth)
{
    double mean = NAN, share = smooth ? fmin(1, 20.0 / n) : 1;

    fprintf(f, "<polyline%s points=\"", smooth || n < 40 || curve ? "" : " class=\"f\"");
    for (uint32_t i = 0; i < p->n_points; i++) {
        double v = value_of(&p->points[i], curve);

        if (!isfinite(v))
            continue;
        mean = isfinite(mean) ? mean + share * (v - mean) : v;
        fprintf(f, "%.1f,%.1f ", across(p->points[i].step, end),
                PLOT_H - 8 - (PLOT_H - 16) * (mean - lo) / (hi - lo));
    }
    fputs("\"/>", f);
    for (uint32_t i = 0; i < p->n_points && n < 40; i++) {
        double v = value_of(&p->points[i], curve);

        if (isfinite(v))
            fprintf(f, "<circle r=\"2.5\" cx=\"%.1f\" cy=\"%.1f\"/>",
                    across(p->points[i].step, end),
                    PLOT_H - 8 - (PLOT_H - 16) * (v - lo) / (hi - lo));
    }
}

static void put_curve(FILE *f, const aei_report *r, int curve, const char *title)
{
    const aei_progress *p = r->progress;
    /* what has been, not what is planned */
    double lo = INFINITY, hi = -INFINITY, end = fmax((double)p->step, 1);
    uint32_t n = 0;

    for (uint32_t i = 0; i < p->n_points; i++) {
        double v = value_of(&p->points[i], curve);

        if (!isfinite(v))
            continue;
        lo = fmin(lo, v);
        hi = fmax(hi, v);
        n++;
    }
    fprintf(f, "<figure><figcaption>%s</figcaption><svg width=\"%d\" height=\"%d\">", title,
            PLOT_LEFT + PLOT_W + 8, PLOT_H + PLOT_BOTTOM);
    if (n) {
        if (!(hi > lo))
            hi = lo + 1e-9 + fabs(lo) * 1e-3;
        for (int i = 0; i <= 4; i++) {
            double v = lo + (hi - lo) * i / 4;
            int y = PLOT_H - 8 - (PLOT_H - 16) * i / 4;

            fprintf(f, "<path class=\"g\" d=\"M%d %dh%d\"/><text x=\"%d\" y=\"%d\">%.4g</text>",
                    PLOT_LEFT, y, PLOT_W, PLOT_LEFT - 4, y + 4, curve == 0 ? pow(10, v) : v);
        }
        put_axis(f, p, end);
        put_line(f, p, curve, lo, hi, end, n, false);
        if (curve == 0 && n >= 40)
            put_line(f, p, curve, lo, hi, end, n, true);
    } else {
        fprintf(f, "<text x=\"%d\" y=\"%d\">none yet</text>", PLOT_LEFT + PLOT_W / 2, PLOT_H / 2);
    }
    fputs("</svg></figure>\n", f);
}

ae_status aei_report_write(const char *path, const aei_report *r, ae_error *err)
{
    aei_replace file;
    ae_status st = aei_replace_open(path, &file, err);
    FILE *f = file.file;

    if (st != AE_OK)
        return st;
    fputs("<!DOCTYPE html>\n<html><head><meta charset=\"utf-8\"><title>", f);
    put_escaped(f, r->recipe->name);
    fputs("</title>\n<style>body{font:15px "
          "sans-serif;margin:2em;color:#222}figure{display:inline-block;margin:0 1em 1em 0}"
          "svg{background:#f8f8f8}polyline{fill:none;stroke:#06c;stroke-width:1.5}.f{stroke:#ace}"
          "circle{fill:#06c}.g{stroke:#ddd}"
          "text{font-size:11px;text-anchor:end}img{margin:2px;image-rendering:pixelated}th{text-"
          "align:left;padding-right:1em}"
          "pre{background:#f8f8f8;padding:1em;overflow:auto}</style></head><body>\n<h1>",
          f);
    put_escaped(f, r->recipe->name);
    fputs("</h1>\n<p>", f);
    put_escaped(f, r->recipe->about);
    fprintf(f, "</p>\n<p>Step %llu of %llu", (unsigned long long)r->progress->step,
            (unsigned long long)r->steps);
    if (r->progress->seconds > 0)
        fprintf(f, " in %.0f minutes", ceil(r->progress->seconds / 60));
    if (isfinite(r->score))
        fprintf(f, "; %s on %s held out: %.4g", r->score_name,
                r->recipe->sound.bands ? "mixtures" : "pictures", r->score);
    if (isfinite(r->first_score))
        fprintf(f, ", before training %.4g", r->first_score);
    if (isfinite(r->input_score))
        fprintf(f, ", of the input %.4g", r->input_score);
    fputs(".</p>\n", f);
    if (r->noisy_only)
        fputs("<p>The score is taken against the noisy pixels themselves, which cannot be known: "
              "it compares runs, and says "
              "nothing of how clean pictures become.</p>\n",
              f);
    put_curve(f, r, 0, "loss (logarithmic)");
    put_curve(f, r, 1, r->score_name);
    put_curve(f, r, 2, "learning rate");
    if (r->sounds[0].samples[0])
        st = put_sounds(f, r, err);
    else
        put_galleries(f, r);
    if (st != AE_OK) {
        aei_replace_abandon(&file);
        return st;
    }
    fputs("<h2>Card</h2>\n<pre>", f);
    put_escaped(f, r->card);
    fputs("</pre>\n<h2>Recipe</h2>\n<pre>", f);
    put_escaped(f, r->recipe_text);
    fputs("</pre></body></html>\n", f);
    return aei_replace_commit(&file, err);
}
