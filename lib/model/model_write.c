/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Model files written: sections, their table, checksums (doc/model-format.md). */
#include "core/replace.h"
#include "model/format.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct section {
    const char *type;
    const void *data;
    size_t n_bytes;
    bool critical;
} section;

static size_t align_up(size_t n)
{
    return (n + AEI_AEM_ALIGN - 1) / AEI_AEM_ALIGN * AEI_AEM_ALIGN;
}

static bool stored_as_half(const ae_model_parts *parts, const ae_param *p, const float *values)
{
    if (!parts->half || !p->decay)
        return false;
    for (size_t i = 0; i < p->count; i++)
        if (!aei_half_fits(values[i]))
            return false;
    return true;
}

/* Fills one entry and its data at data + *used; with entry NULL only counts. */
static void put_tensor(const ae_model_parts *parts, uint32_t network, const ae_param *p,
                       const float *values, uint8_t *entry, uint8_t *data, size_t *used)
{
    bool half = stored_as_half(parts, p, values);
    size_t at = (*used + 3) / 4 * 4, n_bytes = p->count * (half ? 2 : 4);

    *used = at + n_bytes;
    if (!entry)
        return;
    memcpy(entry, p->name, strlen(p->name));
    aei_store32(entry + 64, network);
    aei_store32(entry + 68, half ? AEI_F16 : AEI_F32);
    aei_store32(entry + 72, p->n_dims);
    for (uint32_t i = 0; i < 4; i++)
        aei_store32(entry + 76 + 4 * i, p->dims[i]);
    aei_store64(entry + 96, at);
    aei_store64(entry + 104, n_bytes);
    for (size_t i = 0; i < p->count; i++) {
        if (half) {
            aei_store16(data + at + 2 * i, aei_half_from(values[i]));
        } else {
            uint32_t bits;

            memcpy(&bits, &values[i], 4);
            aei_store32(data + at + 4 * i, bits);
        }
    }
}

/* All tensors of all networks; with index NULL only counts. */
static ae_status put_tensors(const ae_recipe *recipe, const ae_model_parts *parts, uint8_t *index,
                             uint8_t *data, uint32_t *n_tensors, size_t *n_data, ae_error *err)
{
    size_t before = 0;

    *n_tensors = 0;
    *n_data = 0;
    for (uint32_t k = 0; k < recipe->n_networks; k++) {
        ae_param *params;
        uint32_t n_params;
        size_t n_floats;
        ae_status st = ae_graph_params(&recipe->networks[k].graph, &params, &n_params, &n_floats,
                                       err);

        if (st == AE_OK && n_floats > parts->n_floats - before)
            st = ae_fail(err, AE_ERR_ARGUMENT, "%zu values, the recipe has more parameters",
                         parts->n_floats);
        for (uint32_t i = 0; st == AE_OK && i < n_params; i++)
            put_tensor(parts, k, &params[i], parts->values + before + params[i].offset,
                       index ? index + (size_t)AEI_AEM_TENSOR * (*n_tensors + i) : NULL, data,
                       n_data);
        ae_free(params);
        if (st != AE_OK)
            return st;
        *n_tensors += n_params;
        before += n_floats;
    }
    if (before != parts->n_floats)
        return ae_fail(err, AE_ERR_ARGUMENT, "%zu values, the recipe has %zu parameters",
                       parts->n_floats, before);
    return AE_OK;
}

ae_status aei_model_pack(const ae_model_parts *parts, uint8_t **out, size_t *n_out, ae_error *err)
{
    size_t n_recipe = strlen(parts->recipe_text), n_card = strlen(parts->card), n_data, at, n_bytes;
    enum { INDEX = 2, DATA = 3, ALWAYS = 4, MOST = 7 };
    section sections[MOST] = {{"RECI", parts->recipe_text, n_recipe, true},
                              {"CARD", parts->card, n_card, false},
                              {"TNDX", NULL, 0, true},
                              {"TDAT", NULL, 0, true}};
    size_t offsets[MOST];
    int n_sections = ALWAYS;
    ae_recipe *recipe = NULL;
    uint8_t *bytes = NULL;
    uint32_t n_tensors;
    ae_status st;

    *out = NULL;
    *n_out = 0;
    if (n_card > AEI_AEM_MAX_TEXT || !aei_text_is_clean(parts->card, n_card))
        return ae_fail(err, AE_ERR_ARGUMENT, "card: longer than 1 MiB or with control characters");
    for (size_t i = 0; i < parts->n_floats; i++)
        if (!isfinite(parts->values[i]))
            return ae_fail(err, AE_ERR_ARGUMENT, "parameter %zu is not a finite number", i);
    if ((st = ae_recipe_parse(parts->recipe_text, n_recipe, "recipe", &recipe, err)) != AE_OK ||
        (st = put_tensors(recipe, parts, NULL, NULL, &n_tensors, &n_data, err)) != AE_OK)
        goto done;
    sections[INDEX].n_bytes = (size_t)n_tensors * AEI_AEM_TENSOR;
    sections[DATA].n_bytes = n_data;
    if (parts->program)
        sections[n_sections++] = (section){"PROG", parts->program, parts->n_program, true};
    if (parts->normal)
        sections[n_sections++] = (section){"NORM", parts->normal, parts->n_normal, false};
    if (parts->columns)
        sections[n_sections++] = (section){"COLS", parts->columns, parts->n_columns, false};
    at = n_bytes = AEI_AEM_HEADER + (size_t)n_sections * AEI_AEM_ENTRY;
    for (int i = 0; i < n_sections; i++) {
        offsets[i] = align_up(at);
        at = n_bytes = offsets[i] + sections[i].n_bytes;
    }
    bytes = ae_alloc(n_bytes, 1);
    if (!bytes) {
        st = ae_fail(err, AE_ERR_NOMEM, "model file of %zu bytes", n_bytes);
        goto done;
    }
    memcpy(bytes, aei_aem_magic, 8);
    aei_store32(bytes + 8, AEI_AEM_VERSION);
    aei_store32(bytes + 12, (uint32_t)n_sections);
    aei_store64(bytes + 16, n_bytes);
    for (int i = 0; i < n_sections; i++) {
        uint8_t *entry = bytes + AEI_AEM_HEADER + (size_t)i * AEI_AEM_ENTRY;

        memcpy(entry, sections[i].type, 4);
        aei_store32(entry + 4, sections[i].critical ? AEI_AEM_CRITICAL : 0);
        aei_store64(entry + 8, offsets[i]);
        aei_store64(entry + 16, sections[i].n_bytes);
        if (sections[i].data)
            memcpy(bytes + offsets[i], sections[i].data, sections[i].n_bytes);
    }
    if ((st = put_tensors(recipe, parts, bytes + offsets[INDEX], bytes + offsets[DATA], &n_tensors,
                          &n_data, err)) != AE_OK)
        goto done;
    aei_aem_checksum(bytes, n_bytes, bytes + AEI_AEM_CHECKSUM);
    *out = bytes;
    *n_out = n_bytes;
    bytes = NULL;
done:
    ae_free(bytes);
    ae_recipe_free(recipe);
    return st;
}

ae_status ae_model_save(const char *path, const ae_model_parts *parts, ae_error *err)
{
    aei_replace file = {0};
    uint8_t *bytes;
    size_t n_bytes;
    ae_status st = aei_model_pack(parts, &bytes, &n_bytes, err);

    if (st == AE_OK && (st = aei_replace_open(path, &file, err)) == AE_OK) {
        fwrite(bytes, 1, n_bytes, file.file);
        st = aei_replace_commit(&file, err);
    }
    ae_free(bytes);
    return st;
}
