/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A decoder program made ready for one processor: its convolutions packed for the kernels, its
 * distributions as tables, and what is known of it without a picture: which tensors the entropy
 * part hands to the synthesis, how much work a pixel is, and how far the latents reach. */
#include "latent/walk.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* of aei_engine_work: a tile then takes about a second of one core with AVX2 */
enum { MAX_WORK = 1 << 17 };

void aei_engine_free(aei_engine *e)
{
    if (!e)
        return;
    for (uint32_t i = 0; e->convs && i < e->program->n_ops; i++)
        aei_iconv_free(&e->convs[i]);
    ae_free(e->convs);
    ae_free(e->crossings);
    ae_free(e->parities);
    aei_rans_tables_free(&e->tables);
    aei_program_free(e->program);
    ae_free(e);
}

static void find_crossings(aei_engine *e)
{
    const aei_program *p = e->program;

    for (uint32_t i = 0; i < p->n_entropy; i++) {
        bool read = false;

        for (uint32_t k = p->n_entropy; k < p->n_ops; k++)
            for (uint32_t j = 0; j < p->ops[k].n_in; j++)
                read |= p->ops[k].in[j] == i;
        if (read && p->ops[i].grid)
            e->crossings[e->n_crossings++] = i;
    }
}

/* What latents of one parity alone are made of need be known there alone, as far as nothing looks
 * to the side. */
static void find_parities(aei_engine *e)
{
    const aei_program *p = e->program;

    for (uint32_t i = p->n_ops; i-- > 0;) {
        const aei_op *op = &p->ops[i];

        for (uint32_t k = 0; k < op->n_in; k++) {
            bool pointwise = op->kind == AEI_ADD || op->kind == AEI_MUL || op->kind == AEI_CONCAT ||
                             op->kind == AEI_CROP ||
                             (op->kind == AEI_CONV &&
                              (k == 1 || (op->kernel == 1 && op->stride == 1)));
            uint8_t all = AE_PARITY_EVEN | AE_PARITY_ODD;

            if (op->kind == AEI_LATENT && k < 2 && op->parity != AE_PARITY_ALL)
                all = (uint8_t)op->parity;
            e->parities[op->in[k]] |= pointwise && i < p->n_entropy ? e->parities[i] : all;
        }
    }
}

ae_status aei_engine_create(aei_program *program, aei_cpu cpu, aei_engine **out, ae_error *err)
{
    aei_engine *e = ae_alloc(1, sizeof(*e));
    ae_status st = AE_OK;

    *out = NULL;
    if (!e) {
        aei_program_free(program);
        return ae_fail(err, AE_ERR_NOMEM, "decoder");
    }
    e->program = program;
    e->kernel = aei_iconv_kernel_of(cpu);
    e->convs = ae_alloc(program->n_ops, sizeof(*e->convs));
    e->crossings = ae_alloc(program->n_ops, sizeof(*e->crossings));
    e->parities = ae_alloc(program->n_ops, sizeof(*e->parities));
    if (!e->convs || !e->crossings || !e->parities)
        st = ae_fail(err, AE_ERR_NOMEM, "decoder");
    if (st == AE_OK)
        st = aei_rans_tables_make(program->scales, program->n_scales, &e->tables, err);
    for (uint32_t i = 0; st == AE_OK && i < program->n_ops; i++)
        if (program->ops[i].kind == AEI_CONV)
            st = aei_iconv_prepare(&program->ops[i], program->ops[program->ops[i].in[0]].channels,
                                   &e->convs[i], err);
    if (st != AE_OK) {
        aei_engine_free(e);
        return st;
    }
    if (aei_engine_work(e) > MAX_WORK) {
        st = ae_fail(err, AE_ERR_LIMIT,
                     "decoder program: %.0f multiply-accumulates a pixel, with what kernels pad "
                     "and blocks compute twice, "
                     "the limit is %d",
                     aei_engine_work(e), MAX_WORK);
        aei_engine_free(e);
        return st;
    }
    find_crossings(e);
    find_parities(e);
    *out = e;
    return AE_OK;
}

/* What the synthesis computes of each tensor for a block of so many pixels, far from all borders.
 */
static void fields_of_block(const aei_program *p, uint32_t pixels, aei_rect need[AEI_MAX_OPS])
{
    int32_t edge = (int32_t)(pixels / p->ops[p->n_ops - 1].grid);

    memset(need, 0, AEI_MAX_OPS * sizeof(*need));
    need[p->n_ops - 1] = (aei_rect){0, 0, edge, edge};
    for (uint32_t i = p->n_ops; i-- > p->n_entropy;)
        for (uint32_t k = 0; k < p->ops[i].n_in && !aei_rect_is_empty(need[i]); k++)
            if (p->ops[p->ops[i].in[k]].grid)
                need[p->ops[i].in[k]] = aei_rect_join(need[p->ops[i].in[k]],
                                                      aei_rect_field(&p->ops[i], k, need[i]));
}

/* Of a result of an operator at one place, in multiply-accumulates of a convolution as kernels do
 * them: in blocks of outputs and pairs of inputs. What other operators cost was measured and
 * rounded up. */
static double work_at(const aei_engine *e, uint32_t index)
{
    const aei_op *op = &e->program->ops[index];
    const aei_iconv *conv = &e->convs[index];

    switch (op->kind) {
    case AEI_CONV: return 64 + 2.0 * conv->n_blocks * AEI_BLOCK * op->kernel * conv->n_pairs;
    case AEI_LATENT: return 256 + 1024.0 * op->channels;
    default: return 256 + 4.0 * op->channels * op->n_in;
    }
}

double aei_engine_work(const aei_engine *e)
{
    const aei_program *p = e->program;
    aei_rect need[AEI_MAX_OPS];
    double entropy = 0, synthesis = 0;

    fields_of_block(p, AEI_LEAST_BLOCK, need);
    for (uint32_t i = 0; i < p->n_ops; i++)
        if (i >= p->n_entropy && !aei_rect_is_empty(need[i]))
            synthesis += work_at(e, i) * (need[i].x1 - need[i].x0) * (need[i].y1 - need[i].y0);
        else if (i < p->n_entropy && p->ops[i].grid)
            entropy += work_at(e, i) / ((double)p->ops[i].grid * p->ops[i].grid);
    return entropy + synthesis / ((double)AEI_LEAST_BLOCK * AEI_LEAST_BLOCK);
}

uint32_t aei_engine_reach(const aei_engine *e)
{
    const aei_program *p = e->program;
    aei_rect need[AEI_MAX_OPS];
    uint32_t reach = 0;

    fields_of_block(p, p->stride, need);
    for (uint32_t i = 0; i < e->n_crossings; i++) {
        uint32_t t = e->crossings[i];

        if (!aei_rect_is_empty(need[t]))
            reach = (uint32_t)aei_max_i32(
                (int32_t)reach,
                aei_max_i32(-need[t].x0 * (int32_t)p->ops[t].grid,
                            need[t].x1 * (int32_t)p->ops[t].grid - (int32_t)p->stride));
    }
    return reach;
}
