/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The workspace: stretches of memory with lifetimes, laid out first fit, largest first. A stretch
 * is kept clear of those alone that live at a step at which it does, and so layers that are far
 * apart share memory. Sizes are rounded up to lines of the cache. */
#include <stdlib.h>

#include "nn/plan.h"

int32_t aei_span_new(aei_plan *plan, size_t bytes, uint32_t first, uint32_t last)
{
    if (plan->n_buffers == plan->buffer_room) {
        size_t old = plan->buffer_room * sizeof(aei_span);
        aei_span *more = ae_realloc(plan->buffers, old, old * 2 + 64 * sizeof(aei_span));

        if (!more)
            return AEI_NO_BUFFER;
        plan->buffers = more;
        plan->buffer_room = plan->buffer_room * 2 + 64;
    }
    plan->buffers[plan->n_buffers] = (aei_span){.bytes = bytes, .first = first, .last = last};
    return (int32_t)plan->n_buffers++;
}

void aei_span_grow(aei_plan *plan, int32_t buffer, size_t bytes)
{
    if (plan->buffers[buffer].bytes < bytes)
        plan->buffers[buffer].bytes = bytes;
}

void aei_scratch(aei_plan *plan, size_t bytes)
{
    aei_span_grow(plan, AEI_SCRATCH, bytes);
}

static int by_size(const void *a, const void *b)
{
    const aei_span *x = *(aei_span *const *)a, *y = *(aei_span *const *)b;

    if (x->bytes != y->bytes)
        return x->bytes < y->bytes ? 1 : -1;
    return x < y ? -1 : x > y;
}

static int by_offset(const void *a, const void *b)
{
    const aei_span *x = *(aei_span *const *)a, *y = *(aei_span *const *)b;

    return x->offset < y->offset ? -1 : x->offset > y->offset;
}

bool aei_workspace_place(aei_plan *p)
{
    aei_span **order = ae_alloc(p->n_buffers, sizeof(*order)),
             **near = ae_alloc(p->n_buffers, sizeof(*near));

    if (order && near) {
        for (uint32_t i = 0; i < p->n_buffers; i++) {
            order[i] = &p->buffers[i];
            order[i]->bytes = (order[i]->bytes + 63) / 64 * 64;
        }
        qsort(order, p->n_buffers, sizeof(*order), by_size);
        for (uint32_t i = 0; i < p->n_buffers; i++) {
            aei_span *b = order[i];
            uint32_t n_near = 0;

            for (uint32_t k = 0; k < i; k++)
                if (order[k]->first <= b->last && b->first <= order[k]->last)
                    near[n_near++] = order[k];
            qsort(near, n_near, sizeof(*near), by_offset);
            b->offset = AEI_MARGIN;
            for (uint32_t k = 0; k < n_near && near[k]->offset < b->offset + b->bytes; k++)
                if (near[k]->offset + near[k]->bytes > b->offset)
                    b->offset = near[k]->offset + near[k]->bytes;
            if (b->offset + b->bytes > p->workspace)
                p->workspace = b->offset + b->bytes;
        }
    }
    ae_free(near);
    ae_free(order);
    return order && near;
}
