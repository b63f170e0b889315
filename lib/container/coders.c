/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Decoders of network items, found by identity: embedded, installed, or given. */
#include "container/coders.h"

#include <stdio.h>
#include <string.h>

static void close_one(struct aei_open_coder *o)
{
    ae_coder_free(o->coder);
    ae_model_free(o->model);
    *o = (struct aei_open_coder){0};
}

void aei_coders_clear(aei_coders *c)
{
    close_one(&c->embedded);
    for (uint32_t i = 0; i < AEI_CODERS_OPEN; i++)
        close_one(&c->open[i]);
    for (size_t i = 0; i < c->n_known; i++)
        ae_free(c->known[i].path);
    ae_free(c->known);
    *c = (aei_coders){0};
}

static bool is(const struct aei_open_coder *o, const uint8_t identity[16])
{
    return o->coder && memcmp(o->identity, identity, 16) == 0;
}

/* Takes over a model that has a decoder program. */
static ae_status open_model(aei_coders *c, ae_model *model, ae_coder **coder, ae_error *err)
{
    struct aei_open_coder *o = &c->open[c->next];
    ae_status st;

    close_one(o);
    o->model = model;
    if ((st = ae_coder_open(model, &o->coder, err)) != AE_OK) {
        close_one(o);
        return st;
    }
    ae_coder_identity(o->coder, o->identity);
    c->next = (c->next + 1) % AEI_CODERS_OPEN;
    *coder = o->coder;
    return AE_OK;
}

/* A damaged one is no reason to give up: it may be installed, too. Only what is not the file's
 * fault fails. */
static ae_status look_inside(aei_coders *c, const ae_container *container, ae_error *err)
{
    void *program = NULL;
    size_t n;
    ae_error why;
    ae_status st = ae_container_model(container, &program, &n, &why);

    c->looked = true;
    if (st == AE_ERR_ARGUMENT) /* there is none */
        return AE_OK;
    if (st == AE_OK)
        st = ae_coder_open_program(program, n, &c->embedded.coder, &why);
    ae_free(program);
    if (st == AE_OK)
        ae_coder_identity(c->embedded.coder, c->embedded.identity);
    else
        c->why = why;
    return st == AE_ERR_NOMEM ? ae_fail(err, st, "%s", why.message) : AE_OK;
}

/* ---- installed ones ---- */

typedef struct visit {
    aei_coders *c;
    const uint8_t *identity;
    size_t i;
    ae_coder *coder;
    ae_status st; /* of what ends the search */
    ae_error err;
} visit;

static ae_status remember(aei_coders *c, const char *path, const uint8_t identity[16],
                          ae_error *err)
{
    char *copy = ae_strdup(path);

    if (copy && c->n_known == c->capacity) {
        size_t capacity = 2 * c->capacity + 16;
        struct aei_known_coder *grown = ae_realloc(c->known, c->n_known * sizeof(*grown),
                                                   capacity * sizeof(*grown));

        c->known = grown ? grown : c->known;
        c->capacity = grown ? capacity : c->capacity;
    }
    if (!copy || c->n_known == c->capacity) {
        ae_free(copy);
        return ae_fail(err, AE_ERR_NOMEM, "a codec");
    }
    c->known[c->n_known].path = copy;
    memcpy(c->known[c->n_known++].identity, identity, 16);
    return AE_OK;
}

/* Goes on until the codec is found. Models that cannot be opened, and those without a program, are
 * known as zeros. */
static bool visit_model(void *opaque, const char *path)
{
    visit *v = opaque;
    aei_coders *c = v->c;
    bool fresh = v->i >= c->n_known;
    uint8_t identity[16] = {0};
    ae_model *model = NULL;
    size_t n;

    if (!fresh) {
        memcpy(identity, c->known[v->i].identity, 16);
        path = c->known[v->i].path;
    }
    v->i++;
    if (!fresh && memcmp(identity, v->identity, 16) != 0)
        return true;
    v->st = ae_model_open(path, NULL, &model, &v->err);
    if (v->st == AE_OK && ae_model_program(model, &n))
        ae_model_identity(model, identity);
    if (v->st != AE_ERR_NOMEM)
        v->st = fresh ? remember(c, path, identity, &v->err) : AE_OK;
    if (v->st != AE_OK || memcmp(identity, v->identity, 16) != 0) {
        ae_model_free(model);
        return v->st == AE_OK;
    }
    v->st = open_model(c, model, &v->coder, &v->err);
    return false;
}

static void hex(const uint8_t identity[16], char text[33])
{
    for (int i = 0; i < 16; i++)
        snprintf(text + 2 * i, 3, "%02x", identity[i]);
}

static ae_status find_installed(aei_coders *c, const uint8_t identity[16], ae_coder **coder,
                                ae_error *err)
{
    static const uint8_t none[16];
    visit v = {.c = c, .identity = identity};
    bool known = !c->complete;
    char text[33];

    for (size_t i = 0; i < c->n_known && !known; i++)
        known = memcmp(c->known[i].identity, identity, 16) == 0;
    if (known && memcmp(identity, none, 16) != 0) {
        ae_model_visit(&v, visit_model);
        c->complete |= !v.coder && v.st == AE_OK;
    }
    if (v.st != AE_OK)
        return ae_fail(err, v.st, "%s", v.err.message);
    if ((*coder = v.coder) != NULL)
        return AE_OK;
    if (c->why.status != AE_OK)
        return ae_fail(err, c->why.status, "its codec is embedded, but cannot be used: %s",
                       c->why.message);
    hex(identity, text);
    return ae_fail(err, AE_ERR_MISMATCH,
                   "was made with the codec %s, which is not installed (name it as the model)",
                   text);
}

/* The one that is to be taken. */
static ae_status find_named(aei_coders *c, const uint8_t identity[16], const char *name,
                            ae_coder **coder, ae_error *err)
{
    uint8_t found[16] = {0};
    char path[4096], text[33];
    ae_model *model = NULL;
    size_t n;
    ae_status st = ae_model_find(name, path, sizeof(path), err);

    if (st != AE_OK)
        return st;
    if (!c->n_known) {
        if ((st = ae_model_open(path, NULL, &model, err)) != AE_OK)
            return st;
        if (ae_model_program(model, &n))
            ae_model_identity(model, found);
        if ((st = remember(c, path, found, err)) != AE_OK) {
            ae_model_free(model);
            return st;
        }
    }
    memcpy(found, c->known[0].identity, 16);
    if (memcmp(found, identity, 16) == 0)
        return model || (st = ae_model_open(path, NULL, &model, err)) == AE_OK
                   ? open_model(c, model, coder, err)
                   : st;
    ae_model_free(model);
    hex(identity, text);
    return ae_fail(err, AE_ERR_MISMATCH, "was made with the codec %s, which %s is not", text, path);
}

ae_status aei_coders_find(aei_coders *c, const ae_container *container, const uint8_t identity[16],
                          const char *name, ae_coder **coder, ae_error *err)
{
    ae_status st;

    for (uint32_t i = 0; i < AEI_CODERS_OPEN; i++)
        if (is(&c->open[i], identity)) {
            *coder = c->open[i].coder;
            return AE_OK;
        }
    if (!c->looked && (st = look_inside(c, container, err)) != AE_OK)
        return st;
    if (is(&c->embedded, identity)) {
        *coder = c->embedded.coder;
        return AE_OK;
    }
    return name ? find_named(c, identity, name, coder, err)
                : find_installed(c, identity, coder, err);
}
