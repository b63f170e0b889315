/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Preloaded: a libpng with holes, which a picture's width opens.
 *   76  crashes in the third row
 *   77  crashes in the header
 *   78  is taken over: it tries what a decoder has no business with, and aborts if any of it can be
 *       done
 *   79  ends its process
 * And writing a picture 80 wide, which the tool itself does, tries to start a program, to reach the
 * network, and to write where no output goes. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <png.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LATE_CRASH = 76, CRASH = 77, TAKEN_OVER = 78, END = 79, TOOL = 80 };

static png_uint_32 width;

static void crash(void)
{
    static int *volatile nowhere;

    *nowhere = 1;
}

static void must_fail(int result)
{
    if (result >= 0)
        abort();
}

static void take_over(void)
{
    char *none[] = {NULL};

    must_fail(open("/etc/passwd", O_RDONLY));
    must_fail(open("escaped", O_WRONLY | O_CREAT, 0600));
    must_fail(mkdir("escaped", 0700));
    must_fail(unlink("keep"));
    must_fail(rename("keep", "escaped"));
    must_fail(socket(AF_INET, SOCK_STREAM, 0));
    must_fail(socket(AF_UNIX, SOCK_STREAM, 0));
    must_fail(fork());
    must_fail(execve("/bin/true", none, none));
    must_fail(kill(getppid(), 0));
    must_fail((int)ptrace(PTRACE_TRACEME, 0, NULL, NULL));
    must_fail(mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1,
                   0) == MAP_FAILED
                  ? -1
                  : 0);
}

void png_write_info(png_structrp png, png_const_inforp info)
{
    void (*real)(png_structrp, png_const_inforp);
    char *none[] = {NULL};

    *(void **)&real = dlsym(RTLD_NEXT, "png_write_info");
    if (png_get_image_width(png, info) == TOOL) {
        must_fail(socket(AF_INET, SOCK_STREAM, 0));
        must_fail(fork());
        must_fail(execve("/bin/false", none, none));
        must_fail(open("escaped", O_WRONLY | O_CREAT, 0600));
        must_fail(open("keep", O_WRONLY));
        must_fail(truncate("keep", 0));
        must_fail(mkdir("escaped", 0700));
        must_fail(unlink("keep"));
        must_fail(rename("made/first.aec", "escaped"));
        must_fail(link("keep", "made/keep"));
        must_fail((int)ptrace(PTRACE_TRACEME, 0, NULL, NULL));
    }
    real(png, info);
}

void png_read_info(png_structrp png, png_inforp info)
{
    void (*real)(png_structrp, png_inforp);

    *(void **)&real = dlsym(RTLD_NEXT, "png_read_info");
    real(png, info);
    width = png_get_image_width(png, info);
    switch (width) {
    case CRASH: crash(); break;
    case TAKEN_OVER: take_over(); break;
    case END: _exit(0);
    default: break;
    }
}

void png_read_row(png_structrp png, png_bytep row, png_bytep display)
{
    void (*real)(png_structrp, png_bytep, png_bytep);

    *(void **)&real = dlsym(RTLD_NEXT, "png_read_row");
    real(png, row, display);
    if (width == LATE_CRASH && png_get_current_row_number(png) == 2)
        crash();
}
