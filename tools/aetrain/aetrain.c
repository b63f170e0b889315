/* SPDX-License-Identifier: BSD-2-Clause
 *
 * aetrain: its options, training, and the work beside it. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/json.h"
#include "common/options.h"
#include "common/notes.h"
#include "common/progress.h"
#include "common/dataset.h"
#include "common/latents.h"
#include "ae/files.h"
#include "evaluate.h"
#include "card.h"
#include "export.h"
#include "record.h"
#include "talk.h"

static struct {
    const char *output, *init, *checkpoint, *report, *card, *show, *evaluate, *labels, *export,
        *rewrite, *json, *noisy, *clean, *noise, *rooms, *music;
    uint32_t seed, threads, precision, verbose;
    double time_limit, steps, rate;
    uint64_t cache;
    bool noisy_only, half, bench, list, force, quiet;
} cfg = {.seed = 1, .steps = -1, .cache = UINT64_C(2) << 30};

/* clang-format off */
static const cli_option options[] = {
    {'o', "output", CLI_STRING, &cfg.output, "MODEL.aem", "the model to write", 0, 0},
    {0, "init", CLI_STRING, &cfg.init, "MODEL",
     "go on from this model: begin with its tensors of the same names and shapes", 0, 0},
    {0, "noisy", CLI_STRING, &cfg.noisy, "DIR",
     "DATA as they are with their noise, one picture for each, in the same order: learn from these "
     "pairs", 0, 0},
    {0, "noisy-only", CLI_FLAG, &cfg.noisy_only, NULL,
     "the data are noisy themselves: learn to denoise without clean pictures", 0, 0},
    {0, "labels", CLI_STRING, &cfg.labels, "FILE",
     "the class of each item, a whole number, for recipes that classify: IDX, .npy, or the last "
     "column of .csv", 0, 0},
    {0, "half", CLI_FLAG, &cfg.half, NULL,
     "store the layers' weights in 16 bits: a model file of half the size", 0, 0},
    {0, NULL, CLI_HEADING, NULL, NULL, "Sound (recipes with a key `sound`, instead of DATA)", 0, 0},
    {0, "clean", CLI_STRING, &cfg.clean, "DIR", "recordings of speech without noise", 0, 0},
    {0, "noise", CLI_STRING, &cfg.noise, "DIR",
     "noises to mix with it, beside those that are made up", 0, 0},
    {0, "rooms", CLI_STRING, &cfg.rooms, "DIR", "impulse responses of rooms, beside simulated ones",
     0, 0},
    {0, "music", CLI_STRING, &cfg.music, "DIR", "music, which shall stay as it is", 0, 0},
    {0, NULL, CLI_HEADING, NULL, NULL, "Run", 0, 0},
    {0, "seed", CLI_INT, &cfg.seed, "N", "of all random draws; the same seed gives the same model",
     0, 4294967295.0},
    {'j', "threads", CLI_INT, &cfg.threads, "N", "threads; the model does not depend on them", 1,
     1024},
    {0, "precision", CLI_CHOICE, &cfg.precision, "auto|f32|bf16",
     "of the layers; masters are always f32", 0, 0},
    {0, "steps", CLI_NUMBER, &cfg.steps, "N", "length of the schedule instead of the recipe's", 1,
     1e12},
    {0, "time-limit", CLI_DURATION, &cfg.time_limit, "TIME",
     "fit the schedule into 30s, 90m, 2h, ...: the rate comes down to nothing by then", 0, 0},
    {0, "rate", CLI_NUMBER, &cfg.rate, "R", "highest learning rate instead of the recipe's", 1e-12,
     1e3},
    {0, "checkpoint", CLI_STRING, &cfg.checkpoint, "FILE",
     "where to resume from and to save to every five minutes and when stopped (default: "
     "MODEL.ckpt); removed on completion", 0, 0},
    {0, "cache", CLI_SIZE, &cfg.cache, "SIZE", "memory for decoded pictures or sounds", 0, 0},
    {0, NULL, CLI_HEADING, NULL, NULL, "Records", 0, 0},
    {0, "report", CLI_STRING, &cfg.report, "FILE.html",
     "curves and pictures, rewritten at each validation", 0, 0},
    {0, "card", CLI_STRING, &cfg.card, "FILE", "YAML lines for the model card: data, licences", 0,
     0},
    {0, "json", CLI_OPTIONAL, &cfg.json, "FILE",
     "one JSON object a line at each validation and every 30 seconds, on standard output or to "
     "FILE", 0, 0},
    {0, NULL, CLI_HEADING, NULL, NULL, "Other work", 0, 0},
    {0, "show", CLI_STRING, &cfg.show, "MODEL",
     "print card, layers, parameters, costs and receptive field of a model", 0, 0},
    {0, "list", CLI_FLAG, &cfg.list, NULL, "print the recipes that are found by name", 0, 0},
    {0, "evaluate", CLI_STRING, &cfg.evaluate, "MODEL",
     "print what each term of this model's recipe is on DATA, and its scores", 0, 0},
    {0, "export", CLI_STRING, &cfg.export, "MODEL",
     "give this codec its integer decoder, measured on the pictures named, and write it to -o", 0,
     0},
    {0, "rewrite", CLI_STRING, &cfg.rewrite, "MODEL",
     "write this model to -o once more, with the card of --card (the whole of it) and as --half "
     "says", 0, 0},
    {0, "bench", CLI_FLAG, &cfg.bench, NULL,
     "write nothing: take some steps (--steps, 30 unless given) and say where their time goes", 0,
     0},
    {0, NULL, CLI_HEADING, NULL, NULL, "General", 0, 0},
    {'f', "force", CLI_FLAG, &cfg.force, NULL, "overwrite an existing model", 0, 0},
    {'v', "verbose", CLI_COUNT, &cfg.verbose, NULL, "print every validation on a terminal, too", 0,
     0},
    {0, "quiet", CLI_FLAG, &cfg.quiet, NULL, "no progress and no notes, only errors", 0, 0},
    {0, NULL, CLI_END, NULL, NULL, NULL, 0, 0},
};
/* clang-format on */

static const cli_tool tool = {
    "aetrain",
    "[OPTION]... RECIPE DATA... -o MODEL.aem\n"
    "       aetrain [OPTION]... RECIPE --clean DIR [--noise DIR] [--rooms DIR] [--music DIR] -o "
    "MODEL.aem",
    "Trains an autoencoder by a recipe, a name such as photo or a YAML file, on your own files: "
    "pictures in any format that "
    "the suite reads, IDX files (MNIST), or directories of them.",
    options,
    "Interrupted, training leaves a usable model and a checkpoint; the same command resumes it "
    "exactly.\n",
};

static void on_warning(void *opaque, const char *message)
{
    (void)opaque;
    if (!cfg.quiet)
        talk_warning(message);
}

/* ---- files ---- */

/* MODEL.aem -> MODEL.ckpt. */
static char *checkpoint_beside(const char *output)
{
    size_t n = strlen(output);
    char *path = ae_alloc(n + 6, 1);

    if (path) {
        if (n > 4 && !strcmp(output + n - 4, ".aem"))
            n -= 4;
        memcpy(path, output, n);
        memcpy(path + n, ".ckpt", 6);
    }
    return path;
}

/* Fails now rather than at the first validation. */
static ae_status check_output(const char *recipe, const char *checkpoint, const cli_inputs *files,
                              ae_error *err)
{
    const char *slash = strrchr(cfg.output, '/');
    struct stat out, other;
    char folder[4096] = ".";

    if (slash)
        snprintf(folder, sizeof(folder), "%.*s",
                 (int)(slash == cfg.output ? 1 : slash - cfg.output), cfg.output);
    if (access(folder, W_OK | X_OK))
        return ae_fail(err, AE_ERR_IO, "%s: cannot write to %s: %s", cfg.output, folder,
                       strerror(errno));
    if (stat(cfg.output, &out))
        return AE_OK;
    if (S_ISDIR(out.st_mode))
        return ae_fail(err, AE_ERR_ARGUMENT, "%s: is a directory", cfg.output);
    if (!stat(recipe, &other) && other.st_dev == out.st_dev && other.st_ino == out.st_ino)
        return ae_fail(err, AE_ERR_ARGUMENT, "%s: is the recipe itself", cfg.output);
    for (size_t i = 0; i < files->n; i++) {
        const cli_input *f = &files->items[i];

        if (f->exists && f->device == out.st_dev && f->inode == out.st_ino)
            return ae_fail(err, AE_ERR_ARGUMENT, "%s: is among the data", cfg.output);
    }
    if (!cfg.force && stat(checkpoint, &other))
        return ae_fail(err, AE_ERR_ARGUMENT, "%s exists (-f overwrites it)", cfg.output);
    return AE_OK;
}

/* ---- work ---- */

static ae_status show(const char *name, ae_error *err)
{
    char path[4096], *text = NULL;
    ae_model *model = NULL;
    ae_status st;

    if ((st = ae_model_find(name, path, sizeof(path), err)) == AE_OK &&
        (st = ae_model_open(path, NULL, &model, err)) == AE_OK &&
        (st = ae_model_describe(model, &text, err)) == AE_OK &&
        (fputs(text, stdout) < 0 || !cli_printed()))
        st = ae_fail(err, AE_ERR_IO, "standard output cannot be written: %s", strerror(errno));
    ae_free(text);
    ae_model_free(model);
    return st;
}

static int report_failure(const ae_error *error)
{
    cli_progress_clear();
    cli_message("%s", error->message);
    return error->status == AE_ERR_CANCELLED ? cli_interrupted() : CLI_FAILED;
}

static ae_status bench(const ae_recipe *recipe, const ae_dataset *data, const ae_train_options *o,
                       ae_error *err)
{
    ae_train_timing t;
    ae_status st = ae_train_bench(recipe, data, o, o->steps ? o->steps : 30, &t, err);

    if (st != AE_OK)
        return st;
    printf("recipe %s, batches of %u in %u shards, %u threads, %s, %s\n", recipe->name,
           recipe->batch, recipe->shards, t.threads,
           ae_precision_resolve(o->precision) == AE_PRECISION_BF16 ? "bf16" : "f32", t.hardware);
    printf("step %.2f ms: waiting for data %.2f, forward + loss + backward %.2f, optimiser %.2f, "
           "weights %.2f\n",
           t.step * 1e3, t.wait * 1e3, t.shards * 1e3, t.update * 1e3, t.weights * 1e3);
    printf("layers alone %.2f ms: %.1f %% of the step; %.0f GFLOP/s over the whole step\n",
           t.layers * 1e3, 100 * t.layers / t.step, t.gflops);
    return !cli_printed() ? ae_fail(err, AE_ERR_IO, "standard output cannot be written") : AE_OK;
}

/* What training has brought, on the data held out. */
static void say_result(const ae_train_progress *p)
{
    char time[24], before[64] = "", input[64] = "";

    cli_format_time(p->seconds, time);
    if (isfinite(p->first_score))
        snprintf(before, sizeof(before), " (before: %.5g)", p->first_score);
    if (isfinite(p->input_score))
        snprintf(input, sizeof(input), "; the input itself has %.5g %s", p->input_score, p->unit);
    cli_message("%s: %llu steps in %s, score on what was held out %.5g%s%s%s%s%s", cfg.output,
                (unsigned long long)p->step, time, p->score, *p->unit ? " " : "", p->unit, before,
                input, cfg.noisy_only ? ", against the noisy pixels themselves" : "");
    if (p->kept)
        cli_message("%s: nothing scored better than what training began with, which was written "
                    "unchanged: more time, more "
                    "pictures or another --rate may help",
                    cfg.output);
}

static ae_status train(const ae_recipe *recipe, const char *text, const ae_dataset *data,
                       ae_train_options *o, ae_error *err)
{
    talk t = {.recipe = recipe,
              .terminal = isatty(STDERR_FILENO),
              .quiet = cfg.quiet,
              .verbose = cfg.verbose};
    ae_status st;

    if (cfg.json && *cfg.json) {
        t.json = fopen(cfg.json, "w");
        if (!t.json)
            return ae_fail(err, AE_ERR_IO, "%s: %s", cfg.json, strerror(errno));
    } else if (cfg.json) {
        t.json = stdout;
    }
    o->control.opaque = &t;
    o->watch = talk_progress;
    t.last = cli_seconds();
    if (!cfg.quiet)
        cli_progress_on();
    st = ae_train(recipe, text, data, o, cfg.output, err);
    cli_progress_clear();
    if (t.json && t.json != stdout && fclose(t.json) && st == AE_OK)
        st = ae_fail(err, AE_ERR_IO, "%s: %s", cfg.json, strerror(errno));
    if (st != AE_OK || cfg.quiet)
        return st;
    cli_notes_end();
    say_result(&t.seen);
    return AE_OK;
}

/* What a recipe of sound is trained on; closed again by close_sounds. */
typedef struct sound_sets {
    dataset *clean, *noise, *rooms, *music;
} sound_sets;

static void close_sounds(sound_sets *s)
{
    dataset_free(s->clean);
    dataset_free(s->noise);
    dataset_free(s->rooms);
    dataset_free(s->music);
}

static ae_status open_sound(const char *path, dataset **out, ae_error *err)
{
    return path ? dataset_open_sounds(path, cfg.quiet, out, err) : AE_OK;
}

static ae_status open_sounds(sound_sets *s, ae_train_options *o, ae_error *err)
{
    ae_status st;

    if ((st = open_sound(cfg.clean, &s->clean, err)) != AE_OK ||
        (st = open_sound(cfg.noise, &s->noise, err)) != AE_OK ||
        (st = open_sound(cfg.rooms, &s->rooms, err)) != AE_OK ||
        (st = open_sound(cfg.music, &s->music, err)) != AE_OK)
        return st;
    o->noise = dataset_items(s->noise);
    o->rooms = dataset_items(s->rooms);
    o->music = dataset_items(s->music);
    return AE_OK;
}

/* The noisy versions of the data. */
static ae_status open_noisy(const ae_recipe *recipe, dataset **noisy, ae_train_options *o,
                            ae_error *err)
{
    char *operands[1] = {(char *)(uintptr_t)cfg.noisy};
    ae_status st = cfg.noisy
                       ? dataset_open(operands, 1, dataset_need_of(recipe), cfg.quiet, noisy, err)
                       : AE_OK;

    o->noisy = dataset_items(*noisy);
    return st;
}

/* The data named must suit the recipe. */
static ae_status check_data(const ae_recipe *recipe, int n_data, ae_error *err)
{
    bool sound = recipe->sound.bands > 0;

    if (sound && (!cfg.clean || n_data))
        return ae_fail(
            err, AE_ERR_ARGUMENT,
            "recipe %s is of sound: it wants --clean DIR, and no other data than --noise, --rooms "
            "and --music name",
            recipe->name);
    if (!sound && (cfg.clean || cfg.noise || cfg.rooms || cfg.music))
        return ae_fail(
            err, AE_ERR_ARGUMENT,
            "recipe %s is not of sound: --clean, --noise, --rooms and --music are for those",
            recipe->name);
    return AE_OK;
}

/* Says of data in a recipe's place, as who has not read the page begins, what they are. */
static ae_status load_recipe(const char *name, char *path, size_t n_path, ae_recipe **recipe,
                             char **text, ae_error *err)
{
    const ae_codec *codec = ae_codec_for_path(name);
    struct stat s;
    ae_status st = ae_recipe_find(name, path, n_path, err);

    if (st == AE_OK)
        st = ae_recipe_load(path, NULL, recipe, text, err);
    if (st != AE_OK && stat(name, &s) == 0 &&
        (S_ISDIR(s.st_mode) || (codec && codec->kind != AE_KIND_TENSOR)))
        return ae_fail(
            err, AE_ERR_ARGUMENT,
            "%s is no recipe: one comes first, a name such as photo (--list) or a YAML file", name);
    return st;
}

/* Writes the number of columns that the data turned out to have into the recipe. */
static ae_status set_columns(const char *path, uint32_t columns, ae_recipe **recipe, char **text,
                             ae_error *err)
{
    static const char key[] = "columns:";
    const char *data = strstr(*text, "\ndata:"), *at = data ? strstr(data, key) : NULL, *rest;
    size_t size = strlen(*text) + 16;
    char *changed;

    if (columns == (*recipe)->columns)
        return AE_OK;
    if (!at)
        return ae_fail(err, AE_ERR_MALFORMED,
                       "%s: its data have %u columns; `columns: N` below `data:` was not found",
                       path, columns);
    at += strlen(key);
    rest = at + strspn(at, " ");
    rest += strspn(rest, "0123456789");
    if (!(changed = ae_alloc(size, 1)))
        return ae_fail(err, AE_ERR_NOMEM, "recipe");
    snprintf(changed, size, "%.*s %u%s", (int)(at - *text), *text, columns, rest);
    ae_free(*text);
    *text = changed;
    ae_recipe_free(*recipe);
    return ae_recipe_parse(changed, strlen(changed), path, recipe, err);
}

/* Of tables: how many columns they have, and what became of them. */
static ae_status take_table(const char *path, const dataset *data, ae_recipe **recipe, char **text,
                            char **columns, ae_train_options *o, ae_error *err)
{
    const table *t = dataset_table(data);
    ae_status st;

    if (!t)
        return AE_OK;
    if ((st = set_columns(path, t->wide, recipe, text, err)) == AE_OK &&
        (st = table_pack(t, columns, &o->n_columns, err)) == AE_OK)
        o->columns = *columns;
    if (st == AE_OK && cfg.verbose)
        cli_message("%u columns, %u numbers a line", t->n, t->wide);
    return st;
}

static int work(char **operands, int n_operands, const char *command)
{
    ae_error error = {0};
    ae_recipe *recipe = NULL;
    dataset *data = NULL, *noisy = NULL;
    sound_sets sets = {0};
    const ae_dataset *items;
    ae_dataset labelled;
    float *labels = NULL;
    const cli_inputs *files;
    char *text = NULL, *card = NULL, *checkpoint = NULL, *columns = NULL, path[4096];
    ae_train_options o = {
        .seed = cfg.seed,
        .precision = (ae_precision)cfg.precision,
        .time_limit = cfg.time_limit,
        .rate = cfg.rate,
        .steps = cfg.steps > 0 ? (uint64_t)cfg.steps : 0,
        .init = cfg.init,
        .noisy_only = cfg.noisy_only,
        .half = cfg.half,
        .cache_bytes = cfg.cache,
        .report = cfg.report,
        .command = command,
        .control = {.threads = cfg.threads, .cancel = &cli_cancel},
        .warning = on_warning,
    };
    ae_status st;

    if ((st = load_recipe(operands[0], path, sizeof(path), &recipe, &text, &error)) != AE_OK ||
        (st = check_data(recipe, n_operands - 1, &error)) != AE_OK ||
        (st = cfg.clean ? open_sounds(&sets, &o, &error)
                        : dataset_open(operands + 1, n_operands - 1, dataset_need_of(recipe),
                                       cfg.quiet, &data, &error)) != AE_OK ||
        (st = take_table(path, data, &recipe, &text, &columns, &o, &error)) != AE_OK ||
        (st = open_noisy(recipe, &noisy, &o, &error)) != AE_OK)
        goto done;
    items = dataset_items(data ? data : sets.clean);
    files = dataset_files(data ? data : sets.clean);
    if (cfg.labels && (st = labels_attach(cfg.labels, items, &labelled, &labels, &error)) != AE_OK)
        goto done;
    items = labels ? &labelled : items;
    if (cfg.bench) {
        st = bench(recipe, items, &o, &error);
        goto done;
    }
    checkpoint = cfg.checkpoint ? ae_strdup(cfg.checkpoint) : checkpoint_beside(cfg.output);
    if (!checkpoint) {
        st = ae_fail(&error, AE_ERR_NOMEM, "checkpoint");
        goto done;
    }
    o.checkpoint = checkpoint;
    if ((cfg.card && (st = card_read(cfg.card, &card, &error)) != AE_OK) ||
        (st = check_output(path, checkpoint, files, &error)) != AE_OK)
        goto done;
    o.card_extra = card;
    st = train(recipe, text, items, &o, &error);
    if (st == AE_OK && data && !cfg.noisy_only)
        st = record_normal(cfg.output, data, cfg.threads, cfg.half, &error);
done:
    close_sounds(&sets);
    ae_recipe_free(recipe);
    dataset_free(data);
    dataset_free(noisy);
    ae_free(labels);
    ae_free(text);
    ae_free(card);
    ae_free(columns);
    ae_free(checkpoint);
    return st == AE_OK ? CLI_OK : report_failure(&error);
}

static int evaluate(char **operands, int n_operands)
{
    ae_error error = {0};
    char path[4096];
    ae_model *model = NULL;
    dataset *data = NULL, *noisy = NULL;
    table columns = {0};
    sound_sets sets = {0};
    ae_dataset items;
    float *labels = NULL;
    FILE *json = cfg.json ? *cfg.json ? fopen(cfg.json, "w") : stdout : NULL;
    ae_train_options o = {.seed = cfg.seed,
                          .precision = (ae_precision)cfg.precision,
                          .cache_bytes = cfg.cache,
                          .control = {.threads = cfg.threads, .cancel = &cli_cancel},
                          .warning = on_warning};
    ae_status st = AE_OK;

    if (cfg.json && !json)
        st = ae_fail(&error, AE_ERR_IO, "%s: %s", cfg.json, strerror(errno));
    if (st == AE_OK && (st = ae_model_find(cfg.evaluate, path, sizeof(path), &error)) == AE_OK)
        st = ae_model_open(path, NULL, &model, &error);
    if (st == AE_OK && ae_model_recipe(model)->columns)
        st = columns_of_model(model, &columns, &error);
    if (st == AE_OK) {
        dataset_need need = dataset_need_of(ae_model_recipe(model));

        need.table = columns.n ? &columns : NULL;
        st = cfg.clean ? open_sounds(&sets, &o, &error)
                       : dataset_open(operands, n_operands, need, cfg.quiet, &data, &error);
    }
    if (st == AE_OK)
        st = open_noisy(ae_model_recipe(model), &noisy, &o, &error);
    if (st == AE_OK)
        items = *dataset_items(data ? data : sets.clean);
    if (st == AE_OK && cfg.labels)
        st = labels_attach(cfg.labels, &items, &items, &labels, &error);
    if (st == AE_OK)
        st = evaluate_model(model, &items, &o, json, &error);
    if (json && json != stdout && fclose(json) && st == AE_OK)
        st = ae_fail(&error, AE_ERR_IO, "%s: %s", cfg.json, strerror(errno));
    close_sounds(&sets);
    ae_model_free(model);
    dataset_free(data);
    dataset_free(noisy);
    table_free(&columns);
    ae_free(labels);
    return st == AE_OK ? CLI_OK : report_failure(&error);
}

static int export(char **operands, int n_operands)
{
    ae_error error = {0};
    dataset *data = NULL;
    ae_status st = AE_OK;

    if (!cfg.force && !access(cfg.output, F_OK))
        st = ae_fail(&error, AE_ERR_ARGUMENT, "%s exists (-f overwrites it)", cfg.output);
    if (st == AE_OK && (st = dataset_open(operands, n_operands, dataset_need_of(NULL), cfg.quiet,
                                          &data, &error)) == AE_OK)
        st = export_codec(cfg.export, dataset_items(data), cfg.output, cfg.half, cfg.quiet, &error);
    dataset_free(data);
    return st == AE_OK ? CLI_OK : report_failure(&error);
}

/* Scores are known after training: the card is completed then. */
static int rewrite(void)
{
    char path[4096], *card = NULL;
    ae_error error = {0};
    ae_model *model = NULL;
    ae_model_parts parts = {.half = cfg.half};
    ae_status st = AE_OK;

    if (!cfg.force && !access(cfg.output, F_OK))
        st = ae_fail(&error, AE_ERR_ARGUMENT, "%s exists (-f overwrites it)", cfg.output);
    if (st == AE_OK && cfg.card)
        st = card_read(cfg.card, &card, &error);
    if (st == AE_OK && (st = ae_model_find(cfg.rewrite, path, sizeof(path), &error)) == AE_OK &&
        (st = ae_model_open(path, NULL, &model, &error)) == AE_OK) {
        parts.recipe_text = ae_model_recipe_text(model);
        parts.card = card ? card : ae_model_card(model);
        parts.values = ae_model_all_values(model, &parts.n_floats);
        parts.program = ae_model_program(model, &parts.n_program);
        parts.normal = ae_model_normal(model, &parts.n_normal);
        parts.columns = ae_model_columns(model, &parts.n_columns);
        st = ae_model_save(cfg.output, &parts, &error);
    }
    ae_model_free(model);
    ae_free(card);
    return st == AE_OK ? CLI_OK : report_failure(&error);
}

int main(int argc, char **argv)
{
    long n_cpus = sysconf(_SC_NPROCESSORS_ONLN);
    char **operands, *command = card_command(argc, argv);
    int n_operands, status;
    ae_error error;

    cfg.threads = n_cpus > 0 ? (uint32_t)n_cpus : 1;
    cli_confine = ae_decode_apart;
    status = cli_start(&tool, argc, argv, &operands, &n_operands);
    cli_notes_all = cfg.verbose;
    if (status != CLI_GO_ON)
        ;
    else if (cfg.show)
        status = n_operands                        ? cli_usage("--show takes no further files")
                 : show(cfg.show, &error) == AE_OK ? CLI_OK
                                                   : report_failure(&error);
    else if (cfg.list)
        status = n_operands                      ? cli_usage("--list takes no files")
                 : list_recipes(&error) == AE_OK ? CLI_OK
                                                 : report_failure(&error);
    else if (cfg.evaluate)
        status = !n_operands && !cfg.clean ? cli_usage("--evaluate wants data")
                                           : evaluate(operands, n_operands);
    else if (cfg.export)
        status = !n_operands || !cfg.output ? cli_usage("--export wants pictures and -o MODEL.aem")
                                            : export(operands, n_operands);
    else if (cfg.rewrite)
        status = n_operands || !cfg.output
                     ? cli_usage("--rewrite wants -o MODEL.aem and no further files")
                     : rewrite();
    else if (n_operands < 2 && !(n_operands == 1 && cfg.clean))
        status = cli_usage("a recipe and data must be named");
    else if (!cfg.output && !cfg.bench)
        status = cli_usage("no output: -o MODEL.aem");
    else
        status = work(operands, n_operands, command);
    cli_notes_end();
    ae_free(command);
    return status;
}
