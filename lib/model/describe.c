/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A model in words, for people. */
#include "ae/model.h"
#include "nn/graph_check.h"
#include "nn/graph_field.h"

#include <stdio.h>
#include <string.h>

typedef struct text {
    char *at;
    size_t n, allocated;
    bool failed;
} text;

static void AE_PRINTF(2, 3) put(text *t, const char *format, ...)
{
    va_list args;
    int want;

    if (t->failed)
        return;
    va_start(args, format);
    want = vsnprintf(t->at + t->n, t->allocated - t->n, format, args);
    va_end(args);
    if (want >= 0 && (size_t)want >= t->allocated - t->n) {
        size_t more = 2 * (t->n + (size_t)want + 1);
        char *grown = ae_realloc(t->at, t->n, more);

        if (!grown) {
            t->failed = true;
            return;
        }
        t->at = grown;
        t->allocated = more;
        va_start(args, format);
        vsnprintf(t->at + t->n, t->allocated - t->n, format, args);
        va_end(args);
    }
    t->n += want < 0 ? 0 : (size_t)want;
}

static const char *task_name(ae_task task)
{
    static const char *const names[] = {"autoencode", "denoise", "superres", "compress"};

    return names[task - AE_TASK_AUTOENCODE];
}

/* "28", or a free edge's share of the picture's: "h", "h/2", "2h". */
static void edge_text(char to[24], char letter, uint32_t fixed, double share)
{
    if (fixed)
        snprintf(to, 24, "%u", fixed);
    else if (share > 1)
        snprintf(to, 24, "%g%c", share, letter);
    else if (share == 1)
        snprintf(to, 24, "%c", letter);
    else
        snprintf(to, 24, "%c/%g", letter, 1 / share);
}

static void op_text(char to[80], const ae_node *n)
{
    int used = snprintf(to, 80, "%s", ae_op_name(n->op));

    if (aei_has_window(n->op))
        used += snprintf(to + used, 80 - (size_t)used, " %ux%u", n->kernel[0], n->kernel[1]);
    if (n->stride[0] > 1 || n->stride[1] > 1)
        used += snprintf(to + used, 80 - (size_t)used, " /%u", n->stride[0]);
    if (n->transposed)
        used += snprintf(to + used, 80 - (size_t)used, " transposed");
    if (n->causal)
        used += snprintf(to + used, 80 - (size_t)used, " causal");
    if (n->groups > 1)
        used += snprintf(to + used, 80 - (size_t)used, " groups %u", n->groups);
    if (n->factor > 1)
        used += snprintf(to + used, 80 - (size_t)used, " %u", n->factor);
    if (n->parity)
        used += snprintf(to + used, 80 - (size_t)used, " %s",
                         n->parity == AE_PARITY_EVEN ? "even" : "odd");
    if (n->add >= 0)
        used += snprintf(to + used, 80 - (size_t)used, " + add");
    if (n->act != AE_ACT_NONE)
        snprintf(to + used, 80 - (size_t)used, " %s", ae_act_name(n->act));
}

static ae_status put_layers(text *t, const ae_network *net, ae_error *err)
{
    ae_graph g = net->graph;
    ae_shape *shapes = ae_alloc(g.n_nodes, sizeof(*shapes));
    aei_cost *costs = ae_alloc(g.n_nodes, sizeof(*costs));
    ae_param *params = NULL;
    uint32_t n_params;
    size_t n_floats;
    int32_t node;
    ae_status st = AE_OK;

    if (!shapes || !costs) {
        st = ae_fail(err, AE_ERR_NOMEM, "description");
        goto done;
    }
    if ((st = aei_graph_infer(&g, 1, 0, 0, shapes, &node, err)) != AE_OK ||
        (st = aei_graph_measure(&g, shapes, costs, &node, err)) != AE_OK ||
        (st = ae_graph_params(&g, &params, &n_params, &n_floats, err)) != AE_OK)
        goto done;
    put(t, "\nnetwork %s: %zu parameters, %.0f MAC per %s", net->name, n_floats, g.macs,
        g.stride ? "pixel" : "item");
    if (g.stride)
        put(t, ", stride %u, receptive field %u pixels to each side", g.stride, g.field);
    if (g.stride && g.before[0] > g.after[0])
        put(t, ", %u rows back and %u ahead", g.before[0], g.after[0]);
    put(t, "\n  %-20s %-28s %-22s %10s %10s\n", "layer", "operator", "output", "parameters",
        g.stride ? "MAC/pixel" : "MAC");
    for (uint32_t i = 0; i < g.n_nodes; i++) {
        char op[80], h[24], w[24], shape[80], count[24] = "", macs[24] = "";
        size_t own = 0;

        for (uint32_t k = 0; k < n_params; k++)
            own += params[k].node == i ? params[k].count : 0;
        op_text(op, &g.nodes[i]);
        edge_text(h, 'h', shapes[i].h, costs[i].rows);
        edge_text(w, 'w', shapes[i].w, costs[i].columns);
        snprintf(shape, sizeof(shape), "%s x %s x %u", h, w, shapes[i].c);
        if (own)
            snprintf(count, sizeof(count), "%zu", own);
        if (costs[i].macs > 0)
            snprintf(macs, sizeof(macs), "%.*f", costs[i].macs < 10, costs[i].macs);
        if (own || costs[i].macs > 0)
            put(t, "  %-20s %-28s %-22s %10s %10s\n", g.nodes[i].name, op, shape, count, macs);
        else
            put(t, "  %-20s %-28s %s\n", g.nodes[i].name, op, shape);
    }
done:
    ae_free(params);
    ae_free(costs);
    ae_free(shapes);
    return st;
}

ae_status ae_model_describe(const ae_model *model, char **out, ae_error *err)
{
    const ae_recipe *r = ae_model_recipe(model);
    const char *card = ae_model_card(model);
    text t = {.at = ae_alloc(4096, 1), .allocated = 4096};
    uint8_t identity[16];
    ae_status st = AE_OK;

    *out = NULL;
    t.failed = !t.at;
    ae_model_identity(model, identity);
    put(&t, "%s%s%s\n", r->name, r->about[0] ? ": " : "", r->about);
    put(&t, "task: %s", task_name(r->task));
    if (r->task == AE_TASK_SUPERRES)
        put(&t, " x%u", r->scale);
    put(&t, "%s\nidentity: ", r->residual ? ", residual" : "");
    for (int i = 0; i < 16; i++)
        put(&t, "%02x", identity[i]);
    put(&t, "\n");
    for (uint32_t i = 0; st == AE_OK && i < r->n_networks; i++)
        st = put_layers(&t, &r->networks[i], err);
    if (card[0])
        put(&t, "\n%s%s", card, card[strlen(card) - 1] == '\n' ? "" : "\n");
    if (st == AE_OK && t.failed)
        st = ae_fail(err, AE_ERR_NOMEM, "description");
    if (st == AE_OK)
        *out = t.at;
    else
        ae_free(t.at);
    return st;
}
