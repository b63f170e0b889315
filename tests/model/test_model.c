/* SPDX-License-Identifier: BSD-2-Clause */
#include "model/format.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

/* The example of doc/model-format.md: one weight, one bias. */
#define TINY                                                                                       \
    "recipe: 1\nname: tiny\ntask: autoencode\nnetworks:\n  - name: n\n    inputs: [{name: image, " \
    "channels: 1}]\n"                                                                              \
    "    layers: [{op: conv, kernel: 1}]\n"
#define TINY_IDENTITY "a055d20e59047c1f3968b0b6b46bea4c"
#define MIXED_IDENTITY "89d6b6be4daa09781e4d451ec7837dfc"

static const float tiny_values[2] = {0.5f, -0.25f};
static const ae_model_parts tiny = {
    .recipe_text = TINY, .card = "seed: 1\n", .values = tiny_values, .n_floats = 2};

/* Two networks, a normalisation, sharing. */
#define MIXED                                                                                      \
    "recipe: 1\nname: mixed\ntask: denoise\nresidual: true\nnetworks:\n"                           \
    "  - name: a\n    inputs: [{name: image, channels: 2}]\n    layers:\n"                         \
    "      - {op: conv, out: 3, act: relu}\n      - {op: batchnorm, name: norm}\n      - {op: "    \
    "conv, out: 2, init: zero}\n"                                                                  \
    "  - name: b\n    inputs: [{name: x, channels: 1, height: 2, width: 2}]\n    layers:\n"        \
    "      - {op: dense, out: 3, name: d}\n"
enum { N_A = 2 * 27 + 3 + 12 + 54 + 2, N_MIXED = N_A + 15 };

static ae_model_parts mixed(float values[N_MIXED], bool half)
{
    for (int i = 0; i < N_MIXED; i++)
        values[i] = 0.001f * (float)(i * i % 97 + 1);
    return (ae_model_parts){.recipe_text = MIXED,
                            .card = "data: none\n",
                            .values = values,
                            .n_floats = N_MIXED,
                            .half = half};
}

static uint8_t *pack(const ae_model_parts *parts, size_t *n)
{
    uint8_t *bytes;
    ae_error err = {0};

    if (aei_model_pack(parts, &bytes, n, &err) != AE_OK)
        fail_msg("%s", err.message);
    return bytes;
}

static ae_model *open_bytes(const uint8_t *bytes, size_t n)
{
    ae_model *m;
    ae_error err = {0};

    if (ae_model_open_memory(bytes, n, NULL, &m, &err) != AE_OK)
        fail_msg("%s", err.message);
    return m;
}

static void seal(uint8_t *bytes, size_t n)
{
    aei_store64(bytes + 16, n);
    aei_aem_checksum(bytes, n, bytes + AEI_AEM_CHECKSUM);
}

static void expect(const uint8_t *bytes, size_t n, ae_status status, const char *fragment)
{
    ae_model *m = (ae_model *)&m;
    ae_error err = {0};
    ae_status st = ae_model_open_memory(bytes, n, NULL, &m, &err);

    if (st != status || !strstr(err.message, fragment))
        fail_msg("status %d, '%s'; expected %d, '%s'", st, err.message, status, fragment);
    assert_null(m);
}

static uint8_t *section(uint8_t *bytes, int i)
{
    return bytes + aei_load64(bytes + AEI_AEM_HEADER + AEI_AEM_ENTRY * i + 8);
}

/* ---- what goes in comes out ---- */

static void round_trip(void **state)
{
    float values[N_MIXED];
    ae_model_parts parts = mixed(values, false);
    size_t n, n_floats;
    uint8_t *bytes = pack(&parts, &n), first[16], second[16];
    ae_model *m = open_bytes(bytes, n);
    const float *got = ae_model_values(m, &n_floats);

    (void)state;
    assert_int_equal(n_floats, N_A);
    assert_memory_equal(got, values, N_A * sizeof(float));
    assert_string_equal(ae_model_recipe_text(m), MIXED);
    assert_string_equal(ae_model_card(m), "data: none\n");
    assert_string_equal(ae_model_recipe(m)->name, "mixed");
    assert_int_equal(ae_model_recipe(m)->n_networks, 2);
    assert_ptr_equal(ae_model_graph(m), &ae_model_recipe(m)->networks[0].graph);
    ae_model_identity(m, first);
    ae_model_free(m);
    /* the identity covers what is computed and nothing else */
    char *renamed = ae_strdup(MIXED);
    memcpy(strstr(renamed, "norm}"), "mean", 4);
    memcpy(strstr(renamed, "mixed"), "other", 5);
    ae_free(bytes);
    parts.recipe_text = renamed;
    parts.card = "";
    bytes = pack(&parts, &n);
    m = open_bytes(bytes, n);
    ae_model_identity(m, second);
    assert_memory_equal(first, second, 16);
    ae_model_free(m);
    ae_free(bytes);
    values[N_MIXED - 1] += 1e-6f; /* of the second network */
    bytes = pack(&parts, &n);
    m = open_bytes(bytes, n);
    ae_model_identity(m, second);
    assert_memory_not_equal(first, second, 16);
    ae_model_free(m);
    ae_free(bytes);
    values[N_MIXED - 1] -= 1e-6f;
    memcpy(strstr(renamed, "relu"), "silu", 4);
    bytes = pack(&parts, &n);
    m = open_bytes(bytes, n);
    ae_model_identity(m, second);
    assert_memory_not_equal(first, second, 16);
    ae_model_free(m);
    ae_free(bytes);
    ae_free(renamed);
}

static void half_size(void **state)
{
    float values[N_MIXED];
    ae_model_parts parts = mixed(values, true);
    size_t n, n_floats;

    (void)state;
    values[0] = 1e-5f;       /* subnormal as a half */
    values[N_A - 3] = 70000; /* too large for one: this tensor stays f32 */
    uint8_t *bytes = pack(&parts, &n);
    ae_model *m = open_bytes(bytes, n);
    const float *got = ae_model_values(m, &n_floats);
    for (int i = 0; i < N_A; i++) {
        bool exact = i >= 54 && i < N_A; /* biases, norm, second weights */

        if (exact)
            assert_true(got[i] == values[i]);
        else
            assert_true(fabsf(got[i] - values[i]) <= fabsf(values[i]) * 0x1p-11f + 0x1p-25f &&
                        got[i] != 0);
    }
    ae_model_free(m);
    ae_free(bytes);
}

static void halves(void **state)
{
    uint32_t x = 1;

    (void)state;
    for (uint32_t h = 0; h < 0x10000; h++) {
        float f = aei_half_to((uint16_t)h);

        if (!isnan(f)) {
            assert_int_equal(aei_half_from(f), h);
            assert_int_equal(aei_half_fits(f), isfinite(f) != 0);
        }
    }
    for (int i = 0; i < 200000; i++) {
        float f, down, up;
        uint16_t h;

        x = x * 1664525u + 1013904223u;
        memcpy(&f, &x, 4);
        f = fabsf(f);
        if (!(f < 65504))
            continue;
        h = aei_half_from(f);
        up = aei_half_to((uint16_t)(h + 1));
        down = h ? aei_half_to((uint16_t)(h - 1)) : -1;
        assert_true(fabs((double)f - aei_half_to(h)) <= fabs((double)up - f));
        assert_true(fabs((double)f - aei_half_to(h)) <= fabs((double)f - down));
    }
    /* ties go to even, also below the normal numbers and into the next binade */
    assert_int_equal(aei_half_from(1 + 0x1p-11f), 0x3c00);
    assert_int_equal(aei_half_from(1 + 3 * 0x1p-11f), 0x3c02);
    assert_int_equal(aei_half_from(0x1p-25f), 0);
    assert_int_equal(aei_half_from(3 * 0x1p-25f), 2);
    assert_int_equal(aei_half_from(nextafterf(0x1p-25f, 1)), 1);
    assert_int_equal(aei_half_from(-2 + 0x1p-12f), 0xc000);
    assert_int_equal(aei_half_from(65519.99f), 0x7bff);
    assert_int_equal(aei_half_from(65520), 0x7c00);
    assert_false(aei_half_fits(65520));
    assert_false(aei_half_fits(NAN));
}

static void golden(void **state)
{
    static const struct {
        const char *file;
        const char *identity;
    } files[] = {{"tiny.aem", TINY_IDENTITY}, {"mixed-half.aem", MIXED_IDENTITY}};
    float values[N_MIXED];
    ae_model_parts parts[2] = {tiny, mixed(values, true)};

    (void)state;
    for (int i = 0; i < 2; i++) {
        char path[512], hex[33];
        uint8_t identity[16];
        size_t n, n_floats;
        ae_model *m;
        ae_error err = {0};

        snprintf(path, sizeof(path), "%s/%s", GOLDEN, files[i].file);
        if (ae_model_open(path, NULL, &m, &err) != AE_OK)
            fail_msg("%s", err.message);
        ae_model_identity(m, identity);
        for (int k = 0; k < 16; k++)
            snprintf(hex + 2 * k, 3, "%02x", identity[k]);
        assert_string_equal(hex, files[i].identity);
        assert_string_equal(ae_model_recipe_text(m), parts[i].recipe_text);
        assert_string_equal(ae_model_card(m), parts[i].card);
        const float *got = ae_model_values(m, &n_floats);
        for (size_t k = 0; k < n_floats; k++)
            assert_true(fabsf(got[k] - parts[i].values[k]) <=
                        (parts[i].half ? 0x1p-11f : 0) * fabsf(parts[i].values[k]));
        ae_model_free(m);
        /* and what is written today is what was written then */
        uint8_t *bytes = pack(&parts[i], &n), *old = malloc(n + 1);
        FILE *f = fopen(path, "rb");
        assert_non_null(f);
        assert_int_equal(fread(old, 1, n + 1, f), n);
        fclose(f);
        assert_memory_equal(bytes, old, n);
        free(old);
        ae_free(bytes);
    }
}

static void description(void **state)
{
    float values[N_MIXED];
    ae_model_parts parts = mixed(values, false);
    size_t n;
    uint8_t *bytes = pack(&parts, &n);
    ae_model *m = open_bytes(bytes, n);
    char *text;

    (void)state;
    assert_int_equal(ae_model_describe(m, &text, NULL), AE_OK);
    static const char *const lines[] = {
        "mixed\n",
        "task: denoise, residual\n",
        "identity: ",
        "network a: 125 parameters, 108 MAC per pixel, stride 1, receptive field 2 pixels",
        "  conv.1               conv 3x3 relu                h x w x 3                      57     "
        "    54\n",
        "network b: 15 parameters, 12 MAC per item\n",
        "1 x 1 x 3",
        "\ndata: none\n"};
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
        if (!strstr(text, lines[i]))
            fail_msg("'%s' is missing in:\n%s", lines[i], text);
    ae_free(text);
    ae_model_free(m);
    ae_free(bytes);
}

/* ---- damage ---- */

static void every_byte_matters(void **state)
{
    size_t n;
    uint8_t *bytes = pack(&tiny, &n);

    (void)state;
    for (size_t i = 0; i < n; i++)
        for (int bit = 0; bit < 8; bit++) {
            ae_model *m;

            bytes[i] ^= (uint8_t)(1 << bit);
            assert_int_not_equal(ae_model_open_memory(bytes, n, NULL, &m, NULL), AE_OK);
            assert_null(m);
            bytes[i] ^= (uint8_t)(1 << bit);
        }
    for (size_t length = 0; length < n; length++) {
        ae_model *m;

        assert_int_not_equal(ae_model_open_memory(bytes, length, NULL, &m, NULL), AE_OK);
    }
    ae_free(bytes);
}

/* With a valid checksum a change either is refused or is a model with finite parameters. */
static void forged_files(void **state)
{
    static const uint8_t masks[] = {0x01, 0x20, 0x80, 0xff};
    float values[N_MIXED];
    ae_model_parts parts = mixed(values, false);
    size_t n, n_floats;
    uint8_t *bytes = pack(&parts, &n), *copy = malloc(n);

    (void)state;
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < sizeof(masks); k++) {
            ae_model *m;

            memcpy(copy, bytes, n);
            copy[i] ^= masks[k];
            seal(copy, n);
            if (ae_model_open_memory(copy, n, NULL, &m, NULL) == AE_OK) {
                const float *got = ae_model_values(m, &n_floats);

                for (size_t e = 0; e < n_floats; e++)
                    assert_true(isfinite(got[e]));
                ae_model_free(m);
            } else {
                assert_null(m);
            }
        }
    for (size_t length = AEI_AEM_HEADER; length < n; length++) {
        ae_model *m;

        memcpy(copy, bytes, length);
        seal(copy, length);
        assert_int_not_equal(ae_model_open_memory(copy, length, NULL, &m, NULL), AE_OK);
    }
    free(copy);
    ae_free(bytes);
}

/* What is normal, and columns, come back as they went in, beside everything else, and do not change
 * who the model is. */
static void what_is_normal_is_kept(void **state)
{
    static const char record[] = "any bytes", columns[] = "some text";
    ae_model_parts parts = tiny;
    uint8_t identity[2][16];
    size_t n[2], n_record;
    uint8_t *plain = pack(&parts, &n[0]), *bytes;
    ae_model *m = open_bytes(plain, n[0]);

    (void)state;
    assert_null(ae_model_normal(m, &n_record));
    assert_null(ae_model_columns(m, &n_record));
    ae_model_identity(m, identity[0]);
    ae_model_free(m);
    parts.normal = record;
    parts.n_normal = sizeof(record);
    parts.columns = columns;
    parts.n_columns = sizeof(columns);
    bytes = pack(&parts, &n[1]);
    m = open_bytes(bytes, n[1]);
    assert_memory_equal(ae_model_normal(m, &n_record), record, sizeof(record));
    assert_int_equal(n_record, sizeof(record));
    assert_memory_equal(ae_model_columns(m, &n_record), columns, sizeof(columns));
    assert_int_equal(n_record, sizeof(columns));
    ae_model_identity(m, identity[1]);
    assert_memory_equal(identity[0], identity[1], 16);
    ae_model_free(m);
    ae_free(plain);
    ae_free(bytes);
}

static void refusals(void **state)
{
    float values[N_MIXED];
    ae_model_parts parts = mixed(values, false);
    const float nan_value = NAN, infinite = -INFINITY, negative = -1;
    size_t n;
    uint8_t *good = pack(&parts, &n), *bytes = malloc(n + 64);
    enum { TABLE = AEI_AEM_HEADER };

    (void)state;
#define FORGE(change, status, message)                                                             \
    do {                                                                                           \
        memcpy(bytes, good, n);                                                                    \
        change;                                                                                    \
        seal(bytes, n);                                                                            \
        expect(bytes, n, status, message);                                                         \
    } while (0)
    expect((const uint8_t *)"", 0, AE_ERR_MALFORMED, "not a model file");
    expect((const uint8_t *)"recipe: 1\nname: ...", 18, AE_ERR_MALFORMED, "not a model file");
    expect(good, 40, AE_ERR_MALFORMED, "truncated: 40 bytes, the header has 64");
    expect(good, n - 1, AE_ERR_MALFORMED, "truncated");
    memcpy(bytes, good, n);
    bytes[n] = 0;
    expect(bytes, n + 1, AE_ERR_MALFORMED, "bytes left over");
    bytes[n - 1] ^= 1;
    expect(bytes, n, AE_ERR_CHECKSUM, "the checksum differs");
    FORGE(aei_store32(bytes + 8, 2), AE_ERR_TOO_NEW, "model format 2, this program knows up to 1");
    FORGE(aei_store32(bytes + 8, 0), AE_ERR_MALFORMED, "version 0");
    FORGE(bytes[24] = 1, AE_ERR_MALFORMED, "reserved bytes in use");
    FORGE(aei_store32(bytes + 12, 0), AE_ERR_MALFORMED, "0 sections");
    FORGE(aei_store32(bytes + 12, 65), AE_ERR_MALFORMED, "65 sections");
    FORGE(aei_store32(bytes + 12, UINT32_MAX), AE_ERR_MALFORMED, "sections");
    FORGE(memcpy(bytes + TABLE + 32, "PROX", 4);
          bytes[TABLE + 32 + 4] = 1, AE_ERR_UNSUPPORTED, "needs section PROX");
    FORGE(memcpy(bytes + TABLE + 32, "\033[3m", 4);
          bytes[TABLE + 32 + 4] = 1, AE_ERR_UNSUPPORTED, "needs section ?[3m");
    FORGE(bytes[TABLE + 4] = 3, AE_ERR_MALFORMED, "section RECI: reserved bits");
    FORGE(bytes[TABLE + 24] = 1, AE_ERR_MALFORMED, "section RECI: reserved bits");
    FORGE(memcpy(bytes + TABLE + 32, "RECI", 4), AE_ERR_MALFORMED, "section RECI occurs twice");
    FORGE(memcpy(bytes + TABLE + 64, "CARD", 4), AE_ERR_MALFORMED, "section CARD occurs twice");
    FORGE(memcpy(bytes + TABLE + 64, "XXXX", 4);
          bytes[TABLE + 68] = 0, AE_ERR_MALFORMED, "section TNDX is missing");
    FORGE(aei_store64(bytes + TABLE + 96 + 16, UINT64_MAX), AE_ERR_MALFORMED,
          "section TDAT: 18446744073709551615 bytes");
    FORGE(aei_store64(bytes + TABLE + 32 + 8, aei_load64(bytes + TABLE + 8)), AE_ERR_MALFORMED,
          "section CARD");
    FORGE(aei_store64(bytes + TABLE + 96 + 8, UINT64_MAX - 63), AE_ERR_MALFORMED, "section TDAT");
    FORGE(section(bytes, 1)[-1] = 7, AE_ERR_MALFORMED, "bytes before it that are not zero");
    FORGE(section(bytes, 0)[8] = '2', AE_ERR_TOO_NEW, "recipe: recipe grammar 2");
    FORGE(memcpy(section(bytes, 0) + 10, "nome", 4), AE_ERR_MALFORMED,
          "recipe: line 2: recipe: unknown key 'nome'");
    FORGE(section(bytes, 1)[0] = 27, AE_ERR_MALFORMED, "card: control characters");
    FORGE(section(bytes, 2)[0] = 'x', AE_ERR_MALFORMED,
          "tensor 0: expected conv.1.weight of network 0");
    FORGE(section(bytes, 2)[63] = 'x', AE_ERR_MALFORMED, "tensor 0: expected conv.1.weight");
    FORGE(aei_store32(section(bytes, 2) + 64, 1), AE_ERR_MALFORMED,
          "tensor 0: expected conv.1.weight of network 0");
    FORGE(aei_store32(section(bytes, 2) + 68, 3), AE_ERR_UNSUPPORTED,
          "tensor conv.1.weight: type 3");
    FORGE(aei_store32(section(bytes, 2) + 76, 4), AE_ERR_MALFORMED,
          "4 x 2 x 3 x 3, the recipe has 3 x 2 x 3 x 3");
    FORGE(aei_store32(section(bytes, 2) + 92, 4), AE_ERR_MALFORMED, "reserved");
    FORGE(aei_store64(section(bytes, 2) + 96, 4), AE_ERR_MALFORMED,
          "its data are not where they belong");
    FORGE(aei_store64(section(bytes, 2) + 104, UINT64_MAX), AE_ERR_MALFORMED,
          "its data are not where they belong");
    FORGE(memcpy(section(bytes, 3) + 12, &nan_value, 4), AE_ERR_MALFORMED,
          "tensor conv.1.weight: element 3 is NaN");
    FORGE(memcpy(section(bytes, 3) + 4 * (N_MIXED - 1), &infinite, 4), AE_ERR_MALFORMED,
          "tensor d.bias: element 2 is infinite");
    FORGE(memcpy(section(bytes, 3) + 4 * (57 + 9), &negative, 4), AE_ERR_MALFORMED,
          "tensor norm.variance: element 0 is negative");
    /* the recipe asks for another number of tensors than there are */
    FORGE(memcpy(strstr((char *)section(bytes, 0), "{op: batchnorm, name: norm}"),
                 "{op: act, act: relu}       ", 27),
          AE_ERR_MALFORMED, "tensor 2: expected conv.3.weight");
    FORGE(memcpy(strstr((char *)section(bytes, 0), "{op: dense, out: 3, name: d}"),
                 "{op: act, act: none, name: d}", 28),
          AE_ERR_MALFORMED, "");
    FORGE(aei_store64(bytes + TABLE + 64 + 16, 2 * AEI_AEM_TENSOR), AE_ERR_MALFORMED,
          "section TDAT");
    /* an unknown section that is not critical is skipped */
    memcpy(bytes, good, n);
    memcpy(bytes + TABLE + 32, "NOTE", 4);
    seal(bytes, n);
    ae_model *m = open_bytes(bytes, n);
    assert_string_equal(ae_model_card(m), "");
    ae_model_free(m);
    free(bytes);
    ae_free(good);
}

/* ---- files ---- */

static char *scratch(void)
{
    static char dir[64];

    snprintf(dir, sizeof(dir), "/tmp/ae-model-XXXXXX");
    assert_non_null(mkdtemp(dir));
    return dir;
}

static void saving(void **state)
{
    char *dir = scratch(), path[128], text[160];
    ae_model_parts bad = tiny;
    ae_error err = {0};
    ae_model *m;
    float values[2] = {1, NAN};
    size_t n;

    (void)state;
    snprintf(path, sizeof(path), "%s/t.aem", dir);
    assert_int_equal(ae_model_save(path, &tiny, &err), AE_OK);
    assert_int_equal(ae_model_open(path, NULL, &m, &err), AE_OK);
    ae_model_free(m);
    /* what cannot be a model leaves the old file alone */
    bad.values = values;
    assert_int_equal(ae_model_save(path, &bad, &err), AE_ERR_ARGUMENT);
    assert_string_equal(err.message, "parameter 1 is not a finite number");
    bad = tiny;
    bad.n_floats = 1;
    assert_int_equal(ae_model_save(path, &bad, &err), AE_ERR_ARGUMENT);
    assert_string_equal(err.message, "1 values, the recipe has more parameters");
    bad.recipe_text = "recipe: 1\n";
    assert_int_equal(ae_model_save(path, &bad, &err), AE_ERR_MALFORMED);
    assert_int_equal(ae_model_open(path, NULL, &m, &err), AE_OK);
    ae_model_free(m);
    /* messages name the file */
    assert_int_equal(ae_model_open(path, &(ae_limits){.max_file = 100}, &m, &err), AE_ERR_LIMIT);
    assert_true(!strncmp(err.message, path, strlen(path)) && strstr(err.message, "max_file"));
    /* a model that is open does not mind what becomes of its file */
    assert_int_equal(ae_model_open(path, NULL, &m, &err), AE_OK);
    assert_int_equal(truncate(path, 70), 0);
    assert_memory_equal(ae_model_values(m, &n), tiny.values, tiny.n_floats * sizeof(float));
    ae_model_free(m);
    assert_int_equal(ae_model_open(path, NULL, &m, &err), AE_ERR_MALFORMED);
    snprintf(text, sizeof(text), "%s: truncated", path);
    assert_true(!strncmp(err.message, text, strlen(text)));
    assert_int_equal(truncate(path, 0), 0);
    assert_int_equal(ae_model_open(path, NULL, &m, &err), AE_ERR_MALFORMED);
    assert_non_null(strstr(err.message, "empty file"));
    unlink(path);
    assert_int_equal(ae_model_open(path, NULL, &m, &err), AE_ERR_IO);
    assert_non_null(strstr(err.message, "No such file"));
    assert_int_equal(rmdir(dir), 0); /* nothing was left beside it */
    assert_int_equal(ae_model_save(path, &tiny, &err), AE_ERR_IO);
    assert_true(!strncmp(err.message, path, strlen(path)));
}

static void finding(void **state)
{
    char *dir = scratch(), path[256], want[128], list[256];
    ae_error err = {0};

    (void)state;
    snprintf(list, sizeof(list), "/nowhere/at/all:%s", dir);
    setenv("AE_MODEL_PATH", list, 1);
    setenv("XDG_DATA_HOME", "/nowhere/data", 1);
    snprintf(want, sizeof(want), "%s/mine.aem", dir);
    assert_int_equal(ae_model_save(want, &tiny, &err), AE_OK);
    assert_int_equal(ae_model_find("mine", path, sizeof(path), &err), AE_OK);
    assert_string_equal(path, want);
    assert_int_equal(ae_model_find("mine.aem", path, sizeof(path), &err), AE_OK);
    assert_string_equal(path, want);
    assert_int_equal(ae_model_find("./any/thing", path, sizeof(path), &err), AE_OK);
    assert_string_equal(path, "./any/thing");
    assert_int_equal(ae_model_find("yours", path, sizeof(path), &err), AE_ERR_IO);
    assert_true(!strncmp(err.message, "no model 'yours'; there are: ", 29) &&
                strstr(err.message, "mine"));
    assert_non_null(strstr(err.message, "/nowhere/at/all, "));
    assert_non_null(strstr(err.message, "/nowhere/data/aesuite/models"));
    assert_int_equal(ae_model_find("mine", path, 8, &err), AE_ERR_IO); /* does not fit */
    assert_int_equal(ae_model_find("", path, sizeof(path), &err), AE_ERR_ARGUMENT);
    unlink(want);
    rmdir(dir);
}

static void every_allocation_fails_once(void **state)
{
    char *dir = scratch(), path[128];
    float values[N_MIXED];
    ae_model_parts parts = mixed(values, true);

    (void)state;
    snprintf(path, sizeof(path), "%s/t.aem", dir);
    for (uint64_t n = 1;; n++) {
        ae_model *m = NULL;
        char *text = NULL;
        ae_status st;

        ae_alloc_fail_at(n);
        st = ae_model_save(path, &parts, NULL);
        if (st == AE_OK)
            st = ae_model_open(path, NULL, &m, NULL);
        if (st == AE_OK)
            st = ae_model_describe(m, &text, NULL);
        ae_alloc_fail_at(0);
        assert_int_equal(m == NULL && text != NULL, 0);
        ae_free(text);
        ae_model_free(m);
        if (st == AE_OK) {
            assert_true(n > 40);
            break;
        }
        assert_int_equal(st, AE_ERR_NOMEM);
    }
    unlink(path);
    assert_int_equal(rmdir(dir), 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip),   cmocka_unit_test(half_size),
        cmocka_unit_test(halves),       cmocka_unit_test(golden),
        cmocka_unit_test(description),  cmocka_unit_test(every_byte_matters),
        cmocka_unit_test(forged_files), cmocka_unit_test(what_is_normal_is_kept),
        cmocka_unit_test(refusals),     cmocka_unit_test(saving),
        cmocka_unit_test(finding),      cmocka_unit_test(every_allocation_fails_once),
    };

    if (argc == 2) { /* writes the golden files, once for each version of the format */
        float values[N_MIXED];
        ae_model_parts parts = mixed(values, true);
        char path[512];

        snprintf(path, sizeof(path), "%s/tiny.aem", argv[1]);
        if (ae_model_save(path, &tiny, NULL) != AE_OK)
            return 1;
        snprintf(path, sizeof(path), "%s/mixed-half.aem", argv[1]);
        return ae_model_save(path, &parts, NULL) != AE_OK;
    }
    return cmocka_run_group_tests_name("model", tests, NULL, NULL);
}
