/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Runs of grey pixels are counted along each row, and rows of columns that have had runs long
 * enough are counted downwards: where both reach the size of the neighbourhood all of it is grey,
 * at the cost of one byte a column. */
#include "image/greys.h"

#include <string.h>

static bool is_grey(const float *p)
{
    return p[0] == p[1] && p[1] == p[2];
}

static void level_pixel(const aei_tile *t, uint32_t x, uint32_t y)
{
    uint32_t scale = t->job->scale;

    for (uint32_t i = 0; i < scale; i++)
        for (uint32_t j = 0; j < scale; j++) {
            float *v = t->net + 3 * ((size_t)(y * scale + i) * t->net_w + x * scale + j);

            v[0] = v[1] = v[2] = (v[0] + v[1] + v[2]) * (1 / 3.0f);
        }
}

void aei_keep_grey(const aei_tile *t, uint8_t *rows)
{
    uint32_t reach = t->margin < AEI_GREY_REACH ? t->margin : AEI_GREY_REACH,
             enough = 2 * reach + 1;
    const float *row = t->image - 3 * ((size_t)reach * t->window_w + reach);

    memset(rows, 0, t->w);
    for (uint32_t y = 0; y < t->h + 2 * reach; y++, row += 3 * (size_t)t->window_w) {
        uint32_t run = 0;

        for (uint32_t x = 0; x < t->w + 2 * reach; x++) {
            run = is_grey(row + 3 * (size_t)x) ? run + 1 : 0;
            if (x < 2 * reach)
                continue;
            if (run < enough)
                rows[x - 2 * reach] = 0;
            else if (rows[x - 2 * reach] < enough)
                rows[x - 2 * reach]++;
            if (y >= 2 * reach && rows[x - 2 * reach] == enough)
                level_pixel(t, x - 2 * reach, y - 2 * reach);
        }
    }
}
