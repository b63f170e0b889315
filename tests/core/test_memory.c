/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The budget of the process. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "ae/status.h"

enum { MEGA = 1 << 20 };

static int no_budget(void **state)
{
    (void)state;
    ae_memory_limit(0);
    return 0;
}

/* Sets a budget of so many bytes more than is taken now. */
static void leave(uint64_t n)
{
    ae_memory_limit(INT64_MAX);
    ae_memory_limit(INT64_MAX - ae_memory_left() + n);
    assert_int_equal(ae_memory_left(), n);
}

static void allocations_are_charged(void **state)
{
    void *a, *b;
    ae_error err = {0};

    (void)state;
    leave(10 * MEGA);
    assert_non_null(a = ae_alloc(6, MEGA));
    assert_true(ae_memory_left() <= 4 * MEGA);
    assert_null(b = ae_alloc(6, MEGA));
    assert_int_equal(ae_fail(&err, AE_ERR_NOMEM, "a picture"), AE_ERR_NOMEM);
    assert_non_null(strstr(err.message, "a picture: 6291456 bytes more would exceed max_memory ("));
    ae_fail(&err, AE_ERR_NOMEM, "another");
    assert_string_equal(err.message, "another");
    assert_null(ae_realloc(a, 6 * MEGA, 20 * MEGA));
    ae_free(a);
    assert_int_equal(ae_memory_left(), 10 * MEGA);
    assert_non_null(b = ae_alloc(6, MEGA));
    ae_free(b);
    assert_int_equal(ae_memory_left(), 10 * MEGA);
}

static void what_others_allocate_is_charged(void **state)
{
    ae_error err = {0};

    (void)state;
    leave(MEGA);
    assert_int_equal(ae_memory_take(MEGA / 2, "a profile", &err), AE_OK);
    assert_int_equal(ae_memory_left(), MEGA / 2);
    assert_null(ae_alloc(1, MEGA));
    assert_int_equal(ae_memory_take(MEGA, "a profile", &err), AE_ERR_LIMIT);
    assert_non_null(strstr(err.message, "a profile: 1048576 bytes more would exceed max_memory"));
    assert_int_equal(ae_memory_take(UINT64_MAX, "a profile", &err), AE_ERR_LIMIT);
    ae_memory_give(MEGA / 2);
    assert_int_equal(ae_memory_left(), MEGA);
}

static void without_a_budget_there_is_no_limit(void **state)
{
    void *a;

    (void)state;
    ae_memory_limit(0);
    assert_non_null(a = ae_alloc(64, MEGA));
    ae_free(a);
    assert_true(ae_memory_machine() >= 64 * MEGA);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(allocations_are_charged, no_budget),
        cmocka_unit_test_teardown(what_others_allocate_is_charged, no_budget),
        cmocka_unit_test(without_a_budget_there_is_no_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
