/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What training says on its way: a line on a terminal that is written over, a line now and then
 * where there is none, and a record of each validation and of every 30 seconds between. */
#include "talk.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "common/json.h"
#include "common/notes.h"
#include "common/options.h"
#include "common/progress.h"

static void format_progress(const ae_train_progress *p, char *text, size_t n)
{
    char left[24], score[80] = "";

    if (isfinite(p->score) && isfinite(p->bpp))
        snprintf(score, sizeof(score), "  score %.5g  %.4g bpp  %.4g dB", p->score, p->bpp,
                 p->psnr);
    else if (isfinite(p->score))
        snprintf(score, sizeof(score), "  score %.5g%s%s", p->score, *p->unit ? " " : "", p->unit);
    /* What matters first: a narrow terminal cuts off the end. */
    snprintf(text, n,
             "left %s  step %llu/%llu%s  loss %.4g  %.4g samples/s  %.4g GFLOP/s  wait %.0f%%",
             cli_format_time(p->seconds_left, left), (unsigned long long)p->step,
             (unsigned long long)p->steps, score, p->loss, p->samples_per_second, p->gflops,
             100 * p->wait_share);
}

static void record(talk *t, const ae_train_progress *p)
{
    cli_json json = {0};

    cli_json_number(&json, "step", (double)p->step);
    cli_json_number(&json, "steps", (double)p->steps);
    cli_json_number(&json, "loss", p->loss);
    cli_json_number(&json, "score", p->score);
    if (isfinite(p->bpp)) {
        cli_json_number(&json, "bpp", p->bpp);
        cli_json_number(&json, "psnr", p->psnr);
    }
    if (isfinite(p->first_score))
        cli_json_number(&json, "score_before", p->first_score);
    if (isfinite(p->input_score))
        cli_json_number(&json, "score_of_input", p->input_score);
    cli_json_string(&json, "unit", p->unit);
    for (uint32_t i = 0; t->recipe && i < t->recipe->n_terms; i++)
        if (t->recipe->n_terms > 1 && isfinite(p->terms[i])) {
            char key[AE_NAME_MAX + 8];

            snprintf(key, sizeof(key), "term_%s", t->recipe->terms[i].name);
            cli_json_number(&json, key, p->terms[i]);
        }
    cli_json_bool(&json, "validated", p->validated);
    cli_json_number(&json, "rate", p->rate);
    cli_json_number(&json, "gradient_norm", p->gradient_norm);
    cli_json_number(&json, "samples_per_second", p->samples_per_second);
    cli_json_number(&json, "gflops", p->gflops);
    cli_json_number(&json, "wait_share", p->wait_share);
    cli_json_number(&json, "seconds", p->seconds);
    cli_json_number(&json, "seconds_left", p->seconds_left);
    if (!cli_json_write(&json, t->json)) {
        cli_message("--json: cannot write: %s", strerror(errno));
        t->json = NULL;
    }
    cli_json_clear(&json);
}

void talk_progress(void *opaque, const ae_train_progress *p)
{
    talk *t = opaque;
    char text[256];
    bool due = p->validated || cli_seconds() - t->last >= 30;

    t->seen = *p;
    if (due) {
        t->last = cli_seconds();
        if (t->json)
            record(t, p);
    }
    if (t->quiet)
        return;
    format_progress(p, text, sizeof(text));
    if (due && (!t->terminal || (t->verbose && p->validated)))
        cli_message("%s", text);
    if (cli_progress_due())
        cli_progress_show("%s", text);
}

void talk_warning(const char *message)
{
    const char *colon = strstr(message, ": ");
    char subject[512];

    snprintf(subject, sizeof(subject), "%.*s", (int)(colon ? colon - message : 0), message);
    if (*subject)
        cli_note(subject, colon + 2);
    else
        cli_message("%s", message);
}
