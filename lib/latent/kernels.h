/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Integer convolutions, where a decoder spends its time. Every kernel gives the bytes of the scalar
 * one, which is the definition. */
#ifndef AEI_KERNELS_H
#define AEI_KERNELS_H

#include "latent/program.h"

enum {
    AEI_BLOCK = 32 /* output channels that kernels compute together */,
    AEI_SLACK = 64 /* bytes behind tensors that may be read */
};

/* Samples from pixel to pixel: an even number, so that channels can be taken in pairs. The last of
 * an odd number of channels is followed by a sample of no meaning that is never read for itself. */
static inline uint32_t aei_pitch(uint32_t channels)
{
    return (channels + 1) & ~1u;
}

/* A convolution prepared for kernels. */
typedef struct aei_iconv {
    const aei_op *op;
    uint32_t in_channels, n_blocks;
    uint32_t n_pairs;       /* of samples in a row of the kernel: kernel * pitch / 2 */
    int16_t *weights;       /* block, kernel row, pair, AEI_BLOCK outputs, 2 */
    int32_t *bias, *shifts; /* of all blocks; the bias with its half for rounding */
} aei_iconv;
ae_status aei_iconv_prepare(const aei_op *op, uint32_t in_channels, aei_iconv *out, ae_error *err);
void aei_iconv_free(aei_iconv *conv);

/* n results: places i % width of lines i / width. Steps are in samples: from place to place, from
 * line to line. in: the first sample under the kernel; in_row: to the kernel's next row. add: NULL
 * or what is added before the activation. */
typedef struct aei_iconv_area {
    const int16_t *in, *add;
    int16_t *out;
    size_t in_step, in_line, in_row, add_step, add_line, out_step, out_line;
    uint32_t n, width;
    /* every other place only: 0, 2, 4 ... of even lines, 1, 3, 5 ... of odd ones; with `odd` the
     * others. */
    bool staggered;
    bool odd;
} aei_iconv_area;

static inline size_t aei_iconv_column(const aei_iconv_area *a, size_t line, size_t place)
{
    return a->staggered ? 2 * place + ((line & 1) ^ a->odd) : place;
}

typedef void (*aei_iconv_kernel)(const aei_iconv *conv, const aei_iconv_area *area);

typedef enum aei_cpu { AEI_CPU_SCALAR, AEI_CPU_AVX2, AEI_CPU_AVX512, AEI_CPU_VNNI } aei_cpu;
/* What this machine has, at most what AE_CPU=scalar|avx2|avx512|vnni says. */
aei_cpu aei_cpu_best(void);
const char *aei_cpu_name(aei_cpu cpu);
aei_iconv_kernel aei_iconv_kernel_of(aei_cpu cpu); /* NULL: this build or machine has none */

void aei_iconv_scalar(const aei_iconv *conv, const aei_iconv_area *area);
/* In kernels_x86.c; for compilers and processors that have them. */
void aei_iconv_avx2(const aei_iconv *conv, const aei_iconv_area *area);
void aei_iconv_avx512(const aei_iconv *conv, const aei_iconv_area *area);
void aei_iconv_vnni(const aei_iconv *conv, const aei_iconv_area *area);

#endif
