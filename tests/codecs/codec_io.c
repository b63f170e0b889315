/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Sources and sinks: pipes, files that cannot be read or written, replacing, leaving nothing
 * behind. */
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "codec_util.h"

static char dir[] = "/tmp/aetestXXXXXX";
static char path_buffer[4][512];

static const char *in_dir(const char *name)
{
    static unsigned i;
    char *path = path_buffer[i++ % 4];

    snprintf(path, sizeof(path_buffer[0]), "%s/%s", dir, name);
    return path;
}

static void put_file(const char *path, const void *data, size_t n_bytes)
{
    FILE *f = fopen(path, "wb");

    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, n_bytes, f), n_bytes);
    assert_int_equal(fclose(f), 0);
}

static size_t get_file(const char *path, uint8_t *data, size_t size)
{
    FILE *f = fopen(path, "rb");
    size_t n;

    assert_non_null(f);
    n = fread(data, 1, size, f);
    fclose(f);
    return n;
}

static unsigned count_files(void)
{
    DIR *d = opendir(dir);
    unsigned n = 0;

    assert_non_null(d);
    for (struct dirent *e = readdir(d); e; e = readdir(d))
        n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
    closedir(d);
    return n;
}

static int clear_dir(void **state)
{
    DIR *d = opendir(dir);

    (void)state;
    for (struct dirent *e = d ? readdir(d) : NULL; e; e = readdir(d))
        if (e->d_name[0] != '.' || e->d_name[1] == 'a')
            remove(in_dir(e->d_name));
    if (d)
        closedir(d);
    return 0;
}

enum { BIG = 200000 };
static uint8_t big[BIG], back[BIG + 1];

/* Reads in uneven steps and out of order. */
static void check_source(ae_source *s)
{
    size_t n, step = 1, total = 0;

    assert_int_equal(ae_source_size(s), BIG);
    while ((n = ae_source_read(s, back + total, step)) > 0) {
        total += n;
        assert_int_equal(ae_source_tell(s), total);
        step = step * 3 % 70001;
    }
    assert_int_equal(total, BIG);
    assert_memory_equal(big, back, BIG);
    for (uint32_t i = 0, seed = 1; i < 100; i++) {
        uint32_t at = next_random(&seed) % BIG, want = next_random(&seed) % 50000;

        assert_true(ae_source_seek(s, at));
        n = ae_source_read(s, back, want);
        assert_int_equal(n, want < BIG - at ? want : BIG - at);
        assert_memory_equal(back, big + at, n);
    }
    assert_true(ae_source_seek(s, BIG));
    assert_int_equal(ae_source_read(s, back, 1), 0);
    assert_false(ae_source_seek(s, BIG + 1));
}

static void test_sources(void **state)
{
    ae_source *s;
    int saved = dup(STDIN_FILENO), ends[2];
    pid_t child;

    (void)state;
    assert_ok(ae_source_memory(big, BIG, &s, &util_err));
    check_source(s);
    ae_source_free(s);
    put_file(in_dir("big"), big, BIG);
    assert_ok(ae_source_open(in_dir("big"), &s, &util_err));
    check_source(s);
    ae_source_free(s);

    /* Standard input as a file, as a file whose first bytes are gone, and as a pipe. */
    assert_int_equal(dup2(open(in_dir("big"), O_RDONLY), STDIN_FILENO), STDIN_FILENO);
    assert_ok(ae_source_open("-", &s, &util_err));
    check_source(s);
    ae_source_free(s);
    assert_int_equal(lseek(STDIN_FILENO, 100, SEEK_SET), 100);
    assert_ok(ae_source_open("-", &s, &util_err));
    assert_int_equal(ae_source_size(s), BIG - 100);
    assert_int_equal(ae_source_read(s, back, BIG), BIG - 100);
    assert_memory_equal(back, big + 100, BIG - 100);
    ae_source_free(s);
    assert_int_equal(pipe(ends), 0);
    child = fork();
    if (child == 0) {
        close(ends[0]);
        _exit(write(ends[1], big, BIG) != BIG);
    }
    close(ends[1]);
    assert_int_equal(dup2(ends[0], STDIN_FILENO), STDIN_FILENO);
    close(ends[0]);
    assert_ok(ae_source_open("-", &s, &util_err));
    assert_string_equal(ae_source_name(s), "standard input");
    check_source(s);
    ae_source_free(s);
    dup2(saved, STDIN_FILENO);
    close(saved);
}

static void test_bad_sources(void **state)
{
    ae_source *s = (ae_source *)1;
    ae_error err;

    (void)state;
    assert_int_equal(ae_source_open(in_dir("none"), &s, &err), AE_ERR_IO);
    assert_null(s);
    assert_string_equal(err.message, "No such file or directory");
    assert_int_equal(ae_source_open(dir, &s, &err), AE_ERR_IO);
    assert_string_equal(err.message, "is a directory");
    put_file(in_dir("empty"), "", 0);
    assert_int_equal(ae_source_open(in_dir("empty"), &s, &err), AE_ERR_MALFORMED);
    assert_string_equal(err.message, "is empty");
    assert_int_equal(ae_source_open("/dev/null", &s, &err), AE_ERR_MALFORMED);
    assert_int_equal(ae_source_open("/dev/zero", &s, &err), AE_ERR_IO);
    assert_int_equal(ae_source_memory("", 0, &s, &err), AE_ERR_MALFORMED);
}

static ae_status put(const char *path, const char *input, unsigned flags, ae_error *err)
{
    ae_output *o;
    ae_sink *sink;
    ae_status st = ae_output_open(path, input, flags, &o, err);

    if (st != AE_OK)
        return st;
    sink = ae_output_sink(o);
    for (size_t at = 0, n = 1; at < BIG && st == AE_OK; at += n, n = n * 5 % 70001) {
        n = n < BIG - at ? n : BIG - at;
        st = sink->write(sink->opaque, big + at, n, err);
    }
    if (st != AE_OK) {
        ae_output_discard(o);
        return st;
    }
    return ae_output_commit(o, err);
}

static void test_output(void **state)
{
    struct stat info;
    ae_error err;

    (void)state;
    umask(022);
    assert_ok(put(in_dir("out"), NULL, 0, &util_err));
    assert_int_equal(get_file(in_dir("out"), back, BIG + 1), BIG);
    assert_memory_equal(big, back, BIG);
    assert_int_equal(stat(in_dir("out"), &info), 0);
    assert_int_equal(info.st_mode & 0777, 0644);

    assert_int_equal(put(in_dir("out"), NULL, 0, &err), AE_ERR_ARGUMENT);
    assert_string_equal(err.message, "exists already");
    put_file(in_dir("out"), "old", 3);
    assert_int_equal(chmod(in_dir("out"), 0600), 0);
    assert_int_equal(symlink("out", in_dir("link")), 0);
    assert_ok(put(in_dir("link"), NULL, AE_OUTPUT_FORCE, &util_err));
    assert_int_equal(lstat(in_dir("link"), &info), 0);
    assert_true(S_ISLNK(info.st_mode));
    assert_int_equal(get_file(in_dir("out"), back, BIG + 1), BIG);
    assert_int_equal(stat(in_dir("out"), &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);

    assert_int_equal(link(in_dir("out"), in_dir("same")), 0);
    assert_int_equal(put(in_dir("same"), in_dir("out"), AE_OUTPUT_FORCE, &err), AE_ERR_ARGUMENT);
    assert_string_equal(err.message, "input and output are the same file");
    assert_ok(put(in_dir("same"), in_dir("out"), AE_OUTPUT_IN_PLACE, &util_err));

    assert_int_equal(put(dir, NULL, AE_OUTPUT_FORCE, &err), AE_ERR_IO);
    assert_int_equal(put(in_dir("none/out"), NULL, 0, &err), AE_ERR_IO);
    assert_int_equal(count_files(), 3); /* out, link, same */
}

/* A target that appears while its content is being written is not overwritten without
 * AE_OUTPUT_FORCE. */
static void test_output_race(void **state)
{
    ae_output *o;

    (void)state;
    assert_ok(ae_output_open(in_dir("race"), NULL, 0, &o, &util_err));
    put_file(in_dir("race"), "other", 5);
    assert_int_equal(ae_output_commit(o, NULL), AE_ERR_ARGUMENT);
    assert_int_equal(get_file(in_dir("race"), back, BIG), 5);
    assert_int_equal(count_files(), 1);
}

static void test_full_disk(void **state)
{
    ae_error err;

    (void)state;
    assert_int_equal(put("/dev/full", NULL, 0, &err), AE_ERR_IO);
    assert_string_equal(err.message, "write: No space left on device");
}

static void test_nothing_left(void **state)
{
    ae_output *a, *b;
    ae_sink *sink;

    (void)state;
    assert_ok(ae_output_open(in_dir("a"), NULL, 0, &a, &util_err));
    assert_ok(ae_output_open(in_dir("b"), NULL, 0, &b, &util_err));
    sink = ae_output_sink(a);
    assert_ok(sink->write(sink->opaque, big, BIG, &util_err));
    assert_int_equal(count_files(), 2);
    ae_output_discard(a);
    assert_int_equal(count_files(), 1);
    ae_output_remove_pending();
    assert_int_equal(count_files(), 0);
    assert_int_equal(ae_output_commit(b, NULL), AE_ERR_IO);
    assert_int_equal(count_files(), 0);
}

/* Many more outputs than there is room to remember. */
static void test_many_outputs(void **state)
{
    enum { N = 200 };
    ae_output *o[N];
    char name[16];

    (void)state;
    for (int i = 0; i < N; i++) {
        snprintf(name, sizeof(name), "o%d", i);
        assert_ok(ae_output_open(in_dir(name), NULL, 0, &o[i], &util_err));
    }
    for (int i = 0; i < N; i++)
        assert_ok(ae_output_commit(o[i], &util_err));
    assert_int_equal(count_files(), N);
}

static void test_seeking(void **state)
{
    ae_memory_output memory;
    ae_output *o;
    ae_sink *sinks[2];
    uint8_t expected[100] = {0};

    (void)state;
    ae_memory_output_init(&memory);
    assert_ok(ae_output_open(in_dir("seek"), NULL, 0, &o, &util_err));
    sinks[0] = &memory.sink;
    sinks[1] = ae_output_sink(o);
    for (int i = 0; i < 2; i++) {
        assert_ok(sinks[i]->seek(sinks[i]->opaque, 90, &util_err));
        assert_ok(sinks[i]->write(sinks[i]->opaque, "0123456789", 10, &util_err));
        assert_ok(sinks[i]->seek(sinks[i]->opaque, 3, &util_err));
        assert_ok(sinks[i]->write(sinks[i]->opaque, "abc", 3, &util_err));
    }
    assert_ok(ae_output_commit(o, &util_err));
    memcpy(expected + 90, "0123456789", 10);
    memcpy(expected + 3, "abc", 3);
    assert_int_equal(memory.n_bytes, 100);
    assert_memory_equal(memory.data, expected, 100);
    assert_int_equal(get_file(in_dir("seek"), back, BIG), 100);
    assert_memory_equal(back, expected, 100);
    ae_free(memory.data);
}

/* Formats that need to seek reach a pipe through a temporary file, and are the same there. */
static void test_writing_to_a_pipe(void **state)
{
    static const char *const names[] = {"pfm", "tiff", "bmp"};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        ae_signal_info info = make_info(33, 21, AE_U8, 3);
        void *pixels = make_noise(&info, 3);
        file_bytes file;
        ae_memory_output memory;
        ae_encoder encoder;

        assert_ok(encode(names[i], &info, pixels, NULL, NULL, 4, &file, NULL, &util_err));
        ae_memory_output_init(&memory);
        memory.sink.seek = NULL;
        assert_ok(ae_encoder_open(ae_codec_for_name(names[i]), &memory.sink, &info, NULL, NULL,
                                  &encoder, &util_err));
        assert_ok(ae_encoder_write(&encoder, pixels, 21, &util_err));
        assert_ok(ae_encoder_finish(&encoder, &util_err));
        assert_int_equal(memory.n_bytes, file.n_bytes);
        assert_memory_equal(memory.data, file.data, file.n_bytes);
        ae_free(memory.data);
        ae_free(file.data);
        ae_free(pixels);
    }
}

/* A sink that fails after so many bytes. */
typedef struct broken {
    size_t left;
} broken;

static ae_status broken_write(void *opaque, const void *data, size_t n_bytes, ae_error *err)
{
    broken *b = opaque;

    (void)data;
    if (n_bytes > b->left)
        return ae_fail(err, AE_ERR_IO, "broken pipe");
    b->left -= n_bytes;
    return AE_OK;
}

static ae_status broken_seek(void *opaque, uint64_t offset, ae_error *err)
{
    (void)opaque;
    (void)offset;
    (void)err;
    return AE_OK;
}

static void test_failing_sink(void **state)
{
    ae_signal_info picture = make_info(90, 60, AE_U8, 3);
    ae_signal_info sound = {.kind = AE_KIND_AUDIO,
                            .sample = AE_S16,
                            .bits = 16,
                            .channels = 2,
                            .width = 1,
                            .height = 60,
                            .rate = 48000};
    ae_signal_info tensor = {.kind = AE_KIND_TENSOR,
                             .sample = AE_U8,
                             .bits = 8,
                             .channels = 1,
                             .width = 270,
                             .height = 60};
    void *pixels = make_noise(&picture, 4);

    (void)state;
    for (const ae_codec *const *c = ae_codecs; *c; c++) {
        ae_signal_info info = (*c)->kind == AE_KIND_AUDIO    ? sound
                              : (*c)->kind == AE_KIND_TENSOR ? tensor
                                                             : picture;

        for (int seekable = 0; (*c)->create && seekable < 2; seekable++) {
            bool succeeded = false;

            for (size_t n = 0; !succeeded; n = n < 100 ? n + 7 : n * 2) {
                broken b = {n};
                ae_sink sink = {
                    .opaque = &b, .write = broken_write, .seek = seekable ? broken_seek : NULL};
                ae_encoder encoder;
                ae_error err = {0};
                ae_status st = ae_encoder_open(*c, &sink, &info, NULL, NULL, &encoder, &err);

                if (st == AE_OK)
                    st = ae_encoder_write(&encoder, pixels, 60, &err);
                if (st == AE_OK)
                    st = ae_encoder_finish(&encoder, &err);
                else
                    ae_encoder_abandon(&encoder);
                succeeded = st == AE_OK;
                if (!succeeded) {
                    assert_int_equal(st, AE_ERR_IO);
                    assert_string_equal(err.message, "broken pipe");
                }
                assert_true(n < 1 << 22);
            }
        }
    }
    ae_free(pixels);
}

/* A few bytes of a data set that names gigabytes, and pictures in memory that only libraries take:
 * all within the budget. */
static void test_budget(void **state)
{
    static const char *const whole[] = {"png", "webp", "avif", "jxl"};
    uint8_t head[16] = {0, 0, 8, 3, 0, 0, 0x40, 0, 0, 0, 1, 0, 0, 0, 1, 0},
            *plain = ae_alloc(1 << 20, 1), packed[4096];
    z_stream z = {
        .next_in = plain, .avail_in = 1 << 20, .next_out = packed, .avail_out = sizeof(packed)};
    ae_source *source;
    ae_reader reader;
    ae_error err;
    void *all;

    (void)state;
    memcpy(plain, head, sizeof(head)); /* 16384 pictures of 256 x 256, and a megabyte of them */
    assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 9, 0), Z_OK);
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    deflateEnd(&z);
    ae_free(plain);
    ae_memory_limit(UINT64_C(200) << 20);
    assert_ok(ae_source_memory(packed, z.total_out, &source, &util_err));
    if (ae_reader_open(source, NULL, &reader, &err) == AE_OK) {
        /* and not out of memory */
        assert_int_equal(ae_reader_read_all(&reader, &all, &err), AE_ERR_MALFORMED);
        ae_reader_close(&reader);
    }
    ae_source_free(source);
    ae_memory_limit(0);

    for (size_t i = 0; i < sizeof(whole) / sizeof(*whole); i++) {
        const ae_codec *codec = ae_codec_for_name(whole[i]);
        ae_signal_info info = make_info(500, 400, AE_U8, 3);
        void *pixels = make_smooth(&info);
        file_bytes file;
        uint64_t before;
        decoded d;

        if (!codec) { /* not built */
            ae_free(pixels);
            continue;
        }
        assert_ok(encode(whole[i], &info, pixels, NULL, &(ae_write_options){.lossless = true}, 400,
                         &file, NULL, &util_err));
        before = ae_memory_left();
        assert_ok(decode(file, NULL, 400, &d, &util_err));
        decode_close(&d);
        assert_int_equal(ae_memory_left(), before); /* given back */
        /* half a megabyte more than is taken */
        ae_memory_limit(UINT64_MAX - before + (UINT64_C(500) << 10));
        assert_int_not_equal(decode(file, NULL, 400, &d, &err), AE_OK);
        assert_non_null(strstr(err.message, "max_memory"));
        ae_memory_limit(0);
        ae_free(file.data);
        ae_free(pixels);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_sources, clear_dir),
        cmocka_unit_test_teardown(test_bad_sources, clear_dir),
        cmocka_unit_test_teardown(test_output, clear_dir),
        cmocka_unit_test_teardown(test_output_race, clear_dir),
        cmocka_unit_test(test_full_disk),
        cmocka_unit_test_teardown(test_nothing_left, clear_dir),
        cmocka_unit_test_teardown(test_many_outputs, clear_dir),
        cmocka_unit_test_teardown(test_seeking, clear_dir),
        cmocka_unit_test(test_writing_to_a_pipe),
        cmocka_unit_test(test_failing_sink),
        cmocka_unit_test(test_budget),
    };
    uint32_t seed = 42;
    int failed;

    for (size_t i = 0; i < BIG; i++)
        big[i] = (uint8_t)next_random(&seed);
    if (!mkdtemp(dir))
        return 1;
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    rmdir(dir);
    return failed;
}
