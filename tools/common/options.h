/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The command line: one table per tool drives parsing, --help (whose defaults are the variables'
 * own values) and, through --help, the test that the man page names every option. Also what every
 * tool does first: version check and signals. */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include "ae/output.h"

typedef enum cli_type {
    CLI_END = 0,
    CLI_HEADING,  /* `help` is a heading of --help */
    CLI_FLAG,     /* bool: true where given */
    CLI_COUNT,    /* uint32_t: how often */
    CLI_INT,      /* uint32_t in [min, max] */
    CLI_NUMBER,   /* double in [min, max] */
    CLI_STRING,   /* const char * */
    CLI_STRINGS,  /* cli_strings: each time that it is given */
    CLI_SIZE,     /* uint64_t bytes: 1500, 64K, 2G, 1.5GiB (powers of 1024) */
    CLI_DURATION, /* double seconds: 90, 90s, 5m, 1.5h, 2d, 1:30, 1:02:03 */
    /* const char *: NULL where absent, "" where given without an argument or with "-";
     * --name=ARG only */
    CLI_OPTIONAL,
    CLI_CHOICE, /* uint32_t: index into `argument`, "auto|f32|bf16" */
    CLI_JOBS    /* uint32_t in [1, max], or "auto": the processors that are idle */
} cli_type;

typedef struct cli_strings {
    const char **items;
    size_t n;
} cli_strings;

typedef struct cli_option {
    char letter; /* 0: long form only */
    const char *name;
    cli_type type;
    /* holds the default beforehand; NULL, numbers below min, 0 of a CLI_SIZE or CLI_DURATION: none
     */
    void *value;
    const char *argument; /* "N", as --help names it */
    const char *help;     /* lower case, without full stop; --help wraps it */
    double min, max;      /* CLI_INT, CLI_NUMBER: no limits where both are 0 */
} cli_option;

typedef struct cli_tool {
    const char *name;          /* "aedenoise" */
    const char *usage;         /* "[OPTION]... [FILE|DIRECTORY]..." */
    const char *about;         /* a sentence or two */
    const cli_option *options; /* ends with CLI_END; -h, --help, -V and --version are added */
    const char *notes;         /* printed after the options as it stands; may be NULL */
} cli_tool;

enum { CLI_GO_ON = -1, CLI_OK = 0, CLI_FAILED = 1, CLI_USAGE = 2 };

/* Checks the library's version, sets up signals (below), parses. Returns CLI_GO_ON, or the exit
 * status after --help, --version or a usage error that has been reported. The operands are
 * (*operands)[0 .. *n_operands), permuted to the end of argv. */
int cli_start(const cli_tool *tool, int argc, char **argv, char ***operands, int *n_operands);

/* Set by SIGINT, SIGTERM and SIGHUP; another a second or more later calls cli_clean_up
 * (async-signal-safe, or NULL) and ends the process. SIGPIPE and SIGXFSZ are ignored: writes fail
 * instead. */
extern ae_cancel cli_cancel;
int cli_interrupted(void); /* the exit status then: 128 + the signal's number */
extern void (*cli_clean_up)(void);
/* Of tools that read files of strangers: takes away rights from what decodes them, unless
 * --no-confine, once options are parsed and before there are threads. Says in `what` what came of
 * it. NULL: none. */
extern bool (*cli_confine)(char what[160]);
/* Before there are threads: files are written nowhere but where these go, NULL for none, unless
 * --no-confine says otherwise. */
void cli_confine_writes(const char **paths, size_t n);

/* Options already parsed that exclude each other and the like: reports "NAME: message (try --help)"
 * and returns CLI_USAGE. */
int cli_usage(const char *format, ...) AE_PRINTF(1, 2);

/* Whether all that was printed has reached standard output, also what was printed long ago. */
bool cli_printed(void);

uint32_t cli_processors(void); /* the default of --jobs */

/* The conversions behind the table, for tests and for values inside files. False where text is not
 * one. */
bool cli_parse_size(const char *text, uint64_t *bytes);
bool cli_parse_duration(const char *text, double *seconds);

/* ae_output_open of a tool that has --force, which it names where that would help. */
ae_status cli_output_open(const char *path, const char *input, bool force, ae_output **out,
                          ae_error *err);
ae_status cli_output_open_at(int directory, const char *path, const char *input, unsigned flags,
                             ae_output **out, ae_error *err);

#endif
