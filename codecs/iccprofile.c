/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Profiles made of what says the same in fewer words, the numbers of H.273 or gamma and
 * chromaticities, for formats that hold profiles only. Little CMS writes them. */
#include <math.h>
#include <string.h>

#include <lcms2.h>

#include "adapter.h"

enum { STEPS = 1024 /* of curves that are no formula in a profile */ };

/* ---- numbers of H.273 ---- */

/* White, red, green, blue. */
static const struct primaries {
    uint8_t number;
    double xy[8];
} all_primaries[] = {
    {1, {.3127, .3290, .640, .330, .300, .600, .150, .060}},  /* BT.709, sRGB */
    {4, {.310, .316, .67, .33, .21, .71, .14, .08}},          /* BT.470 M */
    {5, {.3127, .3290, .64, .33, .29, .60, .15, .06}},        /* BT.601 625 lines */
    {6, {.3127, .3290, .630, .340, .310, .595, .155, .070}},  /* BT.601 525 lines */
    {7, {.3127, .3290, .630, .340, .310, .595, .155, .070}},  /* SMPTE 240M */
    {8, {.310, .316, .681, .319, .243, .692, .145, .049}},    /* film */
    {9, {.3127, .3290, .708, .292, .170, .797, .131, .046}},  /* BT.2020 */
    {10, {1 / 3.0, 1 / 3.0, 1, 0, 0, 1, 0, 0}},               /* CIE XYZ */
    {11, {.314, .351, .680, .320, .265, .690, .150, .060}},   /* DCI P3 */
    {12, {.3127, .3290, .680, .320, .265, .690, .150, .060}}, /* Display P3 */
    {22, {.3127, .3290, .630, .340, .295, .605, .155, .077}}, /* EBU 3213 */
};

typedef enum shape { POWER, SRGB, BT709, PQ, HLG } shape;

typedef struct transfer {
    shape shape;
    double power;
    /* over what is white on paper, in linear light: 1, or of high dynamic range more */
    double peak;
} transfer;

static bool find_transfer(unsigned number, transfer *t)
{
    *t = (transfer){POWER, 1, 1};
    switch (number) {
    case 1:
    case 6:
    case 14:
    case 15: t->shape = BT709; break;
    case 4: t->power = 2.2; break;
    case 5: t->power = 2.8; break;
    case 8: break;
    case 13: t->shape = SRGB; break;
    case 16:
        *t = (transfer){PQ, 1, 10000 / 203.0}; /* BT.2408: white on paper has 203 cd/m2 */
        break;
    case 17: t->power = 2.6; break;
    case 18: *t = (transfer){HLG, 1, 1000 / 203.0}; break;
    default: return false;
    }
    return true;
}

/* Linear light, 1 the peak. */
static double to_light(const transfer *t, double v)
{
    static const double m1 = 2610 / 16384.0, m2 = 2523 / 32.0, c1 = 3424 / 4096.0,
                        c2 = 2413 / 128.0, c3 = 2392 / 128.0;

    if (t->shape == PQ) {
        double p = pow(v, 1 / m2);

        return pow(fmax(p - c1, 0) / (c2 - c3 * p), 1 / m1);
    }
    /* HLG on a display of 1000 cd/m2 */
    return pow(v <= .5 ? v * v / 3 : (exp((v - .55991073) / .17883277) + .28466892) / 12, 1.2);
}

/* A profile's white is the brightest there is, so high dynamic range is compressed as Reinhard
 * does, which can be undone: who knows better reads the numbers that stand in the profile beside.
 */
static double compress(const transfer *t, double light)
{
    double x = light * t->peak;

    return x * (1 + x / (t->peak * t->peak)) / (1 + x);
}

static cmsToneCurve *make_curve(const transfer *t)
{
    static const cmsFloat64Number srgb[5] = {2.4, 1 / 1.055, .055 / 1.055, 1 / 12.92, .04045},
                                  bt709[5] = {1 / .45, 1 / 1.099, .099 / 1.099, 1 / 4.5, .081};
    cmsFloat32Number table[STEPS];

    if (t->shape == POWER)
        return cmsBuildGamma(NULL, t->power);
    if (t->shape == SRGB || t->shape == BT709)
        return cmsBuildParametricToneCurve(NULL, 4, t->shape == SRGB ? srgb : bt709);
    for (int i = 0; i < STEPS; i++)
        table[i] = (float)compress(t, to_light(t, i / (double)(STEPS - 1)));
    return cmsBuildTabulatedToneCurveFloat(NULL, STEPS, table);
}

/* ---- what the metadata say ---- */

typedef struct colours {
    transfer transfer;
    double xy[8];
    const uint8_t *cicp; /* where it is made of that */
    char name[64];
} colours;

/* Of RGB in its full range. */
static bool take_numbers(const uint8_t *cicp, colours *c)
{
    const struct primaries *p = all_primaries,
                           *end = p + sizeof(all_primaries) / sizeof(*all_primaries);

    while (p < end && p->number != cicp[0])
        p++;
    if (p == end || cicp[2] || cicp[3] != 1 || !find_transfer(cicp[1], &c->transfer))
        return false;
    memcpy(c->xy, p->xy, sizeof(c->xy));
    c->cicp = cicp;
    snprintf(c->name, sizeof(c->name), "H.273 %u/%u", cicp[0], cicp[1]);
    return true;
}

/* What is not said is sRGB's. */
static bool take_gamma(const ae_meta *meta, colours *c)
{
    double gamma;
    bool told = aei_get_gamma(meta, &gamma);
    bool wide = aei_get_chromaticities(meta, c->xy) && !aei_are_srgb(c->xy);

    if (!wide)
        memcpy(c->xy, all_primaries[0].xy, sizeof(c->xy));
    c->transfer = (transfer){SRGB, 1, 1};
    /* beside sRGB's primaries what is about its gamma is meant as its curve */
    if (told && (wide || !(gamma > .45 && gamma < .46)))
        c->transfer = (transfer){POWER, 1 / gamma, 1};
    snprintf(c->name, sizeof(c->name), "gAMA and cHRM");
    return !told || (gamma > .1 && gamma < 10);
}

/* Whether the chromaticities span anything: lines and points have no inverse. */
static bool is_sound(const double xy[8])
{
    double area = (xy[4] - xy[2]) * (xy[7] - xy[3]) - (xy[6] - xy[2]) * (xy[5] - xy[3]);

    for (int i = 0; i < 8; i++)
        if (!(xy[i] >= 0 && xy[i] <= 1))
            return false;
    return fabs(area) > 1e-3 && xy[1] > 1e-2;
}

/* ---- the profile ---- */

static bool set_texts(cmsHPROFILE profile, const colours *c)
{
    cmsMLU *name = cmsMLUalloc(NULL, 1);
    bool good = name && cmsMLUsetASCII(name, "en", "US", c->name) &&
                cmsWriteTag(profile, cmsSigProfileDescriptionTag, name);

    cmsMLUfree(name);
    return good;
}

static cmsHPROFILE make(const colours *c, bool grey)
{
    const double *xy = c->xy;
    cmsCIExyY white = {xy[0], xy[1], 1};
    cmsCIExyYTRIPLE rgb = {{xy[2], xy[3], 1}, {xy[4], xy[5], 1}, {xy[6], xy[7], 1}};
    cmsToneCurve *curve = make_curve(&c->transfer), *curves[3] = {curve, curve, curve};
    cmsHPROFILE profile = !curve ? NULL
                          : grey ? cmsCreateGrayProfile(&white, curve)
                                 : cmsCreateRGBProfile(&white, &rgb, curves);
    uint8_t numbers[12] = "cicp";

    cmsFreeToneCurve(curve);
    if (profile && c->cicp) {
        memcpy(numbers + 8, c->cicp, 4);
        if (!cmsWriteRawTag(profile, cmsSigcicpTag, numbers, sizeof(numbers))) {
            cmsCloseProfile(profile);
            return NULL;
        }
    }
    if (profile && !set_texts(profile, c)) {
        cmsCloseProfile(profile);
        return NULL;
    }
    return profile;
}

uint8_t *aei_make_profile(const ae_meta *meta, bool grey, size_t *n_bytes)
{
    /* the same input gives the same bytes */
    static const uint8_t date[12] = {0x07, 0xd0, 0, 1, 0, 1};
    size_t n;
    const uint8_t *cicp = aei_find_colour(meta, "cICP", &n);
    colours c = {0};
    cmsUInt32Number size = 0;
    cmsHPROFILE profile;
    uint8_t *data = NULL;

    if (cicp ? !take_numbers(cicp, &c) : !take_gamma(meta, &c))
        return NULL;
    if (!is_sound(c.xy) || !(profile = make(&c, grey)))
        return NULL;
    if (cmsSaveProfileToMem(profile, NULL, &size) && size > 128 &&
        (data = ae_alloc(size, 1)) != NULL) {
        if (cmsSaveProfileToMem(profile, data, &size)) {
            memcpy(data + 24, date, sizeof(date));
            *n_bytes = size;
        } else {
            ae_free(data);
            data = NULL;
        }
    }
    cmsCloseProfile(profile);
    return data;
}
