/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Inputs, shards and the record of a run. An argument that names nothing is told of at once and
 * fails the run in the end, but none of the others. */
#define _GNU_SOURCE
#include "common/plan.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/progress.h"

typedef struct collecting {
    cli_plan *plan;
    const cli_walk *walk;
    bool no_memory;
} collecting;

static bool take_operand(void *opaque, const char *name)
{
    collecting *c = opaque;
    struct stat s;
    ae_error err;
    ae_status st = cli_inputs_add(&c->plan->inputs, name, c->walk, &err);

    if (st != AE_OK) {
        cli_message("%s", err.message);
        c->plan->named_wrongly++;
    }
    c->plan->tree |= stat(name, &s) == 0 && S_ISDIR(s.st_mode);
    c->no_memory = st == AE_ERR_NOMEM;
    return !c->no_memory;
}

int cli_plan_inputs(cli_plan *plan, const cli_batch_options *o, const cli_walk *walk,
                    char **operands, int n)
{
    collecting c = {plan, walk, false};
    ae_error err;

    if (!n && !o->files_from)
        return cli_usage("no input named");
    for (int i = 0; i < n && !c.no_memory; i++)
        take_operand(&c, operands[i]);
    if (o->files_from && cli_inputs_read_list(o->files_from, &c, take_operand, &err) != AE_OK) {
        cli_message("--files-from: %s", err.message);
        return CLI_FAILED;
    }
    if (c.no_memory)
        return CLI_FAILED;
    if (!o->quiet)
        cli_inputs_say_others(&plan->inputs);
    return CLI_GO_ON;
}

int cli_plan_shard(cli_plan *plan, const cli_batch_options *o)
{
    const char *text = o->shard;
    unsigned long k = 1, n = 1;
    char end;

    if (text && (text[0] < '0' || text[0] > '9' || sscanf(text, "%lu/%lu%c", &k, &n, &end) != 2 ||
                 k < 1 || k > n))
        return cli_usage("--shard: '%s' is not K/N with 1 <= K <= N", text);
    plan->first = k - 1;
    plan->step = n;
    plan->n_items = plan->inputs.n >= k ? (plan->inputs.n - k) / n + 1 : 0;
    return CLI_GO_ON;
}

void cli_plan_clear(cli_plan *plan)
{
    cli_inputs_clear(&plan->inputs);
}

void cli_plan_confine(const cli_job *job, const cli_target *outputs, size_t n)
{
    const char **paths = job->anywhere ? NULL : ae_alloc(n + CLI_MAX_SIDES, sizeof(*paths));

    if (!paths)
        return;
    for (size_t i = 0; i < n; i++)
        paths[i] = outputs[i].path;
    for (size_t i = 0; i < CLI_MAX_SIDES; i++)
        paths[n + i] = job->sides[i].path;
    cli_confine_writes(paths, n + CLI_MAX_SIDES);
    ae_free(paths);
}

int cli_plan_open_json(const cli_batch_options *o, bool data, FILE **json)
{
    *json = !o->json ? NULL : !*o->json ? (data ? stderr : stdout) : fopen(o->json, "a");
    if (!o->json || *json)
        return CLI_GO_ON;
    cli_message("--json: %s: %s", o->json, strerror(errno));
    return CLI_FAILED;
}

bool cli_plan_close_json(const cli_batch_options *o, FILE *json)
{
    if (!json || !*o->json || fclose(json) == 0)
        return true;
    cli_message("--json: %s: %s", o->json, strerror(errno));
    return false;
}
