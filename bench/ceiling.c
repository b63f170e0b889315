/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The convolution ceiling of one core in GFLOP/s:  ceiling [bf16] */
#include "ceiling.h"

#include <string.h>

int main(int argc, char **argv)
{
    printf("%.1f\n", measure_ceiling(argc > 1 && !strcmp(argv[1], "bf16") ? AE_PRECISION_BF16
                                                                          : AE_PRECISION_F32) *
                         1e-9);
    return 0;
}
