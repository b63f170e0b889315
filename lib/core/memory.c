/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The allocation shim and the one budget of the process that all of it is charged to. What other libraries allocate for us is
 * charged by whoever calls them. */
#define _GNU_SOURCE
#include "core/memory.h"

#include <malloc.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "ae/status.h"

enum { LARGE_PAGE = 1 << 21 };

static atomic_ullong fail_at, taken, budget = UINT64_MAX;

/* The bytes that the budget refused last. Allocation failures are told by whoever asked for the memory, in the same thread; only
 * here is it known why. */
static _Thread_local uint64_t refused;

/* ---- the budget ---- */

/* What a control group may take, UINT64_MAX where there is none. */
static uint64_t group_limit(const char *path)
{
    unsigned long long n = UINT64_MAX;
    FILE *f = fopen(path, "re");

    if (!f)
        return UINT64_MAX;
    if (fscanf(f, "%llu", &n) != 1) /* "max" */
        n = UINT64_MAX;
    fclose(f);
    return n;
}

uint64_t ae_memory_machine(void)
{
    long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
    uint64_t least = pages > 0 && size > 0 ? (uint64_t)pages * (uint64_t)size : UINT64_MAX, n;
    struct rlimit limit;

    if ((n = group_limit("/sys/fs/cgroup/memory.max")) < least)
        least = n;
    if ((n = group_limit("/sys/fs/cgroup/memory/memory.limit_in_bytes")) < least)
        least = n;
    if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY && limit.rlim_cur < least)
        least = limit.rlim_cur;
    return least;
}

void ae_memory_limit(uint64_t n_bytes)
{
    atomic_store(&budget, n_bytes ? n_bytes : UINT64_MAX);
}

uint64_t ae_memory_left(void)
{
    uint64_t most = atomic_load(&budget), now = atomic_load(&taken);

    return now < most ? most - now : 0;
}

static bool take(uint64_t n_bytes)
{
    uint64_t most = atomic_load(&budget), before = atomic_fetch_add(&taken, n_bytes);

    if (before <= most && n_bytes <= most - before)
        return true;
    atomic_fetch_sub(&taken, n_bytes);
    refused = n_bytes;
    return false;
}

ae_status ae_memory_take(uint64_t n_bytes, const char *what, ae_error *err)
{
    if (n_bytes <= INT64_MAX && take(n_bytes)) /* so that the count itself cannot overflow */
        return AE_OK;
    refused = 0;
    return ae_fail(err, AE_ERR_LIMIT, "%s: %llu bytes more would exceed max_memory (%llu, set by --max-memory)", what,
                   (unsigned long long)n_bytes, (unsigned long long)atomic_load(&budget));
}

void ae_memory_give(uint64_t n_bytes)
{
    atomic_fetch_sub(&taken, n_bytes);
}

void aei_memory_explain(char *message, size_t n)
{
    size_t at = strlen(message);

    if (refused)
        snprintf(message + at, n - at, ": %llu bytes more would exceed max_memory (%llu, set by --max-memory)",
                 (unsigned long long)refused, (unsigned long long)atomic_load(&budget));
    refused = 0;
}

/* ---- allocation ---- */

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
    if (!take(bytes))
        return NULL;
    if (posix_memalign(&memory, bytes < LARGE_PAGE ? 64 : LARGE_PAGE, bytes)) {
        ae_memory_give(bytes);
        return NULL;
    }
    usable = malloc_usable_size(memory); /* what freeing will give back */
    atomic_fetch_add(&taken, (uint64_t)usable - bytes);
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
