/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A tile's stream from a stranger, read by a good program: one byte of quality, the stream. */
#include <stdlib.h>

#include "../latent/tiny_program.h"
#include "latent/walk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    static aei_engine *engine;
    static aei_walk *walk;
    aei_rans_reader reader;
    aei_latents latents = {.reader = &reader};
    aei_view v;

    if (!engine) {
        tiny *t = calloc(1, sizeof(*t));
        aei_program *p;

        if (!t || tiny_make(t, 1, NULL) != AE_OK || tiny_load(t, &p, NULL) != AE_OK ||
            aei_engine_create(p, aei_cpu_best(), &engine, NULL) != AE_OK ||
            aei_walk_create(engine, &walk, NULL) != AE_OK)
            abort();
        ae_free(t->starts);
        free(t);
    }
    if (!n_bytes)
        return 0;
    aei_walk_quality(walk, data[0] * 6u);
    aei_rans_begin(&reader, data + 1, n_bytes - 1);
    if (aei_walk_entropy(walk, 64, 48, &latents, NULL) != AE_OK)
        abort();
    v = aei_walk_crossing(walk, 0);
    for (int32_t y = 0; y < 6; y++)
        for (int32_t x = 0; x < 8; x++)
            for (uint32_t c = 0; c < 3; c++)
                if (aei_view_at(&v, x, y)[c] < -4095 || aei_view_at(&v, x, y)[c] > 4095)
                    abort();
    return 0;
}
