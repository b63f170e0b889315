/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Tiles of samples: four bytes choose the shape, the rest is coded data; and the same bytes as a
 * picture, there and back. */
#include <stdlib.h>
#include <string.h>

#include "ae/container.h"
#include "container/lossless.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    aei_block t;
    aei_sample_coder *coder = aei_sample_coder_create();
    uint16_t *samples = NULL, *again = NULL;
    const uint8_t *coded;
    uint8_t *copy = NULL;
    size_t n, n_coded;
    ae_error err = {0};

    if (n_bytes < 4 || !coder)
        goto done;
    t = (aei_block){.width = 1 + data[0] % 40,
                    .height = 1 + data[1] % 40,
                    .channels = 1 + data[2] % 4,
                    .max = (2u << data[2] / 4 % 16) - 1,
                    .bound = 3 * data[3]};
    t.bound = t.bound < AE_BOUND_ONE * t.max ? t.bound : 0;
    n = (size_t)t.width * t.height * t.channels;
    samples = malloc(n * sizeof(*samples));
    again = malloc(n * sizeof(*again));
    if (!samples || !again)
        goto done;
    if (aei_tile_decode(coder, &t, data + 4, n_bytes - 4, samples, &err) == AE_OK) {
        for (size_t i = 0; i < n; i++)
            if (samples[i] > t.max)
                abort();
    }
    for (size_t i = 0; i < n; i++)
        samples[i] = (uint16_t)((data[i % n_bytes] * 257u ^ (uint32_t)(i / n_bytes)) % (t.max + 1));
    if (aei_tile_encode(coder, &t, samples, &coded, &n_coded, &err) != AE_OK ||
        !(copy = malloc(n_coded)))
        abort();
    memcpy(copy, coded, n_coded);
    if (aei_tile_decode(coder, &t, copy, n_coded, again, &err) != AE_OK ||
        memcmp(samples, again, n * sizeof(*again)) != 0)
        abort();
done:
    free(copy);
    free(samples);
    free(again);
    aei_sample_coder_free(coder);
    return 0;
}
