/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Decoders of network items, found by identity among the installed models, or given by name. */
#include "container/coders.h"

#include <stdio.h>
#include <string.h>

ae_status ae_coders_create(ae_coders **out, ae_error *err)
{
    if (!(*out = ae_alloc(1, sizeof(**out))))
        return ae_fail(err, AE_ERR_NOMEM, "codecs");
    pthread_mutex_init(&(*out)->mutex, NULL);
    return AE_OK;
}

void ae_coders_free(ae_coders *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < c->n_known; i++) {
        ae_coder_free(c->known[i].coder);
        ae_model_free(c->known[i].model);
        ae_free(c->known[i].path);
    }
    ae_free(c->known);
    pthread_mutex_destroy(&c->mutex);
    ae_free(c);
}

static bool is(const struct aei_known_coder *k, const uint8_t identity[16])
{
    return memcmp(k->identity, identity, 16) == 0;
}

/* Takes the model over, if it is one that was wanted. */
static ae_status open_model(struct aei_known_coder *k, ae_model *model, ae_error *err)
{
    ae_status st = ae_coder_open(model, &k->coder, err);

    if (st == AE_OK)
        k->model = model;
    else
        ae_model_free(model);
    return st;
}

static ae_status remember(ae_coders *c, const char *path, const uint8_t identity[16], ae_error *err)
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
    c->known[c->n_known] = (struct aei_known_coder){.path = copy};
    memcpy(c->known[c->n_known++].identity, identity, 16);
    return AE_OK;
}

typedef struct visit {
    ae_coders *c;
    const uint8_t *identity;
    size_t i;
    ae_coder *coder;
    ae_status st; /* of what ends the search */
    ae_error err;
} visit;

/* Goes on until the codec is found. Models that cannot be opened, and those without a program, are
 * known as zeros. */
static bool visit_model(void *opaque, const char *path)
{
    visit *v = opaque;
    ae_coders *c = v->c;
    size_t at = v->i++, n;
    uint8_t identity[16] = {0};
    ae_model *model = NULL;

    if (at < c->n_known && !is(&c->known[at], v->identity))
        return true;
    v->st = ae_model_open(at < c->n_known ? c->known[at].path : path, NULL, &model, &v->err);
    if (v->st == AE_OK && ae_model_program(model, &n))
        ae_model_identity(model, identity);
    if (v->st != AE_ERR_NOMEM)
        v->st = at < c->n_known ? AE_OK : remember(c, path, identity, &v->err);
    if (v->st != AE_OK || memcmp(identity, v->identity, 16) != 0) {
        ae_model_free(model);
        return v->st == AE_OK;
    }
    if ((v->st = open_model(&c->known[at], model, &v->err)) == AE_OK)
        v->coder = c->known[at].coder;
    return false;
}

static void hex(const uint8_t identity[16], char text[33])
{
    for (int i = 0; i < 16; i++)
        snprintf(text + 2 * i, 3, "%02x", identity[i]);
}

static ae_status find_installed(ae_coders *c, const uint8_t identity[16], const ae_error *unfit,
                                ae_coder **coder, ae_error *err)
{
    static const uint8_t none[16];
    visit v = {.c = c, .identity = identity};
    bool known = !c->complete;
    char text[33];

    for (size_t i = 0; i < c->n_known && !known; i++)
        known = is(&c->known[i], identity);
    if (known && memcmp(identity, none, 16) != 0) {
        ae_model_visit(&v, visit_model);
        c->complete |= !v.coder && v.st == AE_OK;
    }
    if (v.st != AE_OK)
        return ae_fail(err, v.st, "%s", v.err.message);
    if ((*coder = v.coder) != NULL)
        return AE_OK;
    if (unfit->status != AE_OK)
        return ae_fail(err, unfit->status, "its codec is embedded, but cannot be used: %s",
                       unfit->message);
    hex(identity, text);
    return ae_fail(err, AE_ERR_MISMATCH,
                   "was made with the codec %s, which is not installed (name it as the model)",
                   text);
}

/* The one that is to be taken, which is then the only one known. */
static ae_status find_named(ae_coders *c, const uint8_t identity[16], const char *name,
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
    if (!is(c->known, identity)) {
        ae_model_free(model);
        hex(identity, text);
        return ae_fail(err, AE_ERR_MISMATCH, "was made with the codec %s, which %s is not", text,
                       path);
    }
    if (!model && (st = ae_model_open(path, NULL, &model, err)) != AE_OK)
        return st;
    if ((st = open_model(c->known, model, err)) == AE_OK)
        *coder = c->known->coder;
    return st;
}

ae_status aei_coders_find(ae_coders *c, const uint8_t identity[16], const char *name,
                          const ae_error *unfit, ae_coder **coder, ae_error *err)
{
    ae_status st = AE_OK;

    *coder = NULL;
    pthread_mutex_lock(&c->mutex);
    for (size_t i = 0; i < c->n_known && !*coder; i++)
        if (c->known[i].coder && is(&c->known[i], identity))
            *coder = c->known[i].coder;
    if (!*coder)
        st = name ? find_named(c, identity, name, coder, err)
                  : find_installed(c, identity, unfit, coder, err);
    pthread_mutex_unlock(&c->mutex);
    return st;
}
