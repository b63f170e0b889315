/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Preloaded: a libavformat that crashes where it is told what a new file shall hold. */
#include <signal.h>

int avformat_write_header(void *format, void **options);

int avformat_write_header(void *format, void **options)
{
    (void)format;
    (void)options;
    return raise(SIGSEGV);
}
