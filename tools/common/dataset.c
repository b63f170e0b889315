/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Files become parts: one of a picture or a sound is one item, one of numbers is as many as it has
 * rows. Of what lies below directories names decide what is looked into, and contents what it is.
 * Pictures and sounds are read when they are asked for; the rows of data sets are held. */
#include "common/dataset.h"

#include <fnmatch.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/items.h"
#include "common/names.h"
#include "common/notes.h"
#include "common/progress.h"
#include "common/prose.h"
#include "ae/files.h"

static bool is_idx(const char *path)
{
    static const char *const patterns[] = {"*-ubyte", "*.idx", "*-ubyte.gz", "*.idx.gz"};

    for (size_t i = 0; i < sizeof(patterns) / sizeof(*patterns); i++)
        if (!fnmatch(patterns[i], path, 0))
            return true;
    return false;
}

/* By its name. */
static bool is_set(const char *path)
{
    const ae_codec *codec = ae_codec_for_path(path);

    return is_idx(path) || (codec && codec->kind == AE_KIND_TENSOR);
}

/* One file: a picture, or the many items of a data set. */
typedef struct part {
    const cli_input *file;
    size_t first;        /* item */
    size_t n;            /* 0: a picture */
    ae_signal_info item; /* of each of the many */
    uint8_t *rows;
    size_t first_line, n_lines; /* of tables */
    prose text;
} part;

struct dataset {
    bool sound;
    dataset_need need;
    ae_dataset items;
    cli_inputs files;
    part *parts;
    size_t n_parts, n_lines;
    table table; /* of the data, or a view of need.table */
};

enum { LEAST_EDGE = 16 }; /* of pictures of any size, for which training asks, too */

static uint32_t least_edge(uint32_t fixed, uint32_t crop)
{
    uint32_t edge = fixed ? fixed : crop;

    return edge && edge < LEAST_EDGE ? edge : LEAST_EDGE;
}

dataset_need dataset_need_of(const ae_recipe *recipe)
{
    const ae_graph *g = recipe ? &recipe->networks[0].graph : NULL;
    dataset_need need = {.height = LEAST_EDGE, .width = LEAST_EDGE};
    uint32_t i = 0;

    while (g && i < g->n_nodes && g->nodes[i].op != AE_OP_INPUT)
        i++;
    if (g && i < g->n_nodes) {
        const ae_node *in = &g->nodes[i];

        need = (dataset_need){.height = least_edge(in->height, recipe->crop),
                              .width = least_edge(in->width, recipe->crop),
                              .numbers = (uint64_t)in->height * in->width * in->out,
                              .lines = recipe->columns ? in->height : 0,
                              .step = 1,
                              .text = recipe->text};
    }
    return need;
}

/* Whether its items are large enough, or another shape of as many numbers. */
static bool is_of_use(const dataset *d, const ae_signal_info *item)
{
    return (item->height >= d->need.height && item->width >= d->need.width) ||
           (d->need.numbers && item->height * item->width * item->channels == d->need.numbers);
}

/* Lines of tables are no pictures, unless they have as many numbers as one; pictures are no lines.
 */
static bool suits(const dataset *d, const ae_codec *codec)
{
    bool text = !strcmp(codec->name, "csv") || !strcmp(codec->name, "tsv");

    if (d->need.lines)
        return text || !strcmp(codec->name, "npy");
    return codec->kind == AE_KIND_IMAGE
               ? d->need.height > 1
               : d->sound || !text || d->need.height == 1 || d->need.numbers;
}

/* By its name. */
static cli_taken wanted(void *opaque, const char *path)
{
    const dataset *d = opaque;
    const char *dot = strrchr(path, '.');

    if (d->need.text)
        return dot && (!strcasecmp(dot, ".txt") || !strcasecmp(dot, ".md")) ? CLI_TAKEN : CLI_OTHER;
    if (!d->sound && is_idx(path))
        return CLI_TAKEN;
    if (d->sound && dot && !strcasecmp(dot, ".ts")) /* a program, more likely than a stream */
        return CLI_OTHER;
    for (const ae_codec *const *c = ae_codecs; dot && *c; c++)
        for (const char *const *s = (*c)->suffixes; ((*c)->kind == AE_KIND_AUDIO) == d->sound && *s;
             s++)
            if (!strcasecmp(*s, dot + 1))
                return suits(d, *c) ? CLI_TAKEN : CLI_OTHER;
    return CLI_OTHER;
}

static const part *find_part(const dataset *d, size_t i)
{
    size_t lo = 0, hi = d->n_parts;

    while (hi - lo > 1) {
        size_t mid = (lo + hi) / 2;

        if (d->parts[mid].first <= i)
            lo = mid;
        else
            hi = mid;
    }
    return &d->parts[lo];
}

/* Of a table: where its k-th item begins; the last one ends with the table. */
static size_t line_of(const dataset *d, const part *p, size_t k)
{
    size_t last = p->n_lines - d->need.lines, at = k * d->need.step;

    return at < last ? at : last;
}

static ae_status load_many(const dataset *d, const part *p, size_t k, ae_signal_info *info,
                           void **pixels, ae_error *err)
{
    size_t n = ae_row_bytes(&p->item) * (size_t)p->item.height,
           at = d->need.lines ? line_of(d, p, k) * ae_row_bytes(&p->item) : k * n;

    *info = p->item;
    if (!(*pixels = ae_alloc(n, 1)))
        return ae_fail(err, AE_ERR_NOMEM, "an item of %zu bytes", n);
    if (d->need.text)
        prose_item_read(&p->text, k, (uint32_t)d->need.numbers, *pixels);
    else
        memcpy(*pixels, p->rows + at, n);
    return AE_OK;
}

static ae_status load(void *opaque, size_t i, ae_signal_info *info, void **pixels, ae_error *err)
{
    const dataset *d = opaque;
    const part *p = find_part(d, i);

    *pixels = NULL;
    return p->n ? load_many(d, p, i - p->first, info, pixels, err)
                : items_read_one(d->sound, p->file->path, info, pixels, err);
}

static const char *name(void *opaque, size_t i)
{
    static _Thread_local char text[512];
    const dataset *d = opaque;
    const part *p = find_part(d, i);
    size_t at = i - p->first;

    if (!p->n)
        return p->file->below;
    if (d->need.text > AE_TEXT_BYTES)
        snprintf(text, sizeof(text), "%s:%zu", p->file->below, p->text.items[at].line);
    else if (d->need.lines > 1)
        snprintf(text, sizeof(text), "%s[%zu..%zu]", p->file->below, line_of(d, p, at),
                 line_of(d, p, at) + d->need.lines - 1);
    else
        snprintf(text, sizeof(text), "%s[%zu]", p->file->below, at);
    return text;
}

const table *dataset_table(const dataset *d)
{
    return d && d->table.n ? &d->table : NULL;
}

size_t dataset_lines(const dataset *d)
{
    return d->n_lines;
}

size_t dataset_line(const dataset *d, size_t i)
{
    const part *p = find_part(d, i);

    return p->first_line + line_of(d, p, i - p->first);
}

const char *dataset_line_name(const dataset *d, size_t line, char text[DATASET_NAME])
{
    const part *p = d->parts;

    while (line >= p->first_line + p->n_lines)
        p++;
    snprintf(text, DATASET_NAME, "%s[%zu]", p->file->below, line - p->first_line);
    return text;
}

/* ---- data sets ---- */

/* Successive lines of a table, as a network sees them. */
static ae_status read_table(const dataset *d, ae_reader *reader, part *p, ae_error *err)
{
    float *lines;
    ae_status st = table_read(&d->table, reader, &lines, &p->n_lines, err);

    if (st != AE_OK)
        return st;
    p->rows = (uint8_t *)lines;
    if (p->n_lines < d->need.lines)
        return ae_fail(err, AE_ERR_MISMATCH, "has %zu lines, the model looks at %u successive ones",
                       p->n_lines, d->need.lines);
    p->n = (p->n_lines - d->need.lines + d->need.step - 1) / d->need.step + 1;
    p->item = (ae_signal_info){.kind = AE_KIND_IMAGE,
                               .sample = AE_F32,
                               .bits = 32,
                               .channels = 1,
                               .height = d->need.lines,
                               .width = d->table.wide};
    return AE_OK;
}

static ae_status read_prose(const dataset *d, part *p, ae_error *err)
{
    uint32_t length = (uint32_t)d->need.numbers;
    ae_status st = prose_read(p->file->path, d->need.text, length, &p->text, err);

    p->n = p->text.n;
    p->item = (ae_signal_info){.kind = AE_KIND_IMAGE,
                               .sample = AE_F32,
                               .bits = 32,
                               .channels = 1,
                               .height = length,
                               .width = 1};
    return st;
}

/* What add_parts does with a file. */
typedef enum found { IS_DATA, IS_LABELS, IS_OTHER } found;

/* p->n stays 0 where the file is a picture, or is left for later to say what is wrong with it. */
static ae_status look_into(const dataset *d, part *p, found *what, ae_error *err)
{
    ae_signal_info item;
    ae_source *source = NULL;
    ae_reader reader = {0};
    ae_status st = AE_OK;
    ae_error ignored;

    *what = IS_DATA;
    if (d->need.text)
        return read_prose(d, p, err);
    if (ae_source_open(p->file->path, &source, &ignored) == AE_OK &&
        ae_reader_open(source, NULL, &reader, &ignored) == AE_OK &&
        reader.info.kind == AE_KIND_TENSOR) {
        if (!reader.info.rank && is_idx(p->file->path))
            *what = IS_LABELS;
        else if (d->need.lines)
            st = read_table(d, &reader, p, err);
        else if ((st = items_shape(&reader.info, &item, err)) != AE_OK)
            ;
        /* a network of one size says itself what it takes */
        else if (is_of_use(d, &item) || (p->file->named && d->need.numbers))
            st = items_read(&reader, &p->item, &p->rows, &p->n, err);
        else if (!p->file->named)
            *what = IS_OTHER;
        else
            st = item.height == 1
                     ? ae_fail(err, AE_ERR_MALFORMED,
                               "its lines are of %llu numbers; pictures of at least %u x %u are "
                               "needed",
                               (unsigned long long)item.width, d->need.width, d->need.height)
                     : ae_fail(err, AE_ERR_MALFORMED,
                               "its items are of %llu x %llu pixels; at least %u x %u are needed",
                               (unsigned long long)item.width, (unsigned long long)item.height,
                               d->need.width, d->need.height);
    } else if (!reader.codec && is_set(p->file->path)) {
        st = ae_fail(err, ignored.status, "%s", ignored.message);
    }
    ae_reader_close(&reader);
    ae_source_free(source);
    return st;
}

/* A test set found beside its training set is left out: who trains on it measures nothing any more.
 */
static bool is_test_set(const dataset *d, const cli_input *file)
{
    const char *base = cli_base_name(file->path);
    size_t n_dir = (size_t)(base - file->path);

    if (file->named || (strncmp(base, "t10k", 4) != 0 && strncmp(base, "test", 4) != 0))
        return false;
    for (size_t i = 0; i < d->files.n; i++) {
        const char *other = d->files.items[i].path, *name = cli_base_name(other);

        if ((size_t)(name - other) == n_dir && strncmp(other, file->path, n_dir) == 0 &&
            strncmp(name, "train", 5) == 0)
            return true;
    }
    return false;
}

/* The files of a data set, one after another, for table_learn. */
typedef struct learning {
    const dataset *d;
    size_t next;
    ae_source *source;
    ae_reader reader;
} learning;

static void close_last(learning *l)
{
    ae_reader_close(&l->reader);
    ae_source_free(l->source);
    l->source = NULL;
    l->reader = (ae_reader){0};
}

static ae_status next_table(void *opaque, ae_reader **reader, ae_error *err)
{
    learning *l = opaque;
    const cli_input *file;
    ae_error inner;
    ae_status st;

    close_last(l);
    *reader = NULL;
    if (l->next == l->d->files.n)
        return AE_OK;
    file = &l->d->files.items[l->next++];
    if (is_test_set(l->d, file))
        return next_table(opaque, reader, err);
    if ((st = ae_source_open(file->path, &l->source, &inner)) == AE_OK &&
        (st = ae_reader_open(l->source, NULL, &l->reader, &inner)) == AE_OK)
        st = ae_reader_expect(&l->reader, AE_KIND_TENSOR, &inner);
    if (st != AE_OK) {
        close_last(l);
        return ae_fail(err, st, "%s: %s", file->path, inner.message);
    }
    *reader = &l->reader;
    return AE_OK;
}

/* What the columns are: as the model says, or as the data have them. */
static ae_status know_columns(dataset *d, ae_error *err)
{
    learning l = {.d = d};
    ae_error inner;
    ae_status st;

    if (!d->need.lines)
        return AE_OK;
    if (d->need.table) {
        d->table = *d->need.table;
        return AE_OK;
    }
    st = table_learn(&l, next_table, &d->table, &inner);
    if (st != AE_OK && l.source)
        ae_fail(err, st, "%s: %s", d->files.items[l.next - 1].path, inner.message);
    else if (st != AE_OK)
        ae_fail(err, st, "%s", inner.message);
    close_last(&l);
    return st;
}

static ae_status add_parts(dataset *d, bool quiet, ae_error *err)
{
    d->parts = ae_alloc(d->files.n, sizeof(*d->parts));
    if (!d->parts)
        return ae_fail(err, AE_ERR_NOMEM, "%zu files", d->files.n);
    for (size_t i = 0; i < d->files.n; i++) {
        const cli_input *file = &d->files.items[i];
        part *p = &d->parts[d->n_parts];
        found what;
        ae_error why;

        *p = (part){.file = file, .first = d->items.n_items};
        if (is_test_set(d, file)) {
            if (!quiet && !strstr(file->path, "label"))
                cli_note(file->path, "left out, it looks like the test set of what lies beside it "
                                     "(name it to have it)");
            continue;
        }
        if (look_into(d, p, &what, &why) != AE_OK) {
            ae_free(p->rows);
            if ((d->need.lines || d->need.text) && file->named)
                return ae_fail(err, why.status, "%s: %s", file->path, why.message);
            cli_note(file->path, why.message);
            continue;
        }
        if (what == IS_OTHER)
            cli_inputs_count_other(&d->files, file->path);
        if (what != IS_DATA)
            continue;
        d->items.n_items += p->n ? p->n : 1;
        p->first_line = d->n_lines;
        d->n_lines += p->n_lines;
        d->n_parts++;
    }
    if (!quiet)
        cli_inputs_say_others(&d->files);
    return d->items.n_items ? AE_OK
                            : ae_fail(err, AE_ERR_MALFORMED,
                                      "nothing to learn from or to look at among the data");
}

ae_status dataset_open(char **operands, int n_operands, dataset_need need, bool quiet,
                       dataset **out, ae_error *err)
{
    dataset *d = ae_alloc(1, sizeof(*d));
    cli_walk walk = {.recursive = true, .wanted = wanted, .opaque = d};
    ae_status st = d ? AE_OK : ae_fail(err, AE_ERR_NOMEM, "data set");

    *out = NULL;
    if (d)
        d->need = need;
    for (int i = 0; i < n_operands && st == AE_OK; i++)
        st = cli_inputs_add(&d->files, operands[i], &walk, err);
    if (st == AE_OK && (st = know_columns(d, err)) == AE_OK)
        st = add_parts(d, quiet, err);
    if (st != AE_OK) {
        dataset_free(d);
        return st;
    }
    if (d->need.lines > d->need.step)
        d->items.overlap = (d->need.lines - 1) / d->need.step;
    d->items.opaque = d;
    d->items.load = load;
    d->items.name = name;
    *out = d;
    return AE_OK;
}

/* Each file is an item. */
static ae_status add_sounds(dataset *d, const char *path, bool quiet, ae_error *err)
{
    cli_walk walk = {.recursive = true, .wanted = wanted, .opaque = d};
    ae_status st = cli_inputs_add(&d->files, path, &walk, err);

    if (st != AE_OK)
        return st;
    if (!quiet)
        cli_inputs_say_others(&d->files);
    if (!d->files.n)
        return ae_fail(err, AE_ERR_MALFORMED, "%s: no recordings there", path);
    if (!(d->parts = ae_alloc(d->files.n, sizeof(*d->parts))))
        return ae_fail(err, AE_ERR_NOMEM, "%zu files", d->files.n);
    d->n_parts = d->items.n_items = d->files.n;
    for (size_t i = 0; i < d->n_parts; i++)
        d->parts[i] = (part){.file = &d->files.items[i], .first = i};
    return AE_OK;
}

ae_status dataset_open_sounds(const char *path, bool quiet, dataset **out, ae_error *err)
{
    dataset *d = ae_alloc(1, sizeof(*d));
    ae_status st;

    *out = NULL;
    if (!d)
        return ae_fail(err, AE_ERR_NOMEM, "recordings");
    d->sound = true;
    if ((st = add_sounds(d, path, quiet, err)) != AE_OK) {
        dataset_free(d);
        return st;
    }
    d->items.opaque = d;
    d->items.load = load;
    d->items.name = name;
    *out = d;
    return AE_OK;
}

void dataset_free(dataset *d)
{
    if (!d)
        return;
    for (size_t i = 0; i < d->n_parts; i++) {
        ae_free(d->parts[i].rows);
        prose_free(&d->parts[i].text);
    }
    ae_free(d->parts);
    if (!d->need.table)
        table_free(&d->table);
    cli_inputs_clear(&d->files);
    ae_free(d);
}

const ae_dataset *dataset_items(const dataset *d)
{
    return d ? &d->items : NULL;
}

const cli_inputs *dataset_files(const dataset *d)
{
    return &d->files;
}

/* ---- items for a network ---- */

ae_status dataset_item(const dataset *d, size_t i, ae_shape shape, float *to, ae_error *err)
{
    ae_status st = dataset_item_as_is(d, i, shape, to, err);

    for (size_t k = 0; st == AE_OK && d->need.lines && k < (size_t)shape.h * shape.w; k++)
        to[k] = isnan(to[k]) ? 0 : to[k];
    return st;
}

ae_status dataset_item_as_is(const dataset *d, size_t i, ae_shape shape, float *to, ae_error *err)
{
    const float *from;
    float *all = NULL;
    ae_signal_info info;
    void *pixels = NULL;
    size_t n;
    ae_status st = load(d->items.opaque, i, &info, &pixels, err);

    if (st != AE_OK)
        return st;
    n = (size_t)(info.width * info.height);
    if (n * shape.c != (size_t)shape.h * shape.w * shape.c ||
        (info.channels != shape.c && info.channels != 1 && shape.c != 1)) {
        st = ae_fail(err, AE_ERR_MISMATCH, "is %llu x %llu x %u, the model takes %u x %u x %u",
                     (unsigned long long)info.height, (unsigned long long)info.width, info.channels,
                     shape.h, shape.w, shape.c);
        goto done;
    }
    if (info.sample != AE_F32) {
        if (!(all = ae_alloc(n * info.channels, sizeof(*all)))) {
            st = ae_fail(err, AE_ERR_NOMEM, "an item of %zu samples", n);
            goto done;
        }
        ae_samples_to_f32(info.sample, pixels, all, n * info.channels);
    }
    from = all ? all : pixels;
    for (size_t k = 0; k < n; k++)
        for (uint32_t c = 0; c < shape.c; c++)
            to[k * shape.c + c] = info.channels == shape.c ? from[k * shape.c + c]
                                  : info.channels == 1
                                      ? from[k]
                                      : (from[3 * k] + from[3 * k + 1] + from[3 * k + 2]) / 3;
done:
    ae_free(all);
    ae_free(pixels);
    return st;
}
