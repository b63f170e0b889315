/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef AEI_WGRAD_H
#define AEI_WGRAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A convolution without groups or dilation, either of stride 1 or with a kernel as large as its
 * stride and without padding. */
typedef struct aei_wgrad {
    uint32_t n, h, w; /* of the input; with a stride: in strides */
    uint32_t out_h, out_w;
    uint32_t in, out;                   /* stored channels */
    uint32_t kernel[2], pad[2], stride; /* a stride: 1 x 1 without padding stands for the kernel */
} aei_wgrad;

/* Whether this processor has what it takes, and the channels come in whole tiles. */
bool aei_wgrad_fits(const aei_wgrad *g);
/* Bytes, to lie on a multiple of 64. */
size_t aei_wgrad_scratch(const aei_wgrad *g);
/* The gradients of the weights, H x W x O x I, and of the bias (may be NULL), from the input and
 * the result's gradient in bf16, N x H x W x C. */
void aei_wgrad_run(const aei_wgrad *g, const uint16_t *x, const uint16_t *dy, float *weights,
                   float *bias, void *scratch);

#endif
