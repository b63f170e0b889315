/* SPDX-License-Identifier: BSD-2-Clause */
#define _GNU_SOURCE
#include "common/batch.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/inputs.h"
#include "common/progress.h"

enum { MAX_WORKERS = 1024 };

typedef struct worker_state {
    cli_batch *batch;
    pthread_t thread;
    bool started;
    double done, amount; /* of the item in hand */
} worker_state;

struct cli_batch {
    const cli_job *job;
    cli_inputs inputs;
    char **outputs;       /* one for each input */
    size_t step, n_items; /* of the shard: every step-th input */
    bool to_directory;
    FILE *json;
    bool close_json;
    double start;
    worker_state *workers;
    uint32_t n_workers;

    pthread_mutex_t mutex; /* of all below */
    size_t next, finished, failed, skipped;
    double amount;         /* of the finished items */
};

/* ---- names ---- */

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

/* "photo.jpg" -> "photo", "jpg"; hidden files and names without dot have no suffix. */
static void split_name(const char *name, int *n_stem, const char **suffix)
{
    const char *dot = strrchr(name, '.');

    if (!dot || dot == name) {
        *n_stem = (int)strlen(name);
        *suffix = "";
    } else {
        *n_stem = (int)(dot - name);
        *suffix = dot + 1;
    }
}

/* The pattern filled in; a dot before an empty suffix goes. An ae_alloc string or NULL. */
static char *apply_pattern(const char *pattern, const char *name, const char *new_suffix)
{
    const char *suffix;
    int n_stem;
    char *to, *out;

    split_name(name, &n_stem, &suffix);
    if (new_suffix)
        suffix = new_suffix;
    out = to = ae_alloc(strlen(pattern) + strlen(name) + strlen(suffix) + 1, 1);
    for (; to && *pattern; pattern++) {
        if (pattern[0] == '%' && pattern[1] == 'n') {
            to = mempcpy(to, name, (size_t)n_stem);
            pattern++;
        } else if (pattern[0] == '%' && pattern[1] == 'e') {
            if (!*suffix && to > out && to[-1] == '.')
                *--to = 0;
            to = stpcpy(to, suffix);
            pattern++;
        } else {
            *to++ = *pattern;
        }
    }
    return out;
}

/* Whether a name looks like one that the pattern made: such files, left by an earlier run, are no inputs of trees. */
static bool made_by_pattern(const char *pattern, const char *name)
{
    const char *middle = strstr(pattern, "%n"), *end = middle ? strstr(middle, "%e") : NULL;
    const char *suffix;
    int n_stem;
    size_t n;

    if (!end || end - middle < 4)
        return false;
    middle += 2;
    n = (size_t)(end - middle) - 1; /* without the dot before the suffix */
    split_name(name, &n_stem, &suffix);
    return (size_t)n_stem > n && memcmp(name + n_stem - n, middle, n) == 0;
}

static bool wanted_in_tree(void *opaque, const char *path)
{
    const cli_job *job = opaque;

    if (!job->options->output && made_by_pattern(job->beside, base_name(path)))
        return false;
    return !job->wanted || job->wanted(job->opaque, path);
}

static char *join(const char *directory, size_t n_directory, const char *middle, size_t n_middle, const char *name)
{
    bool slash = n_directory && directory[n_directory - 1] != '/';
    char *path = ae_alloc(n_directory + n_middle + strlen(name) + 2, 1), *to = path;

    if (!path)
        return NULL;
    to = mempcpy(to, directory, n_directory);
    if (slash)
        *to++ = '/';
    to = mempcpy(to, middle, n_middle);
    stpcpy(to, name);
    return path;
}

static char *name_output(const cli_batch *b, const cli_input *in)
{
    const cli_job *job = b->job;
    const char *output = job->options->output, *base = base_name(in->path);
    char *name, *path;

    if (output && !b->to_directory)
        return ae_strdup(output);
    if (!output && strcmp(in->path, "-") == 0)
        return ae_strdup("-");
    name = apply_pattern(output ? job->under : job->beside, base, job->suffix ? job->suffix(job->opaque, in->path) : NULL);
    if (!name)
        return NULL;
    if (output)
        path = join(output, strlen(output), in->below, (size_t)(base_name(in->below) - in->below), name);
    else
        path = join(in->path, (size_t)(base - in->path), "", 0, name);
    ae_free(name);
    return path;
}

/* ---- the plan ---- */

static bool is_directory(const char *path)
{
    struct stat s;

    return stat(path, &s) == 0 && S_ISDIR(s.st_mode);
}

/* Standard input to standard output where nothing is named and neither is a terminal. */
static int collect(cli_batch *b, char **operands, int n)
{
    const cli_batch_options *o = b->job->options;
    cli_walk walk = {o->recursive, (void *)b->job, wanted_in_tree, o->output};
    char *pipe[] = {"-"};
    bool tree = false;
    ae_error err;

    if (!n && !isatty(STDIN_FILENO) && (o->output || !isatty(STDOUT_FILENO))) {
        operands = pipe;
        n = 1;
    }
    if (!n)
        return cli_usage("no input named");
    for (int i = 0; i < n; i++) {
        ae_status st = cli_inputs_add(&b->inputs, operands[i], &walk, &err);

        if (st == AE_ERR_NOMEM) {
            cli_message("%s", err.message);
            return CLI_FAILED;
        }
        if (st != AE_OK) {
            cli_message("%s", err.message);
            b->failed++;
        }
        tree = tree || is_directory(operands[i]);
    }
    if (!b->inputs.n && !b->failed) {
        cli_message("%s: no input found below", operands[0]);
        return CLI_FAILED;
    }
    if (o->output && strcmp(o->output, "-") != 0) {
        size_t length = strlen(o->output);
        struct stat s;

        if (!length)
            return cli_usage("--output: an empty file name");
        b->to_directory = is_directory(o->output) || o->output[length - 1] == '/' || b->inputs.n > 1 || tree;
        if (b->to_directory && stat(o->output, &s) == 0 && !S_ISDIR(s.st_mode))
            return cli_usage("%s is not a directory, but there are %zu inputs", o->output, b->inputs.n);
    }
    for (size_t i = 0; i < b->inputs.n; i++)
        if (strcmp(b->inputs.items[i].path, "-") == 0 && (b->to_directory || b->inputs.n > 1))
            return cli_usage("standard input goes to one file or to standard output, alone");
    if (o->output && strcmp(o->output, "-") == 0 && b->inputs.n > 1)
        return cli_usage("%zu inputs cannot all go to standard output", b->inputs.n);
    return CLI_GO_ON;
}

static int parse_shard(cli_batch *b)
{
    const char *text = b->job->options->shard;
    unsigned long k = 1, n = 1;
    char end;

    if (text && (text[0] < '0' || text[0] > '9' || sscanf(text, "%lu/%lu%c", &k, &n, &end) != 2 || k < 1 || k > n))
        return cli_usage("--shard: '%s' is not K/N with 1 <= K <= N", text);
    b->next = k - 1;
    b->step = n;
    b->n_items = b->inputs.n >= k ? (b->inputs.n - k) / n + 1 : 0;
    return CLI_GO_ON;
}

typedef struct named { const char *output, *input; } named;

static int compare_outputs(const void *a, const void *b)
{
    return strcmp(((const named *)a)->output, ((const named *)b)->output);
}

/* Two inputs for one output: refused before anything is written. */
static int refuse_duplicates(const cli_batch *b)
{
    named *sorted = ae_alloc(b->inputs.n + 1, sizeof(*sorted));
    int status = CLI_GO_ON;

    if (!sorted) {
        cli_message("%s", ae_status_name(AE_ERR_NOMEM));
        return CLI_FAILED;
    }
    for (size_t i = 0; i < b->inputs.n; i++)
        sorted[i] = (named){b->outputs[i], b->inputs.items[i].path};
    qsort(sorted, b->inputs.n, sizeof(*sorted), compare_outputs);
    for (size_t i = 1; i < b->inputs.n && status == CLI_GO_ON; i++)
        if (strcmp(sorted[i].output, sorted[i - 1].output) == 0)
            status = cli_usage("%s and %s would both be written to %s", sorted[i - 1].input, sorted[i].input, sorted[i].output);
    ae_free(sorted);
    return status;
}

static int plan(cli_batch *b, char **operands, int n)
{
    int status = collect(b, operands, n);

    if (status != CLI_GO_ON)
        return status;
    b->outputs = ae_alloc(b->inputs.n + 1, sizeof(*b->outputs));
    for (size_t i = 0; i < b->inputs.n; i++) {
        if (!b->outputs || !(b->outputs[i] = name_output(b, &b->inputs.items[i]))) {
            cli_message("%s", ae_status_name(AE_ERR_NOMEM));
            return CLI_FAILED;
        }
    }
    if ((status = refuse_duplicates(b)) == CLI_GO_ON)
        status = parse_shard(b);
    return status;
}

/* ---- one item ---- */

static ae_status make_directories(const char *path, ae_error *err)
{
    char *copy = ae_strdup(path);
    ae_status st = AE_OK;

    if (!copy)
        return ae_fail(err, AE_ERR_NOMEM, "a file name");
    for (char *c = copy + 1; *c && st == AE_OK; c++)
        if (*c == '/') {
            *c = 0;
            if (mkdir(copy, 0777) != 0 && errno != EEXIST && !is_directory(copy))
                st = ae_fail(err, AE_ERR_IO, "%s: cannot make this directory: %s", copy, strerror(errno));
            *c = '/';
        }
    ae_free(copy);
    return st;
}

/* Refusals that need a look at the disk. *skip: the output is there and that is fine. */
static ae_status check_output(const cli_batch *b, const char *output, bool *skip, ae_error *err)
{
    const cli_batch_options *o = b->job->options;
    struct stat s;

    *skip = false;
    if (strcmp(output, "-") == 0) {
        if (isatty(STDOUT_FILENO))
            return ae_fail(err, AE_ERR_ARGUMENT, "not written to a terminal (name a file with -o)");
        return AE_OK;
    }
    if (stat(output, &s) != 0)
        return o->dry_run ? AE_OK : make_directories(output, err);
    if (S_ISDIR(s.st_mode))
        return ae_fail(err, AE_ERR_IO, "%s: is a directory", output);
    if (!S_ISREG(s.st_mode))
        return AE_OK;
    for (size_t i = 0; i < b->inputs.n; i++) {
        const cli_input *in = &b->inputs.items[i];

        if (in->exists && in->device == s.st_dev && in->inode == s.st_ino)
            return ae_fail(err, AE_ERR_ARGUMENT, "the output %s is the input %s itself", output, in->path);
    }
    *skip = o->skip_existing;
    if (!o->skip_existing && !o->force)
        return ae_fail(err, AE_ERR_IO, "%s exists (-f overwrites it, --skip-existing leaves it)", output);
    return AE_OK;
}

static void record(cli_batch *b, cli_json *json, const char *status, const ae_error *err, double seconds)
{
    if (!b->json)
        return;
    cli_json_string(json, "status", status);
    if (err)
        cli_json_string(json, "error", err->message);
    cli_json_number(json, "seconds", seconds);
    pthread_mutex_lock(&b->mutex);
    if (!cli_json_write(json, b->json)) {
        cli_message("--json: cannot write a record");
        b->failed++;
    }
    pthread_mutex_unlock(&b->mutex);
}

static void run_item(cli_batch *b, size_t i, worker_state *w, uint32_t threads)
{
    const cli_input *in = &b->inputs.items[i];
    double start = cli_seconds();
    cli_json json = {0};
    cli_item item = {in->path, b->outputs[i], threads, &json, b, (uint32_t)(w - b->workers)};
    ae_error err = {0};
    bool skip;
    ae_status st;

    cli_json_string(&json, "input", item.input);
    cli_json_string(&json, "output", item.output);
    st = check_output(b, item.output, &skip, &err);
    if (st == AE_OK && !skip && b->job->options->dry_run)
        printf("%s -> %s\n", item.input, item.output);
    else if (st == AE_OK && !skip)
        st = b->job->process(b->job->opaque, &item, &err);
    if (st != AE_OK && cli_cancel.requested)
        st = AE_ERR_CANCELLED;
    else if (st != AE_OK)
        cli_message("%s: %s", item.input, err.message);
    else if (skip && b->job->options->verbose)
        cli_message("%s: skipped, %s exists", item.input, item.output);
    if (st != AE_ERR_CANCELLED)
        record(b, &json, st != AE_OK ? "failed" : skip ? "skipped" : b->job->options->dry_run ? "planned" : "done",
               st != AE_OK ? &err : NULL, cli_seconds() - start);
    cli_json_clear(&json);

    pthread_mutex_lock(&b->mutex);
    b->finished++;
    b->failed += st != AE_OK;
    b->skipped += skip;
    b->amount += w->amount;
    w->done = w->amount = 0;
    pthread_mutex_unlock(&b->mutex);
}

static void *run_worker(void *argument)
{
    worker_state *w = argument;
    cli_batch *b = w->batch;
    uint32_t jobs = b->job->options->jobs, index = (uint32_t)(w - b->workers);
    uint32_t threads = jobs / b->n_workers + (index < jobs % b->n_workers);

    while (!cli_cancel.requested) {
        size_t i;

        pthread_mutex_lock(&b->mutex);
        i = b->next;
        b->next += i < b->inputs.n ? b->step : 0;
        pthread_mutex_unlock(&b->mutex);
        if (i >= b->inputs.n)
            break;
        run_item(b, i, w, threads);
    }
    return NULL;
}

void cli_item_progress(const cli_item *item, double done, double amount)
{
    cli_batch *b = item->batch;
    double all, total, elapsed;
    char left[24], what[64];

    pthread_mutex_lock(&b->mutex);
    b->workers[item->worker].done = done;
    b->workers[item->worker].amount = amount;
    all = (double)b->finished;
    total = b->amount;
    for (uint32_t i = 0; i < b->n_workers; i++) {
        all += b->workers[i].done;
        total += b->workers[i].amount;
    }
    if (b->n_items > 1)
        snprintf(what, sizeof(what), "%zu of %zu files", b->finished, b->n_items);
    else
        snprintf(what, sizeof(what), "%s", base_name(item->input));
    pthread_mutex_unlock(&b->mutex);
    if (!cli_progress_due())
        return;
    elapsed = cli_seconds() - b->start;
    all /= (double)b->n_items;
    cli_progress_show("%s  %3.0f %%  %.2f %s/s  %s left", what, 100 * all, total / elapsed, b->job->unit,
                      cli_format_time(all > 0 ? elapsed * (1 - all) / all : 0, left));
}

void cli_item_note(const cli_item *item, const char *format, ...)
{
    char text[600];
    va_list args;

    if (item->batch->job->options->quiet)
        return;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    cli_message("%s: %s", item->input, text);
}

/* ---- the whole ---- */

static int open_json(cli_batch *b)
{
    const char *where = b->job->options->json;
    bool data = false;

    if (!where)
        return CLI_GO_ON;
    for (size_t i = 0; i < b->inputs.n; i++)
        data = data || strcmp(b->outputs[i], "-") == 0;
    b->json = !*where ? (data ? stderr : stdout) : fopen(where, "w");
    b->close_json = *where;
    if (!b->json) {
        cli_message("--json: %s: %s", where, strerror(errno));
        return CLI_FAILED;
    }
    return CLI_GO_ON;
}

/* Files in parallel up to the number of threads; the calling thread is the first worker. */
static void run_workers(cli_batch *b)
{
    for (uint32_t i = 1; i < b->n_workers; i++)
        b->workers[i].started = pthread_create(&b->workers[i].thread, NULL, run_worker, &b->workers[i]) == 0;
    run_worker(&b->workers[0]);
    for (uint32_t i = 1; i < b->n_workers; i++)
        if (b->workers[i].started)
            pthread_join(b->workers[i].thread, NULL);
}

int cli_batch_run(const cli_job *job, char **operands, int n_operands)
{
    cli_batch b = {.job = job, .start = cli_seconds(), .mutex = PTHREAD_MUTEX_INITIALIZER};
    const cli_batch_options *o = job->options;
    int status = plan(&b, operands, n_operands);

    if (status == CLI_GO_ON)
        status = open_json(&b);
    if (status != CLI_GO_ON)
        goto done;
    b.n_workers = b.n_items < o->jobs ? (uint32_t)b.n_items : o->jobs;
    b.n_workers = b.n_workers > MAX_WORKERS ? MAX_WORKERS : b.n_workers ? b.n_workers : 1;
    if (o->dry_run)
        b.n_workers = 1;
    b.workers = ae_alloc(b.n_workers, sizeof(*b.workers));
    if (!b.workers) {
        cli_message("%s", ae_status_name(AE_ERR_NOMEM));
        status = CLI_FAILED;
        goto done;
    }
    for (uint32_t i = 0; i < b.n_workers; i++)
        b.workers[i].batch = &b;
    if (!o->quiet && !o->dry_run)
        cli_progress_on();
    run_workers(&b);
    cli_progress_clear();
    if (o->dry_run && fflush(stdout) != 0)
        b.failed++;
    if (o->verbose && b.n_items > 1 && !o->dry_run)
        cli_message("%zu inputs: %zu done, %zu skipped, %zu failed, %.1f s", b.n_items, b.finished - b.failed - b.skipped,
                    b.skipped, b.failed, cli_seconds() - b.start);
    status = cli_cancel.requested ? CLI_INTERRUPTED : b.failed ? CLI_FAILED : CLI_OK;
done:
    if (b.close_json && b.json && fclose(b.json) != 0) {
        cli_message("--json: %s: %s", o->json, strerror(errno));
        status = status == CLI_OK ? CLI_FAILED : status;
    }
    for (size_t i = 0; i < b.inputs.n && b.outputs; i++)
        ae_free(b.outputs[i]);
    ae_free(b.outputs);
    cli_inputs_clear(&b.inputs);
    ae_free(b.workers);
    return status;
}
