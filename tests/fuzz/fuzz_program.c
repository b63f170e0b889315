/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A decoder program from a stranger, run on a stream from a stranger: two bytes, the length of the
 * program; the program; the stream. */
#include <stdlib.h>
#include <string.h>

#include "latent/walk.h"
#include "model/format.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

static void no_neighbours(void *context, uint32_t index, const aei_view *to)
{
    (void)context;
    (void)index;
    memset(to->data, 0,
           (size_t)(to->rect.x1 - to->rect.x0) * (size_t)(to->rect.y1 - to->rect.y0) * to->pitch *
               sizeof(*to->data));
}

static void run(aei_program *p, const uint8_t *stream, size_t n_bytes)
{
    aei_engine *engine;
    aei_walk *walk = NULL;
    aei_rans_reader reader;
    aei_latents latents = {.reader = &reader};
    aei_view picture;
    const aei_op *out = &p->ops[p->n_ops - 1];
    uint32_t edge = p->stride < 32 ? 32 : p->stride;

    if (p->macs * edge * edge > 4e6) {
        aei_program_free(p);
        return;
    }
    if (aei_engine_create(p, aei_cpu_best(), &engine, NULL) == AE_OK &&
        aei_walk_create(engine, &walk, NULL) == AE_OK) {
        aei_walk_quality(walk, 517);
        aei_rans_begin(&reader, stream, n_bytes);
        if (aei_walk_entropy(walk, edge, edge, &latents, NULL) == AE_OK &&
            aei_walk_synthesis(walk, edge, edge, (aei_rect){1, 2, (int32_t)edge, (int32_t)edge - 1},
                               no_neighbours, NULL, &picture, NULL) == AE_OK)
            for (int32_t x = 1; x < (int32_t)edge; x++)
                for (uint32_t c = 0; c < out->channels; c++)
                    if (aei_view_at(&picture, x, 5)[c] < out->lo ||
                        aei_view_at(&picture, x, 5)[c] > out->hi)
                        abort();
    }
    aei_walk_free(walk);
    aei_engine_free(engine);
}

static void try_load(const uint8_t *program, size_t n_program, const uint8_t *stream,
                     size_t n_stream)
{
    aei_program *p = NULL;
    ae_error err = {0};
    ae_status st = aei_program_load(program, n_program, &p, &err);

    if ((st == AE_OK) != (p != NULL) || st != err.status || (st != AE_OK && !err.message[0]))
        abort();
    if (p)
        run(p, stream, n_stream);
}

/* Once as it is, once with magic, version and size put right. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    size_t n_program = n_bytes < 2 ? 0 : aei_load16(data);
    uint8_t *sealed;

    if (n_bytes < 2)
        return 0;
    data += 2;
    n_bytes -= 2;
    n_program = n_program < n_bytes ? n_program : n_bytes;
    try_load(data, n_program, data + n_program, n_bytes - n_program);
    if (n_program < AEI_PROGRAM_HEADER || !(sealed = malloc(n_program)))
        return 0;
    memcpy(sealed, data, n_program);
    memcpy(sealed, "AEPR\1\0\0\0", 8);
    aei_store64(sealed + 16, n_program);
    try_load(sealed, n_program, data + n_program, n_bytes - n_program);
    free(sealed);
    return 0;
}
