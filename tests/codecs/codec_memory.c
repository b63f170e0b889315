/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Formats that need not hold the picture do not: copying 12 megapixels by rows takes no more memory
 * than a few rows. */
#include <unistd.h>

#include "codec_util.h"

enum { W = 3000, H = 4000, BAND = 16, MAX_GROWTH = 6 << 10 /* KiB */ };

/* Peak of the resident set in KiB, 0 where the system does not say. */
static long peak(bool reset)
{
    FILE *f = reset ? fopen("/proc/self/clear_refs", "w") : fopen("/proc/self/status", "r");
    char line[256];
    long kib = 0;

    if (!f)
        return 0;
    if (reset)
        fputs("5", f);
    else
        while (fgets(line, sizeof(line), f))
            sscanf(line, "VmHWM: %ld", &kib);
    return fclose(f) == 0 ? kib : 0;
}

static bool measurable(void)
{
#if defined(__SANITIZE_ADDRESS__)
    return false;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
    return false;
#endif
#endif
    return peak(false) > 0;
}

/* Noise around a gradient, drawn anew for each row. */
static void draw(uint8_t *row, uint32_t y, uint32_t *seed)
{
    for (uint32_t i = 0; i < W * 3; i++)
        row[i] = (uint8_t)(20 + (i + y) / 100 + (next_random(seed) & 15));
}

static void write_picture(const char *codec, const char *path, uint8_t *band)
{
    ae_signal_info info = make_info(W, H, AE_U8, 3);
    uint32_t seed = 1;
    ae_output *o;
    ae_encoder encoder;

    assert_ok(ae_output_open(path, NULL, AE_OUTPUT_FORCE, &o, &util_err));
    assert_ok(ae_encoder_open(ae_codec_for_name(codec), ae_output_sink(o), &info, NULL, NULL,
                              &encoder, &util_err));
    for (uint32_t y = 0; y < H; y++) {
        draw(band, y, &seed);
        assert_ok(ae_encoder_write(&encoder, band, 1, &util_err));
    }
    assert_ok(ae_encoder_finish(&encoder, &util_err));
    assert_ok(ae_output_commit(o, &util_err));
}

static void copy_picture(const char *codec, const char *from, const char *to, uint8_t *band)
{
    ae_source *source;
    ae_reader reader;
    ae_write_options options = {.like = &reader};
    ae_output *o;
    ae_encoder encoder;

    assert_ok(ae_source_open(from, &source, &util_err));
    assert_ok(ae_reader_open(source, NULL, &reader, &util_err));
    assert_ok(ae_output_open(to, from, AE_OUTPUT_FORCE, &o, &util_err));
    assert_ok(ae_encoder_open(ae_codec_for_name(codec), ae_output_sink(o), &reader.info,
                              &reader.meta, &options, &encoder, &util_err));
    for (uint32_t y = 0; y < H; y += BAND) {
        uint32_t n = H - y < BAND ? H - y : BAND;

        assert_ok(ae_reader_read(&reader, band, n, &util_err));
        assert_ok(ae_encoder_write(&encoder, band, n, &util_err));
    }
    assert_ok(ae_encoder_finish(&encoder, &util_err));
    assert_ok(ae_output_commit(o, &util_err));
    ae_reader_close(&reader);
    ae_source_free(source);
}

static void test_streaming(void **state)
{
    static const char *const codecs[] = {"jpeg", "png", "tiff", "ppm"};
    uint8_t *band;

    (void)state;
    if (!measurable())
        skip();
    band = ae_alloc(BAND, W * 3);
    assert_non_null(band);
    for (size_t i = 0; i < 4; i++) {
        char paths[2][64];
        long before;

        for (int k = 0; k < 2; k++)
            snprintf(paths[k], sizeof(paths[k]), "/tmp/aememory%ld.%d", (long)getpid(), k);
        peak(true);
        before = peak(false);
        write_picture(codecs[i], paths[0], band);
        copy_picture(codecs[i], paths[0], paths[1], band);
        print_message("%s: %ld KiB over %ld\n", codecs[i], peak(false) - before, before);
        unlink(paths[0]);
        unlink(paths[1]);
        assert_true(peak(false) - before <= MAX_GROWTH);
    }
    ae_free(band);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_streaming)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
