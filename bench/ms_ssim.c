/* SPDX-License-Identifier: BSD-2-Clause
 *
 * MS-SSIM of pictures against their references, of luma (BT.601):  ms_ssim A B [A B ...]  prints
 * one line a pair. */
#include "ae/similarity.h"
#include "picture.h"

static const float weights[3] = {0.299f, 0.587f, 0.114f};

static float *luma_of(const char *path, ae_signal_info *info)
{
    size_t n;
    float *pixels = load_picture(path, info, &n),
          *luma = ae_alloc(n / info->channels, sizeof(*luma));

    if (!luma) {
        fprintf(stderr, "%s: out of memory\n", path);
        exit(1);
    }
    for (size_t i = 0; i < n / info->channels; i++)
        for (uint32_t k = 0; k < info->channels && k < 3; k++)
            luma[i] += 255 * (info->channels < 3 ? k == 0 : weights[k]) *
                       pixels[i * info->channels + k];
    ae_free(pixels);
    return luma;
}

int main(int argc, char **argv)
{
    if (argc < 3 || argc % 2 == 0) {
        fprintf(stderr, "usage: ms_ssim A B [A B ...]\n");
        return 2;
    }
    for (int i = 1; i < argc; i += 2) {
        ae_signal_info a, b;
        ae_error err;
        ae_similarity *similarity = NULL;
        float *x = luma_of(argv[i], &a), *y = luma_of(argv[i + 1], &b);

        if (a.width != b.width || a.height != b.height ||
            ae_similarity_create((uint32_t)a.width, &similarity, &err) != AE_OK) {
            fprintf(stderr, "ms_ssim: %s and %s differ in size\n", argv[i], argv[i + 1]);
            return 1;
        }
        for (uint64_t row = 0; row < a.height; row++)
            ae_similarity_add(similarity, x + row * a.width, y + row * a.width);
        printf("%.6f %s %s\n", ae_similarity_value(similarity), argv[i], argv[i + 1]);
        ae_similarity_free(similarity);
        ae_free(x);
        ae_free(y);
    }
    return 0;
}
