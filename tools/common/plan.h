/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What a run is to do, from its command line: which inputs, of these which share, and where the
 * record goes. Runs with an output for each input and runs that put all into one share it. */
#ifndef CLI_PLAN_H
#define CLI_PLAN_H

#include "common/batch.h"
#include "common/inputs.h"
#include "common/names.h"

typedef struct cli_plan {
    cli_inputs inputs;
    size_t named_wrongly;        /* arguments, which were told of */
    bool tree;                   /* some are directories */
    size_t first, step, n_items; /* of the shard: every step-th input from the first on */
} cli_plan;

/* Takes the arguments and what --files-from lists. CLI_GO_ON or the exit status; what was taken by
 * then stays. Starts from a zeroed plan; clear it whatever is returned. */
int cli_plan_inputs(cli_plan *plan, const cli_batch_options *o, const cli_walk *walk,
                    char **operands, int n);
/* Likewise of --shard, once all inputs are there. */
int cli_plan_shard(cli_plan *plan, const cli_batch_options *o);
void cli_plan_clear(cli_plan *plan);

/* Gives up writing anywhere but where those of a job go. */
void cli_plan_confine(const cli_job *job, const cli_target *outputs, size_t n);

/* Opens the file of --json: *json is NULL where none is asked for, and standard error where `data`
 * says that standard output carries other things. CLI_GO_ON or the exit status. */
int cli_plan_open_json(const cli_batch_options *o, bool data, FILE **json);
/* False, and told of, where not all of it was written. NULL is fine. */
bool cli_plan_close_json(const cli_batch_options *o, FILE *json);

#endif
