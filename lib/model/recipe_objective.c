/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What a recipe wants: terms and phases. `loss` and `penalties`, the older way to write them,
 * become the same terms. */
#include "model/recipe_objective.h"
#include "nn/losses.h"

#include <stdio.h>
#include <string.h>

#define SAMPLE(number, name, value, slope) {#name, AE_LOSS_##number},
#define OTHER(number, name, traits) {#name, AE_LOSS_##number},
static const aei_choice kinds[] = {AEI_SAMPLE_LOSSES(SAMPLE) AEI_LOSSES(OTHER){NULL, 0}};
/* As they are spelt under `penalties`. */
static const aei_choice penalty_kinds[] = {{"l1", AE_LOSS_L1},
                                           {"l2", AE_LOSS_MSE},
                                           {"kl_sparse", AE_LOSS_KL_SPARSE},
                                           {"kl_normal", AE_LOSS_KL_NORMAL},
                                           {"jacobian", AE_LOSS_JACOBIAN},
                                           {NULL, 0}};
static const aei_choice overs[] = {{"mean", false}, {"sum", true}, {NULL, 0}};
static const aei_choice aims[] = {{"tell", false}, {"fool", true}, {NULL, 0}};

static const char *kind_name(ae_loss_kind kind)
{
    const aei_choice *c = kinds;

    while (c->value != (int)kind)
        c++;
    return c->name;
}

/* ---- references ---- */

const ae_node *aei_recipe_layer(const ae_recipe *r, const char *name)
{
    const char *dot = strchr(name, '.');
    int32_t i = ae_graph_find(&r->networks[0].graph, name);

    if (i >= 0)
        return &r->networks[0].graph.nodes[i];
    for (uint32_t k = 1; dot && k < r->n_networks; k++)
        if (strlen(r->networks[k].name) == (size_t)(dot - name) &&
            !strncmp(r->networks[k].name, name, (size_t)(dot - name)) &&
            (i = ae_graph_find(&r->networks[k].graph, dot + 1)) >= 0)
            return &r->networks[k].graph.nodes[i];
    return NULL;
}

static ae_status check_layer(const aei_yaml *y, uint32_t at, const ae_recipe *r, const char *name,
                             ae_error *err)
{
    if (!name[0] || aei_recipe_layer(r, name))
        return AE_OK;
    return aei_yaml_fail(y, y->nodes[at].line, err, "network %s has no layer '%.60s'",
                         r->networks[0].name, name);
}

static const ae_network *find_network(const ae_recipe *r, const char *name)
{
    for (uint32_t i = 0; i < r->n_networks; i++)
        if (!strcmp(r->networks[i].name, name))
            return &r->networks[i];
    return NULL;
}

/* Whether it names something that can be trained alone: a network, a layer, or parameters that
 * layers share. */
static bool can_train(const ae_recipe *r, const char *name)
{
    if (find_network(r, name) || aei_recipe_layer(r, name))
        return true;
    for (uint32_t k = 0; k < r->n_networks; k++)
        for (uint32_t i = 0; i < r->networks[k].graph.n_nodes; i++)
            if (!strcmp(r->networks[k].graph.nodes[i].param, name))
                return true;
    return false;
}

/* ---- what is of one term alone ---- */

static ae_status check_term(const aei_yaml *y, uint32_t at, const ae_recipe *r, const ae_term *t,
                            bool has_to, ae_error *err)
{
    uint32_t line = y->nodes[at].line;
    const char *kind = kind_name(t->kind);
    uint32_t traits = aei_loss_traits(t->kind);
    const ae_network *by = find_network(r, t->by);
    ae_status st;

    if ((t->kind == AE_LOSS_RATE_DISTORTION) != (t->lambda_min > 0))
        return aei_yaml_fail(y, line, err,
                             "loss: 'lambda' belongs to kind rate_distortion, which needs it");
    if ((t->kind == AE_LOSS_PERCEPTUAL) != (t->model[0] && t->node[0]) ||
        (t->kind != AE_LOSS_PERCEPTUAL && (t->model[0] || t->node[0])))
        return aei_yaml_fail(
            y, line, err, "loss: 'model' and 'node' belong to kind perceptual, which needs both");
    if ((t->kind == AE_LOSS_KL_SPARSE) != (t->rho > 0))
        return aei_yaml_fail(y, line, err, "term: 'rho' belongs to kind kl_sparse, which needs it");
    if ((t->kind == AE_LOSS_KL_NORMAL) != (t->logvar[0] != 0))
        return aei_yaml_fail(
            y, line, err,
            "term: 'logvar' belongs to kind kl_normal, which needs it, and 'on', the mean");
    if ((t->kind == AE_LOSS_ADVERSARY) != (t->by[0] != 0) ||
        (t->fool && t->kind != AE_LOSS_ADVERSARY))
        return aei_yaml_fail(
            y, line, err,
            "term: 'by', a network, and 'aim' belong to kind adversary, which needs the first");
    if (traits & AEI_OF_LAYER && (!t->on[0] || t->on_weights))
        return aei_yaml_fail(y, line, err, "term %s needs 'on', a layer", kind);
    if (!(traits & AEI_COMPARES) && (has_to || t->sum || t->mask[0]))
        return aei_yaml_fail(y, line, err, "term %s has no 'to', 'over' and 'mask'", kind);
    if (!(traits & AEI_SAMPLES) && (t->sum || t->mask[0]))
        return aei_yaml_fail(y, line, err, "term %s has no 'over' and 'mask'", kind);
    if (traits & AEI_OF_OUTPUT && t->on[0])
        return aei_yaml_fail(y, line, err, "term %s is on the network's output and nothing else",
                             kind);
    if (t->on_weights &&
        ((t->kind != AE_LOSS_MSE && t->kind != AE_LOSS_L1) || has_to || t->sum || t->mask[0]))
        return aei_yaml_fail(y, line, err,
                             "term on weights: mse or l1 alone, which hold them against 0");
    if (traits & AEI_COMPARES && t->on[0] && !has_to)
        return aei_yaml_fail(y, line, err,
                             "term %s on layer %s needs 'to': image, label, a number or a layer",
                             kind, t->on);
    if (t->against == AE_AGAINST_LABEL && t->kind != AE_LOSS_CROSS_ENTROPY)
        return aei_yaml_fail(y, line, err, "term %s: labels are classes, for kind cross_entropy",
                             kind);
    if (t->by[0] && (!by || by == r->networks))
        return aei_yaml_fail(y, line, err, "term adversary: there is no other network '%.60s'",
                             t->by);
    if (by) {
        const ae_graph *g = &by->graph;
        const ae_node *out = &g->nodes[g->outputs[0]];

        if (g->n_nodes < 2 || g->nodes[1].op == AE_OP_INPUT || by->from[0][0] || out->out != 1)
            return aei_yaml_fail(y, line, err,
                                 "term adversary: network '%s' must have one input, not fed 'from' "
                                 "a layer, and give "
                                 "one logit",
                                 t->by);
    }
    if ((st = check_layer(y, at, r, t->on_weights ? "" : t->on, err)) != AE_OK ||
        (st = check_layer(y, at, r, t->to, err)) != AE_OK ||
        (st = check_layer(y, at, r, t->mask, err)) != AE_OK)
        return st;
    return check_layer(y, at, r, t->logvar, err);
}

/* image, label, a number, or a layer. */
static ae_status read_to(const aei_yaml *y, uint32_t at, ae_term *t, ae_error *err)
{
    static const aei_field number = {"to", AEI_REAL, 0, -1e9, .max = 1e9};
    static const aei_field text = {"to", AEI_TEXT, 0, .size = AE_NAME_MAX};
    const aei_yaml_node *n = &y->nodes[at];

    if (n->kind == AEI_YAML_SCALAR && n->plain && n->text[0] &&
        strchr("+-.0123456789", n->text[0])) {
        t->against = AE_AGAINST_NUMBER;
        return aei_yaml_value(y, at, &number, &t->number, err);
    }
    if (n->kind == AEI_YAML_SCALAR && !strcmp(n->text, "image"))
        return AE_OK;
    if (n->kind == AEI_YAML_SCALAR && !strcmp(n->text, "label")) {
        t->against = AE_AGAINST_LABEL;
        return AE_OK;
    }
    t->against = AE_AGAINST_LAYER;
    return aei_yaml_value(y, at, &text, t->to, err);
}

#define AT(f) offsetof(ae_term, f)

static ae_status read_loss(const aei_yaml *y, uint32_t at, const ae_recipe *r, ae_term *t,
                           ae_error *err)
{
    static const aei_field fields[] = {
        {"kind", AEI_CHOICE, AT(kind), .choices = kinds, .required = true},
        {"weight", AEI_REAL, AT(weight), 0, .max = 1e9},
        {"model", AEI_TEXT, AT(model), .size = sizeof(t->model)},
        {"node", AEI_TEXT, AT(node), .size = sizeof(t->node)},
        {"lambda", AEI_RANGE, AT(lambda_min), 1e-9, .max = 1e6},
    };
    ae_status st;

    *t = (ae_term){.weight = 1};
    if ((st = aei_yaml_fields(y, at, "loss", fields, sizeof(fields) / sizeof(*fields), t, NULL,
                              err)) != AE_OK)
        return st;
    snprintf(t->name, sizeof(t->name), "%s", kind_name(t->kind));
    return check_term(y, at, r, t, false, err);
}

static ae_status read_penalty(const aei_yaml *y, uint32_t at, const ae_recipe *r, ae_term *t,
                              ae_error *err)
{
    static const aei_field fields[] = {
        {"kind", AEI_CHOICE, AT(kind), .choices = penalty_kinds, .required = true},
        {"weight", AEI_REAL, AT(weight), 0, .max = 1e9, .required = true},
        {"node", AEI_TEXT, AT(on), .size = sizeof(t->on)},
        {"target", AEI_REAL, AT(rho), 1e-6, .max = 0.999999},
        {"logvar", AEI_TEXT, AT(logvar), .size = sizeof(t->logvar)},
    };
    ae_status st;

    *t = (ae_term){0};
    if ((st = aei_yaml_fields(y, at, "penalty", fields, sizeof(fields) / sizeof(*fields), t, NULL,
                              err)) != AE_OK)
        return st;
    if ((t->kind == AE_LOSS_KL_SPARSE) != (t->rho > 0) ||
        (t->kind == AE_LOSS_KL_SPARSE && !t->on[0]))
        return aei_yaml_fail(
            y, y->nodes[at].line, err,
            "penalty: 'target' belongs to kind kl_sparse, which needs 'target' and 'node'");
    if ((t->kind == AE_LOSS_KL_NORMAL) != (t->logvar[0] != 0) ||
        (t->kind == AE_LOSS_KL_NORMAL && !t->on[0]))
        return aei_yaml_fail(y, y->nodes[at].line, err,
                             "penalty: 'logvar' belongs to kind kl_normal, which needs 'node', the "
                             "mean, and 'logvar'");
    if (t->kind == AE_LOSS_JACOBIAN && !t->on[0])
        return aei_yaml_fail(y, y->nodes[at].line, err, "penalty jacobian needs 'node'");
    if (t->kind == AE_LOSS_L1 || t->kind == AE_LOSS_MSE) {
        t->against = AE_AGAINST_NUMBER;
        t->on_weights = !t->on[0];
    }
    snprintf(t->name, sizeof(t->name), "%s", t->kind == AE_LOSS_MSE ? "l2" : kind_name(t->kind));
    return check_term(y, at, r, t, t->against == AE_AGAINST_NUMBER && !t->on_weights, err);
}

static ae_status read_term(const aei_yaml *y, uint32_t at, const ae_recipe *r, ae_term *t,
                           ae_error *err)
{
    struct term {
        ae_term term;
        uint32_t to;
        int over, aim;
    } all = {.term = {.weight = 1}};
    static const aei_field fields[] = {
        {"kind", AEI_CHOICE, AT(kind), .choices = kinds, .required = true},
        {"name", AEI_NAME, .offset = AT(name)},
        {"on", AEI_TEXT, AT(on), .size = sizeof(t->on)},
        {"to", AEI_SUBTREE, .offset = offsetof(struct term, to)},
        {"weight", AEI_REAL, AT(weight), 0, .max = 1e9},
        {"mask", AEI_TEXT, AT(mask), .size = sizeof(t->mask)},
        {"over", AEI_CHOICE, offsetof(struct term, over), .choices = overs},
        {"warmup", AEI_U64, AT(warmup), 0, .max = 1e12},
        {"model", AEI_TEXT, AT(model), .size = sizeof(t->model)},
        {"node", AEI_TEXT, AT(node), .size = sizeof(t->node)},
        {"lambda", AEI_RANGE, AT(lambda_min), 1e-9, .max = 1e6},
        {"rho", AEI_REAL, AT(rho), 1e-6, .max = 0.999999},
        {"logvar", AEI_TEXT, AT(logvar), .size = sizeof(t->logvar)},
        {"by", AEI_TEXT, AT(by), .size = sizeof(t->by)},
        {"aim", AEI_CHOICE, offsetof(struct term, aim), .choices = aims},
    };
    ae_status st = aei_yaml_fields(y, at, "term", fields, sizeof(fields) / sizeof(*fields), &all,
                                   NULL, err);

    *t = all.term;
    if (st != AE_OK)
        return st;
    t->sum = all.over;
    t->fool = all.aim;
    if (!strcmp(t->on, "weights")) {
        t->on_weights = true;
        t->on[0] = 0;
        t->against = AE_AGAINST_NUMBER;
    }
    if (!t->name[0])
        snprintf(t->name, sizeof(t->name), "%s", kind_name(t->kind));
    if (all.to && (st = read_to(y, all.to, t, err)) != AE_OK)
        return st;
    return check_term(y, at, r, t, all.to != 0, err);
}
#undef AT

/* ---- lists ---- */

typedef ae_status (*reader)(const aei_yaml *y, uint32_t at, const ae_recipe *r, ae_term *t,
                            ae_error *err);

static ae_status read_list(const aei_yaml *y, uint32_t at, const char *what, uint32_t most,
                           reader read, ae_recipe *r, ae_error *err)
{
    uint32_t items[AE_MAX_TERMS], n = 0;
    ae_status st = aei_yaml_list(y, at, what, most, items, &n, err);

    for (uint32_t i = 0; st == AE_OK && i < n; i++)
        st = read(y, items[i], r, &r->terms[r->n_terms++], err);
    return st;
}

static ae_status read_phase(const aei_yaml *y, uint32_t at, const ae_recipe *r, ae_phase *p,
                            ae_error *err)
{
    struct phase {
        ae_phase phase;
        uint32_t train, terms;
    } all = {0};
#define AT(f) offsetof(struct phase, f)
    static const aei_field fields[] = {
        {"train", AEI_SUBTREE, .offset = AT(train)},
        {"terms", AEI_SUBTREE, .offset = AT(terms), .required = true},
        {"steps", AEI_U64, AT(phase.steps), 1, .max = 1e12, .required = true},
        {"every", AEI_U64, AT(phase.every), 1, .max = 1e12},
        {"rate", AEI_REAL, AT(phase.rate), 0, .max = 100},
        {"rate_end", AEI_REAL, AT(phase.rate_end), 0, .max = 100},
    };
#undef AT
    static const aei_field text = {"train", AEI_TEXT, 0, .size = AE_NAME_MAX};
    static const aei_field name = {"terms", AEI_TEXT, 0, .size = AE_NAME_MAX};
    uint32_t items[AE_MAX_TRAINED], n = 0;
    ae_status st = aei_yaml_fields(y, at, "phase", fields, sizeof(fields) / sizeof(*fields), &all,
                                   NULL, err);

    *p = all.phase;
    if (st == AE_OK && all.train &&
        (st = aei_yaml_list(y, all.train, "train", AE_MAX_TRAINED, items, &n, err)) == AE_OK && !n)
        st = aei_yaml_fail(y, y->nodes[at].line, err, "phase: 'train' is empty");
    for (uint32_t i = 0; st == AE_OK && i < n; i++) {
        if ((st = aei_yaml_value(y, items[i], &text, p->trained[i], err)) == AE_OK &&
            !can_train(r, p->trained[i]))
            st = aei_yaml_fail(y, y->nodes[items[i]].line, err,
                               "phase: '%.60s' is no network, layer or parameter", p->trained[i]);
        p->n_trained++;
    }
    n = 0;
    if (st == AE_OK)
        st = aei_yaml_list(y, all.terms, "terms", AE_MAX_TERMS, items, &n, err);
    for (uint32_t i = 0; st == AE_OK && i < n; i++) {
        char wanted[AE_NAME_MAX];
        uint32_t k = 0;

        if ((st = aei_yaml_value(y, items[i], &name, wanted, err)) != AE_OK)
            break;
        while (k < r->n_terms && strcmp(r->terms[k].name, wanted) != 0)
            k++;
        if (k == r->n_terms)
            st = aei_yaml_fail(y, y->nodes[items[i]].line, err, "phase: no term is called '%.60s'",
                               wanted);
        else
            p->terms |= 1u << k;
    }
    if (st == AE_OK && !p->terms)
        st = aei_yaml_fail(y, y->nodes[at].line, err, "phase: 'terms' is empty");
    return st;
}

static ae_status read_phases(const aei_yaml *y, uint32_t at, ae_recipe *r, ae_error *err)
{
    uint32_t items[AE_MAX_PHASES], n = 0;
    ae_status st = aei_yaml_list(y, at, "phases", AE_MAX_PHASES, items, &n, err);

    if (st == AE_OK && !n)
        st = aei_yaml_fail(y, y->nodes[at].line, err, "phases: empty");
    r->steps = 0;
    for (uint32_t i = 0; st == AE_OK && i < n; i++) {
        st = read_phase(y, items[i], r, &r->phases[r->n_phases++], err);
        r->steps += r->phases[i].steps;
    }
    return st;
}

/* Terms are known by their names: those of one name are told apart by their place. */
static ae_status check_names(const aei_yaml *y, uint32_t at, ae_recipe *r, ae_error *err)
{
    for (uint32_t i = 0; i < r->n_terms; i++)
        for (uint32_t k = 0; k < i; k++)
            if (!strcmp(r->terms[i].name, r->terms[k].name)) {
                if (at)
                    return aei_yaml_fail(y, y->nodes[at].line, err,
                                         "terms: two are called '%s': give one a 'name'",
                                         r->terms[i].name);
                snprintf(r->terms[i].name, sizeof(r->terms[i].name), "%.36s.%u", r->terms[k].name,
                         i % 100);
            }
    return AE_OK;
}

ae_status aei_recipe_objective(const aei_yaml *y, uint32_t loss, uint32_t penalties, uint32_t terms,
                               uint32_t phases, ae_recipe *r, ae_error *err)
{
    ae_status st = AE_OK;

    if (terms && (loss || penalties))
        return aei_yaml_fail(y, y->nodes[terms].line, err,
                             "terms take the place of 'loss' and 'penalties'");
    if (terms)
        st = read_list(y, terms, "terms", AE_MAX_TERMS, read_term, r, err);
    else if (loss)
        st = read_list(y, loss, "loss", AE_MAX_LISTED, read_loss, r, err);
    else
        r->terms[r->n_terms++] = (ae_term){
            .kind = AE_LOSS_CHARBONNIER, .weight = 1, .name = "charbonnier"};
    if (st == AE_OK && !r->n_terms)
        st = aei_yaml_fail(y, y->nodes[terms ? terms : loss].line, err, "%s: empty",
                           terms ? "terms" : "loss");
    if (st == AE_OK && penalties)
        st = read_list(y, penalties, "penalties", AE_MAX_LISTED, read_penalty, r, err);
    if (st == AE_OK)
        st = check_names(y, terms, r, err);
    if (st == AE_OK && phases)
        st = read_phases(y, phases, r, err);
    return st;
}
