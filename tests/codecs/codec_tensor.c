/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Data sets: NPY, CSV, TSV and IDX. */
#include "codec_util.h"

#include <math.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "ae/files.h"

static ae_status open_text(const char *text, size_t n, ae_source **source, ae_reader *reader,
                           ae_error *err)
{
    assert_int_equal(ae_source_memory(text, n, source, err), AE_OK);
    return ae_reader_open(*source, NULL, reader, err);
}

/* A table is known by its name alone, so it goes through a file. */
static ae_status open_table(const char *text, const char *suffix, ae_source **source,
                            ae_reader *reader, ae_error *err)
{
    char path[128];
    FILE *f;

    snprintf(path, sizeof(path), "table-%d.%s", (int)getpid(), suffix);
    assert_non_null(f = fopen(path, "wb"));
    assert_int_equal(fwrite(text, 1, strlen(text), f), strlen(text));
    assert_int_equal(fclose(f), 0);
    assert_int_equal(ae_source_open(path, source, err), AE_OK);
    remove(path);
    return ae_reader_open(*source, NULL, reader, err);
}

static void check_table(const char *text, const char *suffix, uint64_t rows, uint64_t columns,
                        const double *values)
{
    ae_source *source;
    ae_reader reader;
    ae_error err = {0};
    double got[64];

    if (open_table(text, suffix, &source, &reader, &err) != AE_OK)
        fail_msg("%s", err.message);
    assert_int_equal(reader.info.kind, AE_KIND_TENSOR);
    assert_int_equal(reader.info.height, rows);
    assert_int_equal(reader.info.width, columns);
    assert_int_equal(ae_reader_read(&reader, got, (uint32_t)rows, &err), AE_OK);
    for (size_t i = 0; i < rows * columns; i++)
        if (!(isnan(values[i]) ? isnan(got[i]) : got[i] == values[i]))
            fail_msg("cell %zu is %g, not %g", i, got[i], values[i]);
    ae_reader_close(&reader);
    ae_source_free(source);
}

static void refuse_table(const char *text, const char *why)
{
    ae_source *source;
    ae_reader reader;
    ae_error err = {0};

    assert_int_not_equal(open_table(text, "csv", &source, &reader, &err), AE_OK);
    if (!strstr(err.message, why))
        fail_msg("'%s' lacks '%s'", err.message, why);
    ae_source_free(source);
}

static void test_tables(void **state)
{
    (void)state;
    check_table("a,b\n1,2.5\n-3e2,\n", "csv", 2, 2, (double[]){1, 2.5, -300, NAN});
    check_table("who,what\nx,p\ny,p\nx,q\n", "csv", 3, 2, (double[]){0, 0, 1, 0, 0, 1});
    check_table("x,p\ny,p\nx,q\n", "csv", 3, 2, (double[]){0, 0, 1, 0, 0, 1});
    check_table("1;2,5\r\n3;4,25\r\n", "csv", 2, 2, (double[]){1, 2.5, 3, 4.25});
    check_table("\xef\xbb\xbfx\ty\n1\t\"2\"\n\n4\tNA", "tsv", 2, 2, (double[]){1, 2, 4, NAN});
    check_table(
        "city,day\n\"Oslo, N\",1970-01-02\nRome,2000-03-01\n\"Oslo, N\",1969-12-31T12:00:00Z\n",
        "csv", 3, 2, (double[]){0, 1, 1, 11017, 0, -0.5});
    refuse_table("a,b\n1,2\n3,x\n5,6\n", "line 3, column 2: 'x' in a column of numbers");
    refuse_table("a,b\n1,2\n3\n", "line 3 has 1 cells");
    refuse_table("a,b\n1,\"2\n", "a quote is not closed");
}

/* What a writer makes its reader brings back. */
static void check_round_trip(const ae_codec *codec, ae_signal_info info, const void *rows)
{
    size_t n = ae_row_bytes(&info) * (size_t)info.height;
    ae_memory_output memory;
    ae_encoder encoder;
    ae_source *source;
    ae_reader reader;
    ae_error err = {0};
    void *back = NULL;

    ae_memory_output_init(&memory);
    assert_int_equal(ae_encoder_open(codec, &memory.sink, &info, NULL, NULL, &encoder, &err),
                     AE_OK);
    assert_int_equal(ae_encoder_write(&encoder, rows, (uint32_t)info.height, &err), AE_OK);
    assert_int_equal(ae_encoder_finish(&encoder, &err), AE_OK);
    if (open_text((const char *)memory.data, memory.n_bytes, &source, &reader, &err) != AE_OK)
        fail_msg("%s", err.message);
    assert_int_equal(reader.info.sample, info.sample);
    assert_int_equal(reader.info.height, info.height);
    assert_int_equal(reader.info.rank, info.rank);
    assert_memory_equal(reader.info.dims, info.dims, sizeof(info.dims));
    assert_int_equal(ae_reader_read_all(&reader, &back, &err), AE_OK);
    assert_memory_equal(back, rows, n);
    ae_free(back);
    ae_reader_close(&reader);
    /* every truncation is an error */
    for (size_t cut = 0; cut < memory.n_bytes; cut += cut < 140 ? 1 : 7) {
        ae_source *part;

        if (!cut)
            continue;
        assert_int_equal(ae_source_memory(memory.data, cut, &part, &err), AE_OK);
        assert_int_not_equal(ae_reader_open(part, NULL, &reader, &err), AE_OK);
        ae_source_free(part);
    }
    ae_source_free(source);
    ae_free(memory.data);
}

/* As numpy.save writes it: the header ends at byte 128. */
static size_t numpy_file(char to[160], const char *header, const char *elements, size_t n)
{
    memset(to, ' ', 128);
    memcpy(to, "\x93NUMPY\x01\0v\0{'descr': ", 20);
    memcpy(to + 20, header, strlen(header));
    to[127] = '\n';
    memcpy(to + 128, elements, n);
    return 128 + n;
}

static void test_npy(void **state)
{
    const uint8_t bytes[12] = {0, 1, 2, 250, 251, 252, 253, 254, 255, 9, 8, 7};
    const float floats[6] = {-1.5f, 0, NAN, INFINITY, 1e-40f, 3};
    const double doubles[2] = {0.1, -1e300};
    char big[160], half[160];
    size_t n_big = numpy_file(big, "'>i2', 'fortran_order': False, 'shape': (3,), }",
                              "\0\1\xff\xfe\0\3", 6);
    size_t n_half = numpy_file(half, "'<f2', 'fortran_order': False, 'shape': (2,), }",
                               "\0\x3c\0\x38", 4);
    ae_source *source;
    ae_reader reader;
    ae_error err = {0};
    int16_t ints[3];
    float two[2];

    (void)state;
    check_round_trip(ae_codec_for_name("npy"),
                     (ae_signal_info){.kind = AE_KIND_TENSOR,
                                      .sample = AE_U8,
                                      .bits = 8,
                                      .channels = 1,
                                      .width = 6,
                                      .height = 2,
                                      .rank = 2,
                                      .dims = {2, 3}},
                     bytes);
    check_round_trip(ae_codec_for_name("npy"),
                     (ae_signal_info){.kind = AE_KIND_TENSOR,
                                      .sample = AE_F32,
                                      .bits = 32,
                                      .channels = 1,
                                      .width = 3,
                                      .height = 2,
                                      .rank = 1,
                                      .dims = {3}},
                     floats);
    check_round_trip(ae_codec_for_name("npy"),
                     (ae_signal_info){.kind = AE_KIND_TENSOR,
                                      .sample = AE_F64,
                                      .bits = 64,
                                      .channels = 1,
                                      .width = 1,
                                      .height = 2},
                     doubles);
    assert_int_equal(open_text(big, n_big, &source, &reader, &err), AE_OK);
    assert_int_equal(ae_reader_read(&reader, ints, 3, &err), AE_OK);
    assert_true(ints[0] == 1 && ints[1] == -2 && ints[2] == 3);
    ae_reader_close(&reader);
    ae_source_free(source);
    assert_int_equal(open_text(half, n_half, &source, &reader, &err), AE_OK);
    assert_int_equal(ae_reader_read(&reader, two, 2, &err), AE_OK);
    assert_int_equal(reader.info.sample, AE_F16);
    assert_true(ae_sample_number(AE_F16, two, 0) == 1 && ae_sample_number(AE_F16, two, 1) == 0.5);
    ae_reader_close(&reader);
    ae_source_free(source);
}

static void test_idx(void **state)
{
    static const uint8_t shorts[] = {0, 0, 11, 2, 0,    0,    0,    2,    0,    0,
                                     0, 2, 0,  1, 0xff, 0xfe, 0x7f, 0xff, 0x80, 0};
    uint8_t packed[128];
    z_stream z = {0};
    ae_source *source;
    ae_reader reader;
    ae_error err = {0};
    int16_t got[4];

    (void)state;
    assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 9, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_in = (uint8_t *)(uintptr_t)shorts;
    z.avail_in = sizeof(shorts);
    z.next_out = packed;
    z.avail_out = sizeof(packed);
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    for (int gz = 0; gz < 2; gz++) {
        const void *file = gz ? packed : shorts;

        assert_int_equal(open_text(file, gz ? z.total_out : sizeof(shorts), &source, &reader, &err),
                         AE_OK);
        assert_int_equal(reader.info.sample, AE_S16);
        assert_int_equal(reader.info.rank, 1);
        assert_int_equal(ae_reader_read(&reader, got, 2, &err), AE_OK);
        assert_true(got[0] == 1 && got[1] == -2 && got[2] == 32767 && got[3] == -32768);
        ae_reader_close(&reader);
        ae_source_free(source);
    }
    /* cut off within */
    assert_int_equal(open_text((const char *)packed, z.total_out - 12, &source, &reader, &err),
                     AE_OK);
    assert_int_not_equal(ae_reader_read(&reader, got, 2, &err), AE_OK);
    ae_reader_close(&reader);
    ae_source_free(source);
    deflateEnd(&z);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_tables), cmocka_unit_test(test_npy),
                                       cmocka_unit_test(test_idx)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
