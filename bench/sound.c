/* SPDX-License-Identifier: BSD-2-Clause
 *
 * sound MODEL RATE CHANNELS [live]: interleaved f32 on standard input, the same without noise on
 * standard output; seconds of processor time for each second of sound, by one thread, and memory on
 * standard error. What bench/sound_scores.py measures. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "ae/sound.h"

static double cpu_seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int fail(const char *why)
{
    fprintf(stderr, "sound: %s\n", why);
    return 1;
}

int main(int argc, char **argv)
{
    ae_sound_options o = {.strength = 1, .level = 1, .live = argc > 4};
    ae_error error = {0};
    ae_model *model = NULL;
    ae_sound_denoiser *d = NULL;
    ae_sound_stats stats;
    char path[4096];
    struct rusage usage;
    double rate, start, spent;
    uint32_t channels;
    size_t hop, n, written, room;
    float *in, *out;

    if (argc < 4)
        return fail("usage: sound MODEL RATE CHANNELS [live]");
    rate = atof(argv[2]);
    channels = (uint32_t)atoi(argv[3]);
    if (ae_model_find(argv[1], path, sizeof(path), &error) != AE_OK ||
        ae_model_open(path, NULL, &model, &error) != AE_OK ||
        ae_sound_denoiser_new(model, rate, channels, &o, &d, &error) != AE_OK)
        return fail(error.message);
    hop = (size_t)(rate / 100);
    in = ae_alloc(hop * channels, sizeof(*in));
    room = ae_sound_room(d, hop) + (size_t)rate * 4;
    out = ae_alloc(room * channels, sizeof(*out));
    if (!in || !out)
        return fail("out of memory");
    start = cpu_seconds();
    while ((n = fread(in, channels * sizeof(*in), hop, stdin)) > 0) {
        if (ae_sound_process(d, in, n, out, room, &written, &error) != AE_OK)
            return fail(error.message);
        if (fwrite(out, channels * sizeof(*out), written, stdout) != written)
            return fail(strerror(errno));
    }
    do {
        if (ae_sound_finish(d, out, room, &written, &error) != AE_OK)
            return fail(error.message);
        if (fwrite(out, channels * sizeof(*out), written, stdout) != written)
            return fail(strerror(errno));
    } while (written);
    spent = cpu_seconds() - start;
    ae_sound_stats_get(d, &stats);
    getrusage(RUSAGE_SELF, &usage);
    fprintf(stderr,
            "%.2f s, latency %zu, real-time factor %.4f, %.0f MB, level %.1f to %.1f dB, noise "
            "%.1f dB, SNR %.1f to %.1f "
            "dB\n",
            stats.seconds, ae_sound_latency(d), spent / stats.seconds,
            (double)usage.ru_maxrss / 1024, stats.level_in_db, stats.level_out_db, stats.noise_db,
            stats.snr_before_db, stats.snr_after_db);
    ae_sound_denoiser_free(d);
    ae_model_free(model);
    ae_free(in);
    ae_free(out);
    return fflush(stdout) ? fail(strerror(errno)) : 0;
}
