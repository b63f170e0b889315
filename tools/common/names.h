/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the output of each input is called. No two outputs of one run share a file. */
#ifndef CLI_NAMES_H
#define CLI_NAMES_H

#include "common/inputs.h"

typedef struct cli_naming {
    const char *output;         /* of --output, or NULL: beside the inputs */
    bool to_directory;          /* output is one */
    const char *beside, *under; /* as in cli_job */
    void *opaque;
    const char *(*suffix)(void *opaque, const char *input); /* as in cli_job, or NULL */
} cli_naming;

#define CLI_NO_CLASH SIZE_MAX

typedef struct cli_target {
    char *path;
    size_t clash; /* an earlier input whose output this is already, or CLI_NO_CLASH */
} cli_target;

/* A name for each input. Where several would share one, those whose suffix was replaced keep it
 * (a.jpg.aec beside a.png.aec); where that is not enough they keep the directory that they lay in
 * (out/t1/a.png beside out/t2/a.png); of what is alike even then the first gets the name. Missing
 * inputs take none away. NULL where memory fails. */
cli_target *cli_names_make(const cli_naming *naming, const cli_inputs *inputs);
void cli_names_free(cli_target *names, size_t n);

/* out/scan.tif of the 3rd of 12 pictures is out/scan-03.tif. An ae_alloc string or NULL. */
char *cli_name_numbered(const char *path, uint32_t k, uint32_t n);

/* Whether a file name looks like one that the pattern made. */
bool cli_name_made_by(const char *pattern, const char *path);
const char *cli_base_name(const char *path);
/* What follows the last dot of a path's base name; "" for hidden files and names without one. */
const char *cli_name_suffix(const char *path);
/* Whether two paths are one file, or would be once written. */
bool cli_same_file(const char *a, const char *b);

#endif
