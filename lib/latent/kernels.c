/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The definition of a convolution, the preparation of weights for fast kernels, and the choice
 * among them. */
#include "latent/kernels.h"

#include <stdlib.h>
#include <string.h>

void aei_iconv_scalar(const aei_iconv *conv, const aei_iconv_area *area)
{
    const aei_op *op = conv->op;
    uint32_t pitch = aei_pitch(conv->in_channels);
    size_t per_output = (size_t)op->kernel * op->kernel * conv->in_channels;

    for (uint32_t i = 0; i < area->n; i++) {
        size_t y = i / area->width, x = aei_iconv_column(area, y, i % area->width);

        for (uint32_t o = 0; o < op->channels; o++) {
            const int16_t *w = op->weights + o * per_output;
            int32_t sum = op->bias[o];

            for (uint32_t ky = 0; ky < op->kernel; ky++)
                for (uint32_t kx = 0; kx < op->kernel; kx++) {
                    const int16_t *in = area->in + y * area->in_line + x * area->in_step +
                                        ky * area->in_row + kx * pitch;

                    for (uint32_t c = 0; c < conv->in_channels; c++)
                        sum += *w++ * in[c];
                }
            sum = aei_rescale(sum, op->shifts[o]);
            if (area->add)
                sum += area->add[y * area->add_line + x * area->add_step + o];
            area->out[y * area->out_line + x * area->out_step + o] = (int16_t)aei_saturate(
                aei_leak(sum, op->leak), op->lo, op->hi);
        }
    }
}

void aei_iconv_free(aei_iconv *conv)
{
    ae_free(conv->weights);
    ae_free(conv->bias);
    ae_free(conv->shifts);
    *conv = (aei_iconv){0};
}

ae_status aei_iconv_prepare(const aei_op *op, uint32_t in_channels, aei_iconv *out, ae_error *err)
{
    uint32_t pitch = aei_pitch(in_channels), n_outputs;
    const int16_t *w = op->weights;

    *out = (aei_iconv){.op = op,
                       .in_channels = in_channels,
                       .n_blocks = (op->channels + AEI_BLOCK - 1) / AEI_BLOCK,
                       .n_pairs = op->kernel * pitch / 2};
    n_outputs = out->n_blocks * AEI_BLOCK;
    out->weights = ae_alloc((size_t)n_outputs * op->kernel * out->n_pairs,
                            2 * sizeof(*out->weights));
    out->bias = ae_alloc(n_outputs, sizeof(*out->bias));
    out->shifts = ae_alloc(n_outputs, sizeof(*out->shifts));
    if (!out->weights || !out->bias || !out->shifts) {
        aei_iconv_free(out);
        return ae_fail(err, AE_ERR_NOMEM, "weights of %u x %u channels", op->channels, in_channels);
    }
    for (uint32_t o = 0; o < op->channels; o++) {
        out->bias[o] = op->bias[o] + (op->shifts[o] ? 1 << (op->shifts[o] - 1) : 0);
        out->shifts[o] = op->shifts[o];
        for (uint32_t ky = 0; ky < op->kernel; ky++)
            for (uint32_t kx = 0; kx < op->kernel; kx++)
                for (uint32_t c = 0; c < in_channels; c++) {
                    uint32_t k = kx * pitch + c;
                    size_t pair = ((size_t)(o / AEI_BLOCK) * op->kernel + ky) * out->n_pairs +
                                  k / 2;

                    out->weights[(pair * AEI_BLOCK + o % AEI_BLOCK) * 2 + k % 2] = *w++;
                }
    }
    return AE_OK;
}

static const char *const cpu_names[] = {"scalar", "avx2", "avx512", "vnni"};

const char *aei_cpu_name(aei_cpu cpu)
{
    return cpu_names[cpu];
}

aei_iconv_kernel aei_iconv_kernel_of(aei_cpu cpu)
{
#if defined(__x86_64__) && defined(__GNUC__)
    bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                  __builtin_cpu_supports("avx512vl");

    switch (cpu) {
    case AEI_CPU_SCALAR: return aei_iconv_scalar;
    case AEI_CPU_AVX2: return __builtin_cpu_supports("avx2") ? aei_iconv_avx2 : NULL;
    case AEI_CPU_AVX512: return avx512 ? aei_iconv_avx512 : NULL;
    case AEI_CPU_VNNI:
        return avx512 && __builtin_cpu_supports("avx512vnni") ? aei_iconv_vnni : NULL;
    }
    return NULL;
#else
    return cpu == AEI_CPU_SCALAR ? aei_iconv_scalar : NULL;
#endif
}

aei_cpu aei_cpu_best(void)
{
    const char *limit = getenv("AE_CPU");
    aei_cpu most = AEI_CPU_VNNI;

    for (int i = AEI_CPU_SCALAR; limit && i <= AEI_CPU_VNNI; i++)
        if (!strcmp(limit, cpu_names[i]))
            most = (aei_cpu)i;
    while (!aei_iconv_kernel_of(most))
        most--;
    return most;
}
