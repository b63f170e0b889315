/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The model card: YAML about where a model comes from, which is kept inside of it. */
#include "train/card.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

void aei_hardware(char *text, size_t n_text)
{
    FILE *f = fopen("/proc/cpuinfo", "r");
    char line[256], name[96] = "unknown processor";

    while (f && fgets(line, sizeof(line), f)) {
        const char *colon = strchr(line, ':');

        if (strncmp(line, "model name", 10) || !colon)
            continue;
        snprintf(name, sizeof(name), "%.*s", (int)strcspn(colon + 2, "\n"), colon + 2);
        break;
    }
    if (f)
        fclose(f);
    snprintf(text, n_text, "%s, %s", name, ae_cpu_isa());
}

/* A double-quoted YAML scalar. */
static size_t put_quoted(char *to, const char *text)
{
    char *at = to;

    *at++ = '"';
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;

        if (c < 0x20 || c == 0x7f) {
            at += sprintf(at, "\\x%02x", c);
            continue;
        }
        if (c == '"' || c == '\\')
            *at++ = '\\';
        *at++ = (char)c;
    }
    *at++ = '"';
    *at = 0;
    return (size_t)(at - to);
}

char *aei_card_make(const aei_card *c)
{
    const char *command = c->options->command ? c->options->command : "",
               *init = c->options->init ? c->options->init : "";
    const char *extra = c->options->card_extra ? c->options->card_extra : "";
    char hardware[160],
        *text = ae_alloc(2048 + 4 * (strlen(command) + strlen(init)) + strlen(extra), 1),
        *at = text;

    if (!text)
        return NULL;
    aei_hardware(hardware, sizeof(hardware));
    at += sprintf(at, "version: %s\ncommand: ", ae_version());
    at += put_quoted(at, command);
    if (*init) {
        at += sprintf(at, "\ninit: ");
        at += put_quoted(at, init);
    }
    at += sprintf(at,
                  "\nseed: %" PRIu64 "\nsteps: %" PRIu64 "\nof_steps: %" PRIu64
                  "\nseconds: %.0f\nprecision: %s\nhardware: ",
                  c->options->seed, c->step, c->steps, c->seconds,
                  c->precision == AE_PRECISION_BF16 ? "bf16" : "f32");
    at += put_quoted(at, hardware);
    at += sprintf(at, "\nthreads: %u\nitems: %zu\ndata_fingerprint: \"%016" PRIx64 "\"\n",
                  c->threads, c->n_items, c->fingerprint);
    if (isfinite(c->score))
        at += sprintf(at, "%s: %.4f\n", c->score_name, c->score);
    if (isfinite(c->first_score))
        at += sprintf(at, "%s_before: %.4f\n", c->score_name, c->first_score);
    if (isfinite(c->input_score))
        at += sprintf(at, "%s_of_input: %.4f\n", c->score_name, c->input_score);
    sprintf(at, "%s%s", extra, *extra && extra[strlen(extra) - 1] != '\n' ? "\n" : "");
    return text;
}
