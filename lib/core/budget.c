/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The one budget of the process: a count of bytes taken, and what it may come to. */
#include "core/memory.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "ae/status.h"

static atomic_ullong budget = UINT64_MAX;
static uint64_t alone, *taken = &alone, *own; /* counted atomically */

/* The bytes that the budget refused last. Allocation failures are told by whoever asked for the
 * memory, in the same thread; only here is it known why. */
static _Thread_local uint64_t refused;

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
    if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY &&
        limit.rlim_cur < least)
        least = limit.rlim_cur;
    return least;
}

void ae_memory_limit(uint64_t n_bytes)
{
    atomic_store(&budget, n_bytes ? n_bytes : UINT64_MAX);
}

uint64_t ae_memory_left(void)
{
    uint64_t most = atomic_load(&budget), now = __atomic_load_n(taken, __ATOMIC_SEQ_CST);

    return now < most ? most - now : 0;
}

void ae_memory_share(uint64_t *common, uint64_t *of_this)
{
    if (!of_this)
        *common = *taken;
    taken = common;
    own = of_this;
}

/* The amount that there was before. */
static uint64_t add(uint64_t n_bytes)
{
    if (own)
        __atomic_fetch_add(own, n_bytes, __ATOMIC_SEQ_CST);
    return __atomic_fetch_add(taken, n_bytes, __ATOMIC_SEQ_CST);
}

bool aei_memory_charge(uint64_t n_bytes)
{
    uint64_t most = atomic_load(&budget), before;

    if (n_bytes <= INT64_MAX) { /* so that the count itself cannot overflow */
        before = add(n_bytes);
        if (before <= most && n_bytes <= most - before)
            return true;
        add(-n_bytes);
    }
    refused = n_bytes;
    return false;
}

void ae_memory_give(uint64_t n_bytes)
{
    add(-n_bytes);
}

void aei_memory_explain(char *message, size_t n)
{
    size_t at = strlen(message);

    if (refused)
        snprintf(message + at, n - at,
                 ": %llu bytes more would exceed max_memory (%llu, set by --max-memory)",
                 (unsigned long long)refused, (unsigned long long)atomic_load(&budget));
    refused = 0;
}
