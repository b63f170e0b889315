/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The smallest filter over tools/common, for the tests of what all filters share: copies bytes,
 * fails on files that begin with "bad". */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/batch.h"

static cli_batch_options batch = {.jobs = 2};

static const cli_option options[] = {
    CLI_BATCH_OPTIONS(batch),
    {0},
};

static bool wanted(void *opaque, const char *path)
{
    size_t n = strlen(path);

    (void)opaque;
    return n > 4 && strcmp(path + n - 4, ".txt") == 0;
}

static ae_status process(void *opaque, const cli_item *item, ae_error *err)
{
    FILE *in = strcmp(item->input, "-") ? fopen(item->input, "rb") : stdin, *out;
    char bytes[4096];
    size_t n;
    ae_status st = AE_OK;

    (void)opaque;
    if (!in)
        return ae_fail(err, AE_ERR_IO, "%s", strerror(errno));
    n = fread(bytes, 1, sizeof(bytes), in);
    if (in != stdin)
        fclose(in);
    if (n >= 3 && memcmp(bytes, "bad", 3) == 0)
        return ae_fail(err, AE_ERR_MALFORMED, "begins with bad");
    out = strcmp(item->output, "-") ? fopen(item->output, "wb") : stdout;
    if (!out)
        return ae_fail(err, AE_ERR_IO, "%s: %s", item->output, strerror(errno));
    if (fwrite(bytes, 1, n, out) != n || fflush(out) != 0)
        st = ae_fail(err, AE_ERR_IO, "%s: %s", item->output, strerror(errno));
    if (out != stdout)
        fclose(out);
    cli_json_number(item->json, "bytes", (double)n);
    cli_json_number(item->json, "threads", item->threads);
    cli_item_progress(item, 1, (double)n);
    return st;
}

int main(int argc, char **argv)
{
    const cli_tool tool = {"copytool", "[OPTION]... [FILE|DIRECTORY]...", "Copies files.", options,
                           NULL};
    const cli_job job = {.options = &batch,
                         .beside = "%n.copy.%e",
                         .under = "%n.%e",
                         .unit = "B",
                         .wanted = wanted,
                         .process = process};
    char **operands;
    int n, status = cli_start(&tool, argc, argv, &operands, &n);

    return status == CLI_GO_ON ? cli_batch_run(&job, operands, n) : status;
}
