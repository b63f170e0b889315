/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What model files are made of (doc/model-format.md): halves of floats, digests, the checksum, text
 * that is clean. */
#include "model/format.h"

#include <string.h>
#include <xxhash.h>

const uint8_t aei_aem_magic[8] = {0x89, 'A', 'E', 'M', 0x0d, 0x0a, 0x1a, 0x0a};

uint16_t aei_half_from(float value)
{
    uint32_t bits, sign, rest, shift;

    memcpy(&bits, &value, 4);
    sign = bits >> 16 & 0x8000;
    bits &= 0x7fffffff;
    if (bits > 0x7f800000)
        return (uint16_t)(sign | 0x7e00);
    if (bits >= 0x477ff000) /* 65520 and above round to infinity */
        return (uint16_t)(sign | 0x7c00);
    /* normal: round the lower 13 bits away, carries may reach the exponent */
    if (bits >= 0x38800000)
        return (uint16_t)(sign | ((bits - 0x38000000 + 0xfff + (bits >> 13 & 1)) >> 13));
    if (bits < 0x33000000) /* below half the smallest subnormal */
        return (uint16_t)sign;
    shift = 126 - (bits >> 23);
    bits = (bits & 0x7fffff) | 0x800000;
    rest = bits & ((1u << shift) - 1);
    bits >>= shift;
    bits += rest > 1u << (shift - 1) || (rest == 1u << (shift - 1) && (bits & 1));
    return (uint16_t)(sign | bits);
}

bool aei_half_fits(float value)
{
    return value > -65520.0f && value < 65520.0f;
}

void aei_digest(const void *data, size_t n_bytes, uint8_t digest[16])
{
    XXH128_canonical_t canonical;

    XXH128_canonicalFromHash(&canonical, XXH3_128bits(data, n_bytes));
    memcpy(digest, canonical.digest, 16);
}

void aei_aem_checksum(const uint8_t *bytes, size_t n_bytes, uint8_t digest[16])
{
    uint8_t both[AEI_AEM_CHECKSUM + 16];

    memcpy(both, bytes, AEI_AEM_CHECKSUM);
    aei_digest(bytes + AEI_AEM_HEADER, n_bytes - AEI_AEM_HEADER, both + AEI_AEM_CHECKSUM);
    aei_digest(both, sizeof(both), digest);
}

bool aei_text_is_clean(const char *text, size_t n_bytes)
{
    for (size_t i = 0; i < n_bytes; i++) {
        uint8_t c = (uint8_t)text[i], next = i + 1 < n_bytes ? (uint8_t)text[i + 1] : 0;

        if ((c < 0x20 && c != '\n' && c != '\t') || c == 0x7f ||
            (c == 0xc2 && next >= 0x80 && next < 0xa0))
            return false;
    }
    return true;
}
