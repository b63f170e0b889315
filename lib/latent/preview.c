/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A codec's picture is the sum of a detail network and of a linear path, a 1 x 1 convolution whose
 * outputs are the pixels of a block. The means of those outputs over 8 x 8 pixels are a 1 x 1
 * convolution again, with a sixty-fourth of the outputs. */
#include "latent/preview.h"

#include <string.h>

/* behind the point, and the most of the weights */
enum { AREA = AEI_PREVIEW * AEI_PREVIEW, AREA_BITS = 6, BIAS_BITS = 22 };

typedef struct path {
    const aei_op *conv, *shuffle;
    uint32_t in, shift; /* the latents' tensor; what the sum behind the path is shifted by */
} path;

static bool is_path(const aei_program *p, const aei_op *shuffle, path *out)
{
    const aei_op *conv = &p->ops[shuffle->in[0]];

    if (shuffle->kind != AEI_SHUFFLE || shuffle->factor % AEI_PREVIEW || conv->kind != AEI_CONV ||
        conv->n_in != 1 || conv->kernel != 1 || conv->stride != 1 || conv->leak != AEI_NO_LEAK ||
        !p->ops[conv->in[0]].grid)
        return false;
    *out = (path){conv, shuffle, conv->in[0], 0};
    return true;
}

static bool find_path(const aei_program *p, path *out)
{
    const aei_op *output = &p->ops[p->n_ops - 1], *last = &p->ops[output->in[0]];

    if (is_path(p, last, out))
        return true;
    for (uint32_t k = 0; last->kind == AEI_ADD && last->leak == AEI_NO_LEAK && k < last->n_in; k++)
        if (is_path(p, &p->ops[last->in[k]], out)) {
            out->shift = last->shift;
            return output->shift + out->shift <= 14;
        }
    return false;
}

/* v / 2^n, rounded to nearest, halves upward. */
static int64_t divide(int64_t v, uint32_t n)
{
    return n ? (v + ((int64_t)1 << (n - 1))) >> n : v;
}

/* Output o of the map: the mean of a square of the path's outputs, by the finest weights that
 * cannot overflow. False: none can. */
static bool make_output(const path *t, uint32_t n_in, int32_t most, uint32_t o, int16_t *weights,
                        int32_t *bias, uint8_t *shift, int64_t *sums)
{
    uint32_t f = t->shuffle->factor, squares = f / AEI_PREVIEW, plane = o / (squares * squares);
    uint32_t top = o / squares % squares * AEI_PREVIEW, left = o % squares * AEI_PREVIEW;
    int64_t bias_sum = 0;

    memset(sums, 0, n_in * sizeof(*sums));
    for (uint32_t k = 0; k < AREA; k++) {
        uint32_t from = plane * f * f + (top + k / AEI_PREVIEW) * f + left + k % AEI_PREVIEW,
                 s = t->conv->shifts[from];

        bias_sum += (int64_t)t->conv->bias[from] * ((int64_t)1 << BIAS_BITS) >> s;
        for (uint32_t i = 0; i < n_in; i++)
            sums[i] += t->conv->weights[(size_t)from * n_in + i] * ((int64_t)1 << (30 - s));
    }
    for (uint32_t s = BIAS_BITS + 1; s-- > 0;) {
        int64_t b = divide(bias_sum, BIAS_BITS + AREA_BITS - s),
                total = (b < 0 ? -b : b) + ((int64_t)1 << s), largest = 0;

        for (uint32_t i = 0; i < n_in; i++) {
            int64_t w = divide(sums[i], 30 + AREA_BITS - s);

            w = w < 0 ? -w : w;
            largest = w > largest ? w : largest;
            total += w * most;
        }
        if (largest > INT16_MAX || total > INT32_MAX)
            continue;
        for (uint32_t i = 0; i < n_in; i++)
            weights[i] = (int16_t)divide(sums[i], 30 + AREA_BITS - s);
        *bias = (int32_t)b;
        *shift = (uint8_t)s;
        return true;
    }
    return false;
}

/* Takes over what the map looks at of the synthesis; `number` tells where operators went. Returns
 * how many there are then. */
static uint32_t copy_ops(const aei_program *p, const path *t, aei_op *ops,
                         uint32_t number[AEI_MAX_OPS])
{
    bool wanted[AEI_MAX_OPS] = {0};
    uint32_t n = 0;

    wanted[t->in] = true;
    for (uint32_t i = p->n_ops; i-- > 0;) {
        wanted[i] |= i < p->n_entropy;
        for (uint32_t k = 0; wanted[i] && k < p->ops[i].n_in; k++)
            wanted[p->ops[i].in[k]] = true;
    }
    for (uint32_t i = 0; i < p->n_ops; i++) {
        if (!wanted[i])
            continue;
        ops[n] = p->ops[i];
        for (uint32_t k = 0; k < ops[n].n_in; k++)
            ops[n].in[k] = number[ops[n].in[k]];
        number[i] = n++;
    }
    return n;
}

ae_status aei_preview_program(const aei_program *p, aei_program **out, ae_error *err)
{
    const aei_op *last = &p->ops[p->n_ops - 1], *from;
    uint32_t number[AEI_MAX_OPS], n, n_in, n_out, squares;
    aei_program *made = NULL;
    size_t n_weights;
    int64_t *sums = NULL;
    int32_t most, *bias;
    int16_t *weights;
    uint8_t *shifts;
    bool fits = true;
    path t;

    *out = NULL;
    if (!find_path(p, &t))
        return AE_OK;
    from = &p->ops[t.in];
    most = from->hi > -from->lo ? from->hi : -from->lo;
    n_in = from->channels;
    squares = t.shuffle->factor / AEI_PREVIEW;
    n_out = t.shuffle->channels * squares * squares;
    n_weights = (size_t)n_out * n_in;
    made = ae_alloc(1, sizeof(*made));
    sums = ae_alloc(n_in, sizeof(*sums));
    if (made) {
        *made = *p;
        made->bytes = ae_alloc(
            n_out * (sizeof(*bias) + sizeof(*shifts)) + n_weights * sizeof(*weights), 1);
        made->scales = ae_alloc(p->n_scales, sizeof(*made->scales));
        made->ops = ae_alloc(p->n_ops + 3, sizeof(*made->ops));
    }
    if (!made || !sums || !made->bytes || !made->scales || !made->ops) {
        aei_program_free(made);
        ae_free(sums);
        return ae_fail(err, AE_ERR_NOMEM, "a preview");
    }
    memcpy(made->scales, p->scales, p->n_scales * sizeof(*made->scales));
    bias = (int32_t *)(void *)made->bytes;
    weights = (int16_t *)(void *)(bias + n_out);
    shifts = (uint8_t *)(weights + n_weights);
    for (uint32_t o = 0; o < n_out && fits; o++)
        fits = make_output(&t, n_in, most, o, weights + (size_t)o * n_in, bias + o, shifts + o,
                           sums);
    ae_free(sums);
    if (!fits) {
        aei_program_free(made);
        return AE_OK;
    }
    n = copy_ops(p, &t, made->ops, number);
    made->ops[n] = *t.conv;
    made->ops[n].in[0] = number[t.in];
    made->ops[n].channels = n_out;
    made->ops[n].bias = bias;
    made->ops[n].weights = weights;
    made->ops[n++].shifts = shifts;
    made->ops[n] = *t.shuffle;
    made->ops[n].in[0] = n - 1;
    made->ops[n].factor = squares;
    made->ops[n++].grid = AEI_PREVIEW;
    made->ops[n] = *last;
    made->ops[n].in[0] = n - 1;
    made->ops[n].shift += t.shift;
    made->ops[n++].grid = AEI_PREVIEW;
    made->n_ops = n;
    *out = made;
    return AE_OK;
}
