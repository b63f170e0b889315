/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The value of a rank without sorting: Hoare's quickselect (1961), with the middle as the pivot. */
#ifndef AEI_RANK_H
#define AEI_RANK_H

#include <stddef.h>

/* Of n values, at least one and none of them NaN, that of rank k; they come out in another order.
 */
static inline float aei_select_rank(float *v, size_t n, size_t k)
{
    size_t lo = 0, hi = n - 1;

    while (lo < hi) {
        float pivot = v[lo + (hi - lo) / 2];
        size_t i = lo, j = hi;

        for (;;) {
            while (v[i] < pivot)
                i++;
            while (v[j] > pivot)
                j--;
            if (i >= j)
                break;
            float t = v[i];
            v[i++] = v[j];
            v[j--] = t;
        }
        if (k <= j)
            hi = j;
        else
            lo = j + 1;
    }
    return v[k];
}

#endif
