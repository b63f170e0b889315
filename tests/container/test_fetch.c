/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What a tile that cannot be had costs: damage the tile, where somebody is told, and all else the
 * item, for pictures, sounds and arrays alike. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "container/fetch.h"

typedef struct fixture {
    ae_status st;
    const char *bytes;
} fixture;

static ae_status read_tile(void *opaque, uint32_t index, const void **data, size_t *n_bytes,
                           ae_error *err)
{
    const fixture *f = opaque;

    if (f->st != AE_OK)
        return ae_fail(err, f->st, "tile %u: because", index);
    *data = f->bytes;
    *n_bytes = f->bytes ? strlen(f->bytes) : 0;
    return AE_OK;
}

static void ignore(void *opaque, uint32_t index, const char *why)
{
    (void)opaque, (void)index, (void)why;
}

static void test_costs(void **state)
{
    static const struct {
        fixture source;
        bool told;
        ae_status tile, item;
    } cases[] = {{{AE_OK, "abc"}, true, AE_OK, AE_OK},
                 {{AE_OK, NULL}, true, AE_ERR_MALFORMED, AE_OK},
                 {{AE_OK, NULL}, false, AE_ERR_MALFORMED, AE_ERR_MALFORMED},
                 {{AE_ERR_MALFORMED, NULL}, true, AE_ERR_MALFORMED, AE_OK},
                 {{AE_ERR_MALFORMED, NULL}, false, AE_ERR_MALFORMED, AE_ERR_MALFORMED},
                 {{AE_ERR_IO, NULL}, true, AE_ERR_IO, AE_ERR_IO},
                 {{AE_ERR_NOMEM, NULL}, true, AE_ERR_NOMEM, AE_ERR_NOMEM},
                 {{AE_ERR_CANCELLED, NULL}, true, AE_ERR_CANCELLED, AE_ERR_CANCELLED},
                 {{AE_ERR_TOO_NEW, NULL}, true, AE_ERR_TOO_NEW, AE_ERR_TOO_NEW}};
    aei_buffer data = {0};

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        fixture f = cases[i].source;
        ae_tile_source source = {.opaque = &f, .read = read_tile};
        ae_control control = {.lost = cases[i].told ? ignore : NULL};
        ae_error why, err;
        ae_status st;

        assert_int_equal(aei_fetch_tile(&source, 7, &control, &data, &st, &why, &err),
                         cases[i].item);
        assert_int_equal(st, cases[i].tile);
        if (st == AE_OK)
            assert_memory_equal(data.data, "abc", 3);
        else if (cases[i].item != AE_OK)
            assert_non_null(strstr(err.message, "tile 7"));
    }
    ae_free(data.data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_costs)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
