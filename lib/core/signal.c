/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Samples as numbers and back; metadata. */
#include "ae/signal.h"

#include "core/clones.h"
#include "core/half.h"

#include <math.h>
#include <string.h>

size_t ae_sample_bytes(ae_sample sample)
{
    switch (sample) {
    case AE_U8:
    case AE_S8:
    case AE_BOOL: return 1;
    case AE_U16:
    case AE_S16:
    case AE_F16: return 2;
    case AE_S24: return 3;
    case AE_S32:
    case AE_U32:
    case AE_F32: return 4;
    case AE_S64:
    case AE_U64:
    case AE_F64: return 8;
    }
    return 0;
}

double ae_sample_number(ae_sample sample, const void *samples, size_t i)
{
    const uint8_t *bytes = samples;

    switch (sample) {
    case AE_U8: return bytes[i];
    case AE_S8: return ((const int8_t *)samples)[i];
    case AE_U16: return ((const uint16_t *)samples)[i];
    case AE_S16: return ((const int16_t *)samples)[i];
    case AE_S24:
        bytes += 3 * i;
        return (int32_t)((uint32_t)bytes[0] << 8 | (uint32_t)bytes[1] << 16 |
                         (uint32_t)bytes[2] << 24) /
               256;
    case AE_S32: return ((const int32_t *)samples)[i];
    case AE_F32: return (double)((const float *)samples)[i];
    case AE_F64: return ((const double *)samples)[i];
    case AE_BOOL: return bytes[i] != 0;
    case AE_U32: return ((const uint32_t *)samples)[i];
    case AE_S64: return (double)((const int64_t *)samples)[i];
    case AE_U64: return (double)((const uint64_t *)samples)[i];
    case AE_F16: return aei_half_number(((const uint16_t *)samples)[i]);
    }
    return NAN;
}

size_t ae_row_bytes(const ae_signal_info *info)
{
    size_t n;

    if (info->width > SIZE_MAX ||
        __builtin_mul_overflow((size_t)info->width, ae_sample_bytes(info->sample), &n) ||
        __builtin_mul_overflow(n, info->channels, &n))
        return 0;
    return n;
}

ae_status ae_meta_add(ae_meta *meta, ae_meta_kind kind, const char *key, const void *value,
                      size_t n_bytes, ae_error *err)
{
    size_t n = meta->n_items, bytes = n * sizeof(*meta->items);
    ae_meta_item item = {.kind = kind, .n_bytes = n_bytes};
    ae_meta_item *items = NULL;

    if (n_bytes == SIZE_MAX)
        return ae_fail(err, AE_ERR_ARGUMENT, "metadata of %zu bytes", n_bytes);
    item.value = ae_alloc(n_bytes + 1, 1);
    item.key = key ? ae_strdup(key) : NULL;
    /* there is room for the next power of two: many are added in linear time */
    if (item.value && (item.key || !key))
        items = n & (n - 1) ? meta->items
                            : ae_realloc(meta->items, bytes, n ? 2 * bytes : sizeof(*items));
    if (!items) {
        ae_free(item.value);
        ae_free(item.key);
        return ae_fail(err, AE_ERR_NOMEM, "metadata of %zu bytes", n_bytes);
    }
    if (n_bytes)
        memcpy(item.value, value, n_bytes);
    items[meta->n_items++] = item;
    meta->items = items;
    return AE_OK;
}

const ae_meta_item *ae_meta_find(const ae_meta *meta, ae_meta_kind kind)
{
    for (size_t i = 0; i < meta->n_items; i++)
        if (meta->items[i].kind == kind)
            return &meta->items[i];
    return NULL;
}

ae_status ae_meta_copy(const ae_meta *from, ae_meta *to, ae_error *err)
{
    ae_status st = AE_OK;

    for (size_t i = 0; i < from->n_items && st == AE_OK; i++) {
        const ae_meta_item *it = &from->items[i];

        st = ae_meta_add(to, it->kind, it->key, it->value, it->n_bytes, err);
    }
    return st;
}

void ae_meta_clear(ae_meta *meta)
{
    for (size_t i = 0; i < meta->n_items; i++) {
        ae_free(meta->items[i].key);
        ae_free(meta->items[i].value);
    }
    ae_free(meta->items);
    *meta = (ae_meta){0};
}

static int32_t load_s24(const uint8_t *p)
{
    return (int32_t)((uint32_t)p[0] << 8 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 24) >> 8;
}

AEI_CLONES static void u8_to_f32(const uint8_t *restrict from, float *restrict to, size_t n)
{
    for (size_t i = 0; i < n; i++)
        to[i] = (float)from[i] / 255.0f;
}

AEI_CLONES static void u16_to_f32(const uint16_t *restrict from, float *restrict to, size_t n)
{
    for (size_t i = 0; i < n; i++)
        to[i] = (float)from[i] / 65535.0f;
}

void ae_samples_to_f32(ae_sample sample, const void *from, float *to, size_t n)
{
    const uint8_t *bytes = from;

    switch (sample) {
    case AE_U8: u8_to_f32(from, to, n); break;
    case AE_U16: u16_to_f32(from, to, n); break;
    case AE_S16:
        for (size_t i = 0; i < n; i++)
            to[i] = (float)((const int16_t *)from)[i] / 32768.0f;
        break;
    case AE_S24:
        for (size_t i = 0; i < n; i++)
            to[i] = (float)load_s24(bytes + 3 * i) / 8388608.0f;
        break;
    case AE_S32:
        for (size_t i = 0; i < n; i++)
            to[i] = (float)((double)((const int32_t *)from)[i] / 2147483648.0);
        break;
    case AE_F32: memcpy(to, from, n * sizeof(float)); break;
    case AE_F64:
        for (size_t i = 0; i < n; i++)
            to[i] = (float)((const double *)from)[i];
        break;
    case AE_S8:
        for (size_t i = 0; i < n; i++)
            to[i] = (float)((const int8_t *)from)[i] / 128.0f;
        break;
    case AE_BOOL:
    case AE_F16:
        for (size_t i = 0; i < n; i++)
            to[i] = (float)ae_sample_number(sample, from, i);
        break;
    case AE_U32:
        for (size_t i = 0; i < n; i++)
            to[i] = (float)(((const uint32_t *)from)[i] / 4294967295.0);
        break;
    case AE_S64:
        for (size_t i = 0; i < n; i++)
            to[i] = (float)((double)((const int64_t *)from)[i] * 0x1p-63);
        break;
    case AE_U64:
        for (size_t i = 0; i < n; i++)
            to[i] = (float)((double)((const uint64_t *)from)[i] * 0x1p-64);
        break;
    }
}

/* NaN becomes lo. */
static double clip(double v, double lo, double hi)
{
    return v > lo ? (v < hi ? v : hi) : lo;
}

void ae_samples_from_f32(ae_sample sample, const float *from, void *to, size_t n)
{
    uint8_t *bytes = to;

    switch (sample) {
    case AE_U8:
        for (size_t i = 0; i < n; i++) {
            float v = from[i] * 255.0f;

            bytes[i] = (uint8_t)rintf(v > 0 ? (v < 255.0f ? v : 255.0f) : 0);
        }
        break;
    case AE_U16:
        for (size_t i = 0; i < n; i++) {
            float v = from[i] * 65535.0f;

            ((uint16_t *)to)[i] = (uint16_t)rintf(v > 0 ? (v < 65535.0f ? v : 65535.0f) : 0);
        }
        break;
    case AE_S16:
        for (size_t i = 0; i < n; i++)
            ((int16_t *)to)[i] = (int16_t)rint(clip((double)from[i] * 32768.0, -32768.0, 32767.0));
        break;
    case AE_S24:
        for (size_t i = 0; i < n; i++) {
            int32_t v = (int32_t)rint(clip((double)from[i] * 8388608.0, -8388608.0, 8388607.0));

            bytes[3 * i] = (uint8_t)v;
            bytes[3 * i + 1] = (uint8_t)(v >> 8);
            bytes[3 * i + 2] = (uint8_t)(v >> 16);
        }
        break;
    case AE_S32:
        for (size_t i = 0; i < n; i++)
            ((int32_t *)to)[i] = (int32_t)rint(
                clip((double)from[i] * 2147483648.0, -2147483648.0, 2147483647.0));
        break;
    case AE_F32: memcpy(to, from, n * sizeof(float)); break;
    case AE_F64:
        for (size_t i = 0; i < n; i++)
            ((double *)to)[i] = from[i];
        break;
    case AE_S8:
        for (size_t i = 0; i < n; i++)
            ((int8_t *)to)[i] = (int8_t)rint(clip((double)from[i] * 128.0, -128.0, 127.0));
        break;
    case AE_BOOL:
        for (size_t i = 0; i < n; i++)
            bytes[i] = from[i] >= 0.5f;
        break;
    case AE_F16:
        for (size_t i = 0; i < n; i++)
            ((uint16_t *)to)[i] = aei_half_of((double)from[i]);
        break;
    case AE_U32:
        for (size_t i = 0; i < n; i++)
            ((uint32_t *)to)[i] = (uint32_t)rint(
                clip((double)from[i] * 4294967295.0, 0, 4294967295.0));
        break;
    case AE_S64: /* the largest double below 2^63 */
        for (size_t i = 0; i < n; i++)
            ((int64_t *)to)[i] = (int64_t)rint(
                clip((double)from[i] * 0x1p63, -0x1p63, 9223372036854774784.0));
        break;
    case AE_U64:
        for (size_t i = 0; i < n; i++)
            ((uint64_t *)to)[i] = (uint64_t)rint(
                clip((double)from[i] * 0x1p64, 0, 18446744073709549568.0));
        break;
    }
}
