/* SPDX-License-Identifier: BSD-2-Clause
 *
 * AEI_CLONES before a function compiles it for several instruction sets, chosen when the program is
 * loaded, which is before ThreadSanitizer is ready. The results are the same: contraction is off,
 * and sums are not reordered. */
#ifndef AEI_CLONES_H
#define AEI_CLONES_H

#if defined(__x86_64__) && defined(__gnu_linux__) && defined(__GNUC__) && !defined(__clang__) &&   \
    !defined(__SANITIZE_THREAD__)
#define AEI_CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define AEI_CLONES
#endif

#endif
