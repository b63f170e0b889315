/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Pictures in memory and models from text, for the tests of what networks do to pictures. */
#ifndef TEST_PICTURE_H
#define TEST_PICTURE_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "ae/model.h"
#include "ae/signal.h"
#include "core/rng.h"

static inline ae_model *make_model(const char *recipe_text, uint64_t seed,
                                   void (*edit)(const ae_graph *, float *))
{
    char path[] = "/tmp/test_picture.XXXXXX";
    ae_model_parts parts = {.recipe_text = recipe_text, .card = ""};
    ae_recipe *recipe = NULL;
    ae_param *params = NULL;
    uint32_t n_params;
    ae_model *model = NULL;
    float *values;
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(ae_recipe_parse(recipe_text, strlen(recipe_text), "test", &recipe, NULL),
                     AE_OK);
    assert_int_equal(
        ae_graph_params(&recipe->networks[0].graph, &params, &n_params, &parts.n_floats, NULL),
        AE_OK);
    values = ae_alloc(parts.n_floats, sizeof(*values));
    assert_non_null(values);
    assert_int_equal(ae_graph_init(&recipe->networks[0].graph, seed, values, NULL), AE_OK);
    if (edit)
        edit(&recipe->networks[0].graph, values);
    parts.values = values;
    assert_int_equal(ae_model_save(path, &parts, NULL), AE_OK);
    assert_int_equal(ae_model_open(path, NULL, &model, NULL), AE_OK);
    unlink(path);
    ae_free(values);
    ae_free(params);
    ae_recipe_free(recipe);
    return model;
}

typedef struct picture {
    ae_signal_info info, out; /* of pixels and of result */
    uint8_t *pixels, *result;
    uint64_t rows_read, rows_written;
    uint64_t fail_read_at, fail_write_at; /* rows; 0: never */
} picture;

static inline ae_status read_rows(void *opaque, void *rows, uint32_t n, ae_error *err)
{
    picture *p = opaque;
    size_t bytes = ae_row_bytes(&p->info);

    assert_true(p->rows_read + n <= p->info.height);
    if (p->fail_read_at && p->rows_read + n > p->fail_read_at)
        return ae_fail(err, AE_ERR_MALFORMED, "damaged in row %llu",
                       (unsigned long long)p->fail_read_at);
    memcpy(rows, p->pixels + p->rows_read * bytes, n * bytes);
    p->rows_read += n;
    return AE_OK;
}

static inline ae_status write_rows(void *opaque, const void *rows, uint32_t n, ae_error *err)
{
    picture *p = opaque;
    size_t bytes = ae_row_bytes(&p->out);

    assert_true(p->rows_written + n <= p->out.height);
    if (p->fail_write_at && p->rows_written + n > p->fail_write_at)
        return ae_fail(err, AE_ERR_IO, "disk full");
    memcpy(p->result + p->rows_written * bytes, rows, n * bytes);
    p->rows_written += n;
    return AE_OK;
}

/* With room for a result of scale times the size. */
static inline picture make_scaled_picture(uint32_t w, uint32_t h, uint32_t channels,
                                          ae_sample sample, uint32_t scale)
{
    picture p = {.info = {.kind = AE_KIND_IMAGE,
                          .sample = sample,
                          .bits = (uint32_t)ae_sample_bytes(sample) * 8,
                          .channels = channels,
                          .alpha = channels % 2 == 0,
                          .width = w,
                          .height = h}};
    aei_rng rng = aei_rng_make(7, w, h);
    size_t n = (size_t)w * h * channels;

    p.pixels = ae_alloc(n, ae_sample_bytes(sample));
    p.out = p.info;
    p.out.width *= scale;
    p.out.height *= scale;
    p.result = ae_alloc(n * scale * scale, ae_sample_bytes(sample));
    assert_true(p.pixels && p.result);
    for (size_t i = 0; i < n; i++) {
        float v = 0.5f + 0.4f * sinf((float)i * 0.01f) + 0.3f * aei_rng_normal(&rng);

        ae_samples_from_f32(sample, &v, p.pixels + i * ae_sample_bytes(sample), 1);
    }
    return p;
}

static inline picture make_picture(uint32_t w, uint32_t h, uint32_t channels, ae_sample sample)
{
    return make_scaled_picture(w, h, channels, sample, 1);
}

/* Brings an f32 picture within black and white. */
static inline void clip_picture(picture *p)
{
    float *v = (float *)p->pixels;

    for (size_t i = 0; i < p->info.width * p->info.height * p->info.channels; i++)
        v[i] = fminf(fmaxf(v[i], 0), 1);
}

static inline void free_picture(picture *p)
{
    ae_free(p->pixels);
    ae_free(p->result);
}

static inline size_t picture_bytes(const picture *p)
{
    return (size_t)p->info.height * ae_row_bytes(&p->info);
}

#endif
