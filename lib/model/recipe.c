/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Recipes: the grammar of doc/recipe.md, by tables over the YAML tree. */
#include "ae/recipe.h"

#include "model/file.h"
#include "model/recipe_network.h"
#include "model/recipe_objective.h"
#include "model/yaml_tree.h"
#include "nn/optimizers.h"

#include <string.h>

enum { VERSION = 1 };

static const aei_choice tasks[] = {{"autoencode", AE_TASK_AUTOENCODE},
                                   {"denoise", AE_TASK_DENOISE},
                                   {"superres", AE_TASK_SUPERRES},
                                   {"compress", AE_TASK_COMPRESS},
                                   {NULL, 0}};
static const aei_choice corruption_kinds[] = {{"gaussian", AE_CORRUPT_GAUSSIAN},
                                              {"camera", AE_CORRUPT_CAMERA},
                                              {"salt_pepper", AE_CORRUPT_SALT_PEPPER},
                                              {"mask", AE_CORRUPT_MASK},
                                              {"jpeg", AE_CORRUPT_JPEG},
                                              {"warp", AE_CORRUPT_WARP},
                                              {NULL, 0}};
#define OPTIMIZER(number, name, moments, update) {#name, AE_##number},
static const aei_choice optimizers[] = {AEI_OPTIMIZERS(OPTIMIZER){NULL, 0}};

static const aei_choice texts[] = {
    {"bytes", AE_TEXT_BYTES}, {"lines", AE_TEXT_LINES}, {"words", AE_TEXT_WORDS}, {NULL, 0}};
static const aei_choice filters[] = {{"bicubic", AE_BICUBIC},
                                     {"lanczos", AE_LANCZOS},
                                     {"area", AE_AREA},
                                     {"bilinear", AE_BILINEAR},
                                     {NULL, 0}};

/* The recipe comes first, so that it is freed with what it was read beside. */
typedef struct top {
    ae_recipe recipe;
    uint32_t version, networks, data, sound, filters, corruption, loss, penalties, terms, phases,
        train;
} top;
#define AT(f) offsetof(ae_recipe, f) /* in a top, too */

static ae_status read_data(const aei_yaml *y, top *t, ae_error *err)
{
    static const aei_field fields[] = {
        {"crop", AEI_U32, AT(crop), 8, .max = 4096},
        {"columns", AEI_U32, AT(columns), 1, .max = 65536},
        {"text", AEI_CHOICE, AT(text), .choices = texts},
        {"augment", AEI_BOOL, .offset = AT(augment)},
        {"scale", AEI_RANGE, AT(scale_min), 1, .max = 16},
        {"grey", AEI_REAL, AT(grey), 0, .max = 1},
        {"clean", AEI_REAL, AT(clean), 0, .max = 1},
        {"doubt", AEI_RANGE, AT(doubt_min), 0, .max = 255},
        {"curve", AEI_BOOL, .offset = AT(curve)},
        {"strength", AEI_RANGE, AT(strength_min), 0, .max = 16},
        {"filters", AEI_SUBTREE, .offset = offsetof(top, filters)},
        {"patterns", AEI_REAL, AT(patterns), 0, .max = 1},
    };
    static const aei_field filter = {"filters", AEI_CHOICE, .choices = filters};
    ae_recipe *r = &t->recipe;
    uint32_t items[AE_MAX_LISTED], n = 0;
    ae_status st = aei_yaml_fields(y, t->data, "data", fields, sizeof(fields) / sizeof(fields[0]),
                                   t, NULL, err);

    if (st != AE_OK || !t->filters)
        return st;
    if ((st = aei_yaml_list(y, t->filters, "filters", AE_MAX_LISTED, items, &n, err)) == AE_OK &&
        (!n || r->task != AE_TASK_SUPERRES))
        st = aei_yaml_fail(y, y->nodes[t->filters].line, err,
                           n ? "filters: only with task superres" : "filters: empty");
    r->n_filters = n;
    for (uint32_t i = 0; st == AE_OK && i < n; i++)
        st = aei_yaml_value(y, items[i], &filter, &r->filters[i], err);
    return st;
}

static ae_status read_sound(const aei_yaml *y, uint32_t at, ae_recipe *r, ae_error *err)
{
    static const aei_field fields[] = {
        {"rate", AEI_REAL, AT(sound.rate), 8000, .max = 192000},
        {"window", AEI_REAL, AT(sound.window), 0.004, .max = 0.1},
        {"hop", AEI_REAL, AT(sound.hop), 0.001, .max = 0.05},
        {"bands", AEI_U32, AT(sound.bands), 4, .max = 1024, .required = true},
        {"linear", AEI_U32, AT(sound.linear), 1, .max = 1024, .required = true},
        {"power", AEI_REAL, AT(sound.power), 0.05, .max = 1},
        {"memory", AEI_REAL, AT(sound.memory), 0.1, .max = 100},
        {"snr", AEI_RANGE, AT(sound.snr_min), -60, .max = 100},
        {"level", AEI_RANGE, AT(sound.level_min), -100, .max = 20},
        {"silent", AEI_REAL, AT(sound.silent), 0, .max = 1},
        {"music", AEI_REAL, AT(sound.music), 0, .max = 1},
        {"rooms", AEI_REAL, AT(sound.rooms), 0, .max = 1},
        {"filters", AEI_REAL, AT(sound.filters), 0, .max = 1},
        {"limits", AEI_REAL, AT(sound.limits), 0, .max = 1},
        {"speed", AEI_REAL, AT(sound.speed), 0, .max = 1},
        {"clipped", AEI_REAL, AT(sound.clipped), 0, .max = 1},
        {"synthetic", AEI_REAL, AT(sound.synthetic), 0, .max = 1},
        {"babble", AEI_REAL, AT(sound.babble), 0, .max = 1},
    };
    ae_sound_features *f = &r->sound;
    ae_status st;

    *f = (ae_sound_features){.rate = 48000,
                             .window = 0.032f,
                             .hop = 0.01f,
                             .power = 0.3f,
                             .memory = 2,
                             .snr_min = -5,
                             .snr_max = 30,
                             .level_min = -45,
                             .level_max = 0,
                             .silent = 0.06f,
                             .music = 0.07f,
                             .rooms = 0.3f,
                             .filters = 0.5f,
                             .limits = 0.2f,
                             .speed = 0.3f,
                             .clipped = 0.08f,
                             .synthetic = 0.25f,
                             .babble = 0.1f};
    if ((st = aei_yaml_fields(y, at, "sound", fields, sizeof(fields) / sizeof(fields[0]), r, NULL,
                              err)) != AE_OK)
        return st;
    if (f->linear >= f->bands || f->hop > f->window / 2 || f->rate / 2 * f->window <= f->linear)
        return aei_yaml_fail(y, y->nodes[at].line, err,
                             "sound: expected more bands than linear ones, hops of at most half a "
                             "window, linear bands below half "
                             "the rate");
    if (r->task != AE_TASK_DENOISE || r->residual || r->n_corruptions || r->strength_max > 0)
        return aei_yaml_fail(
            y, y->nodes[at].line, err,
            "sound: with task denoise, not residual, without corruption and strength");
    return AE_OK;
}

static ae_status read_train(const aei_yaml *y, uint32_t at, ae_recipe *r, ae_error *err)
{
    enum { BETA1 = 3, STEPS = 8, SHARDS = 11 };
    static const aei_field fields[] = {
        {"optimizer", AEI_CHOICE, AT(optimizer), .choices = optimizers},
        {"rate", AEI_REAL, AT(rate), 0, .max = 100},
        {"rate_end", AEI_REAL, AT(rate_end), 0, .max = 100},
        [BETA1] = {"beta1", AEI_REAL, AT(beta1), 0, .max = 0.9999},
        {"beta2", AEI_REAL, AT(beta2), 0, .max = 0.999999},
        {"decay", AEI_REAL, AT(decay), 0, .max = 10},
        {"clip", AEI_REAL, AT(clip), 0, .max = 1e6},
        {"ema", AEI_REAL, AT(ema), 0, .max = 0.999999},
        [STEPS] = {"steps", AEI_U64, AT(steps), 1, .max = 1e12},
        {"warmup", AEI_U64, AT(warmup), 0, .max = 1e12},
        {"batch", AEI_U32, AT(batch), 1, .max = 65536},
        [SHARDS] = {"shards", AEI_U32, AT(shards), 1, .max = 1024},
        {"validate_every", AEI_U64, AT(validate_every), 1, .max = 1e12},
        {"patience", AEI_U32, AT(patience), 0, .max = 1e6},
        {"holdout", AEI_REAL, AT(holdout), 0, .max = 0.9},
        {"integer", AEI_BOOL, AT(integer)},
    };
    uint64_t given;
    ae_status st = aei_yaml_fields(y, at, "train", fields, sizeof(fields) / sizeof(fields[0]), r,
                                   &given, err);

    if (st != AE_OK)
        return st;
    if (r->n_phases && given >> STEPS & 1)
        return aei_yaml_fail(y, y->nodes[at].line, err, "train: with phases, the steps are theirs");
    if (!(given >> SHARDS & 1))
        while (r->batch % r->shards)
            r->shards--;
    if (r->batch % r->shards)
        return aei_yaml_fail(y, y->nodes[at].line, err,
                             "train: a batch of %u cannot be cut into %u equal shards", r->batch,
                             r->shards);
    return AE_OK;
}

static ae_status read_corruption(const aei_yaml *y, uint32_t at, ae_corruption *c, ae_error *err)
{
    /* clang-format off */
    static const aei_field fields[] = {
        {"kind", AEI_CHOICE, offsetof(ae_corruption, kind), .choices = corruption_kinds,
         .required = true},
        {"sigma", AEI_RANGE, offsetof(ae_corruption, min), 0, .max = 255},
        {"fraction", AEI_RANGE, offsetof(ae_corruption, min), 0, .max = 1},
        {"quality", AEI_RANGE, offsetof(ae_corruption, min), 1, .max = 100},
        {"pixels", AEI_RANGE, offsetof(ae_corruption, min), 0, .max = 64},
        {"probability", AEI_REAL, offsetof(ae_corruption, probability), 0, .max = 1},
        {"jitter", AEI_RANGE, offsetof(ae_corruption, jitter_min), 0, .max = 100},
    };
    /* clang-format on */
    static const int key_of[] = {
        [AE_CORRUPT_GAUSSIAN] = 1, [AE_CORRUPT_CAMERA] = 1, [AE_CORRUPT_SALT_PEPPER] = 2,
        [AE_CORRUPT_MASK] = 2,     [AE_CORRUPT_JPEG] = 3,   [AE_CORRUPT_WARP] = 4};
    enum { N_FIELDS = sizeof(fields) / sizeof(fields[0]) };
    uint64_t given;
    ae_status st;

    *c = (ae_corruption){.probability = 1, .jitter_min = 1, .jitter_max = 1};
    if ((st = aei_yaml_fields(y, at, "corruption", fields, N_FIELDS, c, &given, err)) != AE_OK)
        return st;
    for (int k = 1; k <= 4; k++)
        if ((given >> k & 1) != (k == key_of[c->kind]))
            return aei_yaml_fail(y, y->nodes[at].line, err, "corruption %s: key '%s' is %s",
                                 corruption_kinds[c->kind - 1].name, fields[k].key,
                                 given >> k & 1 ? "unknown" : "missing");
    return AE_OK;
}

/* Whether the loader feeds this input of the first network, which is not the picture. */
static bool fed_beside(const ae_recipe *r, const ae_node *n)
{
    if (r->sound.bands)
        return !strcmp(n->name, AE_INPUT_PLACE) && n->out == 1;
    if (r->task == AE_TASK_COMPRESS)
        return !strcmp(n->name, AE_INPUT_QUALITY) && n->out == 1 && n->height == 1 && n->width == 1;
    return !strcmp(n->name, AE_INPUT_LEVEL) && n->out <= 2;
}

/* What task compress has and no other task. */
static ae_status check_codec(const aei_yaml *y, const top *t, ae_error *err)
{
    const ae_recipe *r = &t->recipe;
    const ae_graph *g = &r->networks[0].graph;
    uint32_t line = y->nodes[t->networks].line;
    bool codec = r->task == AE_TASK_COMPRESS;

    for (uint32_t i = 0; i < r->n_terms; i++)
        if (codec ? r->n_terms > 1 || r->n_phases || r->terms[i].kind != AE_LOSS_RATE_DISTORTION
                  : r->terms[i].kind == AE_LOSS_RATE_DISTORTION)
            return aei_yaml_fail(
                y, t->loss || t->terms ? y->nodes[t->loss ? t->loss : t->terms].line : 1, err,
                "loss: rate_distortion belongs to task compress, which has no other");
    if (r->integer && !codec)
        return aei_yaml_fail(y, line, err, "train: integer belongs to task compress");
    if (!codec)
        return AE_OK;
    if (r->residual || r->n_networks > 1)
        return aei_yaml_fail(y, 1, err, "task compress: one network, not residual");
    if (ae_graph_find(g, AE_INPUT_QUALITY) < 0 || g->n_outputs < 2)
        return aei_yaml_fail(
            y, line, err,
            "task compress: an input 'quality', and outputs of op bits after the picture");
    for (uint32_t i = 1; i < g->n_outputs; i++)
        if (g->nodes[g->outputs[i]].op != AE_OP_BITS)
            return aei_yaml_fail(y, line, err, "task compress: output %s is no layer of op bits",
                                 g->nodes[g->outputs[i]].name);
    return AE_OK;
}

/* The first network meets a picture: what goes in and what comes out must fit the task. */
static ae_status check_task(const aei_yaml *y, top *t, ae_error *err)
{
    ae_recipe *r = &t->recipe;
    const ae_graph *g = &r->networks[0].graph;
    int32_t image = ae_graph_find(g, AE_INPUT_IMAGE), level;
    uint32_t line = y->nodes[t->networks].line, edge;
    ae_shape *shapes, in, out;
    ae_status st;

    if ((r->task == AE_TASK_SUPERRES) != (r->scale > 1))
        return aei_yaml_fail(y, 1, err, "scale: 2 to 4 with task superres, 1 otherwise");
    for (uint32_t i = 0; i < g->n_nodes; i++)
        if (g->nodes[i].op == AE_OP_INPUT && strcmp(g->nodes[i].name, AE_INPUT_IMAGE) != 0 &&
            !fed_beside(r, &g->nodes[i]))
            return aei_yaml_fail(y, line, err, "input %s: the first network reads 'image' and %s",
                                 g->nodes[i].name,
                                 r->sound.bands                ? "'place' (1 channel)"
                                 : r->task == AE_TASK_COMPRESS ? "'quality' (1 x 1 x 1)"
                                                               : "'level' (1 or 2 channels)");
    if (image < 0)
        return aei_yaml_fail(y, line, err, "the first network has no input 'image'");
    if (r->sound.bands && (g->nodes[image].height || g->nodes[image].width != r->sound.bands ||
                           g->nodes[image].out != 1))
        return aei_yaml_fail(
            y, line, err,
            "input image: of sound it has 1 channel, a free height and a width of the %u bands",
            r->sound.bands);
    if (r->strength_max > 0 &&
        ((level = ae_graph_find(g, AE_INPUT_LEVEL)) < 0 || g->nodes[level].out != 1))
        return aei_yaml_fail(
            y, line, err,
            "data: strength is told to an input 'level' of one channel, which is missing");
    if (r->bound > 0 && (r->task != AE_TASK_DENOISE || !r->residual || r->strength_max > 0 ||
                         ae_graph_find(g, AE_INPUT_LEVEL) < 0))
        return aei_yaml_fail(
            y, 1, err,
            "bound: only with task denoise, residual: true and an input 'level' of deviations");
    if (r->curve &&
        (r->task != AE_TASK_DENOISE || r->strength_max > 0 || ae_graph_find(g, AE_INPUT_LEVEL) < 0))
        return aei_yaml_fail(
            y, t->data ? y->nodes[t->data].line : 1, err,
            "data: curve: only with task denoise and an input 'level' of deviations");
    if (r->columns && (r->task != AE_TASK_AUTOENCODE || g->nodes[image].width != r->columns ||
                       !g->nodes[image].height || g->nodes[image].out != 1))
        return aei_yaml_fail(
            y, t->data ? y->nodes[t->data].line : 1, err,
            "data: columns: only with task autoencode and an input 'image' of 1 channel, as wide "
            "and with a height of its own: {channels: 1, height: 1, width: columns}");
    if (r->text && (r->task != AE_TASK_AUTOENCODE || r->columns || !g->nodes[image].height ||
                    g->nodes[image].width != 1 || g->nodes[image].out != 1))
        return aei_yaml_fail(
            y, t->data ? y->nodes[t->data].line : 1, err,
            "data: text: only with task autoencode and an input 'image' of one number a row and "
            "a height of its own: {channels: 1, height: 128, width: 1}");
    for (uint32_t i = 0; r->text && i < g->n_nodes; i++) {
        const ae_node *n = &g->nodes[i];
        uint32_t numbers = r->text == AE_TEXT_WORDS ? AE_WORDS : 256;

        if (n->op == AE_OP_GATHER && n->from[0] == (uint32_t)image && n->factor < numbers)
            return aei_yaml_fail(y, t->data ? y->nodes[t->data].line : 1, err,
                                 "data: text: layer %s has rows for %u numbers, expected factor: "
                                 "%u, one a %s",
                                 n->name, n->factor, numbers,
                                 r->text == AE_TEXT_WORDS ? "word" : "byte");
    }
    if (r->columns || r->text)
        r->augment = false;
    if ((st = check_codec(y, t, err)) != AE_OK)
        return st;
    if (g->stride && r->task != AE_TASK_SUPERRES && r->crop % g->stride)
        return aei_yaml_fail(y, t->data ? y->nodes[t->data].line : 1, err,
                             "data: crop %u is not a multiple of the network's stride %u", r->crop,
                             g->stride);
    edge = g->stride ? (2 * g->field + 64 + g->stride - 1) / g->stride * g->stride : 1;
    shapes = ae_alloc(g->n_nodes, sizeof(*shapes));
    if (!shapes)
        return ae_fail(err, AE_ERR_NOMEM, "shapes of %u layers", g->n_nodes);
    if ((st = ae_graph_shapes(g, 1, edge, edge, shapes, err)) == AE_OK) {
        in = shapes[image];
        out = shapes[g->outputs[0]];
        if (out.c != in.c || out.h != in.h * r->scale || out.w != in.w * r->scale)
            st = aei_yaml_fail(y, line, err,
                               "from pictures of %u x %u x %u the first network makes %u x %u x "
                               "%u, expected %u x %u x %u",
                               in.h, in.w, in.c, out.h, out.w, out.c, in.h * r->scale,
                               in.w * r->scale, in.c);
    }
    ae_free(shapes);
    return st;
}

/* Inputs of later networks may be fed from layers of those before. */
static ae_status check_feeds(const aei_yaml *y, uint32_t at, ae_recipe *r, uint32_t i,
                             ae_error *err)
{
    ae_status st = AE_OK;

    r->n_networks = i;
    for (uint32_t k = 0; st == AE_OK && k < AE_MAX_FROM; k++) {
        const char *from = r->networks[i].from[k];

        if (from[0] && (!i || !aei_recipe_layer(r, from)))
            st = aei_yaml_fail(y, y->nodes[at].line, err,
                               "network %s: no network before has a layer '%.60s'",
                               r->networks[i].name, from);
    }
    r->n_networks = i + 1;
    return st;
}

static ae_status read_networks(const aei_yaml *y, uint32_t at, ae_recipe *r, ae_error *err)
{
    uint32_t items[AE_MAX_NETWORKS], n;
    ae_status st = aei_yaml_list(y, at, "networks", AE_MAX_NETWORKS, items, &n, err);

    if (st == AE_OK && !n)
        st = aei_yaml_fail(y, y->nodes[at].line, err, "networks: empty");
    for (uint32_t i = 0; st == AE_OK && i < n; i++) {
        r->n_networks++;
        st = aei_recipe_network(y, items[i], &r->networks[i], err);
        if (st == AE_OK)
            st = check_feeds(y, items[i], r, i, err);
        for (uint32_t j = 0; st == AE_OK && j < i; j++)
            if (!strcmp(r->networks[i].name, r->networks[j].name))
                st = aei_yaml_fail(y, y->nodes[items[i]].line, err,
                                   "a network above is called '%s', too", r->networks[i].name);
    }
    return st;
}

static ae_status read_terms(const aei_yaml *y, top *t, ae_error *err)
{
    ae_recipe *r = &t->recipe;
    uint32_t items[AE_MAX_LISTED], n;
    ae_status st = AE_OK;

    if (t->corruption) {
        st = aei_yaml_list(y, t->corruption, "corruption", AE_MAX_LISTED, items, &n, err);
        for (uint32_t i = 0; st == AE_OK && i < n; i++)
            st = read_corruption(y, items[i], &r->corruptions[r->n_corruptions++], err);
    }
    return st == AE_OK ? aei_recipe_objective(y, t->loss, t->penalties, t->terms, t->phases, r, err)
                       : st;
}

/* The value of a key of map `at`; 0: it has none, or is no map. */
static uint32_t value_of(const aei_yaml *y, uint32_t at, const char *name)
{
    const aei_yaml_node *map = &y->nodes[at];

    if (map->kind == AEI_YAML_MAP)
        for (uint32_t i = 0, key = map->first; i < map->n / 2;
             i++, key = y->nodes[y->nodes[key].next].next)
            if (!strcmp(y->nodes[key].text, name))
                return y->nodes[key].next;
    return 0;
}

/* A later grammar is recognised before its keys are found unknown, and what `columns` stands for is
 * known before the networks are read. */
static ae_status look_ahead(aei_yaml *y, ae_error *err)
{
    static const aei_field recipe = {"recipe", AEI_U32, 0, 1, .max = UINT32_MAX};
    static const aei_field columns = {"columns", AEI_U32, 0, 1, .max = 65536};
    uint32_t version = 0, at = value_of(y, 0, "recipe"), data = value_of(y, 0, "data");
    ae_status st = at ? aei_yaml_value(y, at, &recipe, &version, err) : AE_OK;

    if (st == AE_OK && data && (at = value_of(y, data, "columns")))
        st = aei_yaml_value(y, at, &columns, &y->columns, err);
    if (st != AE_OK)
        return st;
    if (version > VERSION)
        return ae_fail(err, AE_ERR_TOO_NEW, "%s%srecipe grammar %u, this program knows up to %d",
                       y->name ? y->name : "", y->name ? ": " : "", version, VERSION);
    return AE_OK;
}

static ae_status read_recipe(aei_yaml *y, top *t, ae_error *err)
{
    static const aei_field fields[] = {
        {"recipe", AEI_U32, offsetof(top, version), 1, .max = VERSION, .required = true},
        {"name", AEI_NAME, AT(name), .required = true},
        {"about", AEI_TEXT, AT(about), .size = sizeof(t->recipe.about)},
        {"task", AEI_CHOICE, AT(task), .choices = tasks, .required = true},
        {"residual", AEI_BOOL, .offset = AT(residual)},
        {"bound", AEI_REAL, AT(bound), 0.1, .max = 1000},
        {"scale", AEI_U32, AT(scale), 1, .max = 4},
        {"networks", AEI_SUBTREE, offsetof(top, networks), .required = true},
        {"data", AEI_SUBTREE, .offset = offsetof(top, data)},
        {"sound", AEI_SUBTREE, .offset = offsetof(top, sound)},
        {"corruption", AEI_SUBTREE, .offset = offsetof(top, corruption)},
        {"one_of", AEI_BOOL, .offset = AT(one_of)},
        {"loss", AEI_SUBTREE, .offset = offsetof(top, loss)},
        {"penalties", AEI_SUBTREE, .offset = offsetof(top, penalties)},
        {"terms", AEI_SUBTREE, .offset = offsetof(top, terms)},
        {"phases", AEI_SUBTREE, .offset = offsetof(top, phases)},
        {"train", AEI_SUBTREE, .offset = offsetof(top, train)},
    };
    ae_recipe *r = &t->recipe;
    ae_status st = look_ahead(y, err);

    if (st != AE_OK ||
        (st = aei_yaml_fields(y, 0, "recipe", fields, sizeof(fields) / sizeof(fields[0]), t, NULL,
                              err)) != AE_OK ||
        (st = read_networks(y, t->networks, r, err)) != AE_OK ||
        (t->data && (st = read_data(y, t, err)) != AE_OK) ||
        (st = read_terms(y, t, err)) != AE_OK ||
        (t->sound && (st = read_sound(y, t->sound, r, err)) != AE_OK) ||
        (t->train && (st = read_train(y, t->train, r, err)) != AE_OK))
        return st;
    return check_task(y, t, err);
}

ae_status ae_recipe_parse(const char *text, size_t n_bytes, const char *name, ae_recipe **out,
                          ae_error *err)
{
    aei_yaml yaml = {0};
    top *t = NULL;
    ae_status st;

    *out = NULL;
    if ((st = aei_yaml_parse(text, n_bytes, name, &yaml, err)) != AE_OK)
        return st;
    t = ae_alloc(1, sizeof(*t));
    if (!t) {
        st = ae_fail(err, AE_ERR_NOMEM, "recipe");
        goto done;
    }
    t->recipe = (ae_recipe){
        .scale = 1,
        .crop = 128,
        .augment = true,
        .scale_min = 1,
        .scale_max = 1,
        .n_filters = 1,
        .filters = {AE_BICUBIC},
        .optimizer = AE_ADAMW,
        .rate = 1e-3f,
        .rate_end = 1e-6f,
        .beta1 = 0.9f,
        .beta2 = 0.999f,
        .decay = 1e-4f,
        .clip = 1,
        .ema = 0.999f,
        .steps = 100000,
        .warmup = 500,
        .batch = 16,
        .shards = 8,
        .validate_every = 1000,
        .holdout = 0.05f,
    };
    if ((st = read_recipe(&yaml, t, err)) != AE_OK)
        goto done;
    *out = &t->recipe;
    t = NULL;
done:
    ae_recipe_free(t ? &t->recipe : NULL);
    aei_yaml_free(&yaml);
    return st;
}

ae_status ae_recipe_load(const char *path, const ae_limits *limits, ae_recipe **out, char **text,
                         ae_error *err)
{
    uint8_t *bytes = NULL;
    size_t n_bytes;
    ae_status st;

    *out = NULL;
    if (text)
        *text = NULL;
    if ((st = aei_file_read(path, ae_limits_resolve(limits).max_file, &bytes, &n_bytes, err)) !=
        AE_OK)
        return aei_file_blame(path, st, err);
    st = ae_recipe_parse((const char *)bytes, n_bytes, path, out, err);
    if (st == AE_OK && text) {
        *text = (char *)bytes;
        bytes = NULL;
    }
    ae_free(bytes);
    return st;
}

void ae_recipe_free(ae_recipe *recipe)
{
    if (!recipe)
        return;
    for (uint32_t i = 0; i < recipe->n_networks; i++)
        ae_graph_free(&recipe->networks[i].graph);
    ae_free(recipe);
}
