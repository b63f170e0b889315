/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What looks alike to an autoencoder: nearest neighbours of its latents, by exact search. An index
 * is an NPY file of the latents, which other programs can read, followed by a few lines that only
 * this one reads: the model's identity, the layer, the items' names. */
#define _GNU_SOURCE
#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/axes.h"
#include "common/json.h"
#include "common/latents.h"
#include "common/progress.h"
#include "common/text.h"

static const char magic[] = "\naesuite index 1\n";

static struct {
    latents_options latents;
    const char *build, *index, *json;
    uint32_t k;
    bool cosine, plain, leave_self;
} o = {.k = 10};

/* clang-format off */
static const cli_option options[] = {
    {0, NULL, CLI_HEADING, NULL, NULL, "What to do", 0, 0},
    {'b', "build", CLI_STRING, &o.build, "INDEX", "write an index of DATA", 0, 0},
    {'i', "index", CLI_STRING, &o.index, "INDEX", "look the items of DATA up in this index", 0, 0},
    {'k', "nearest", CLI_INT, &o.k, "N", "so many of the nearest", 1, 10000},
    {0, "cosine", CLI_FLAG, &o.cosine, NULL,
     "by angle, seen from the mean of the index, instead of by distance", 0, 0},
    {0, "plain", CLI_FLAG, &o.plain, NULL,
     "by latents as they are; without, those that vary much count less", 0, 0},
    {0, "leave-self", CLI_FLAG, &o.leave_self, NULL,
     "leave out what lies at distance 0: DATA is in the index itself", 0, 0},
    {0, "json", CLI_OPTIONAL, &o.json, "FILE",
     "one JSON object a line for each item, on standard output or added to FILE", 0, 0},
    LATENTS_OPTIONS(o.latents),
    {0},
};
/* clang-format on */

static const cli_tool tool = {
    "aesearch",
    "-m MODEL (--build INDEX | --index INDEX) [OPTION]... DATA...",
    "Finds the items of a collection that an autoencoder takes for most alike to given ones. "
    "Prints a line for each: item, rank, "
    "distance, found item, separated by tabs.",
    options,
    "Examples:\n"
    "  aesearch -m mine.aem --build pictures.index pictures/\n"
    "  aesearch -m mine.aem --index pictures.index -k 5 query.jpg\n",
};

typedef struct found_index {
    matrix codes;
    char *text, **names;
} found_index;

static ae_status put(ae_sink *s, const char *text, ae_error *err)
{
    return s->write(s->opaque, text, strlen(text), err);
}

static ae_status write_index(const latents *l, const matrix *codes, const ae_dataset *items,
                             ae_error *err)
{
    ae_signal_info info = {.kind = AE_KIND_TENSOR,
                           .sample = AE_F32,
                           .bits = 32,
                           .channels = 1,
                           .width = codes->width,
                           .height = codes->n,
                           .rank = 1,
                           .dims = {(uint32_t)codes->width}};
    ae_output *output = NULL;
    ae_encoder encoder = {0};
    uint8_t identity[16];
    char text[8192], line[160];
    ae_sink *sink;
    ae_status st = cli_output_open(o.build, NULL, o.latents.force, &output, err);

    if (st != AE_OK)
        return st;
    sink = ae_output_sink(output);
    ae_model_identity(l->model, identity);
    if ((st = ae_encoder_open(ae_codec_for_name("npy"), sink, &info, NULL, NULL, &encoder, err)) ==
            AE_OK &&
        (st = ae_encoder_write(&encoder, codes->values, (uint32_t)codes->n, err)) == AE_OK)
        st = ae_encoder_finish(&encoder, err);
    ae_encoder_abandon(&encoder);
    for (size_t i = 0, n = 0; i < 16; i++)
        n += (size_t)snprintf(line + n, sizeof(line) - n, i == 15 ? "%02x %s\n" : "%02x",
                              identity[i], l->layer);
    if (st == AE_OK && (st = put(sink, magic, err)) == AE_OK)
        st = put(sink, line, err);
    for (size_t i = 0; i < codes->n && st == AE_OK; i++)
        if ((st = put(sink, cli_escape(items->name(items->opaque, i), text, sizeof(text)), err)) ==
            AE_OK)
            st = put(sink, "\n", err);
    if (st == AE_OK)
        return ae_output_commit(output, err);
    ae_output_discard(output);
    return st;
}

/* What follows the numbers: their place is known from the file's size, since the text is the rest.
 */
static ae_status read_tail(const char *path, found_index *x, char line[160], ae_error *err)
{
    FILE *f = fopen(path, "rb");
    long end = 0, start;
    char *at;
    size_t n;
    ae_status st = AE_OK;

    if (!f)
        return ae_fail(err, AE_ERR_IO, "cannot be opened");
    n = x->codes.n * x->codes.width * sizeof(float);
    start = (long)(n + 128);
    if (fseek(f, 0, SEEK_END) != 0 || (end = ftell(f)) < start ||
        fseek(f, start - 64, SEEK_SET) != 0 ||
        !(x->text = ae_alloc((size_t)(end - start) + 65, 1)) ||
        !(x->names = ae_alloc(x->codes.n, sizeof(*x->names))) ||
        fread(x->text, 1, (size_t)(end - start) + 64, f) != (size_t)(end - start) + 64)
        st = ae_fail(err, AE_ERR_MALFORMED, "no index (aesearch --build makes them)");
    fclose(f);
    if (st != AE_OK)
        return st;
    n = (size_t)(end - start) + 64;
    if (!(at = memmem(x->text, n, magic, sizeof(magic) - 1)))
        return ae_fail(err, AE_ERR_MALFORMED, "no index (aesearch --build makes them)");
    at += sizeof(magic) - 1;
    snprintf(line, 160, "%.*s", (int)strcspn(at, "\n"), at);
    at += strcspn(at, "\n");
    for (size_t i = 0; i < x->codes.n; i++) {
        if (!*at)
            return ae_fail(err, AE_ERR_MALFORMED, "an index of %zu items with names for %zu",
                           x->codes.n, i);
        *at++ = 0;
        x->names[i] = at;
        at += strcspn(at, "\n");
    }
    *at = 0;
    return AE_OK;
}

static ae_status read_index(const latents *l, found_index *x, ae_error *err)
{
    uint8_t identity[16];
    char line[160], hex[33];
    ae_status st = matrix_read(o.index, &x->codes, err);

    if (st != AE_OK || (st = read_tail(o.index, x, line, err)) != AE_OK)
        return st;
    ae_model_identity(l->model, identity);
    for (size_t i = 0; i < 16; i++)
        snprintf(hex + 2 * i, 3, "%02x", identity[i]);
    if (strncmp(line, hex, 32) != 0)
        return ae_fail(err, AE_ERR_MISMATCH, "%s was made by another model, %.32s, this one is %s",
                       o.index, line, hex);
    if (strlen(line) < 33 || strcmp(line + 33, l->layer) != 0)
        return ae_fail(err, AE_ERR_MISMATCH, "%s holds the values of layer %s, not of %s", o.index,
                       line + 33, l->layer);
    return AE_OK;
}

/* ---- searching ---- by |a - b|^2 = |a|^2 + |b|^2 - 2 a.b. The index lies in blocks of BLOCK
 * items, latent by latent, so that BLOCK products are summed at once; QUERIES queries share each
 * block that has been fetched. */

enum { BLOCK = 16, QUERIES = 16 };

/* As lib/core/clones.h: the same sums in the same order for every instruction set. */
#if defined(__x86_64__) && defined(__gnu_linux__) && defined(__GNUC__) && !defined(__clang__)
#define CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define CLONES
#endif

typedef struct hit {
    float distance;
    uint32_t item;
} hit;

typedef struct searching {
    const matrix *queries;
    size_t n; /* items of the index */
    const float *blocks, *squares;
    hit *hits; /* k for each query */
    uint32_t k;
    pthread_mutex_t mutex;
    size_t next;
    atomic_bool failed; /* for want of memory */
} searching;

typedef float lane __attribute__((vector_size(BLOCK * sizeof(float)), may_alias));

/* Squared distances of QUERIES rows of w numbers to the items of a block; to: QUERIES x BLOCK. Four
 * rows at a time, whose sums do not wait for one another. */
CLONES static void measure(const float *queries, const float *own, const lane *block,
                           const lane *squares, size_t w, lane *to)
{
    for (size_t q = 0; q < QUERIES; q += 4) {
        const float *a = queries + q * w, *b = a + w, *c = b + w, *d = c + w;
        lane sa = {0}, sb = {0}, sc = {0}, sd = {0};

        for (size_t k = 0; k < w; k++) {
            sa += a[k] * block[k];
            sb += b[k] * block[k];
            sc += c[k] * block[k];
            sd += d[k] * block[k];
        }
        to[q] = own[q] + *squares - 2 * sa;
        to[q + 1] = own[q + 1] + *squares - 2 * sb;
        to[q + 2] = own[q + 2] + *squares - 2 * sc;
        to[q + 3] = own[q + 3] + *squares - 2 * sd;
    }
}

/* Whether any of a block is nearer than that. */
CLONES static bool any_below(const float *distances, float limit)
{
    int n = 0;

    for (size_t i = 0; i < BLOCK; i++)
        n += distances[i] < limit;
    return n > 0;
}

static float square(const float *x, size_t w)
{
    float sum = 0;

    for (size_t k = 0; k < w; k++)
        sum += x[k] * x[k];
    return sum;
}

/* Along the principal axes of the index, from its mean, each over the root of its deviation: what
 * varies most is as a rule how something looks, not what it is, and what hardly varies is noise, so
 * that neither plain distances nor those by Mahalanobis are the best. Where latents are too wide
 * their own axes are taken. */
static void even_out(const axes *a, matrix *m, double *place)
{
    size_t w = a->width;
    double most = 0;

    for (size_t k = 0; k < w; k++)
        most = fmax(most, a->variance[k]);
    for (size_t i = 0; i < m->n; i++) {
        float *x = m->values + i * w;

        axes_place(a, x, place);
        for (size_t k = 0; k < w; k++)
            x[k] = (float)(o.plain ? place[k]
                                   : place[k] / sqrt(sqrt(a->variance[k] + 1e-6 * most + 1e-30)));
    }
}

static ae_status put_in_place(found_index *x, matrix *queries, ae_error *err)
{
    axes a;
    double *place;
    ae_status st;

    if (o.plain && !o.cosine)
        return AE_OK;
    if ((st = axes_find(&x->codes, &a, err)) != AE_OK)
        return st;
    if ((place = ae_alloc(a.width, sizeof(*place)))) {
        even_out(&a, &x->codes, place);
        even_out(&a, queries, place);
    } else {
        st = ae_fail(err, AE_ERR_NOMEM, "an item");
    }
    ae_free(place);
    axes_free(&a);
    return st;
}

static void normalise(matrix *m)
{
    for (size_t i = 0; i < m->n; i++) {
        float *row = m->values + i * m->width, scale = square(row, m->width);

        scale = scale > 0 ? 1 / sqrtf(scale) : 0;
        for (size_t k = 0; k < m->width; k++)
            row[k] *= scale;
    }
}

/* Keeps the k nearest in order; equal distances in the order of the index. */
static void insert(hit *hits, uint32_t k, hit h)
{
    uint32_t at = k - 1;

    while (at && hits[at - 1].distance > h.distance) {
        hits[at] = hits[at - 1];
        at--;
    }
    hits[at] = h;
}

static bool search_some(const searching *s, size_t first, size_t n)
{
    size_t w = s->queries->width;
    float *x = ae_alloc(QUERIES, w * sizeof(*x)); /* whole fours: the last ones may be zeros */
    float own[QUERIES] = {0};
    lane rows[QUERIES];
    const float *distances = (const float *)rows;

    if (!x)
        return false;
    memcpy(x, s->queries->values + first * w, n * w * sizeof(*x));
    for (size_t q = 0; q < n; q++)
        own[q] = square(x + q * w, w);
    for (size_t i = 0; i < n * s->k; i++)
        s->hits[first * s->k + i] = (hit){INFINITY, UINT32_MAX};
    for (size_t b = 0; b < s->n; b += BLOCK) {
        measure(x, own, (const lane *)(s->blocks + b * w), (const lane *)(s->squares + b), w, rows);
        for (size_t q = 0; q < n; q++) {
            hit *hits = s->hits + (first + q) * s->k;

            if (!any_below(distances + q * BLOCK, hits[s->k - 1].distance))
                continue;
            for (size_t i = b; i < b + BLOCK && i < s->n; i++) {
                float d = distances[q * BLOCK + i - b];

                d = d > 0 ? d : 0;
                if (d < hits[s->k - 1].distance && !(o.leave_self && d <= 1e-6f * (own[q] + 1)))
                    insert(hits, s->k, (hit){d, (uint32_t)i});
            }
        }
    }
    ae_free(x);
    return true;
}

static void *search_all(void *opaque)
{
    searching *s = opaque;

    while (!cli_cancel.requested) {
        size_t q;

        pthread_mutex_lock(&s->mutex);
        q = s->next;
        s->next += QUERIES;
        pthread_mutex_unlock(&s->mutex);
        if (q >= s->queries->n)
            break;
        if (!search_some(s, q, s->queries->n - q < QUERIES ? s->queries->n - q : QUERIES))
            s->failed = true;
    }
    return NULL;
}

static void print_hits(const searching *s, const found_index *x, const ae_dataset *items,
                       FILE *json)
{
    char name[8192];

    for (size_t q = 0; q < s->queries->n; q++)
        for (uint32_t k = 0; k < s->k && s->hits[q * s->k + k].item != UINT32_MAX; k++) {
            const hit *h = &s->hits[q * s->k + k];
            double distance = o.cosine ? (double)h->distance / 2 : sqrt((double)h->distance);

            if (json) {
                cli_json line = {0};

                cli_json_string(&line, "item", items->name(items->opaque, q));
                cli_json_number(&line, "rank", k + 1);
                cli_json_number(&line, "distance", distance);
                cli_json_string(&line, "found", x->names[h->item]);
                cli_json_number(&line, "index", h->item);
                cli_json_write(&line, json);
                cli_json_clear(&line);
            } else {
                printf("%s\t%u\t%.6g\t%s\n",
                       cli_escape(items->name(items->opaque, q), name, sizeof(name)), k + 1,
                       distance, x->names[h->item]);
            }
        }
}

static ae_status search(found_index *x, matrix *queries, const ae_dataset *items, ae_error *err)
{
    size_t w = x->codes.width, n_blocks = (x->codes.n + BLOCK - 1) / BLOCK;
    searching s = {.n = x->codes.n,
                   .queries = queries,
                   .k = o.k < x->codes.n ? o.k : (uint32_t)x->codes.n,
                   .mutex = PTHREAD_MUTEX_INITIALIZER};
    float *squares = ae_alloc(n_blocks * BLOCK, sizeof(*squares)),
          *blocks = ae_alloc(n_blocks * BLOCK, w * sizeof(*blocks));
    pthread_t *threads = ae_alloc(o.latents.jobs, sizeof(*threads));
    FILE *json = !o.json ? NULL : !*o.json ? stdout : fopen(o.json, "a");
    uint32_t n = 0;
    ae_status st = AE_OK;

    s.hits = ae_alloc(queries->n * s.k, sizeof(*s.hits));
    s.squares = squares;
    s.blocks = blocks;
    if (!squares || !blocks || !threads || !s.hits) {
        st = ae_fail(err, AE_ERR_NOMEM, "%zu queries", queries->n);
    } else if (o.json && !json) {
        st = ae_fail(err, AE_ERR_IO, "--json: %s: cannot be opened", o.json);
    } else {
        if ((st = put_in_place(x, queries, err)) != AE_OK)
            goto done;
        if (o.cosine) { /* |a - b|^2 / 2 of vectors of length 1 is 1 - cos */
            normalise(&x->codes);
            normalise(queries);
        }
        for (size_t i = 0; i < x->codes.n; i++) {
            squares[i] = square(x->codes.values + i * w, w);
            for (size_t k = 0; k < w; k++)
                blocks[(i / BLOCK * w + k) * BLOCK + i % BLOCK] = x->codes.values[i * w + k];
        }
        for (size_t i = x->codes.n; i < n_blocks * BLOCK; i++)
            squares[i] = INFINITY;
        while (n + 1 < o.latents.jobs && pthread_create(&threads[n], NULL, search_all, &s) == 0)
            n++;
        search_all(&s);
        while (n)
            pthread_join(threads[--n], NULL);
        if (s.failed)
            st = ae_fail(err, AE_ERR_NOMEM, "%d queries", QUERIES);
        else if (!cli_cancel.requested)
            print_hits(&s, x, items, json);
    }
done:
    if (json && json != stdout && fclose(json) != 0 && st == AE_OK)
        st = ae_fail(err, AE_ERR_IO, "--json: %s: cannot be written", o.json);
    ae_free(squares);
    ae_free(blocks);
    ae_free(threads);
    ae_free(s.hits);
    return st;
}

static ae_status run(const latents *l, char **operands, int n, ae_error *err)
{
    found_index x = {0};
    dataset *data = NULL;
    matrix codes = {0};
    ae_status st = o.index ? read_index(l, &x, err) : AE_OK;

    if (st == AE_OK && (st = latents_open(l, &o.latents, operands, n, &data, err)) == AE_OK &&
        (st = latents_encode(l, &o.latents, data, &codes, NULL, NULL, err)) == AE_OK)
        st = o.build ? write_index(l, &codes, dataset_items(data), err)
                     : search(&x, &codes, dataset_items(data), err);
    matrix_free(&codes);
    matrix_free(&x.codes);
    ae_free(x.text);
    ae_free(x.names);
    dataset_free(data);
    return st;
}

static int check(int n)
{
    if (!o.build == !o.index)
        return cli_usage("either --build or --index is needed");
    return n ? CLI_GO_ON : cli_usage("no data named");
}

int main(int argc, char **argv)
{
    return latents_main(&tool, &o.latents, check, run, argc, argv);
}
