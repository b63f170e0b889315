/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Opening model files: bytes first (header, checksum, sections), then what they mean (recipe,
 * tensors). Everything is checked before the first pointer is handed out. */
#include "core/clones.h"
#include "model/file.h"
#include "model/format.h"

#include <float.h>
#include <math.h>
#include <string.h>

struct ae_model {
    uint8_t *bytes; /* of the file: read, not mapped, so that it may be cut while it is in use */
    ae_recipe *recipe;
    char *recipe_text, *card;
    const uint8_t *program; /* in the file */
    size_t n_program;
    const uint8_t *normal, *columns; /* in the file */
    size_t n_normal, n_columns;
    const float *values; /* in the file, or `converted` */
    float *converted;
    size_t n_floats, n_all; /* of the first network, of all */
    uint8_t identity[16];
};

typedef struct span {
    const uint8_t *at;
    size_t n_bytes;
    bool found;
} span;
typedef struct contents {
    span recipe, card, index, data, program, normal, columns;
} contents;

void ae_model_free(ae_model *model)
{
    if (!model)
        return;
    ae_free(model->bytes);
    ae_free(model->converted);
    ae_free(model->recipe_text);
    ae_free(model->card);
    ae_recipe_free(model->recipe);
    ae_free(model);
}

/* ---- bytes ---- */

static bool all_zero(const uint8_t *p, size_t n)
{
    while (n)
        if (p[--n])
            return false;
    return true;
}

static ae_status check_header(const uint8_t *p, size_t n, uint32_t *n_sections, ae_error *err)
{
    uint8_t digest[16];
    uint32_t version;
    uint64_t size;

    if (n < 8 || memcmp(p, aei_aem_magic, 8) != 0)
        return ae_fail(err, AE_ERR_MALFORMED, "not a model file");
    if (n < AEI_AEM_HEADER)
        return ae_fail(err, AE_ERR_MALFORMED, "truncated: %zu bytes, the header has %d", n,
                       AEI_AEM_HEADER);
    version = aei_load32(p + 8);
    if (version > AEI_AEM_VERSION)
        return ae_fail(err, AE_ERR_TOO_NEW, "model format %u, this program knows up to %d", version,
                       AEI_AEM_VERSION);
    size = aei_load64(p + 16);
    if (size != n)
        return ae_fail(err, AE_ERR_MALFORMED, "%s: %zu bytes, the header says %llu",
                       size > n ? "truncated" : "bytes left over", n, (unsigned long long)size);
    aei_aem_checksum(p, n, digest);
    if (memcmp(digest, p + AEI_AEM_CHECKSUM, 16) != 0)
        return ae_fail(err, AE_ERR_CHECKSUM, "damaged: the checksum differs");
    *n_sections = aei_load32(p + 12);
    if (!version || !all_zero(p + 24, AEI_AEM_CHECKSUM - 24))
        return ae_fail(err, AE_ERR_MALFORMED, "header: version 0 or reserved bytes in use");
    if (!*n_sections || *n_sections > AEI_AEM_MAX_SECTIONS ||
        *n_sections > (n - AEI_AEM_HEADER) / AEI_AEM_ENTRY)
        return ae_fail(err, AE_ERR_MALFORMED, "header: %u sections", *n_sections);
    return AE_OK;
}

static void printable_type(const uint8_t *type, char to[5])
{
    for (int i = 0; i < 4; i++)
        to[i] = type[i] > 0x20 && type[i] < 0x7f ? (char)type[i] : '?';
    to[4] = 0;
}

/* Sections follow the table and one another in order, each aligned, zeros between them, and nothing
 * behind the last. */
static ae_status find_sections(const uint8_t *p, size_t n, contents *to, ae_error *err)
{
    struct {
        const char *type;
        span *to;
        bool needed;
    } known[] = {{"RECI", &to->recipe, true},   {"CARD", &to->card, false},
                 {"TNDX", &to->index, true},    {"TDAT", &to->data, true},
                 {"PROG", &to->program, false}, {"NORM", &to->normal, false},
                 {"COLS", &to->columns, false}};
    uint32_t n_sections = 0;
    size_t end;
    ae_status st = check_header(p, n, &n_sections, err);

    if (st != AE_OK)
        return st;
    end = AEI_AEM_HEADER + (size_t)n_sections * AEI_AEM_ENTRY;
    for (uint32_t i = 0; i < n_sections; i++) {
        const uint8_t *entry = p + AEI_AEM_HEADER + (size_t)i * AEI_AEM_ENTRY;
        uint32_t flags = aei_load32(entry + 4);
        uint64_t offset = aei_load64(entry + 8), length = aei_load64(entry + 16);
        span *found = NULL;
        char type[5];

        printable_type(entry, type);
        if (flags & ~(uint32_t)AEI_AEM_CRITICAL || !all_zero(entry + 24, 8))
            return ae_fail(err, AE_ERR_MALFORMED, "section %s: reserved bits in use", type);
        if (offset % AEI_AEM_ALIGN || offset < end || offset - end >= AEI_AEM_ALIGN || offset > n ||
            length > n - offset)
            return ae_fail(err, AE_ERR_MALFORMED,
                           "section %s: %llu bytes at %llu overlap, leave a gap or exceed the file",
                           type, (unsigned long long)length, (unsigned long long)offset);
        if (!all_zero(p + end, (size_t)offset - end))
            return ae_fail(err, AE_ERR_MALFORMED, "section %s: bytes before it that are not zero",
                           type);
        end = (size_t)(offset + length);
        for (size_t k = 0; k < sizeof(known) / sizeof(known[0]); k++)
            if (!memcmp(entry, known[k].type, 4))
                found = known[k].to;
        if (!found && flags & AEI_AEM_CRITICAL)
            return ae_fail(err, AE_ERR_UNSUPPORTED,
                           "needs section %s, which this program does not know", type);
        if (!found)
            continue;
        if (found->found)
            return ae_fail(err, AE_ERR_MALFORMED, "section %s occurs twice", type);
        *found = (span){p + offset, (size_t)length, true};
    }
    if (end != n)
        return ae_fail(err, AE_ERR_MALFORMED, "%zu bytes behind the last section", n - end);
    for (size_t k = 0; k < sizeof(known) / sizeof(known[0]); k++)
        if (known[k].needed && !known[k].to->found)
            return ae_fail(err, AE_ERR_MALFORMED, "section %s is missing", known[k].type);
    return AE_OK;
}

static ae_status copy_text(const span *from, const char *what, char **to, ae_error *err)
{
    if (from->n_bytes > AEI_AEM_MAX_TEXT)
        return ae_fail(err, AE_ERR_LIMIT, "%s: %zu bytes, the limit is %d", what, from->n_bytes,
                       AEI_AEM_MAX_TEXT);
    if (!aei_text_is_clean((const char *)from->at, from->n_bytes))
        return ae_fail(err, AE_ERR_MALFORMED, "%s: control characters in the text", what);
    *to = ae_alloc(from->n_bytes + 1, 1);
    if (!*to)
        return ae_fail(err, AE_ERR_NOMEM, "%s", what);
    if (from->n_bytes)
        memcpy(*to, from->at, from->n_bytes);
    return AE_OK;
}

/* ---- tensors ---- */

typedef struct tensor_reader {
    const contents *file;
    uint32_t n_tensors, n_read;
    size_t end; /* of the data read so far */
    bool all_f32;
} tensor_reader;

/* The next entry must describe p and follow the one before it. */
static ae_status read_entry(tensor_reader *r, uint32_t network, const ae_param *p,
                            const uint8_t **data, bool *half, ae_error *err)
{
    const uint8_t *entry = r->file->index.at + (size_t)r->n_read * AEI_AEM_TENSOR;
    uint32_t type, n_dims;
    bool same;

    if (r->n_read == r->n_tensors)
        return ae_fail(err, AE_ERR_MALFORMED, "tensor %s is missing", p->name);
    r->n_read++;
    if (strncmp((const char *)entry, p->name, 64) != 0 || aei_load32(entry + 64) != network ||
        !all_zero(entry + strlen(p->name), 64 - strlen(p->name)))
        return ae_fail(err, AE_ERR_MALFORMED, "tensor %u: expected %s of network %u", r->n_read - 1,
                       p->name, network);
    type = aei_load32(entry + 68);
    n_dims = aei_load32(entry + 72);
    same = n_dims == p->n_dims;
    for (uint32_t i = 0; i < 4; i++)
        same = same && aei_load32(entry + 76 + 4 * i) == p->dims[i];
    if (!same)
        return ae_fail(err, AE_ERR_MALFORMED,
                       "tensor %s: %u x %u x %u x %u, the recipe has %u x %u x %u x %u", p->name,
                       aei_load32(entry + 76), aei_load32(entry + 80), aei_load32(entry + 84),
                       aei_load32(entry + 88), p->dims[0], p->dims[1], p->dims[2], p->dims[3]);
    if (aei_load32(entry + 92))
        return ae_fail(err, AE_ERR_MALFORMED, "tensor %s: reserved bytes in use", p->name);
    if (type != AEI_F32 && type != AEI_F16)
        return ae_fail(err, AE_ERR_UNSUPPORTED, "tensor %s: type %u is unknown", p->name, type);
    *half = type == AEI_F16;
    r->all_f32 &= !*half;
    r->end = (r->end + 3) / 4 * 4;
    if (aei_load64(entry + 96) != r->end || aei_load64(entry + 104) != p->count * (*half ? 2 : 4))
        return ae_fail(err, AE_ERR_MALFORMED, "tensor %s: its data are not where they belong",
                       p->name);
    if (r->end > r->file->data.n_bytes ||
        p->count * (*half ? 2 : 4) > r->file->data.n_bytes - r->end)
        return ae_fail(err, AE_ERR_MALFORMED, "tensor %s: its data exceed the section", p->name);
    *data = r->file->data.at + r->end;
    r->end += p->count * (*half ? 2 : 4);
    return AE_OK;
}

AEI_CLONES static void load_halves(const uint8_t *from, float *to, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint16_t half;

        memcpy(&half, from + 2 * i, 2);
        to[i] = aei_half_to(half);
    }
}

AEI_CLONES static bool are_between(const float *v, size_t n, float least, float most)
{
    bool good = true;

    for (size_t i = 0; i < n; i++)
        good &= v[i] >= least && v[i] <= most;
    return good;
}

static ae_status check_values(const ae_param *p, const float *v, ae_error *err)
{
    float least = !p->trainable && strstr(p->name, ".variance") ? 0 : -FLT_MAX;
    size_t i = 0;

    if (are_between(v, p->count, least, FLT_MAX))
        return AE_OK;
    while (are_between(v + i, 1, least, FLT_MAX))
        i++;
    return ae_fail(err, AE_ERR_MALFORMED, "tensor %s: element %zu is %s", p->name, i,
                   isnan(v[i])   ? "NaN"
                   : isinf(v[i]) ? "infinite"
                                 : "negative");
}

/* How many numbers there are, of the first network and of all; with `to` these are taken and
 * checked, or where they are there already only checked. */
static ae_status read_tensors(tensor_reader *r, const ae_recipe *recipe, float *to, size_t *n_first,
                              size_t *n_all, ae_error *err)
{
    *n_all = *n_first = 0;
    for (uint32_t k = 0; k < recipe->n_networks; k++) {
        ae_param *params;
        uint32_t n_params;
        size_t n_floats;
        ae_status st = ae_graph_params(&recipe->networks[k].graph, &params, &n_params, &n_floats,
                                       err);

        for (uint32_t i = 0; st == AE_OK && i < n_params; i++) {
            const ae_param *p = &params[i];
            const uint8_t *data = NULL;
            bool half = false;

            st = read_entry(r, k, p, &data, &half, err);
            if (st == AE_OK && to && half)
                load_halves(data, to + *n_all + p->offset, p->count);
            else if (st == AE_OK && to && data != (const void *)(to + *n_all + p->offset))
                memcpy(to + *n_all + p->offset, data, p->count * sizeof(*to));
            if (st == AE_OK && to)
                st = check_values(p, to + *n_all + p->offset, err);
        }
        ae_free(params);
        if (st != AE_OK)
            return st;
        if (!k)
            *n_first = n_floats;
        *n_all += n_floats;
    }
    if (r->n_read != r->n_tensors)
        return ae_fail(err, AE_ERR_MALFORMED, "%u tensors, the recipe has %u", r->n_tensors,
                       r->n_read);
    if (r->end != r->file->data.n_bytes)
        return ae_fail(err, AE_ERR_MALFORMED, "%zu bytes behind the last tensor",
                       r->file->data.n_bytes - r->end);
    return AE_OK;
}

static ae_status open_bytes(uint8_t *bytes, size_t n_bytes, ae_model *m, ae_error *err)
{
    contents file = {0};
    tensor_reader reader = {.file = &file, .all_f32 = true}, again;
    float *values;
    ae_status st;

    if ((st = find_sections(bytes, n_bytes, &file, err)) != AE_OK ||
        (st = copy_text(&file.recipe, "recipe", &m->recipe_text, err)) != AE_OK ||
        (st = copy_text(&file.card, "card", &m->card, err)) != AE_OK ||
        (st = ae_recipe_parse(m->recipe_text, file.recipe.n_bytes, "recipe", &m->recipe, err)) !=
            AE_OK)
        return st;
    if (file.index.n_bytes % AEI_AEM_TENSOR)
        return ae_fail(err, AE_ERR_MALFORMED, "section TNDX: %zu bytes are not whole entries",
                       file.index.n_bytes);
    reader.n_tensors = (uint32_t)(file.index.n_bytes / AEI_AEM_TENSOR);
    again = reader;
    if ((st = read_tensors(&reader, m->recipe, NULL, &m->n_floats, &m->n_all, err)) != AE_OK)
        return st;
    /* f32 without a byte out of place is the flat array itself */
    values = file.data.n_bytes ? (float *)(void *)(bytes + (file.data.at - bytes)) : NULL;
    if (!reader.all_f32 && !(values = m->converted = ae_alloc(m->n_all, sizeof(float))))
        return ae_fail(err, AE_ERR_NOMEM, "%zu parameters", m->n_all);
    if ((st = read_tensors(&again, m->recipe, values, &m->n_floats, &m->n_all, err)) != AE_OK)
        return st;
    m->values = values;
    m->normal = file.normal.found ? file.normal.at : NULL;
    m->n_normal = file.normal.n_bytes;
    m->columns = file.columns.found ? file.columns.at : NULL;
    m->n_columns = file.columns.n_bytes;
    if (!file.program.found)
        return aei_model_identity(m->recipe, m->values, m->n_all, m->identity, err);
    m->program = file.program.at;
    m->n_program = file.program.n_bytes;
    aei_digest(m->program, m->n_program, m->identity);
    return AE_OK;
}

ae_status ae_model_open(const char *path, const ae_limits *limits, ae_model **out, ae_error *err)
{
    ae_model *m = ae_alloc(1, sizeof(*m));
    ae_status st = AE_OK;
    size_t n_bytes;

    *out = NULL;
    if (!m)
        st = ae_fail(err, AE_ERR_NOMEM, "model");
    if (st == AE_OK && (st = aei_file_read(path, ae_limits_resolve(limits).max_file, &m->bytes,
                                           &n_bytes, err)) == AE_OK)
        st = open_bytes(m->bytes, n_bytes, m, err);
    if (st == AE_OK) {
        *out = m;
        return st;
    }
    ae_model_free(m);
    return aei_file_blame(path, st, err);
}

ae_status ae_model_open_memory(const void *data, size_t n_bytes, const ae_limits *limits,
                               ae_model **out, ae_error *err)
{
    ae_model *m;
    ae_status st;

    *out = NULL;
    if (n_bytes > ae_limits_resolve(limits).max_file)
        return ae_fail(err, AE_ERR_LIMIT, "%zu bytes, limit max_file is %llu", n_bytes,
                       (unsigned long long)ae_limits_resolve(limits).max_file);
    m = ae_alloc(1, sizeof(*m));
    if (!m || !(m->bytes = ae_alloc(n_bytes, 1))) {
        ae_free(m);
        return ae_fail(err, AE_ERR_NOMEM, "model of %zu bytes", n_bytes);
    }
    if (n_bytes)
        memcpy(m->bytes, data, n_bytes);
    if ((st = open_bytes(m->bytes, n_bytes, m, err)) == AE_OK)
        *out = m;
    else
        ae_model_free(m);
    return st;
}

const ae_recipe *ae_model_recipe(const ae_model *model)
{
    return model->recipe;
}

const char *ae_model_recipe_text(const ae_model *model)
{
    return model->recipe_text;
}

const ae_graph *ae_model_graph(const ae_model *model)
{
    return &model->recipe->networks[0].graph;
}

const float *ae_model_values(const ae_model *model, size_t *n_floats)
{
    *n_floats = model->n_floats;
    return model->values;
}

const float *ae_model_all_values(const ae_model *model, size_t *n_floats)
{
    *n_floats = model->n_all;
    return model->values;
}

const char *ae_model_card(const ae_model *model)
{
    return model->card;
}

const void *ae_model_program(const ae_model *model, size_t *n_bytes)
{
    *n_bytes = model->n_program;
    return model->program;
}

const void *ae_model_normal(const ae_model *model, size_t *n_bytes)
{
    *n_bytes = model->n_normal;
    return model->normal;
}

const void *ae_model_columns(const ae_model *model, size_t *n_bytes)
{
    *n_bytes = model->n_columns;
    return model->columns;
}

void ae_model_identity(const ae_model *model, uint8_t identity[16])
{
    memcpy(identity, model->identity, 16);
}
