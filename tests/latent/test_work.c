/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What programs from strangers may cost. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "random_program.h"

static random_program made;

/* A chain of `n` convolutions with wide kernels, of one channel each: cheap as it is written, dear
 * as it is run. */
static ae_status open_chain(uint32_t n, double *macs, ae_error *err)
{
    random_program *r = &made;
    uint32_t now;
    size_t n_bytes;
    uint8_t *bytes;
    ae_coder *coder = NULL;
    ae_status st;

    memset(r, 0, sizeof(*r));
    r->rng = aei_rng_make(3, 0, 0);
    random_embed(r, 1, 0, 10);
    random_embed(r, 1, 0, 10);
    now = random_finer(r, random_latent(r, 1, 0, 1, 16, 0, 0), 16, 1);
    for (uint32_t i = 0; i < n; i++)
        now = random_conv(r, 1, now, 15, 1, 7);
    random_op(r, AEI_OUTPUT, 1, 1, now, 0, 1)->shift = 10;
    assert_false(r->full);
    bytes = random_pack(r, &n_bytes);
    st = ae_coder_open_program(bytes, n_bytes, &coder, err);
    *macs = coder ? coder->engine->program->macs : 0;
    ae_free(bytes);
    ae_coder_free(coder);
    return st;
}

static void padding_and_halos_count(void **state)
{
    ae_error err = {0};
    double macs;

    (void)state;
    if (open_chain(3, &macs, &err) != AE_OK)
        fail_msg("%s", err.message);
    assert_in_range((int)macs, 600, 800);
    assert_int_equal(open_chain(30, &macs, &err), AE_ERR_LIMIT);
    assert_non_null(strstr(err.message, "the limit is"));
}

typedef struct stopping {
    ae_cancel cancel;
    uint32_t n_rows;
} stopping;

static ae_status give(void *opaque, uint32_t index, const void **data, size_t *n_bytes,
                      ae_error *err)
{
    (void)index;
    (void)err;
    ((stopping *)opaque)->cancel.requested = 1; /* the synthesis is next */
    *data = NULL;
    *n_bytes = 0;
    return AE_OK;
}

static ae_status take(void *opaque, const void *rows, uint32_t n_rows, ae_error *err)
{
    (void)rows;
    (void)err;
    ((stopping *)opaque)->n_rows += n_rows;
    return AE_OK;
}

static void lose(void *opaque, uint32_t index, const char *why)
{
    (void)opaque;
    (void)index;
    (void)why;
}

static void decoding_stops(void **state)
{
    static const uint8_t seed[] = {1, 2, 3, 4, 5, 6, 7, 8};
    ae_coder_picture picture = {3000, 3000, 1, AE_U8, 8};
    stopping s = {{0}, 0};
    ae_decode_options o = {.quality = 3, .control = {1, &s.cancel, &s, NULL, lose}};
    ae_tile_source source = {&s, give};
    ae_row_sink sink = {&s, take};
    ae_coder *coder = NULL;
    ae_error err = {0};
    size_t n_bytes;
    uint8_t *bytes;

    (void)state;
    assert_true(random_make(&made, seed, sizeof(seed)));
    bytes = random_pack(&made, &n_bytes);
    if (ae_coder_open_program(bytes, n_bytes, &coder, &err) != AE_OK)
        fail_msg("%s", err.message);
    assert_int_equal(ae_decode(coder, &picture, &o, &source, &sink, &err), AE_ERR_CANCELLED);
    assert_int_equal(s.n_rows, 0);
    ae_coder_free(coder);
    ae_free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(padding_and_halos_count),
        cmocka_unit_test(decoding_stops),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
