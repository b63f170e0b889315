/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A chart is a list of dots fitted to a square, drawn as SVG, as pixels, or as a page that shows
 * what is under the pointer: small pictures of items travel in it as one sheet, PNG in base64, so
 * that the page is one file. */
#include "plot.h"

#include <math.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>

#include "common/axes.h"
#include "common/text.h"
#include "tsne.h"

enum {
    SIZE = 900,
    BORDER = 20,
    MOST = 10000,   /* items on a map */
    MANY = 2000,    /* dots are smaller from here on */
    THUMBNAIL = 64, /* edge of the largest items that are shown as pictures */
};

static ae_status project(const matrix *m, double *xy, ae_error *err)
{
    double *place = ae_alloc(m->width + 1, sizeof(*place));
    size_t first = 0, second = m->width > 1;
    axes a = {0};
    ae_status st = place ? axes_find(m, &a, err) : ae_fail(err, AE_ERR_NOMEM, "a map");

    for (size_t k = 1; st == AE_OK && a.own && k < m->width; k++) { /* others come in order */
        if (a.variance[k] > a.variance[first]) {
            second = first;
            first = k;
        } else if (k > 1 && a.variance[k] > a.variance[second]) {
            second = k;
        }
    }
    for (size_t i = 0; st == AE_OK && i < m->n; i++) {
        axes_place(&a, m->values + i * m->width, place);
        xy[2 * i] = place[first];
        xy[2 * i + 1] = second != first ? place[second] : 0;
    }
    axes_free(&a);
    ae_free(place);
    return st;
}

/* Text for SVG and HTML. */
static void put_text(FILE *f, const char *text)
{
    char escaped[2048];

    for (const char *c = cli_escape(text, escaped, sizeof(escaped)); *c; c++)
        switch (*c) {
        case '&': fputs("&amp;", f); break;
        case '<': fputs("&lt;", f); break;
        case '>': fputs("&gt;", f); break;
        default: fputc(*c, f);
        }
}

/* Where the dots are, in pixels from the left and the top; n numbers for each axis. */
typedef struct chart {
    double *xy;
    size_t n;
    const size_t *items; /* of the data set, of each dot */
    const uint32_t *labels;
    const dataset *data;
    ae_shape shape;
} chart;

static const uint32_t colours[10] = {0x4477aa, 0xee6677, 0x228833, 0xccbb44, 0x66ccee,
                                     0xaa3377, 0x997700, 0x222255, 0xee8866, 0x777777};

static uint32_t colour_of(const chart *c, size_t i)
{
    return colours[c->labels ? c->labels[c->items[i]] % 10 : 0];
}

static double radius(const chart *c)
{
    return c->n < MANY ? 3 : 1.8;
}

static void fit(chart *c)
{
    double low[2] = {INFINITY, INFINITY}, high[2] = {-INFINITY, -INFINITY};

    for (size_t i = 0; i < 2 * c->n; i++) {
        low[i % 2] = fmin(low[i % 2], c->xy[i]);
        high[i % 2] = fmax(high[i % 2], c->xy[i]);
    }
    for (size_t i = 0; i < 2 * c->n; i++) {
        double share = high[i % 2] > low[i % 2]
                           ? (c->xy[i] - low[i % 2]) / (high[i % 2] - low[i % 2])
                           : 0.5;

        c->xy[i] = BORDER + (SIZE - 2 * BORDER) * (i % 2 ? 1 - share : share);
    }
}

static void draw(FILE *f, const chart *c)
{
    const ae_dataset *items = dataset_items(c->data);

    fprintf(f,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\">\n<rect width=\"%d\" "
            "height=\"%d\" fill=\"#fff\"/>\n",
            SIZE, SIZE, SIZE, SIZE);
    for (size_t i = 0; i < c->n; i++) {
        fprintf(
            f,
            "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"%g\" fill=\"#%06x\" fill-opacity=\".6\"><title>",
            c->xy[2 * i], c->xy[2 * i + 1], radius(c), colour_of(c, i));
        put_text(f, items->name(items->opaque, c->items[i]));
        if (c->labels)
            fprintf(f, ": %u", c->labels[c->items[i]]);
        fputs("</title></circle>\n", f);
    }
    fputs("</svg>\n", f);
}

/* As a picture of three channels: discs that let a little through, smooth at their edges. */
static ae_status draw_pixels(const chart *c, const char *path, bool force, ae_error *err)
{
    const ae_shape shape = {1, SIZE, SIZE, 3};
    matrix picture;
    double r = radius(c);
    ae_status st = matrix_create(1, (size_t)SIZE * SIZE * 3, &picture, err);

    if (st != AE_OK)
        return st;
    for (size_t i = 0; i < picture.width; i++)
        picture.values[i] = 1;
    for (size_t i = 0; i < c->n; i++)
        for (int y = (int)(c->xy[2 * i + 1] - r - 1); y <= (int)(c->xy[2 * i + 1] + r + 1); y++)
            for (int x = (int)(c->xy[2 * i] - r - 1); x <= (int)(c->xy[2 * i] + r + 1); x++) {
                double apart = hypot(x + 0.5 - c->xy[2 * i], y + 0.5 - c->xy[2 * i + 1]);
                float cover = 0.6f * (float)fmin(fmax(r + 0.5 - apart, 0), 1);
                float *to = picture.values + ((size_t)y * SIZE + (size_t)x) * 3;

                for (int k = 0; k < 3; k++)
                    to[k] += cover * ((float)(colour_of(c, i) >> (16 - 8 * k) & 255) / 255 - to[k]);
            }
    st = sheet_write(path, &picture, shape, 1, force, err);
    matrix_free(&picture);
    return st;
}

/* ---- the page ---- items that are small pictures are shown beside the pointer: all of them are
 * one picture in it */

static ae_status take_bytes(void *opaque, const void *data, size_t n, ae_error *err)
{
    return fwrite(data, 1, n, opaque) == n ? AE_OK : ae_fail(err, AE_ERR_NOMEM, "a page");
}

static void put_base64(FILE *f, const uint8_t *bytes, size_t n)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    for (size_t i = 0; i < n; i += 3) {
        uint32_t v = (uint32_t)bytes[i] << 16 | (i + 1 < n ? (uint32_t)bytes[i + 1] << 8 : 0) |
                     (i + 2 < n ? bytes[i + 2] : 0);

        for (size_t k = 0; k < 4; k++)
            fputc(i + k <= n ? digits[v >> (18 - 6 * k) & 63] : '=', f);
    }
}

static ae_status put_thumbnails(FILE *f, const chart *c, uint32_t across, ae_error *err)
{
    ae_shape shape = c->shape;
    matrix all;
    char *bytes = NULL;
    size_t n = 0;
    FILE *memory = open_memstream(&bytes, &n);
    ae_sink sink = {memory, take_bytes, NULL};
    ae_status st = memory ? matrix_create(c->n, (size_t)shape.h * shape.w * shape.c, &all, err)
                          : ae_fail(err, AE_ERR_NOMEM, "a page");

    if (st == AE_OK) {
        for (size_t i = 0; i < c->n && st == AE_OK; i++)
            st = dataset_item(c->data, c->items[i], shape, all.values + i * all.width, err);
        if (st == AE_OK)
            st = sheet_encode(ae_codec_for_name("png"), &sink, &all, shape, across, err);
        matrix_free(&all);
    }
    if (memory)
        fclose(memory);
    if (st == AE_OK)
        put_base64(f, (const uint8_t *)bytes, n);
    free(bytes);
    return st;
}

static ae_status draw_page(FILE *f, const chart *c, ae_error *err)
{
    uint32_t across = (uint32_t)ceil(sqrt((double)c->n)), h = c->shape.h, w = c->shape.w;
    bool pictures = h > 1 && w > 1 && h <= THUMBNAIL && w <= THUMBNAIL &&
                    (c->shape.c == 1 || c->shape.c == 3);
    ae_status st;

    fputs("<!DOCTYPE html><meta charset=\"utf-8\"><title>Latents</title><style>svg{max-height:95vh}"
          "#item{position:fixed;visibility:hidden;pointer-events:none;border:1px "
          "solid;image-rendering:pixelated}</style>\n",
          f);
    draw(f, c);
    if (!pictures)
        return AE_OK;
    fprintf(f,
            "<div id=\"item\" style=\"width:%upx;height:%upx;transform-origin:0 "
            "0;transform:scale(3);background-image:url("
            "data:image/png;base64,",
            w, h);
    if ((st = put_thumbnails(f, c, across, err)) != AE_OK)
        return st;
    fprintf(
        f,
        ")\"></div>\n<script>\nconst item = document.getElementById('item'), dots = "
        "document.querySelectorAll('circle');\n"
        "document.querySelector('svg').addEventListener('mouseover', e => {\n"
        "  const i = [].indexOf.call(dots, e.target);\n  item.style.visibility = i < 0 ? 'hidden' "
        ": 'visible';\n"
        "  item.style.left = e.clientX + 12 + 'px';\n  item.style.top = e.clientY + 12 + 'px';\n"
        "  item.style.backgroundPosition = -(i %% %u * %u + 1) + 'px ' + -(Math.floor(i / %u) * %u "
        "+ 1) + 'px';\n"
        "});\n</script>\n",
        across, w + 1, across, h + 1);
    return AE_OK;
}

static ae_status write_text(const char *path, const char *text, size_t n, bool force, ae_error *err)
{
    ae_output *output;
    ae_status st = cli_output_open(path, NULL, force, &output, err);

    if (st != AE_OK)
        return st;
    if ((st = ae_output_sink(output)->write(ae_output_sink(output)->opaque, text, n, err)) == AE_OK)
        return ae_output_commit(output, err);
    ae_output_discard(output);
    return st;
}

static ae_status draw_text(const chart *c, bool html, const char *path, bool force, ae_error *err)
{
    char *text = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&text, &n);
    ae_status st = f ? AE_OK : ae_fail(err, AE_ERR_NOMEM, "a map");

    if (st == AE_OK && html)
        st = draw_page(f, c, err);
    else if (st == AE_OK)
        draw(f, c);
    if (f && fclose(f) != 0 && st == AE_OK)
        st = ae_fail(err, AE_ERR_NOMEM, "a map");
    if (st == AE_OK)
        st = write_text(path, text, n, force, err);
    free(text);
    return st;
}

/* Rows that are evenly spread over all. */
static ae_status choose(const matrix *codes, matrix *rows, size_t **items, ae_error *err)
{
    size_t n = codes->n < MOST ? codes->n : MOST;
    ae_status st = matrix_create(n, codes->width, rows, err);

    *items = ae_alloc(n, sizeof(**items));
    if (st == AE_OK && !*items)
        st = ae_fail(err, AE_ERR_NOMEM, "a map");
    for (size_t i = 0; i < n && st == AE_OK; i++) {
        (*items)[i] = i * codes->n / n;
        memcpy(rows->values + i * codes->width, codes->values + (*items)[i] * codes->width,
               codes->width * sizeof(float));
        for (size_t k = 0; k < codes->width && st == AE_OK; k++)
            if (!isfinite(rows->values[i * codes->width + k]))
                st = ae_fail(err, AE_ERR_ARGUMENT, "a map: the latents of item %zu are not finite",
                             (*items)[i]);
    }
    return st;
}

ae_status plot_write(const char *path, const matrix *codes, const uint32_t *labels,
                     const dataset *data, ae_shape shape, plot_way way, bool force, ae_error *err)
{
    const char *dot = strrchr(path, '.');
    bool html = dot && strcmp(dot, ".html") == 0, svg = dot && strcmp(dot, ".svg") == 0;
    const ae_codec *codec = ae_codec_for_path(path);
    chart c = {.labels = labels, .data = data, .shape = shape};
    matrix rows = {0};
    size_t *items = NULL;
    ae_status st = html || svg || (codec && codec->kind == AE_KIND_IMAGE)
                       ? choose(codes, &rows, &items, err)
                       : ae_fail(err, AE_ERR_ARGUMENT,
                                 "a map is an .svg, an .html or a picture, such as .png");

    if (st == AE_OK && !(c.xy = ae_alloc(2 * rows.n, sizeof(*c.xy))))
        st = ae_fail(err, AE_ERR_NOMEM, "a map");
    if (st == AE_OK && (st = project(&rows, c.xy, err)) == AE_OK && way == PLOT_NEIGHBOURS)
        st = tsne_run(&rows, c.xy, err);
    if (st == AE_OK) {
        c.n = rows.n;
        c.items = items;
        fit(&c);
        st = html || svg ? draw_text(&c, html, path, force, err)
                         : draw_pixels(&c, path, force, err);
    }
    ae_free(c.xy);
    ae_free(items);
    matrix_free(&rows);
    if (st != AE_OK && err) {
        ae_error inner = *err;

        ae_fail(err, st, "%s: %s", path, inner.message);
    }
    return st;
}
