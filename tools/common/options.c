/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Command lines read by table, and --help made of the same. */
#define _GNU_SOURCE
#include "common/options.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ae/files.h"
#include "ae/temporary.h"
#include "common/progress.h"

enum { MAX_OPTIONS = 96, FIRST_LONG = 256, HELP_COLUMN = 30, HELP_WIDTH = 100 };

ae_cancel cli_cancel;
void (*cli_clean_up)(void);

static volatile sig_atomic_t signal_number;
static struct timespec first_signal;

/* Signals within a second of the first are the same wish: timeout(1) sends its signal to the
 * process and then to the group, a terminal to whoever is in the foreground, beside what a
 * supervisor sends. */
static void on_signal(int number)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    if (!cli_cancel.requested) {
        signal_number = number;
        first_signal = now;
        cli_cancel.requested = 1;
    } else if ((now.tv_sec - first_signal.tv_sec) * 1000000000LL +
                   (now.tv_nsec - first_signal.tv_nsec) >=
               1000000000LL) {
        if (cli_clean_up)
            cli_clean_up();
        _exit(128 + number);
    }
}

int cli_interrupted(void)
{
    return 128 + (signal_number ? signal_number : SIGINT);
}

/* Where the standard input, output or error is closed, the next file opened would get its number:
 * it would be read as what was typed, or have messages written into it. What takes the place
 * instead cannot be read, or written to. */
static void occupy_closed(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0)
            (void)!open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
}

/* Writes beyond a limit of size fail, like those into a closed pipe, instead of ending the process.
 * What nohup has set stays. */
static void set_up_signals(void)
{
    static const int ending[] = {SIGINT, SIGTERM, SIGHUP}, failing[] = {SIGPIPE, SIGXFSZ};
    struct sigaction stop = {.sa_handler = on_signal}, ignore = {.sa_handler = SIG_IGN}, old;

    for (size_t i = 0; i < sizeof(ending) / sizeof(*ending); i++)
        sigaddset(&stop.sa_mask, ending[i]);
    for (size_t i = 0; i < sizeof(ending) / sizeof(*ending); i++)
        if (sigaction(ending[i], NULL, &old) == 0 &&
            (ending[i] != SIGHUP || old.sa_handler != SIG_IGN))
            sigaction(ending[i], &stop, NULL);
    for (size_t i = 0; i < sizeof(failing) / sizeof(*failing); i++)
        sigaction(failing[i], &ignore, NULL);
}

int cli_usage(const char *format, ...)
{
    char text[600];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    cli_message("%s (try --help)", text);
    return CLI_USAGE;
}

/* A finite number at the start of text; *end is what follows it. */
static bool parse_number(const char *text, double *value, char **end)
{
    errno = 0;
    *value = strtod(text, end);
    return *end != text && errno == 0 && isfinite(*value);
}

bool cli_parse_size(const char *text, uint64_t *bytes)
{
    static const char units[] = "KMGT";
    char *end;
    double v;
    const char *unit;

    if (!parse_number(text, &v, &end) || v < 0)
        return false;
    if (*end && (unit = strchr(units, *end >= 'a' ? *end - 'a' + 'A' : *end)) != NULL) {
        v *= pow(1024, (double)(unit - units + 1));
        end++;
        if (*end == 'i' && (end[1] == 'B' || end[1] == 'b'))
            end++;
    }
    if (*end == 'B' || *end == 'b')
        end++;
    if (*end || v >= 0x1p63)
        return false;
    *bytes = (uint64_t)v;
    return true;
}

bool cli_parse_duration(const char *text, double *seconds)
{
    double total = 0, v;
    char *end;

    for (int part = 0; part < 3; part++) {
        if (!parse_number(text, &v, &end) || v < 0 || (part && v >= 60))
            return false;
        total = total * 60 + v;
        if (*end != ':') {
            double unit = !part && *end == 'm'   ? 60
                          : !part && *end == 'h' ? 3600
                          : !part && *end == 'd' ? 86400
                                                 : 1;

            if (unit > 1 || (!part && *end == 's'))
                end++;
            *seconds = total * unit;
            return !*end;
        }
        text = end + 1;
    }
    return false;
}

static bool parse_choice(const char *choices, const char *text, uint32_t *index)
{
    size_t n = strlen(text);

    for (uint32_t i = 0;; i++) {
        size_t length = strcspn(choices, "|");

        if (length == n && memcmp(choices, text, n) == 0) {
            *index = i;
            return true;
        }
        if (!choices[length])
            return false;
        choices += length + 1;
    }
}

uint32_t cli_processors(void)
{
    long n = sysconf(_SC_NPROCESSORS_ONLN);

    return n > 0 ? (uint32_t)n : 1;
}

/* Those that others leave free, by the load of the last minute; at least one. */
static uint32_t idle_processors(void)
{
    double load, processors = cli_processors();

    if (getloadavg(&load, 1) == 1)
        processors -= load;
    return processors > 1 ? (uint32_t)(processors + 0.5) : 1;
}

static int add_string(cli_strings *to, const char *argument)
{
    const char **items = ae_realloc(to->items, to->n * sizeof(*items),
                                    (to->n + 1) * sizeof(*items));

    if (!items) {
        cli_message("out of memory");
        return CLI_FAILED;
    }
    to->items = items;
    to->items[to->n++] = argument;
    return CLI_GO_ON;
}

static int store(const cli_option *o, const char *argument)
{
    bool limited = o->min != 0 || o->max != 0;
    double v;
    char *end;

    switch (o->type) {
    case CLI_FLAG: *(bool *)o->value = true; break;
    case CLI_COUNT: ++*(uint32_t *)o->value; break;
    case CLI_STRING: *(const char **)o->value = argument; break;
    case CLI_STRINGS: return add_string(o->value, argument);
    case CLI_OPTIONAL:
        *(const char **)o->value = argument && strcmp(argument, "-") != 0 ? argument : "";
        break;
    case CLI_INT:
        if (!parse_number(argument, &v, &end) || *end || v != floor(v) || v < 0 || v > UINT32_MAX)
            return cli_usage("--%s: '%s' is not a whole number", o->name, argument);
        if (limited && !(v >= o->min && v <= o->max))
            return cli_usage("--%s: %s is not between %.0f and %.0f", o->name, argument, o->min,
                             o->max);
        *(uint32_t *)o->value = (uint32_t)v;
        break;
    case CLI_JOBS:
        if (strcmp(argument, "auto") == 0)
            *(uint32_t *)o->value = idle_processors();
        else if (!parse_number(argument, &v, &end) || *end || v != floor(v) ||
                 !(v >= 1 && v <= o->max))
            return cli_usage("--%s: '%s' is neither auto nor a whole number from 1 to %.0f",
                             o->name, argument, o->max);
        else
            *(uint32_t *)o->value = (uint32_t)v;
        break;
    case CLI_NUMBER:
        if (!parse_number(argument, &v, &end) || *end)
            return cli_usage("--%s: '%s' is not a number", o->name, argument);
        if (limited && !(v >= o->min && v <= o->max))
            return cli_usage("--%s: %s is not between %g and %g", o->name, argument, o->min,
                             o->max);
        *(double *)o->value = v;
        break;
    case CLI_SIZE:
        if (!cli_parse_size(argument, o->value))
            return cli_usage("--%s: '%s' is not a size such as 64M or 2G", o->name, argument);
        break;
    case CLI_DURATION:
        if (!cli_parse_duration(argument, o->value))
            return cli_usage("--%s: '%s' is not a time such as 90s, 5m, 1.5h or 1:30", o->name,
                             argument);
        break;
    case CLI_CHOICE:
        if (!parse_choice(o->argument, argument, o->value))
            return cli_usage("--%s: '%s' is not one of %s", o->name, argument, o->argument);
        break;
    case CLI_HEADING:
    case CLI_END: break;
    }
    return CLI_GO_ON;
}

/* " [default: 512]" or "". */
static void format_default(const cli_option *o, char *to, size_t n)
{
    const char *text = NULL;
    char number[64] = "";

    switch (o->type) {
    case CLI_INT:
    case CLI_JOBS:
        if (*(uint32_t *)o->value >= o->min)
            snprintf(number, sizeof(number), "%u", *(uint32_t *)o->value);
        break;
    case CLI_NUMBER:
        if (*(double *)o->value >= o->min)
            snprintf(number, sizeof(number), "%g", *(double *)o->value);
        break;
    case CLI_SIZE:
        if (*(uint64_t *)o->value) {
            uint64_t v = *(uint64_t *)o->value;
            int unit = 0;

            for (; unit < 4 && v % 1024 == 0; unit++)
                v /= 1024;
            snprintf(number, sizeof(number), "%llu%.1s", (unsigned long long)v,
                     unit ? &"KMGT"[unit - 1] : "");
        }
        break;
    case CLI_DURATION:
        if (*(double *)o->value > 0)
            snprintf(number, sizeof(number), "%gs", *(double *)o->value);
        break;
    case CLI_STRING: text = *(const char **)o->value; break;
    case CLI_CHOICE: {
        const char *choice = o->argument;

        for (uint32_t i = *(uint32_t *)o->value; i; i--)
            choice += strcspn(choice, "|") + 1;
        snprintf(number, sizeof(number), "%.*s", (int)strcspn(choice, "|"), choice);
        break;
    }
    default: break;
    }
    if (!text)
        text = number;
    snprintf(to, n, *text ? " [default: %s]" : "", text);
}

/* Prints text word by word from `column` on, wrapped at HELP_WIDTH and continued at `indent`. */
static void print_wrapped(const char *text, int column, int indent)
{
    while (*text) {
        int n = (int)strcspn(text, " ");

        if (column + n + 1 > HELP_WIDTH && column > indent) {
            printf("\n%*s", indent, "");
            column = indent;
        } else if (column > indent) {
            putchar(' ');
            column++;
        }
        printf("%.*s", n, text);
        column += n;
        text += n;
        text += strspn(text, " ");
    }
    putchar('\n');
}

static void print_option(const cli_option *o)
{
    char text[512], preset[160];
    char letter[3] = {'-', o->letter, 0};
    int n = printf("  %2s%s --%s", o->letter ? letter : "", o->letter ? "," : " ", o->name);

    if (o->argument)
        n += o->type == CLI_OPTIONAL ? printf("[=%s]", o->argument) : printf(" %s", o->argument);
    if (n + 2 > HELP_COLUMN)
        n = printf("\n") - 1;
    printf("%*s", HELP_COLUMN - n, "");
    format_default(o, preset, sizeof(preset));
    snprintf(text, sizeof(text), "%s%s", o->help, preset);
    print_wrapped(text, HELP_COLUMN, HELP_COLUMN);
}

/* Places in the table. */
enum { HELP = 3, VERSION };
static uint64_t max_memory;
static bool no_sync, no_confine;

/* clang-format off */
static const cli_option built_in[] = {
    {0, "max-memory", CLI_SIZE, &max_memory, "SIZE",
     "take no more memory than that; half of the machine's where not given", 0, 0},
    {0, "no-sync", CLI_FLAG, &no_sync, NULL, "do not wait until what is written is on the disk", 0,
     0},
    {0, "no-confine", CLI_FLAG, &no_confine, NULL,
     "decode files in the tool's own process: a crash ends it, and a file that takes it over has "
     "all its rights", 0, 0},
    {'h', "help", CLI_FLAG, NULL, NULL, "print this and exit", 0, 0},
    {'V', "version", CLI_FLAG, NULL, NULL, "print the version and exit", 0, 0},
    {0},
};
/* clang-format on */

static void print_help(const cli_tool *tool)
{
    printf("Usage: %s %s\n", tool->name, tool->usage);
    print_wrapped(tool->about, 0, 0);
    for (const cli_option *o = tool->options; o->type != CLI_END; o++)
        if (o->type == CLI_HEADING)
            printf("\n%s:\n", o->help);
        else
            print_option(o);
    for (const cli_option *o = built_in; o->type != CLI_END; o++)
        print_option(o);
    if (tool->notes)
        printf("\n%s", tool->notes);
}

/* Both lists in getopt_long's terms; val of options without a letter: FIRST_LONG + index. */
typedef struct getopt_table {
    struct option longs[MAX_OPTIONS + 1];
    const cli_option *options[MAX_OPTIONS];
    char shorts[2 * MAX_OPTIONS + 2];
    int n;
} getopt_table;

static void add_options(getopt_table *t, const cli_option *options)
{
    for (const cli_option *o = options; o->type != CLI_END && t->n < MAX_OPTIONS; o++) {
        bool bare = o->type == CLI_FLAG || o->type == CLI_COUNT;

        if (o->type == CLI_HEADING)
            continue;
        t->longs[t->n] = (struct option){o->name,
                                         bare                      ? no_argument
                                         : o->type == CLI_OPTIONAL ? optional_argument
                                                                   : required_argument,
                                         NULL, FIRST_LONG + t->n};
        t->options[t->n++] = o;
        if (o->letter) {
            size_t n = strlen(t->shorts);

            snprintf(t->shorts + n, sizeof(t->shorts) - n, "%c%s", o->letter, bare ? "" : ":");
        }
    }
}

static const cli_option *find_option(const getopt_table *t, int value)
{
    if (value >= FIRST_LONG)
        return t->options[value - FIRST_LONG];
    for (int i = 0; i < t->n; i++)
        if (t->options[i]->letter == value)
            return t->options[i];
    return NULL;
}

static int report_bad_option(const getopt_table *t, int found, const char *word)
{
    const cli_option *o = optopt ? find_option(t, optopt) : NULL;

    if (found == ':')
        return cli_usage("option '--%s' needs an argument", o ? o->name : "?");
    if (o)
        return cli_usage("option '--%s' takes no argument", o->name);
    if (optopt)
        return cli_usage("unknown option '-%c'", optopt);
    return cli_usage("unknown or ambiguous option '%s'", word);
}

/* One walk over argv. Looking for --help and --version goes first, since help shows defaults, not
 * what was parsed before it. */
static int walk(const cli_tool *tool, const getopt_table *t, int argc, char **argv, bool look)
{
    int found, status = CLI_GO_ON;

    optind = 0;
    opterr = 0;
    while (status == CLI_GO_ON &&
           (found = getopt_long(argc, argv, t->shorts, t->longs, NULL)) != -1) {
        const cli_option *o;

        if (found == '?' || found == ':') {
            if (!look)
                status = report_bad_option(t, found, argv[optind - 1]);
            continue;
        }
        o = find_option(t, found);
        if (look && o == &built_in[HELP]) {
            print_help(tool);
            status = CLI_OK;
        } else if (look && o == &built_in[VERSION]) {
            printf("%s (aesuite) %s\n", tool->name, ae_version());
            status = CLI_OK;
        } else if (!look) {
            status = store(o, optarg);
        }
    }
    if (status == CLI_OK && !cli_printed()) {
        cli_message("standard output cannot be written");
        status = CLI_FAILED;
    }
    return status;
}

bool cli_printed(void)
{
    return fflush(stdout) == 0 && !ferror(stdout);
}

bool (*cli_confine)(char what[160]);
static bool verbose;

static void confine(const getopt_table *t)
{
    const cli_option *option = find_option(t, 'v');
    bool self = false;
    char what[160] = "decoders run in this process (--no-confine)";

    if (!cli_confine)
        return;
    if (!no_confine && cli_confine(what))
        self = ae_confine();
    verbose = option && option->type == CLI_COUNT && *(const uint32_t *)option->value;
    if (verbose)
        cli_message("%s; the tool itself %s", what,
                    self ? "starts no program and reaches no network (seccomp)"
                         : "has all its rights");
}

void cli_confine_writes(const char **paths, size_t n)
{
    size_t kept = 0;
    bool done;

    if (!cli_confine || no_confine)
        return;
    for (size_t i = 0; i < n; i++)
        if (paths[i] && *paths[i] && strcmp(paths[i], "-") != 0)
            paths[kept++] = paths[i];
    done = ae_confine_writes(paths, kept);
    if (verbose)
        cli_message(done ? "files are written where the outputs go and nowhere else (Landlock)"
                         : "files could be written anywhere (no Landlock)");
}

int cli_start(const cli_tool *tool, int argc, char **argv, char ***operands, int *n_operands)
{
    getopt_table t = {.shorts = ":"};
    int status;

    cli_name = tool->name;
    occupy_closed();
    if (strcmp(ae_version(), AE_VERSION) != 0) {
        cli_message("made for version " AE_VERSION " of the library, found %s", ae_version());
        return CLI_FAILED;
    }
    set_up_signals();
    add_options(&t, tool->options);
    add_options(&t, built_in);
    status = walk(tool, &t, argc, argv, true);
    if (status == CLI_GO_ON)
        status = walk(tool, &t, argc, argv, false);
    ae_sync_enable(!no_sync);
    ae_memory_limit(max_memory ? max_memory : ae_memory_machine() / 2);
    if (status == CLI_GO_ON)
        confine(&t);
    *operands = argv + optind;
    *n_operands = argc - optind;
    return status;
}

ae_status cli_output_open_at(int directory, const char *path, const char *input, unsigned flags,
                             ae_output **out, ae_error *err)
{
    ae_status st = ae_output_open_at(directory, path, input, flags, out, err);

    return st == AE_ERR_ARGUMENT && strcmp(err->message, "exists already") == 0
               ? ae_fail(err, st, "exists already (-f overwrites it)")
               : st;
}

ae_status cli_output_open(const char *path, const char *input, bool force, ae_output **out,
                          ae_error *err)
{
    return cli_output_open_at(AT_FDCWD, path, input, force ? AE_OUTPUT_FORCE : 0, out, err);
}
