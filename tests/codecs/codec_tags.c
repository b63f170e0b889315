/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Descriptions of colour from each format to each: kept, turned into a profile that says the same,
 * or named. */
#include <math.h>
#ifdef AEI_HAVE_LCMS
#include <lcms2.h>
#endif

#include "adapter.h"
#include "codec_util.h"

enum { W = 6, H = 5 };

static const char *const formats[] = {"png", "jpeg", "tiff", "webp", "avif",
                                      "jxl", "bmp",  "ppm",  "pam",  "pfm"};
enum { N_FORMATS = sizeof(formats) / sizeof(*formats) };

#define PQ_2020 "\x09\x10\0\x01"
#define DISPLAY_P3 "\x0c\x0d\0\x01"
#define BT601 "\x05\x06\0\x01"
#define GAMMA_1 "\0\x01\x86\xa0"
#define GAMMA_22 "\0\0\xb1\x8f"
#define ADOBE                                                                                      \
    "\0\0\x7a\x26\0\0\x80\x84\0\0\xfa\0\0\0\x80\xe8\0\0\x52\x08\0\x01\x15\x58\0\0\x3a\x98\0\0\x17" \
    "\x70"

typedef struct tagged {
    const char *cicp, *gama, *chrm, *sbit;
} tagged;
static const tagged cases[] = {
    {PQ_2020, NULL, NULL, NULL},
    {DISPLAY_P3, NULL, NULL, NULL},
    {BT601, NULL, NULL, NULL},
    {"\x09\xff\0\x01", NULL, NULL, NULL}, /* of a transfer that nobody knows */
    {"\x01\x0d\0\0", NULL, NULL, NULL},   /* of the video's range */
    {NULL, GAMMA_1, NULL, NULL},
    {NULL, NULL, ADOBE, NULL},
    {NULL, GAMMA_22, ADOBE, NULL},
    {NULL, "\0\0\0\0", NULL, NULL},
    {NULL, NULL, NULL, "\x05\x06\x05"},
    {PQ_2020, GAMMA_22, ADOBE, "\x05\x06\x05"},
};
enum { N_CASES = sizeof(cases) / sizeof(*cases) };

static void add(ae_meta *meta, const char *type, const char *value, size_t n)
{
    if (value)
        assert_ok(aei_add_colour(meta, type, (const uint8_t *)value, n, &util_err));
}

static void fill(ae_meta *meta, const tagged *t, bool grey)
{
    *meta = (ae_meta){0};
    add(meta, "cICP", t->cicp, 4);
    add(meta, "gAMA", t->gama, 4);
    add(meta, "cHRM", t->chrm, 32);
    add(meta, "sBIT", t->sbit, grey ? 1 : 3);
}

/* TIFF stores chromaticities as fractions and JPEG XL as millionths. */
static bool is_kept(const ae_meta *from, const ae_meta *to, const char *type, bool grey)
{
    size_t n, m;
    const uint8_t *a = aei_find_colour(from, type, &n), *b = aei_find_colour(to, type, &m);
    double x[8], y[8];

    if (!a || !b || n != m)
        return false;
    if (strcmp(type, "cICP") == 0 && grey) /* has no primaries */
        return memcmp(a + 1, b + 1, n - 1) == 0;
    if (strcmp(type, "cHRM") != 0)
        return memcmp(a, b, n) == 0;
    aei_get_chromaticities(from, x);
    aei_get_chromaticities(to, y);
    for (int i = 0; i < 8; i++)
        if (!(fabs(x[i] - y[i]) <= 2e-5))
            return false;
    return true;
}

static void check_step(const ae_meta *from, const ae_meta *to, const char *note, bool grey,
                       const char *way)
{
    static const char *const types[] = {"cICP", "gAMA", "cHRM", "sBIT"};
    bool had = ae_meta_find(from, AE_META_ICC), has = ae_meta_find(to, AE_META_ICC),
         made = strstr(note, "became a profile");
    size_t n;

    if (had && !has && !strstr(note, "profile dropped") && !strstr(note, "metadata dropped") &&
        !is_kept(from, to, "cICP", grey) && !is_kept(from, to, "gAMA", grey))
        fail_msg("%s: the profile is gone: \"%s\"", way, note);
    if (made && !has)
        fail_msg("%s: no profile was made: \"%s\"", way, note);
    for (size_t i = 0; i < 4; i++) {
        const uint8_t *found;
        char dropped[24];
        bool described = i < 3 && (made || (has && had)); /* by a profile */
        /* which goes before */
        bool covered = (i == 1 || i == 2) &&
                       (is_kept(from, to, "cICP", grey) || strstr(note, "cICP"));

        snprintf(dropped, sizeof(dropped), "%s dropped", types[i]);
        found = aei_find_colour(from, types[i], &n);
        /* sRGB, which is usual */
        if (found && i == 0 && (grey || found[0] == 1) && found[1] == 13 && found[3] == 1)
            continue;
        if (found && !is_kept(from, to, types[i], grey) && !described && !covered &&
            !strstr(note, dropped))
            fail_msg("%s: %s is gone: \"%s\"", way, types[i], note);
    }
}

/* Writes and reads; *to is to be cleared. */
static void pass(const char *format, const ae_signal_info *info, const void *pixels,
                 const ae_meta *from, ae_meta *to, const char *way)
{
    ae_write_options options = {.lossless = true};
    file_bytes file, again;
    decoded d;
    char note[160];

    assert_ok(encode(format, info, pixels, from, &options, H, &file, note, &util_err));
    assert_ok(encode(format, info, pixels, from, &options, H, &again, note, &util_err));
    assert_int_equal(file.n_bytes, again.n_bytes);
    assert_memory_equal(file.data, again.data, file.n_bytes);
    ae_free(again.data);
    assert_ok(decode_open(file, NULL, &d, &util_err));
    assert_ok(ae_meta_copy(&d.reader.meta, to, &util_err));
    check_step(from, to, note, info->channels == 1, way);
    decode_close(&d);
    ae_free(file.data);
}

static void check_channels(uint32_t channels)
{
    ae_signal_info info = make_info(W, H, AE_U8, channels);
    uint8_t *pixels = make_noise(&info, 5);

    for (size_t i = 0; i < N_CASES; i++)
        for (size_t a = 0; a < N_FORMATS; a++) {
            ae_meta meta, first = {0};
            char way[64];

            if (!ae_codec_for_name(formats[a]))
                continue;
            fill(&meta, &cases[i], channels == 1);
            snprintf(way, sizeof(way), "case %zu to %s", i, formats[a]);
            pass(formats[a], &info, pixels, &meta, &first, way);
            for (size_t b = 0; b < N_FORMATS; b++) {
                ae_meta second = {0};

                if (!ae_codec_for_name(formats[b]))
                    continue;
                snprintf(way, sizeof(way), "case %zu from %s to %s", i, formats[a], formats[b]);
                pass(formats[b], &info, pixels, &first, &second, way);
                ae_meta_clear(&second);
            }
            ae_meta_clear(&first);
            ae_meta_clear(&meta);
        }
    ae_free(pixels);
}

static void test_colour(void **state)
{
    (void)state;
    check_channels(3);
}

static void test_grey(void **state)
{
    (void)state;
    check_channels(1);
}

#ifdef AEI_HAVE_LCMS
/* What each profile makes of half of full, and its colorants under the white D50, as known from
 * elsewhere. */
static void test_profiles(void **state)
{
    static const struct {
        tagged tags;
        double half, red[3], green[3];
    } known[] = {
        {{DISPLAY_P3, NULL, NULL, NULL},
         0.21404,
         {0.51512, 0.24120, -0.00105},
         {0.29198, 0.69225, 0.04189}},
        {{NULL, GAMMA_22, ADOBE, NULL},
         0.21793,
         {0.60974, 0.31111, 0.01947},
         {0.20528, 0.62567, 0.06087}},
        {{NULL, GAMMA_1, NULL, NULL},
         0.5,
         {0.43607, 0.22249, 0.01392},
         {0.38515, 0.71689, 0.09708}},
        {{"\x09\x08\0\x01", NULL, NULL, NULL},
         0.5,
         {0.67348, 0.27904, -0.00193},
         {0.16567, 0.67535, 0.02998}},
        {{PQ_2020, NULL, NULL, NULL},
         0.31242,
         {0.67348, 0.27904, -0.00193},
         {0.16567, 0.67535, 0.02998}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
        ae_meta meta;
        size_t n;
        uint8_t *data;
        cmsHPROFILE p;
        const cmsToneCurve *curve;
        const cmsCIEXYZ *red, *green;

        fill(&meta, &known[i].tags, false);
        data = aei_make_profile(&meta, false, &n);
        assert_non_null(data);
        p = cmsOpenProfileFromMem(data, (cmsUInt32Number)n);
        assert_non_null(p);
        curve = cmsReadTag(p, cmsSigGreenTRCTag);
        red = cmsReadTag(p, cmsSigRedColorantTag);
        green = cmsReadTag(p, cmsSigGreenColorantTag);
        assert_true(curve && red && green);
        /* 1024 steps */
        if (!(fabs((double)cmsEvalToneCurveFloat(curve, 0.5f) - known[i].half) <= 2e-3))
            fail_msg("profile %zu makes %g of a half", i,
                     (double)cmsEvalToneCurveFloat(curve, 0.5f));
        assert_true(fabs((double)cmsEvalToneCurveFloat(curve, 1) - 1) <= 1e-4);
        assert_true(fabs(red->X - known[i].red[0]) <= 5e-4 &&
                    fabs(red->Y - known[i].red[1]) <= 5e-4 &&
                    fabs(red->Z - known[i].red[2]) <= 5e-4);
        assert_true(fabs(green->X - known[i].green[0]) <= 5e-4 &&
                    fabs(green->Y - known[i].green[1]) <= 5e-4 &&
                    fabs(green->Z - known[i].green[2]) <= 5e-4);
        if (known[i].tags.cicp) {
            uint8_t numbers[12];

            assert_int_equal(cmsReadRawTag(p, cmsSigcicpTag, numbers, sizeof(numbers)),
                             sizeof(numbers));
            assert_memory_equal(numbers + 8, known[i].tags.cicp, 4);
        }
        cmsCloseProfile(p);
        ae_free(data);
        ae_meta_clear(&meta);
    }
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_colour),
        cmocka_unit_test(test_grey),
#ifdef AEI_HAVE_LCMS
        cmocka_unit_test(test_profiles),
#endif
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
