/* SPDX-License-Identifier: BSD-2-Clause
 *
 * How much of the noise is left in a result, whatever else was lost: noise_left CLEAN NOISY
 * RESULT...  prints a share for each, the projection of what differs from the clean picture on the
 * noise that was there. */
#include "picture.h"

int main(int argc, char **argv)
{
    ae_signal_info info[2];
    size_t n, n_other;
    float *clean, *noisy;

    if (argc < 4) {
        fprintf(stderr, "usage: noise_left CLEAN NOISY RESULT...\n");
        return 2;
    }
    clean = load_picture(argv[1], &info[0], &n);
    noisy = load_picture(argv[2], &info[1], &n_other);
    for (int i = 3; i < argc && n == n_other; i++) {
        float *result = load_picture(argv[i], &info[1], &n_other);
        double both = 0, all = 0;

        for (size_t k = 0; k < n && n == n_other; k++) {
            double noise = (double)noisy[k] - (double)clean[k];

            both += noise * ((double)result[k] - (double)clean[k]);
            all += noise * noise;
        }
        printf("%.4f\n", all > 0 ? both / all : 0);
        ae_free(result);
    }
    ae_free(noisy);
    ae_free(clean);
    if (n != n_other)
        fprintf(stderr, "noise_left: the pictures are not of one size\n");
    return n == n_other ? 0 : 1;
}
