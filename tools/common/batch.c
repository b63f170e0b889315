/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Many inputs to many outputs. What was named is planned (plan.h), each output gets its name
 * (names.h), and workers take one input after another; refusals that need a look at the disk come
 * when an input has its turn, since other runs may share the work. */
#define _GNU_SOURCE
#include "common/batch.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/beneath.h"
#include "common/names.h"
#include "common/notes.h"
#include "common/plan.h"
#include "common/progress.h"
#include "common/text.h"

enum { MAX_WORKERS = 1024 };

typedef struct worker_state {
    cli_batch *batch;
    pthread_t thread;
    bool started;
    double done, amount, hours; /* of the item in hand */
} worker_state;

struct cli_batch {
    const cli_job *job;
    cli_plan plan;
    cli_target *outputs; /* one for each input */
    /* the n_by_file inputs that are files, in order of device and inode */
    const cli_input **by_file;
    size_t n_by_file;
    const cli_target **by_path; /* all outputs, in order, once there was a part */
    bool to_directory;
    FILE *json;
    double start;
    worker_state *workers;
    uint32_t n_workers;

    pthread_mutex_t mutex; /* of all below */
    size_t next, finished, failed, skipped;
    double amount, hours; /* of the finished items */
};

static cli_taken wanted_in_tree(void *opaque, const char *path)
{
    const cli_job *job = opaque;

    if (!job->options->output && cli_name_made_by(job->beside, path))
        return CLI_PASSED;
    return !job->wanted || job->wanted(job->opaque, path) ? CLI_TAKEN : CLI_OTHER;
}

/* ---- the plan ---- */

static bool is_directory(const char *path)
{
    struct stat s;

    return stat(path, &s) == 0 && S_ISDIR(s.st_mode);
}

/* Whether a path that is not there yet looks like a file that the tool makes, rather than a
 * directory. */
static bool names_file(const cli_job *job, const char *path)
{
    const char *suffix = job->suffix ? job->suffix(job->opaque, path) : NULL,
               *own = cli_name_suffix(path);

    if (!*own || path[strlen(path) - 1] == '/')
        return false;
    return suffix ? strcasecmp(suffix, own) == 0 : !job->wanted || job->wanted(job->opaque, path);
}

/* Standard input to standard output where nothing is named and neither is a terminal. */
static int collect(cli_batch *b, char **operands, int n)
{
    const cli_batch_options *o = b->job->options;
    const cli_inputs *inputs = &b->plan.inputs;
    cli_walk walk = {o->recursive, (void *)b->job, wanted_in_tree, o->output};
    char *pipe[] = {"-"};
    int status;

    if (!n && !o->files_from && !isatty(STDIN_FILENO) && (o->output || !isatty(STDOUT_FILENO))) {
        operands = pipe;
        n = 1;
    }
    status = cli_plan_inputs(&b->plan, o, &walk, operands, n);
    b->failed = b->plan.named_wrongly;
    if (status != CLI_GO_ON)
        return status;
    if (!inputs->n && !b->failed && !o->files_from) {
        cli_message("%s: no input found below", operands[0]);
        return CLI_FAILED;
    }
    if (o->output && strcmp(o->output, "-") != 0) {
        size_t length = strlen(o->output);
        struct stat s;

        if (!length)
            return cli_usage("--output: an empty file name");
        b->to_directory = is_directory(o->output) || o->output[length - 1] == '/' ||
                          inputs->n > 1 || b->plan.tree;
        if (b->to_directory && !is_directory(o->output) &&
            (stat(o->output, &s) == 0 || names_file(b->job, o->output)))
            return cli_usage("%s is not a directory, but there %s %zu input%s%s", o->output,
                             inputs->n == 1 ? "is" : "are", inputs->n,
                             inputs->n == 1 ? " from a directory" : "s",
                             b->job->together ? b->job->together : "");
    }
    for (size_t i = 0; i < inputs->n; i++)
        if (strcmp(inputs->items[i].path, "-") == 0 && (b->to_directory || inputs->n > 1))
            return cli_usage("standard input goes to one file or to standard output, alone");
    if (o->output && strcmp(o->output, "-") == 0 && inputs->n > 1)
        return cli_usage("%zu inputs cannot all go to standard output", inputs->n);
    return CLI_GO_ON;
}

/* A file beside the outputs, such as --json's, that is an input, an output or another of its kind:
 * refused before anything is written. */
static int check_sides(const cli_batch *b)
{
    cli_side sides[CLI_MAX_SIDES + 1] = {{"json", b->job->options->json}};

    memcpy(sides + 1, b->job->sides, sizeof(b->job->sides));
    for (size_t i = 0; i <= CLI_MAX_SIDES; i++) {
        const cli_side *side = &sides[i];

        if (!side->path || !*side->path || strcmp(side->path, "-") == 0)
            continue;
        for (size_t k = 0; k < b->plan.inputs.n; k++) {
            if (cli_same_file(side->path, b->plan.inputs.items[k].path))
                return cli_usage("--%s: %s is an input", side->option, side->path);
            if (cli_same_file(side->path, b->outputs[k].path))
                return cli_usage("--%s: %s is where the result goes", side->option, side->path);
        }
        for (size_t k = 0; k < i; k++)
            if (sides[k].path && *sides[k].path && cli_same_file(side->path, sides[k].path))
                return cli_usage("--%s and --%s would both be written to %s", sides[k].option,
                                 side->option, side->path);
    }
    return CLI_GO_ON;
}

static int compare_files(const void *a, const void *b)
{
    const cli_input *x = *(const cli_input *const *)a, *y = *(const cli_input *const *)b;

    if (x->device != y->device)
        return x->device < y->device ? -1 : 1;
    return (x->inode > y->inode) - (x->inode < y->inode);
}

static bool order_by_file(cli_batch *b)
{
    if (!(b->by_file = ae_alloc(b->plan.inputs.n + 1, sizeof(*b->by_file))))
        return false;
    for (size_t i = 0; i < b->plan.inputs.n; i++)
        if (b->plan.inputs.items[i].exists)
            b->by_file[b->n_by_file++] = &b->plan.inputs.items[i];
    qsort(b->by_file, b->n_by_file, sizeof(*b->by_file), compare_files);
    return true;
}

static int plan(cli_batch *b, char **operands, int n)
{
    const cli_job *job = b->job;
    cli_naming naming = {.output = job->options->output,
                         .beside = job->beside,
                         .under = job->under,
                         .opaque = job->opaque,
                         .suffix = job->suffix};
    int status = collect(b, operands, n);

    if (status != CLI_GO_ON)
        return status;
    naming.to_directory = b->to_directory;
    if (!(b->outputs = cli_names_make(&naming, &b->plan.inputs)) || !order_by_file(b)) {
        cli_message("%s", ae_status_name(AE_ERR_NOMEM));
        return CLI_FAILED;
    }
    status = check_sides(b);
    if (status == CLI_GO_ON)
        status = cli_plan_shard(&b->plan, job->options);
    b->next = b->plan.first;
    return status;
}

/* ---- one item ---- */

static bool is_later(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec != b->tv_sec ? a->tv_sec > b->tv_sec : a->tv_nsec > b->tv_nsec;
}

/* Refusals that need a look at the disk. *skip: the output is there and that is fine. */
static ae_status check_output(const cli_batch *b, const cli_input *input, const char *output,
                              bool *skip, ae_error *err)
{
    const cli_batch_options *o = b->job->options;
    const cli_input *key, *const *same;
    struct stat s;

    *skip = false;
    if (strcmp(output, "-") == 0) {
        if (isatty(STDOUT_FILENO))
            return ae_fail(err, AE_ERR_ARGUMENT, "not written to a terminal (name a file with -o)");
        return AE_OK;
    }
    if (stat(output, &s) != 0)
        return o->dry_run ? AE_OK : cli_make_directories(output, err);
    if (S_ISDIR(s.st_mode))
        return ae_fail(err, AE_ERR_IO, "%s: is a directory", output);
    if (!S_ISREG(s.st_mode))
        return AE_OK;
    key = &(cli_input){.device = s.st_dev, .inode = s.st_ino};
    if ((same = bsearch(&key, b->by_file, b->n_by_file, sizeof(*b->by_file), compare_files)) !=
        NULL)
        return ae_fail(err, AE_ERR_ARGUMENT, "the output %s is the input %s itself", output,
                       (*same)->path);
    *skip = o->skip_existing || (o->newer && !is_later(&input->changed, &s.st_mtim));
    if (!o->skip_existing && !o->newer && !o->force && (o->dry_run || !b->job->refuses))
        return ae_fail(err, AE_ERR_IO, "%s exists (-f overwrites it, --skip-existing leaves it)",
                       output);
    return AE_OK;
}

/* Another run that shares the work may have been faster. */
static bool has_appeared(const cli_batch *b, const char *output)
{
    struct stat s;

    return b->job->options->skip_existing && strcmp(output, "-") != 0 && stat(output, &s) == 0 &&
           S_ISREG(s.st_mode);
}

static void record(cli_batch *b, cli_json *json, const char *status, const ae_error *err,
                   double seconds)
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

static void print_plan(const cli_item *item)
{
    char from[8192], to[8192];

    printf("%s -> %s\n", cli_escape(item->input, from, sizeof(from)),
           cli_escape(item->output, to, sizeof(to)));
}

static void run_item(cli_batch *b, size_t i, worker_state *w, uint32_t threads)
{
    const cli_input *in = &b->plan.inputs.items[i];
    double start = cli_seconds();
    cli_json json = {0};
    cli_item item = {.input = in->path,
                     .output = b->outputs[i].path,
                     .threads = threads,
                     .json = &json,
                     .batch = b,
                     .worker = (uint32_t)(w - b->workers),
                     .index = i};
    ae_error err = {0};
    size_t clash = b->outputs[i].clash;
    bool skip,
        again = clash != CLI_NO_CLASH && strcmp(b->plan.inputs.items[clash].path, in->path) == 0;
    bool planned = b->job->options->dry_run && !b->job->plans;
    ae_status st;

    cli_json_string(&json, "input", item.input);
    cli_json_string(&json, "output", item.output);
    skip = again; /* named twice is done once */
    if (again)
        st = AE_OK;
    else if (clash != CLI_NO_CLASH)
        st = ae_fail(&err, AE_ERR_ARGUMENT, "would be written to %s, as %s is", item.output,
                     b->plan.inputs.items[clash].path);
    else
        st = check_output(b, in, item.output, &skip, &err);
    if (st == AE_OK && !skip && planned && b->json != stdout)
        print_plan(&item);
    else if (st == AE_OK && !skip && !planned &&
             (st = b->job->process(b->job->opaque, &item, &err)) != AE_OK &&
             (skip = has_appeared(b, item.output)))
        st = AE_OK;
    if (st != AE_OK && cli_cancel.requested)
        st = AE_ERR_CANCELLED;
    else if (st != AE_OK)
        cli_message("%s: %s", item.input, err.message);
    else if (skip && b->job->options->verbose)
        cli_message(again ? "%s: skipped, named twice" : "%s: skipped, %s exists", item.input,
                    item.output);
    if (st != AE_ERR_CANCELLED)
        record(b, &json,
               st != AE_OK                ? "failed"
               : skip                     ? "skipped"
               : b->job->options->dry_run ? "planned"
                                          : "done",
               st != AE_OK ? &err : NULL, cli_seconds() - start);
    cli_json_clear(&json);

    pthread_mutex_lock(&b->mutex);
    b->finished++;
    b->failed += st != AE_OK;
    b->skipped += skip;
    b->amount += w->amount;
    b->hours += w->hours;
    w->done = w->amount = w->hours = 0;
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
        b->next += i < b->plan.inputs.n ? b->plan.step : 0;
        pthread_mutex_unlock(&b->mutex);
        if (i >= b->plan.inputs.n)
            break;
        run_item(b, i, w, threads);
    }
    return NULL;
}

/* "12.30 MP", "0.52 h of sound", or both */
static const char *amounts(const cli_batch *b, double amount, double hours, char text[64])
{
    size_t n = 0;

    text[0] = 0;
    if (amount > 0)
        n = (size_t)snprintf(text, 64, "%.*f %s", amount < 10 ? 2 : 0, amount, b->job->unit);
    if (hours > 0 && n < 64)
        snprintf(text + n, 64 - n, "%s%.*f h of sound", n ? ", " : "", hours < 10 ? 2 : 0, hours);
    return text;
}

static void show_progress(const cli_item *item, double done, double amount, double hours)
{
    cli_batch *b = item->batch;
    double all, total, elapsed;
    char left[24], what[64], much[64];

    pthread_mutex_lock(&b->mutex);
    if (item->share > 0) {
        done = item->before + done * item->share;
        amount += item->amount_before;
    }
    b->workers[item->worker].done = done;
    b->workers[item->worker].amount = amount;
    b->workers[item->worker].hours = hours;
    all = (double)b->finished;
    total = b->amount;
    hours = b->hours;
    for (uint32_t i = 0; i < b->n_workers; i++) {
        all += b->workers[i].done;
        total += b->workers[i].amount;
        hours += b->workers[i].hours;
    }
    if (b->plan.n_items > 1)
        snprintf(what, sizeof(what), "%zu of %zu files", b->finished, b->plan.n_items);
    else
        snprintf(what, sizeof(what), "%s", cli_base_name(item->input));
    pthread_mutex_unlock(&b->mutex);
    if (!cli_progress_due())
        return;
    elapsed = cli_seconds() - b->start;
    all /= (double)b->plan.n_items;
    if (hours > 0)
        snprintf(much, sizeof(much), "%.2f h of sound, %.0f times its speed", hours,
                 3600 * hours / elapsed);
    else
        snprintf(much, sizeof(much), "%.2f %s/s", total / elapsed, b->job->unit);
    cli_progress_show("%s  %3.0f %%  %s  %s left", what, 100 * all, much,
                      cli_format_time(all > 0 ? elapsed * (1 - all) / all : 0, left));
}

void cli_item_progress(const cli_item *item, double done, double amount)
{
    show_progress(item, done, amount, 0);
}

void cli_item_progress_sound(const cli_item *item, double done, double hours)
{
    show_progress(item, done, 0, hours);
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
    cli_note(item->input, text);
}

/* ---- parts of an item ---- */

bool cli_item_divides(const cli_item *item)
{
    return item->batch->to_directory;
}

static int compare_outputs(const void *a, const void *b)
{
    return strcmp((*(const cli_target *const *)a)->path, (*(const cli_target *const *)b)->path);
}

/* The output of an input that has this path, or NULL. */
static ae_status find_output(cli_batch *b, const char *path, const cli_target **out, ae_error *err)
{
    const cli_target wanted = {.path = (char *)(uintptr_t)path}, *key = &wanted, *const * found;

    pthread_mutex_lock(&b->mutex);
    if (!b->by_path && (b->by_path = ae_alloc(b->plan.inputs.n, sizeof(*b->by_path))) != NULL) {
        for (size_t i = 0; i < b->plan.inputs.n; i++)
            b->by_path[i] = &b->outputs[i];
        qsort(b->by_path, b->plan.inputs.n, sizeof(*b->by_path), compare_outputs);
    }
    found = b->by_path
                ? bsearch(&key, b->by_path, b->plan.inputs.n, sizeof(*b->by_path), compare_outputs)
                : NULL;
    pthread_mutex_unlock(&b->mutex);
    *out = found ? *found : NULL;
    return b->by_path ? AE_OK : ae_fail(err, AE_ERR_NOMEM, "%zu file names", b->plan.inputs.n);
}

ae_status cli_part_begin(cli_part *part, const cli_item *whole, uint32_t k, uint32_t n, bool *skip,
                         ae_error *err)
{
    cli_batch *b = whole->batch;
    const cli_target *other;
    ae_status st;

    *skip = false;
    *part = (cli_part){
        .item = *whole, .output = cli_name_numbered(whole->output, k, n), .start = cli_seconds()};
    if (!part->output)
        return ae_fail(err, AE_ERR_NOMEM, "a file name");
    part->item.output = part->output;
    part->item.json = &part->json;
    part->item.before = (double)(k - 1) / (double)n;
    part->item.share = 1 / (double)n;
    pthread_mutex_lock(&b->mutex);
    part->item.amount_before = b->workers[whole->worker].amount;
    pthread_mutex_unlock(&b->mutex);
    cli_json_string(&part->json, "input", whole->input);
    cli_json_number(&part->json, "picture", k);
    cli_json_string(&part->json, "output", part->output);
    if ((st = find_output(b, part->output, &other, err)) != AE_OK)
        return st;
    if (other)
        return ae_fail(err, AE_ERR_ARGUMENT, "picture %u would be written to %s, as %s is", k,
                       part->output, b->plan.inputs.items[other - b->outputs].path);
    return check_output(b, &b->plan.inputs.items[whole->index], part->output, skip, err);
}

void cli_part_end(cli_part *part, ae_status st, bool skip, const ae_error *err)
{
    const cli_item *item = &part->item;
    cli_batch *b = item->batch;

    if (st != AE_OK && cli_cancel.requested)
        st = AE_ERR_CANCELLED;
    if (st != AE_OK && st != AE_ERR_CANCELLED)
        cli_message("%s: %s: %s", item->input, item->output, err->message);
    else if (skip && b->job->options->verbose)
        cli_message("%s: skipped, %s exists", item->input, item->output);
    if (st != AE_ERR_CANCELLED)
        record(b, &part->json,
               st != AE_OK ? "failed"
               : skip      ? "skipped"
                           : "done",
               st != AE_OK ? err : NULL, cli_seconds() - part->start);
    cli_json_clear(&part->json);
    ae_free(part->output);
}

/* ---- the whole ---- */

static int open_json(cli_batch *b)
{
    bool data = b->plan.inputs.n && strcmp(b->outputs[0].path, "-") == 0; /* which is alone */

    return cli_plan_open_json(b->job->options, data, &b->json);
}

/* Files in parallel up to the number of threads; the calling thread is the first worker. */
static void run_workers(cli_batch *b)
{
    for (uint32_t i = 1; i < b->n_workers; i++)
        b->workers[i].started = pthread_create(&b->workers[i].thread, NULL, run_worker,
                                               &b->workers[i]) == 0;
    run_worker(&b->workers[0]);
    for (uint32_t i = 1; i < b->n_workers; i++)
        if (b->workers[i].started)
            pthread_join(b->workers[i].thread, NULL);
}

/* What became of a batch, and how to go on where it did not end well. */
static void close_line(const cli_batch *b)
{
    const cli_batch_options *o = b->job->options;
    size_t failed = b->failed - b->plan.named_wrongly, left = b->plan.n_items - b->finished;
    double seconds = cli_seconds() - b->start;
    char skipped[40] = "", named[48] = "", amount[64], go_on[80] = "";

    if (!o->verbose && !isatty(STDERR_FILENO) && !b->failed && !left)
        return;
    if (b->skipped)
        snprintf(skipped, sizeof(skipped), ", %zu skipped", b->skipped);
    if (b->plan.named_wrongly)
        snprintf(named, sizeof(named), ", %zu argument%s wrong", b->plan.named_wrongly,
                 b->plan.named_wrongly > 1 ? "s" : "");
    amounts(b, b->amount, b->hours, amount);
    if (left)
        snprintf(go_on, sizeof(go_on), "; %zu left: --skip-existing goes on", left);
    cli_message("%zu of %zu inputs done%s, %zu failed%s%s%s, %.1f s%s",
                b->finished - failed - b->skipped, b->plan.n_items, skipped, failed, named,
                *amount ? ", " : "", amount, seconds, go_on);
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
    b.n_workers = b.plan.n_items < o->jobs ? (uint32_t)b.plan.n_items : o->jobs;
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
    cli_plan_confine(job, b.outputs, b.plan.inputs.n);
    if (!o->quiet && !o->dry_run)
        cli_progress_on();
    cli_notes_all = o->verbose;
    run_workers(&b);
    cli_progress_clear();
    cli_notes_end();
    if (o->dry_run && !cli_printed()) {
        cli_message("standard output cannot be written");
        b.failed++;
    }
    if (!o->dry_run && !o->quiet &&
        (b.plan.n_items > 1 || (b.plan.n_items && b.plan.named_wrongly)))
        close_line(&b);
    status = cli_cancel.requested ? cli_interrupted() : b.failed ? CLI_FAILED : CLI_OK;
done:
    if (!cli_plan_close_json(o, b.json))
        status = status == CLI_OK ? CLI_FAILED : status;
    cli_names_free(b.outputs, b.plan.inputs.n);
    ae_free(b.by_file);
    ae_free(b.by_path);
    cli_plan_clear(&b.plan);
    ae_free(b.workers);
    return status;
}
