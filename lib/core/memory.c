/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The allocation shim: aligned, cleared, charged to the budget, and made to fail where a test wants
 * it. What other libraries allocate for us is charged by whoever calls them. */
#define _GNU_SOURCE
#include "core/memory.h"

#include <malloc.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "ae/status.h"

enum { LARGE_PAGE = 1 << 21 };

static atomic_ullong fail_at;

ae_status ae_memory_take(uint64_t n_bytes, const char *what, ae_error *err)
{
    char why[128] = "";

    if (aei_memory_charge(n_bytes))
        return AE_OK;
    aei_memory_explain(why, sizeof(why));
    return ae_fail(err, AE_ERR_LIMIT, "%s%s", what, why);
}

void ae_alloc_fail_at(uint64_t n)
{
    atomic_store(&fail_at, n);
}

/* Counts down to the failing allocation; true for that one. */
static bool injected_failure(void)
{
    unsigned long long left = atomic_load(&fail_at);

    while (left && !atomic_compare_exchange_weak(&fail_at, &left, left - 1))
        ;
    return left == 1;
}

void *ae_alloc(size_t count, size_t size)
{
    size_t bytes, usable;
    void *memory;

    if (__builtin_mul_overflow(count, size, &bytes) || bytes > SIZE_MAX / 2 || injected_failure())
        return NULL;
    bytes = bytes ? (bytes + 63) / 64 * 64 : 64;
    if (!aei_memory_charge(bytes))
        return NULL;
    if (posix_memalign(&memory, bytes < LARGE_PAGE ? 64 : LARGE_PAGE, bytes)) {
        ae_memory_give(bytes);
        return NULL;
    }
    /* what freeing will give back, no less than bytes: this takes the rest */
    usable = malloc_usable_size(memory);
    ae_memory_give((uint64_t)bytes - usable);
#ifdef MADV_HUGEPAGE
    if (bytes >= LARGE_PAGE) /* spares address translations; advice that fails does no harm */
        madvise(memory, bytes, MADV_HUGEPAGE);
#endif
    memset(memory, 0, bytes);
    return memory;
}

void *ae_realloc(void *old, size_t old_bytes, size_t new_bytes)
{
    void *memory = ae_alloc(new_bytes, 1);

    if (memory && old) {
        memcpy(memory, old, old_bytes < new_bytes ? old_bytes : new_bytes);
        ae_free(old);
    }
    return memory;
}

char *ae_strdup(const char *text)
{
    size_t n = strlen(text) + 1;
    char *copy = ae_alloc(n, 1);

    if (copy)
        memcpy(copy, text, n);
    return copy;
}

void ae_free(void *memory)
{
    if (memory)
        ae_memory_give(malloc_usable_size(memory));
    free(memory);
}
