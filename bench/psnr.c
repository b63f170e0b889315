/* SPDX-License-Identifier: BSD-2-Clause
 *
 * PSNR of pictures against their references, 8-bit scale:  psnr A B [A B ...]  prints one line a
 * pair and the mean. */
#include <math.h>

#include "picture.h"

int main(int argc, char **argv)
{
    double mean = 0;

    if (argc < 3 || argc % 2 == 0) {
        fprintf(stderr, "usage: psnr A B [A B ...]\n");
        return 2;
    }
    for (int i = 1; i < argc; i += 2) {
        ae_signal_info a, b;
        size_t n, n_other;
        float *x = load_picture(argv[i], &a, &n), *y = load_picture(argv[i + 1], &b, &n_other);
        double sum = 0, db;

        if (a.width != b.width || a.height != b.height || a.channels != b.channels) {
            fprintf(stderr, "psnr: %s and %s differ in size or channels\n", argv[i], argv[i + 1]);
            return 1;
        }
        for (size_t k = 0; k < n; k++)
            sum += ((double)x[k] - y[k]) * ((double)x[k] - y[k]);
        db = sum > 0 ? 10 * log10((double)n / sum) : INFINITY;
        printf("%.2f %s %s\n", db, argv[i], argv[i + 1]);
        mean += db / (argc / 2);
        ae_free(x);
        ae_free(y);
    }
    printf("mean %.3f dB over %d\n", mean, argc / 2);
    return 0;
}
