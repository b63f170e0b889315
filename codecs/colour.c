/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What samples mean: profiles that may be written, and descriptions that are no profile. */
#include <math.h>
#include <string.h>

#include "adapter.h"

bool aei_fitting_icc(const ae_meta *meta, const ae_signal_info *info, aei_profile *out,
                     char note[160])
{
    const ae_meta_item *icc = ae_meta_find(meta, AE_META_ICC);
    const uint8_t *p = icc ? icc->value : NULL;
    size_t n;

    *out = (aei_profile){0};
    if (!icc)
        return false;
    n = icc->n_bytes < 128 ? 0 : (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
    if (n < 128 || n > icc->n_bytes || n > AEI_PROFILE_MAX || memcmp(p + 36, "acsp", 4) != 0) {
        aei_note(note, n > AEI_PROFILE_MAX ? "colour profile dropped (too long)"
                                           : "colour profile dropped (damaged)");
        return false;
    }
    if (memcmp(p + 16, info->channels < 3 ? "GRAY" : "RGB ", 4) != 0) {
        aei_note(note, "colour profile dropped (not for these channels)");
        return false;
    }
    *out = (aei_profile){p, n}; /* what some programs pad it with is no part of it */
    return true;
}

/* Types, and the bytes that each has; the significant bits of 1 to 4 channels. */
static const struct colour_kind {
    char type[5];
    uint8_t n_bytes;
} kinds[] = {
    {"cICP", 4}, {"gAMA", 4}, {"cHRM", 32}, {"sRGB", 1}, {"sBIT", 4}, {"mDCV", 24}, {"cLLI", 8},
};

static const struct colour_kind *kind_of(const void *type)
{
    for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
        if (memcmp(kinds[i].type, type, 4) == 0)
            return &kinds[i];
    return NULL;
}

static bool is_colour(const ae_meta_item *item)
{
    const struct colour_kind *k = item->kind == AE_META_COLOUR && item->n_bytes > 4
                                      ? kind_of(item->value)
                                      : NULL;

    return k && (item->n_bytes - 4 == k->n_bytes ||
                 (strcmp(k->type, "sBIT") == 0 && item->n_bytes <= 8));
}

ae_status aei_add_colour(ae_meta *meta, const void *type, const uint8_t *data, size_t n_bytes,
                         ae_error *err)
{
    uint8_t value[4 + 32];
    ae_meta_item item = {.kind = AE_META_COLOUR, .value = value, .n_bytes = 4 + n_bytes};
    size_t n;

    if (n_bytes > 32 || aei_find_colour(meta, type, &n))
        return AE_OK;
    memcpy(value, type, 4);
    memcpy(value + 4, data, n_bytes);
    return is_colour(&item) ? ae_meta_add(meta, AE_META_COLOUR, NULL, value, item.n_bytes, err)
                            : AE_OK;
}

const uint8_t *aei_find_colour(const ae_meta *meta, const void *type, size_t *n_bytes)
{
    for (size_t i = 0; i < meta->n_items; i++) {
        const ae_meta_item *item = &meta->items[i];

        if (!is_colour(item) || memcmp(item->value, type, 4) != 0)
            continue;
        *n_bytes = item->n_bytes - 4;
        return item->value + 4;
    }
    return NULL;
}

static void put_be32(uint8_t *p, uint32_t v)
{
    for (unsigned i = 0; i < 4; i++)
        p[i] = (uint8_t)(v >> (24 - 8 * i));
}

static uint32_t get_be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* White, red, green, blue, x and y each. */
static const uint32_t srgb[8] = {31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000};

ae_status aei_add_chromaticities(ae_meta *meta, const double xy[8], ae_error *err)
{
    uint8_t data[32];

    for (unsigned i = 0; i < 8; i++) {
        if (!(xy[i] >= 0 && xy[i] < 20000))
            return AE_OK;
        put_be32(data + 4 * i, (uint32_t)lround(xy[i] * 100000));
    }
    return aei_add_colour(meta, "cHRM", data, sizeof(data), err);
}

bool aei_get_chromaticities(const ae_meta *meta, double xy[8])
{
    size_t n;
    const uint8_t *p = aei_find_colour(meta, "cHRM", &n);

    for (unsigned i = 0; p && i < 8; i++)
        xy[i] = get_be32(p + 4 * i) / 100000.0;
    return p;
}

bool aei_are_srgb(const double xy[8])
{
    for (unsigned i = 0; i < 8; i++)
        if (!(fabs(xy[i] * 100000 - srgb[i]) <= 10))
            return false;
    return true;
}

bool aei_get_gamma(const ae_meta *meta, double *gamma)
{
    size_t n;
    const uint8_t *p = aei_find_colour(meta, "gAMA", &n);

    *gamma = p ? get_be32(p) / 100000.0 : 0;
    return p;
}
