/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The model is run in two parts: from its input to the layer of the latents, and from there to its
 * output. Threads take blocks of items, one after another; what an item becomes does not depend on
 * the block that it is in. */
#include "common/latents.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "common/models.h"
#include "common/notes.h"
#include "common/misfit.h"
#include "common/progress.h"

enum { BATCH = 64 };

/* ---- the model ---- */

static uint32_t numbers(ae_shape s)
{
    return s.h * s.w * s.c;
}

static ae_status open_part(const latents *l, const char *from, const char *const *to, uint32_t n_to,
                           uint32_t n, ae_session **out, ae_error *err)
{
    ae_session_options o = {.n = n,
                            .h = l->input.h,
                            .w = l->input.w,
                            .precision = AE_PRECISION_F32,
                            .from = &from,
                            .n_from = from != NULL,
                            .to = to,
                            .n_to = n_to};

    ae_status st = ae_session_open(l->model, &o, out, err);

    if (st == AE_OK && ae_session_n_inputs(*out) != 1) {
        st = ae_fail(err, AE_ERR_UNSUPPORTED, "the model wants %u inputs; items are one",
                     ae_session_n_inputs(*out));
        ae_session_free(*out);
        *out = NULL;
    }
    return st;
}

/* What comes out is held against what went in. */
static ae_status check_output(const latents *l, const ae_session *session, ae_error *err)
{
    ae_shape s = ae_session_output_shape(session, ae_session_n_outputs(session) - 1);

    if (s.h == l->input.h && s.w == l->input.w && s.c == l->input.c)
        return AE_OK;
    return ae_fail(err, AE_ERR_UNSUPPORTED,
                   "the model makes %u x %u x %u of items of %u x %u x %u: no reconstruction", s.h,
                   s.w, s.c, l->input.h, l->input.w, l->input.c);
}

/* The layer named code, or one that draws the code, or the one with the fewest numbers between
 * input and output. */
static ae_status find_layer(latents *l, const char *wanted, ae_error *err)
{
    const ae_graph *g = ae_model_graph(l->model);
    int32_t found = ae_graph_find(g, wanted ? wanted : "code");
    ae_shape *shapes = ae_alloc(g->n_nodes, sizeof(*shapes));
    ae_status st = shapes ? ae_graph_shapes(g, 1, l->input.h, l->input.w, shapes, err)
                          : ae_fail(err, AE_ERR_NOMEM, "shapes");

    for (uint32_t i = 0; !wanted && found < 0 && i < g->n_nodes; i++)
        found = g->nodes[i].op == AE_OP_GAUSSIAN ? (int32_t)i : -1;
    for (uint32_t i = 0; st == AE_OK && !wanted && found < 0 && i < g->n_nodes; i++) {
        bool least = i != g->outputs[0] && g->nodes[i].op != AE_OP_INPUT;

        for (uint32_t k = 0; k < i && least; k++)
            least = g->nodes[k].op == AE_OP_INPUT || numbers(shapes[i]) <= numbers(shapes[k]);
        for (uint32_t k = i + 1; k < g->n_nodes && least; k++)
            least = numbers(shapes[i]) <= numbers(shapes[k]);
        found = least ? (int32_t)i : -1;
    }
    if (st == AE_OK && found < 0)
        st = ae_fail(err, AE_ERR_ARGUMENT, "no layer %s",
                     wanted ? wanted : "is narrower than the input");
    if (st == AE_OK) {
        snprintf(l->layer, sizeof(l->layer), "%s", g->nodes[found].name);
        l->code = shapes[found];
    }
    ae_free(shapes);
    return st;
}

void latents_close(latents *l)
{
    normal_free(&l->normal);
    table_free(&l->table);
    ae_model_free(l->model);
    *l = (latents){0};
}

/* What the model says of its training data, where it is about the layer. */
static ae_status read_normal(latents *l, ae_error *err)
{
    size_t n_bytes;
    const void *bytes = ae_model_normal(l->model, &n_bytes);
    ae_status st = bytes ? normal_unpack(bytes, n_bytes, &l->normal, err) : AE_OK;

    if (st == AE_OK &&
        (strcmp(l->normal.layer, l->layer) != 0 || l->normal.width != numbers(l->code)))
        normal_free(&l->normal);
    return st;
}

ae_status columns_of_model(const ae_model *model, table *out, ae_error *err)
{
    size_t n_bytes;
    const void *text = ae_model_columns(model, &n_bytes);
    uint32_t wide = ae_model_recipe(model)->columns;
    ae_status st = text ? table_unpack(text, n_bytes, out, err)
                        : ae_fail(err, AE_ERR_MALFORMED,
                                  "the model is of tables, but does not say of which columns");

    if (st == AE_OK && out->wide != wide) {
        st = ae_fail(err, AE_ERR_MALFORMED, "the model's columns make %u numbers, its input has %u",
                     out->wide, wide);
        table_free(out);
    }
    return st;
}

ae_status latents_of_model(const char *name, const char *layer, latents *out, ae_error *err)
{
    const ae_graph *g;
    ae_status st;

    *out = (latents){0};
    if ((st = cli_model_open(name, &out->model, err)) != AE_OK)
        return st;
    g = ae_model_graph(out->model);
    for (uint32_t i = 0; i < g->n_nodes && !out->input.c; i++)
        if (g->nodes[i].op == AE_OP_INPUT)
            out->input = (ae_shape){1, g->nodes[i].height, g->nodes[i].width, g->nodes[i].out};
    if (!out->input.h || !out->input.w)
        st = ae_fail(
            err, AE_ERR_UNSUPPORTED,
            "takes pictures of any size; items with latents of one size need a model of one");
    if (st == AE_OK && (st = find_layer(out, layer, err)) == AE_OK &&
        (st = read_normal(out, err)) == AE_OK && ae_model_recipe(out->model)->columns)
        st = columns_of_model(out->model, &out->table, err);
    if (st != AE_OK)
        latents_close(out);
    return st;
}

/* The model, the layer of its latents, their shapes. */
static int open_model(const latents_options *o, latents *out)
{
    ae_error err;

    if (!o->model)
        return cli_usage("no model named (-m)");
    if (latents_of_model(o->model, o->layer, out, &err) != AE_OK) {
        cli_message("--model %s: %s", o->model, err.message);
        return CLI_FAILED;
    }
    if (o->verbose)
        cli_message("%s: layer %s, %u numbers an item", o->model, out->layer, numbers(out->code));
    return CLI_GO_ON;
}

int latents_main(const cli_tool *tool, latents_options *o, int (*check)(int n_operands),
                 ae_status (*run)(const latents *l, char **operands, int n, ae_error *err),
                 int argc, char **argv)
{
    char **operands;
    latents l;
    ae_error err;
    ae_status st;
    int n, status;

    o->jobs = cli_processors();
    cli_clean_up = ae_output_remove_pending;
    cli_confine = ae_decode_apart;
    status = cli_start(tool, argc, argv, &operands, &n);
    cli_notes_all = o->verbose;
    if (status == CLI_GO_ON && check)
        status = check(n);
    if (status == CLI_GO_ON)
        status = open_model(o, &l);
    if (status != CLI_GO_ON)
        return status;
    st = run(&l, operands, n, &err);
    if (st == AE_OK && !cli_printed())
        st = ae_fail(&err, AE_ERR_IO, "standard output cannot be written");
    if (st != AE_OK && !cli_cancel.requested)
        cli_message("%s", err.message);
    cli_notes_end();
    latents_close(&l);
    return cli_cancel.requested ? cli_interrupted() : st == AE_OK ? CLI_OK : CLI_FAILED;
}

/* ---- many items ---- */

ae_status latents_open(const latents *l, const latents_options *o, char **operands, int n,
                       dataset **out, ae_error *err)
{
    dataset_need need = dataset_need_of(ae_model_recipe(l->model));

    if (need.lines) {
        need.table = &l->table;
        need.step = o->step ? o->step : need.lines;
    }
    return dataset_open(operands, n, need, o->quiet, out, err);
}

/* Blocks of BATCH rows, taken by threads as they come; each writes its own rows, so that nothing
 * depends on their number. */
typedef struct running {
    const latents *l;
    const dataset *data; /* items, or NULL: codes */
    matrix *codes, *items;
    float *errors;
    bool misfits; /* errors are those of misfit */
    bool usable;  /* items that cannot be used have no error (NaN) */
    size_t n;     /* of the items, evenly spread */
    const latents_options *options;
    ae_session *session; /* the first thread's, which the others clone */
    bool quiet;

    pthread_mutex_t mutex; /* of all below */
    size_t next;
    ae_status st;
    ae_error err;
} running;

static double squared_error(const float *a, const float *b, size_t n)
{
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += (double)(a[i] - b[i]) * (double)(a[i] - b[i]);
    return sum / (double)n;
}

size_t latents_item(const latents_options *o, const dataset *data, size_t i, size_t n)
{
    size_t rest = dataset_items(data)->n_items - o->first;

    return o->first + (size_t)((__uint128_t)i * rest / n);
}

static ae_status check_finite(const float *x, ae_shape s, ae_error *err)
{
    for (uint32_t i = 0; i < numbers(s); i++)
        if (!isfinite(x[i]))
            return ae_fail(err, AE_ERR_MALFORMED,
                           "row %u, column %u holds %g, which is no finite number",
                           i / (s.w * s.c) + 1, i / s.c % s.w + 1, (double)x[i]);
    return AE_OK;
}

/* The i-th item or code of those to run. */
static ae_status take_item(const running *r, size_t i, float *to, ae_error *err)
{
    const ae_dataset *items = dataset_items(r->data);
    size_t n_code = numbers(r->l->code),
           at = r->data ? latents_item(r->options, r->data, i, r->n) : i;
    ae_error inner;
    ae_status st;

    if (!r->data) {
        memcpy(to, r->codes->values + i * n_code, n_code * sizeof(float));
        st = check_finite(to, (ae_shape){1, 1, (uint32_t)n_code, 1}, &inner);
        return st == AE_OK ? st : ae_fail(err, st, "code %zu: %s", i, inner.message);
    }
    if ((st = dataset_item(r->data, at, r->l->input, to, &inner)) == AE_OK)
        st = check_finite(to, r->l->input, &inner);
    return st == AE_OK ? st
                       : ae_fail(err, st, "%s: %s", items->name(items->opaque, at), inner.message);
}

static ae_status run_block(const running *r, ae_session *session, size_t first, float *in,
                           float *code, float *item, float *scratch, ae_error *err)
{
    size_t n_in = numbers(r->l->input), n_code = numbers(r->l->code),
           n = r->n - first < BATCH ? r->n - first : BATCH;
    const float *inputs[1] = {in};
    float *outputs[2] = {r->data ? code : item, item};
    uint64_t unusable = 0; /* a bit for each of a block */
    ae_status st = AE_OK;

    for (size_t i = 0; i < n && st == AE_OK; i++)
        if ((st = take_item(r, first + i, in + i * (r->data ? n_in : n_code), err)) != AE_OK &&
            r->usable && st != AE_ERR_NOMEM) {
            memset(in + i * n_in, 0, n_in * sizeof(*in));
            unusable |= UINT64_C(1) << i;
            st = AE_OK;
        }
    if (st != AE_OK || (st = ae_session_run(session, inputs, outputs, err)) != AE_OK)
        return st;
    if (r->data)
        memcpy(r->codes->values + first * n_code, code, n * n_code * sizeof(float));
    if (r->items && r->items->values)
        memcpy(r->items->values + first * n_in, item, n * n_in * sizeof(float));
    for (size_t i = 0; r->errors && i < n; i++)
        r->errors[first + i] = unusable >> i & 1 ? NAN
                               : r->misfits
                                   ? (float)misfit(in + i * n_in, item + i * n_in, r->l->input,
                                                   scratch)
                                   : (float)squared_error(in + i * n_in, item + i * n_in, n_in);
    return AE_OK;
}

static void *work(void *opaque)
{
    running *r = opaque;
    size_t n_in = numbers(r->l->input), n_code = numbers(r->l->code),
           most = n_in > n_code ? n_in : n_code;
    float *in = ae_alloc(BATCH * most, sizeof(*in)),
          *code = ae_alloc(BATCH * n_code, sizeof(*code)),
          *item = ae_alloc(BATCH * n_in, sizeof(*item)),
          *scratch = ae_alloc(2 * n_in, sizeof(*scratch));
    ae_session *session = NULL;
    ae_error err;
    ae_status st = in && code && item && scratch
                       ? AE_OK
                       : ae_fail(&err, AE_ERR_NOMEM, "a block of %d items", BATCH);

    if (st == AE_OK)
        st = ae_session_clone(r->session, &session, &err);
    pthread_mutex_lock(&r->mutex);
    while (st == AE_OK && r->st == AE_OK && r->next < r->n && !cli_cancel.requested) {
        size_t first = r->next;

        r->next += BATCH;
        pthread_mutex_unlock(&r->mutex);
        if (!r->quiet && cli_progress_due())
            cli_progress_show("%zu of %zu items", first, r->n);
        st = run_block(r, session, first, in, code, item, scratch, &err);
        pthread_mutex_lock(&r->mutex);
    }
    if (st != AE_OK && r->st == AE_OK) {
        r->st = st;
        r->err = err;
    }
    pthread_mutex_unlock(&r->mutex);
    ae_session_free(session);
    ae_free(in);
    ae_free(code);
    ae_free(item);
    ae_free(scratch);
    return NULL;
}

static ae_status run_all(running *r, const latents_options *o, ae_error *err)
{
    pthread_t *threads = ae_alloc(o->jobs, sizeof(*threads));
    uint32_t n = 0;

    if (!o->quiet)
        cli_progress_on();
    while (threads && n + 1 < o->jobs && (n + 1) * BATCH < r->n &&
           pthread_create(&threads[n], NULL, work, r) == 0)
        n++;
    work(r);
    while (n)
        pthread_join(threads[--n], NULL);
    ae_free(threads);
    cli_progress_clear();
    if (r->st != AE_OK)
        return ae_fail(err, r->st, "%s", r->err.message);
    return cli_cancel.requested ? ae_fail(err, AE_ERR_CANCELLED, "interrupted") : AE_OK;
}

static const char *output_name(const latents *l)
{
    const ae_graph *g = ae_model_graph(l->model);

    return g->nodes[g->outputs[0]].name;
}

/* Items beyond nearly all that the model was trained on: what it says of them is worth little. A
 * few always are. */
static void warn_of_strangers(const latents *l, const dataset *data, const matrix *codes,
                              const float *errors)
{
    normal_by by = errors ? NORMAL_BOTH : NORMAL_LATENT;
    double *work = ae_alloc(l->normal.width, sizeof(*work)),
           limit = l->normal.width ? normal_threshold(&l->normal, by, 0.999) : 0;
    size_t n = 0, first = 0;

    for (size_t i = 0; work && l->normal.width && i < codes->n; i++) {
        double score = normal_score(&l->normal, by, codes->values + i * codes->width,
                                    errors ? (double)errors[i] : 0, work);

        if (!(score <= limit) && !n++)
            first = i;
    }
    ae_free(work);
    if (n > codes->n / 100)
        cli_message("%zu of %zu items are unlike what the model was trained on, the first is %s: "
                    "its latents say little of them",
                    n, codes->n, dataset_items(data)->name(dataset_items(data)->opaque, first));
}

/* The rows without an error. */
static void leave_out(matrix *codes, float *errors)
{
    size_t n = 0;

    for (size_t i = 0; i < codes->n; i++)
        if (!isnan(errors[i])) {
            errors[n] = errors[i];
            memmove(codes->values + n++ * codes->width, codes->values + i * codes->width,
                    codes->width * sizeof(float));
        }
    codes->n = n;
}

ae_status latents_encode(const latents *l, const latents_options *o, const dataset *data,
                         matrix *codes, matrix *reconstructions, float **errors, ae_error *err)
{
    size_t n_items = dataset_items(data)->n_items - o->first,
           n = o->most && o->most < n_items ? o->most : n_items;
    const char *to[2] = {l->layer, output_name(l)};
    bool whole = reconstructions || errors;
    running r = {.l = l,
                 .data = data,
                 .codes = codes,
                 .items = reconstructions,
                 .n = n,
                 .options = o,
                 .misfits = o->misfits,
                 .usable = o->usable,
                 .quiet = o->quiet,
                 .mutex = PTHREAD_MUTEX_INITIALIZER};
    ae_status st = matrix_create(n, numbers(l->code), codes, err);

    if (reconstructions)
        *reconstructions = (matrix){0};
    if (errors)
        *errors = NULL;
    if (st == AE_OK && reconstructions)
        st = matrix_create(n, numbers(l->input), reconstructions, err);
    if (st == AE_OK && errors && !(*errors = r.errors = ae_alloc(n, sizeof(float))))
        st = ae_fail(err, AE_ERR_NOMEM, "%zu errors", n);
    if (st == AE_OK &&
        (st = open_part(l, NULL, to, whole ? 2 : 1, BATCH, &r.session, err)) == AE_OK &&
        (!whole || (st = check_output(l, r.session, err)) == AE_OK))
        st = run_all(&r, o, err);
    ae_session_free(r.session);
    if (st == AE_OK && o->usable)
        leave_out(codes, *errors);
    if (st == AE_OK && !o->quiet && !o->unwarned)
        warn_of_strangers(l, data, codes, errors && o->misfits && !l->table.n ? *errors : NULL);
    if (st != AE_OK) {
        matrix_free(codes);
        if (reconstructions)
            matrix_free(reconstructions);
        if (errors) {
            ae_free(*errors);
            *errors = NULL;
        }
    }
    return st;
}

ae_status latents_decode(const latents *l, const latents_options *o, const matrix *codes,
                         matrix *items, ae_error *err)
{
    const char *to[1] = {output_name(l)};
    running r = {.l = l,
                 .codes = (matrix *)(uintptr_t)codes,
                 .items = items,
                 .n = codes->n,
                 .quiet = o->quiet,
                 .mutex = PTHREAD_MUTEX_INITIALIZER};
    ae_status st;

    if (codes->width != numbers(l->code))
        return ae_fail(err, AE_ERR_MISMATCH, "codes of %zu numbers, layer %s of this model has %u",
                       codes->width, l->layer, numbers(l->code));
    if ((st = matrix_create(codes->n, numbers(l->input), items, err)) == AE_OK &&
        (st = open_part(l, l->layer, to, 1, BATCH, &r.session, err)) == AE_OK)
        st = run_all(&r, o, err);
    ae_session_free(r.session);
    if (st != AE_OK)
        matrix_free(items);
    return st;
}
