/* SPDX-License-Identifier: BSD-2-Clause
 *
 * aetrain --export: a codec gets its integer decoder, measured against the network. */
#include "export.h"

#include <math.h>
#include <string.h>

#include "ae/compress.h"
#include "common/progress.h"

enum { EDGE = 256, MOST = 32 /* crops */, PLANES = 3 };
static const size_t crop_floats = (size_t)EDGE * EDGE * PLANES;

/* The middle of a picture, grey ones in three planes; false: it is too small. */
static bool crop(const ae_signal_info *info, const uint8_t *pixels, float *to)
{
    size_t x = (info->width - EDGE) / 2, y = (info->height - EDGE) / 2,
           pixel = ae_sample_bytes(info->sample) * info->channels;
    float row[EDGE * PLANES];

    if (info->width < EDGE || info->height < EDGE)
        return false;
    for (size_t i = 0; i < EDGE; i++) {
        ae_samples_to_f32(info->sample, pixels + ((y + i) * info->width + x) * pixel, row,
                          (size_t)EDGE * info->channels);
        for (size_t k = 0; k < EDGE; k++)
            for (size_t c = 0; c < PLANES; c++)
                to[(i * EDGE + k) * PLANES + c] =
                    row[k * info->channels + (info->channels == PLANES ? c : 0)];
    }
    return true;
}

/* Crops from pictures spread over the data. */
static ae_status load_crops(const ae_dataset *data, float *crops, uint32_t *n, ae_error *err)
{
    size_t step = data->n_items > MOST ? data->n_items / MOST : 1;

    for (size_t i = 0; i < data->n_items && *n < MOST; i += step) {
        ae_signal_info info;
        ae_error why = {0};
        void *pixels = NULL;

        if (data->load(data->opaque, i, &info, &pixels, &why) != AE_OK)
            cli_message("%s: %s", data->name(data->opaque, i), why.message);
        else
            *n += crop(&info, pixels, crops + *n * crop_floats);
        ae_free(pixels);
    }
    return *n ? AE_OK
              : ae_fail(err, AE_ERR_ARGUMENT, "no picture of %d x %d pixels or more", EDGE, EDGE);
}

/* ---- what the integers cost ---- */

typedef struct tiles {
    uint8_t *bytes;
    size_t n_bytes;
    float *rows;
    size_t at;
    const float *picture;
} tiles;

static ae_status write_tile(void *opaque, uint32_t index, const void *data, size_t n_bytes,
                            ae_error *err)
{
    tiles *t = opaque;

    (void)index;
    ae_free(t->bytes);
    t->bytes = ae_alloc(n_bytes, 1);
    t->n_bytes = n_bytes;
    if (!t->bytes)
        return ae_fail(err, AE_ERR_NOMEM, "a tile of %zu bytes", n_bytes);
    memcpy(t->bytes, data, n_bytes);
    return AE_OK;
}

static ae_status read_tile(void *opaque, uint32_t index, const void **data, size_t *n_bytes,
                           ae_error *err)
{
    const tiles *t = opaque;

    (void)index;
    (void)err;
    *data = t->bytes;
    *n_bytes = t->n_bytes;
    return AE_OK;
}

static ae_status read_rows(void *opaque, void *rows, uint32_t n_rows, ae_error *err)
{
    tiles *t = opaque;

    (void)err;
    memcpy(rows, t->picture + t->at, (size_t)n_rows * EDGE * PLANES * sizeof(float));
    t->at += (size_t)n_rows * EDGE * PLANES;
    return AE_OK;
}

static ae_status write_rows(void *opaque, const void *rows, uint32_t n_rows, ae_error *err)
{
    tiles *t = opaque;

    (void)err;
    memcpy(t->rows + t->at, rows, (size_t)n_rows * EDGE * PLANES * sizeof(float));
    t->at += (size_t)n_rows * EDGE * PLANES;
    return AE_OK;
}

static double squared_error(const float *a, const float *b)
{
    double sum = 0;

    for (size_t i = 0; i < crop_floats; i++) {
        double v = a[i] < 0 ? 0 : a[i] > 1 ? 1 : (double)a[i];

        sum += (v - (double)b[i]) * (v - (double)b[i]);
    }
    return sum / (double)crop_floats;
}

typedef struct cost {
    double bits, error;
} cost;

static ae_status measure_float(const ae_model *model, ae_session *session, const float *picture,
                               float quality, cost *to, ae_error *err)
{
    const ae_graph *g = ae_model_graph(model);
    const float *inputs[2];
    float *outputs[AE_MAX_FROM] = {0};
    uint32_t n_inputs = 0;
    ae_status st = AE_OK;

    for (uint32_t i = 0; i < g->n_nodes && n_inputs < 2; i++)
        if (g->nodes[i].op == AE_OP_INPUT)
            inputs[n_inputs++] = strcmp(g->nodes[i].name, AE_INPUT_IMAGE) ? &quality : picture;
    for (uint32_t i = 0; st == AE_OK && i < g->n_outputs; i++) {
        ae_shape s = ae_session_output_shape(session, i);

        if (!(outputs[i] = ae_alloc((size_t)s.h * s.w * s.c, sizeof(float))))
            st = ae_fail(err, AE_ERR_NOMEM, "activations");
    }
    if (st == AE_OK)
        st = ae_session_run(session, inputs, outputs, err);
    for (uint32_t i = 1; st == AE_OK && i < g->n_outputs; i++) {
        ae_shape s = ae_session_output_shape(session, i);

        for (size_t k = 0; k < (size_t)s.h * s.w * s.c; k++)
            to->bits += (double)outputs[i][k];
    }
    if (st == AE_OK)
        to->error += squared_error(outputs[0], picture);
    for (uint32_t i = 0; i < g->n_outputs; i++)
        ae_free(outputs[i]);
    return st;
}

static ae_status measure_exact(const ae_coder *coder, tiles *t, uint32_t quality, cost *to,
                               ae_error *err)
{
    ae_encode_options e = {
        .quality = quality, .effort = 1, .precision = AE_PRECISION_F32, .control.threads = 1};
    ae_decode_options d = {.quality = quality, .control.threads = 1};
    ae_coder_picture p = {
        .width = EDGE, .height = EDGE, .planes = PLANES, .sample = AE_F32, .bits = 32};
    ae_row_source source = {.info = {.kind = AE_KIND_IMAGE,
                                     .sample = AE_F32,
                                     .bits = 32,
                                     .channels = PLANES,
                                     .width = EDGE,
                                     .height = EDGE},
                            .opaque = t,
                            .read = read_rows};
    ae_tile_sink tile_sink = {t, write_tile};
    ae_tile_source tile_source = {t, read_tile};
    ae_row_sink sink = {t, write_rows};
    ae_status st;

    t->at = 0;
    if ((st = ae_encode(coder, &e, &source, &tile_sink, err)) != AE_OK)
        return st;
    t->at = 0;
    if ((st = ae_decode(coder, &p, &d, &tile_source, &sink, err)) != AE_OK)
        return st;
    to->bits += 8 * (double)t->n_bytes;
    to->error += squared_error(t->rows, t->picture);
    return AE_OK;
}

static ae_status compare(const char *path, const float *crops, uint32_t n, ae_error *err)
{
    ae_model *model = NULL;
    ae_session *session = NULL;
    ae_coder *coder = NULL;
    tiles t = {.rows = ae_alloc(crop_floats, sizeof(float))};
    ae_status st = t.rows ? AE_OK : ae_fail(err, AE_ERR_NOMEM, "a picture");

    if (st == AE_OK && (st = ae_model_open(path, NULL, &model, err)) == AE_OK &&
        (st = ae_coder_open(model, &coder, err)) == AE_OK)
        st = ae_session_create(model, 1, EDGE, EDGE, AE_PRECISION_F32, &session, err);
    for (uint32_t q = 0; st == AE_OK && q <= AE_QUALITY_ONE; q += AE_QUALITY_ONE / 4) {
        cost floating = {0}, exact = {0};
        double pixels = (double)n * EDGE * EDGE;

        for (uint32_t i = 0; st == AE_OK && i < n; i++) {
            t.picture = crops + i * crop_floats;
            if ((st = measure_float(model, session, t.picture, (float)q / AE_QUALITY_ONE, &floating,
                                    err)) == AE_OK)
                st = measure_exact(coder, &t, q, &exact, err);
        }
        if (st == AE_OK)
            cli_message("quality %4u: %.4f bits a pixel, %.3f dB; in floating point %.4f (%+.2f "
                        "%%), %.3f dB",
                        q, exact.bits / pixels, -10 * log10(exact.error / n),
                        floating.bits / pixels, 100 * (exact.bits / floating.bits - 1),
                        -10 * log10(floating.error / n));
    }
    ae_free(t.bytes);
    ae_free(t.rows);
    ae_session_free(session);
    ae_coder_free(coder);
    ae_model_free(model);
    return st;
}

ae_status export_codec(const char *name, const ae_dataset *data, const char *output, bool half,
                       bool quiet, ae_error *err)
{
    char path[4096];
    ae_model *model = NULL;
    float *crops = ae_alloc(MOST * crop_floats, sizeof(float));
    uint8_t *program = NULL;
    uint32_t n = 0;
    ae_model_parts parts = {.half = half};
    ae_status st = crops ? AE_OK : ae_fail(err, AE_ERR_NOMEM, "%d crops", MOST);

    if (st == AE_OK && (st = ae_model_find(name, path, sizeof(path), err)) == AE_OK &&
        (st = ae_model_open(path, NULL, &model, err)) == AE_OK &&
        (st = load_crops(data, crops, &n, err)) == AE_OK) {
        parts.recipe_text = ae_model_recipe_text(model);
        parts.card = ae_model_card(model);
        parts.values = ae_model_values(model, &parts.n_floats);
        st = ae_export(ae_model_graph(model), parts.values, crops, n, EDGE, &program,
                       &parts.n_program, err);
    }
    parts.program = program;
    if (st == AE_OK && (st = ae_model_save(output, &parts, err)) == AE_OK && !quiet)
        st = compare(output, crops, n, err);
    ae_free(program);
    ae_free(crops);
    ae_model_free(model);
    return st;
}
