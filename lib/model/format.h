/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The .aem layout, doc/model-format.md, as reader and writer share it. */
#ifndef AEI_FORMAT_H
#define AEI_FORMAT_H

#include <string.h>

#include "ae/model.h"

enum {
    AEI_AEM_VERSION = 1,
    AEI_AEM_HEADER = 64,   /* bytes */
    AEI_AEM_CHECKSUM = 48, /* its place in the header; what stands before it is covered */
    AEI_AEM_ENTRY = 32,    /* bytes of a section's entry */
    AEI_AEM_TENSOR = 112,  /* bytes of a tensor's entry */
    AEI_AEM_ALIGN = 64,    /* of sections */
    AEI_AEM_MAX_SECTIONS = 64,
    AEI_AEM_CRITICAL = 1, /* flag of a section */
    AEI_AEM_MAX_TEXT = 1 << 20
};
/* Tensors are used as they lie in the file. */
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "port me: convert tensors, digest them in little-endian order");
enum { AEI_F32 = 1, AEI_F16 = 2 };
extern const uint8_t aei_aem_magic[8];

static inline uint16_t aei_load16(const uint8_t *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}

static inline uint32_t aei_load32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static inline uint64_t aei_load64(const uint8_t *p)
{
    return aei_load32(p) | (uint64_t)aei_load32(p + 4) << 32;
}

static inline void aei_store16(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
}

static inline void aei_store32(uint8_t *p, uint32_t v)
{
    aei_store16(p, (uint16_t)v);
    aei_store16(p + 2, (uint16_t)(v >> 16));
}

static inline void aei_store64(uint8_t *p, uint64_t v)
{
    aei_store32(p, (uint32_t)v);
    aei_store32(p + 4, (uint32_t)(v >> 32));
}

/* IEEE 754 binary16, rounded to nearest even; aei_half_fits: finite after rounding. */
uint16_t aei_half_from(float value);
static inline float aei_half_to(uint16_t half)
{
    uint32_t exponent = half >> 10 & 31, fraction = half & 0x3ff,
             bits = (exponent == 31 ? 0x7f800000 : (exponent + 112) << 23) | fraction << 13;
    float value;

    memcpy(&value, &bits, 4);
    value = exponent ? value : (float)fraction * 0x1p-24f;
    return half & 0x8000 ? -value : value;
}
bool aei_half_fits(float value);

/* XXH3-128 in canonical (big-endian) order. */
void aei_digest(const void *data, size_t n_bytes, uint8_t digest[16]);
/* Of a whole file whose header is filled up to the checksum. */
void aei_aem_checksum(const uint8_t *bytes, size_t n_bytes, uint8_t digest[16]);
/* The identity of the networks of a recipe with their parameters one after another. */
ae_status aei_model_identity(const ae_recipe *recipe, const float *values, size_t n_floats,
                             uint8_t identity[16], ae_error *err);
/* Printable: no control characters but line feed and tab. */
bool aei_text_is_clean(const char *text, size_t n_bytes);
/* The file as bytes, an ae_alloc array. */
ae_status aei_model_pack(const ae_model_parts *parts, uint8_t **bytes, size_t *n_bytes,
                         ae_error *err);

#endif
