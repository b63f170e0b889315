/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Networks in recipes: inputs and layers, with `repeat`, `residual` and `gate` written out. */
#include "model/recipe_network.h"

#include "nn/acts.h"
#include "nn/graph_check.h"

#include <stdio.h>
#include <string.h>

enum { OP_RESIDUAL = 1000 }; /* beside ae_op */
enum { GATE_NONE, GATE_LAST, GATE_ALL };

/* One entry under `layers`, before it becomes nodes. */
typedef struct layer {
    int op, act, init, parity, gate, gate_act;
    char name[AE_NAME_MAX], param[AE_NAME_MAX], add[AE_NAME_MAX + 4];
    uint32_t from, repeat, out, kernel[2], stride[2], dilation[2], pad[2], pad_at, groups, factor,
        first, height, width, channels;
    float slope, value;
    bool bias, causal, transposed;
} layer;

static const char *act_name(int act)
{
    return ae_act_name((ae_act)act);
}

static const aei_choice inits[] = {{"he", AE_INIT_HE},
                                   {"zero", AE_INIT_ZERO},
                                   {"identity", AE_INIT_IDENTITY},
                                   {"dct", AE_INIT_DCT},
                                   {"dct_inverse", AE_INIT_DCT_INVERSE},
                                   {"xavier", AE_INIT_XAVIER},
                                   {"orthogonal", AE_INIT_ORTHOGONAL},
                                   {NULL, 0}};
static const aei_choice parities[] = {
    {"all", AE_PARITY_ALL}, {"even", AE_PARITY_EVEN}, {"odd", AE_PARITY_ODD}, {NULL, 0}};
static const aei_choice gates[] = {
    {"none", GATE_NONE}, {"last", GATE_LAST}, {"all", GATE_ALL}, {NULL, 0}};
static const aei_choice gate_acts[] = {
    {"sigmoid", AE_ACT_SIGMOID}, {"clip", AE_ACT_CLIP}, {NULL, 0}};
#define CHOICE(number, name, ...) {#name, AE_OP_##number},
/* the first, input, is no layer */
static const aei_choice ops[] = {AEI_OPS(CHOICE){"residual", OP_RESIDUAL}, {NULL, 0}};
#undef CHOICE

#define AT(f) offsetof(layer, f)
static const aei_field layer_fields[AEI_N_KEYS] = {
    [AEI_KEY_OP] = {"op", AEI_CHOICE, AT(op), .choices = ops + 1, .required = true},
    [AEI_KEY_NAME] = {"name", AEI_NAME, .offset = AT(name)},
    [AEI_KEY_FROM] = {"from", AEI_SUBTREE, .offset = AT(from)},
    [AEI_KEY_PARAM] = {"param", AEI_NAME, .offset = AT(param)},
    [AEI_KEY_ACT] = {"act", AEI_CHOICE, AT(act), .name_of = act_name},
    [AEI_KEY_SLOPE] = {"slope", AEI_REAL, AT(slope), -1e6, .max = 1e6},
    [AEI_KEY_ADD] = {"add", AEI_TEXT, AT(add), .size = AE_NAME_MAX + 4},
    [AEI_KEY_REPEAT] = {"repeat", AEI_U32, AT(repeat), 1, .max = AE_MAX_NODES},
    [AEI_KEY_OUT] = {"out", AEI_U32, AT(out), 1, .max = AEI_MAX_CHANNELS},
    [AEI_KEY_KERNEL] = {"kernel", AEI_PAIR, AT(kernel), 1, .max = AEI_MAX_KERNEL},
    [AEI_KEY_STRIDE] = {"stride", AEI_PAIR, AT(stride), 1, .max = AEI_MAX_KERNEL},
    [AEI_KEY_DILATION] = {"dilation", AEI_PAIR, AT(dilation), 1, .max = AEI_MAX_KERNEL},
    [AEI_KEY_PAD] = {"pad", AEI_SUBTREE, .offset = AT(pad_at)},
    [AEI_KEY_GROUPS] = {"groups", AEI_U32, AT(groups), 1, .max = AEI_MAX_CHANNELS},
    [AEI_KEY_FACTOR] = {"factor", AEI_U32, AT(factor), 1, .max = AEI_MAX_CHANNELS},
    [AEI_KEY_FIRST] = {"first", AEI_U32, AT(first), 0, .max = AEI_MAX_CHANNELS},
    [AEI_KEY_HEIGHT] = {"height", AEI_U32, AT(height), 1, .max = AEI_MAX_EDGE},
    [AEI_KEY_WIDTH] = {"width", AEI_U32, AT(width), 1, .max = AEI_MAX_EDGE},
    [AEI_KEY_CHANNELS] = {"channels", AEI_U32, AT(channels), 1, .max = AEI_MAX_CHANNELS},
    [AEI_KEY_VALUE] = {"value", AEI_REAL, AT(value), -1e6, .max = 1e6},
    [AEI_KEY_BIAS] = {"bias", AEI_BOOL, .offset = AT(bias)},
    [AEI_KEY_INIT] = {"init", AEI_CHOICE, AT(init), .choices = inits},
    [AEI_KEY_PARITY] = {"parity", AEI_CHOICE, AT(parity), .choices = parities},
    [AEI_KEY_TRANSPOSE] = {"transpose", AEI_BOOL, .offset = AT(transposed)},
    [AEI_KEY_GATE] = {"gate", AEI_CHOICE, AT(gate), .choices = gates},
    [AEI_KEY_GATE_ACT] = {"gate_act", AEI_CHOICE, AT(gate_act), .choices = gate_acts},
};
#undef AT

/* Which keys a layer takes, beyond those that all take, and which it needs. */
static uint64_t keys_of(int op, uint64_t *needed)
{
    const aei_op_info *info = aei_op_info_of((ae_op)op);

    *needed = info ? info->needs : 0;
    if (op == OP_RESIDUAL)
        return AEI_BIT(PARAM) | AEI_BIT(KERNEL) | AEI_BIT(DILATION) | AEI_BIT(PAD) | AEI_BIT(INIT) |
               AEI_BIT(GATE) | AEI_BIT(GATE_ACT);
    return info ? info->takes : 0;
}

static const char *op_name(int op)
{
    return op == OP_RESIDUAL ? "residual" : ae_op_name((ae_op)op);
}

typedef struct builder {
    const aei_yaml *yaml;
    ae_graph *graph;
    uint32_t n_allocated, n_inputs, n_layers;
    uint32_t *lines; /* of the nodes */
} builder;

static ae_status add_node(builder *b, const ae_node *node, uint32_t line, ae_error *err)
{
    ae_graph *g = b->graph;

    if (g->n_nodes == b->n_allocated) {
        uint32_t want = b->n_allocated ? 2 * b->n_allocated : 64;
        ae_node *nodes;
        uint32_t *lines;

        if (g->n_nodes >= AE_MAX_NODES)
            return aei_yaml_fail(b->yaml, line, err, "more than %d layers", AE_MAX_NODES);
        nodes = ae_realloc(g->nodes, b->n_allocated * sizeof(*nodes), want * sizeof(*nodes));
        if (!nodes)
            return ae_fail(err, AE_ERR_NOMEM, "%u layers", want);
        g->nodes = nodes;
        lines = ae_realloc(b->lines, b->n_allocated * sizeof(*lines), want * sizeof(*lines));
        if (!lines)
            return ae_fail(err, AE_ERR_NOMEM, "%u layers", want);
        b->lines = lines;
        b->n_allocated = want;
    }
    b->lines[g->n_nodes] = line;
    g->nodes[g->n_nodes++] = *node;
    return AE_OK;
}

static ae_status find_node(const builder *b, const char *name, uint32_t line, uint32_t *index,
                           ae_error *err)
{
    int32_t found = strcmp(name, "previous") ? ae_graph_find(b->graph, name)
                                             : (int32_t)b->graph->n_nodes - 1;

    if (found < 0)
        return aei_yaml_fail(b->yaml, line, err,
                             "no layer '%.60s' stands above (a cycle or a misspelt name)", name);
    *index = (uint32_t)found;
    return AE_OK;
}

/* A list of names, `from` or `outputs`. */
static ae_status read_names(const builder *b, uint32_t at, const char *what, uint32_t *to,
                            uint32_t *n, ae_error *err)
{
    uint32_t items[AE_MAX_FROM];
    ae_status st = aei_yaml_list(b->yaml, at, what, AE_MAX_FROM, items, n, err);

    for (uint32_t i = 0; st == AE_OK && i < *n; i++) {
        const aei_yaml_node *item = &b->yaml->nodes[items[i]];

        st = item->kind == AEI_YAML_SCALAR
                 ? find_node(b, item->text, item->line, &to[i], err)
                 : aei_yaml_fail(b->yaml, item->line, err, "%s: expected names of layers", what);
    }
    if (st == AE_OK && !*n)
        st = aei_yaml_fail(b->yaml, b->yaml->nodes[at].line, err, "%s: empty", what);
    return st;
}

/* ---- inputs ---- */

static ae_status read_input(builder *b, uint32_t at, char from[AE_NAME_MAX], ae_error *err)
{
    struct input {
        ae_node node;
        char from[AE_NAME_MAX];
    } input = {.node = {.op = AE_OP_INPUT, .add = -1}};
    /* clang-format off */
    static const aei_field fields[] = {
        {"name", AEI_NAME, offsetof(struct input, node.name), .required = true},
        {"channels", AEI_U32, offsetof(struct input, node.out), 1, .max = AEI_MAX_CHANNELS,
         .required = true},
        {"height", AEI_U32, offsetof(struct input, node.height), 1, .max = AEI_MAX_EDGE},
        {"width", AEI_U32, offsetof(struct input, node.width), 1, .max = AEI_MAX_EDGE},
        {"from", AEI_TEXT, offsetof(struct input, from), .size = AE_NAME_MAX},
    };
    /* clang-format on */
    ae_status st = aei_yaml_fields(b->yaml, at, "input", fields, sizeof(fields) / sizeof(*fields),
                                   &input, NULL, err);

    memcpy(from, input.from, sizeof(input.from));
    return st == AE_OK ? add_node(b, &input.node, b->yaml->nodes[at].line, err) : st;
}

/* ---- layers ---- */

static bool is_word(const aei_yaml_node *n, const char *word)
{
    return n->kind == AEI_YAML_SCALAR && !strcmp(n->text, word);
}

/* All padding before the first row, so much that a row of the result sees no further than the rows
 * that it stands for: with a stride, to the last of them. A transposed convolution cuts as much off
 * the end. */
static void pad_causally(layer *l)
{
    uint32_t reach = l->dilation[0] * (l->kernel[0] - 1), ahead = l->stride[0] - 1;

    l->causal = true;
    l->pad[0] = reach > ahead ? reach - ahead : 0;
}

/* A number or two, `same`, `causal`, or [causal, N]. */
static ae_status read_pad(const builder *b, layer *l, ae_error *err)
{
    static const aei_field pair = {"pad", AEI_PAIR, 0, 0, .max = AEI_MAX_KERNEL * AEI_MAX_KERNEL};
    static const aei_field across = {"pad", AEI_U32, 0, 0, .max = AEI_MAX_KERNEL * AEI_MAX_KERNEL};
    const aei_yaml_node *n = &b->yaml->nodes[l->pad_at];
    bool conv = l->op == AE_OP_CONV || l->op == OP_RESIDUAL;
    uint32_t items[2], n_items = 0;

    if (conv && is_word(n, "same"))
        return AE_OK;
    if (is_word(n, "causal")) {
        pad_causally(l);
        return AE_OK;
    }
    if (n->kind == AEI_YAML_LIST &&
        aei_yaml_list(b->yaml, l->pad_at, "pad", 2, items, &n_items, NULL) == AE_OK &&
        n_items == 2 && is_word(&b->yaml->nodes[items[0]], "causal")) {
        pad_causally(l);
        return aei_yaml_value(b->yaml, items[1], &across, &l->pad[1], err);
    }
    return aei_yaml_value(b->yaml, l->pad_at, &pair, l->pad, err);
}

/* The entry's own fields, defaults included. */
static ae_status read_layer(const builder *b, uint32_t at, layer *l, ae_error *err)
{
    uint32_t line = b->yaml->nodes[at].line;
    uint64_t given, needed, allowed;
    bool sloped;
    ae_status st;

    *l = (layer){.gate_act = AE_ACT_SIGMOID,
                 .repeat = 1,
                 .groups = 1,
                 .factor = 2,
                 .slope = 0.1f,
                 .bias = true};
    for (int a = 0; a < 2; a++)
        l->dilation[a] = 1;
    if ((st = aei_yaml_fields(b->yaml, at, "layer", layer_fields, AEI_N_KEYS, l, &given, err)) !=
        AE_OK)
        return st;
    allowed = keys_of(l->op, &needed) | needed | AEI_ALL_TAKE;
    for (int k = 0; k < AEI_N_KEYS; k++) {
        if (given & ~allowed & (UINT64_C(1) << k))
            return aei_yaml_fail(b->yaml, line, err, "a layer %s has no key '%s'", op_name(l->op),
                                 layer_fields[k].key);
        if (needed & ~given & (UINT64_C(1) << k))
            return aei_yaml_fail(b->yaml, line, err, "layer %s: key '%s' is missing",
                                 op_name(l->op), layer_fields[k].key);
    }
    if (!(given & AEI_BIT(ACT)) && l->op == OP_RESIDUAL)
        l->act = AE_ACT_RELU;
    sloped = aei_act_info_of((ae_act)l->act)->takes_slope;
    if ((given & AEI_BIT(SLOPE)) && !sloped && l->op != AE_OP_EMBED)
        return aei_yaml_fail(b->yaml, line, err, "'slope' belongs to act: leaky and to embed");
    if (sloped && !(l->slope >= 0 && l->slope <= 1))
        return aei_yaml_fail(b->yaml, line, err, "slope: expected 0 to 1");
    if (!sloped && !((given & AEI_BIT(SLOPE)) && l->op == AE_OP_EMBED))
        l->slope = 0;
    if ((given & AEI_BIT(GATE_ACT)) && l->gate == GATE_NONE)
        return aei_yaml_fail(b->yaml, line, err, "'gate_act' belongs to a gate");
    if (l->transposed && !l->param[0])
        return aei_yaml_fail(b->yaml, line, err,
                             "transpose: 'param' names the weight that is read the other way");
    if (!(given & AEI_BIT(VALUE)))
        l->value = l->op == OP_RESIDUAL ? 0 : aei_op_info_of((ae_op)l->op)->value;
    for (int a = 0; a < 2; a++) {
        if (!(given & AEI_BIT(KERNEL)))
            l->kernel[a] = l->op == AE_OP_CONV || l->op == OP_RESIDUAL ? 3 : 2;
        if (!(given & AEI_BIT(STRIDE)))
            l->stride[a] = l->op == AE_OP_CONV || l->op == OP_RESIDUAL ? 1
                           : l->op == AE_OP_DECONV                     ? 2
                                                                       : l->kernel[a];
        if (l->op == AE_OP_CONV || l->op == OP_RESIDUAL)
            l->pad[a] = l->dilation[a] * (l->kernel[a] - 1) / 2;
    }
    return given & AEI_BIT(PAD) ? read_pad(b, l, err) : AE_OK;
}

static void node_of(const layer *l, ae_node *node)
{
    ae_op op = (ae_op)l->op;
    bool window = aei_has_window(op);

    *node = (ae_node){.op = (ae_op)l->op,
                      .add = -1,
                      .act = (ae_act)l->act,
                      .slope = l->slope,
                      .first = l->first,
                      .value = l->value};
    node->out = l->op == AE_OP_RESHAPE ? l->channels : l->out;
    node->height = l->height;
    node->width = l->width;
    node->parity = (ae_parity)l->parity;
    node->init = (ae_init)l->init;
    node->factor = aei_op_takes(op, AEI_BIT(FACTOR)) ? l->factor : 0;
    for (int a = 0; a < 2 && window; a++) {
        node->kernel[a] = l->kernel[a];
        node->stride[a] = l->stride[a];
        node->dilation[a] = l->dilation[a];
        node->pad[a] = l->pad[a];
    }
    node->causal = window && l->causal;
    node->groups = aei_op_takes(op, AEI_BIT(GROUPS)) ? l->groups : 0;
    node->bias = aei_op_takes(op, AEI_BIT(BIAS)) && l->bias;
    node->transposed = l->transposed;
}

static ae_status set_name(const builder *b, char to[AE_NAME_MAX], const char *name,
                          const char *suffix, uint32_t line, ae_error *err)
{
    if (snprintf(to, AE_NAME_MAX, "%s%s", name, suffix) >= AE_NAME_MAX)
        return aei_yaml_fail(b->yaml, line, err, "name '%s%s' is longer than %d letters", name,
                             suffix, AE_NAME_MAX - 1);
    return AE_OK;
}

/* Adds the suffix to the node's name, and to that of its parameters where it has one. */
static ae_status add_suffix(const builder *b, ae_node *node, const char *suffix, uint32_t line,
                            ae_error *err)
{
    char name[AE_NAME_MAX], param[AE_NAME_MAX];
    ae_status st;

    memcpy(name, node->name, sizeof(name));
    memcpy(param, node->param, sizeof(param));
    st = set_name(b, node->name, name, suffix, line, err);
    return st == AE_OK ? set_name(b, node->param, param, param[0] ? suffix : "", line, err) : st;
}

/* y * gate_act(conv1x1(y)) + add, y = act(conv(x)), as the nodes NAME.y, NAME.g and NAME: pixel
 * attention (Zhao et al. 2020). One that clips begins as one half everywhere: a straight line has
 * no gradient beyond its ends. */
static ae_status add_gated(builder *b, const layer *l, const ae_node *conv, uint32_t line,
                           ae_error *err)
{
    ae_node y = *conv, product = {.op = AE_OP_MUL, .add = conv->add, .n_from = 2};
    ae_node gate = {.op = AE_OP_CONV,
                    .add = -1,
                    .n_from = 1,
                    .act = (ae_act)l->gate_act,
                    .groups = 1,
                    .bias = true};
    ae_status st;

    y.add = -1;
    gate.init = l->gate_act == AE_ACT_CLIP ? AE_INIT_ZERO : AE_INIT_HE;
    gate.from[0] = product.from[0] = b->graph->n_nodes;
    product.from[1] = b->graph->n_nodes + 1;
    for (int a = 0; a < 2; a++)
        gate.kernel[a] = gate.stride[a] = gate.dilation[a] = 1;
    memcpy(gate.name, conv->name, sizeof(gate.name));
    memcpy(gate.param, conv->param, sizeof(gate.param));
    memcpy(product.name, conv->name, sizeof(product.name));
    if ((st = add_suffix(b, &y, ".y", line, err)) != AE_OK ||
        (st = add_node(b, &y, line, err)) != AE_OK ||
        (st = add_suffix(b, &gate, ".g", line, err)) != AE_OK ||
        (st = add_node(b, &gate, line, err)) != AE_OK)
        return st;
    return add_node(b, &product, line, err);
}

static ae_status add_conv(builder *b, const layer *l, const ae_node *conv, bool gated,
                          uint32_t line, ae_error *err)
{
    return gated ? add_gated(b, l, conv, line, err) : add_node(b, conv, line, err);
}

/* x + conv(act(conv(x))) as the nodes NAME.a and NAME. */
static ae_status add_residual(builder *b, const layer *l, const ae_node *node, uint32_t line,
                              ae_error *err)
{
    layer conv = *l;
    ae_node first, second;
    uint32_t x = node->from[0];
    ae_status st;

    conv.op = AE_OP_CONV;
    conv.init = AE_INIT_HE;
    node_of(&conv, &second);
    memcpy(second.name, node->name, sizeof(second.name));
    memcpy(second.param, node->param, sizeof(second.param));
    second.n_from = 1;
    second.from[0] = x;
    first = second;
    if ((st = add_suffix(b, &first, ".a", line, err)) != AE_OK ||
        (st = add_conv(b, l, &first, l->gate == GATE_ALL, line, err)) != AE_OK)
        return st;
    second.act = AE_ACT_NONE;
    second.slope = 0;
    second.init = (ae_init)l->init;
    second.from[0] = b->graph->n_nodes - 1;
    second.add = (int32_t)x;
    return add_conv(b, l, &second, l->gate != GATE_NONE, line, err);
}

static ae_status add_layer(builder *b, uint32_t at, ae_error *err)
{
    uint32_t line = b->yaml->nodes[at].line, from[AE_MAX_FROM] = {b->graph->n_nodes - 1},
             n_from = 1, add = 0;
    layer l;
    ae_status st = read_layer(b, at, &l, err);

    if (st == AE_OK && l.from)
        st = read_names(b, l.from, "from", from, &n_from, err);
    else if (st == AE_OK && b->graph->n_nodes == b->n_inputs && b->n_inputs > 1)
        st = aei_yaml_fail(b->yaml, line, err, "with %u inputs the first layer needs 'from'",
                           b->n_inputs);
    if (st == AE_OK && l.add[0])
        st = find_node(b, l.add, line, &add, err);
    for (uint32_t i = 0; st == AE_OK && i < l.repeat; i++) {
        ae_node node;
        char suffix[16] = "", own[32];

        b->n_layers++;
        node_of(&l, &node);
        if (i + 1 < l.repeat && l.name[0])
            snprintf(suffix, sizeof(suffix), ".%u", i + 1);
        snprintf(own, sizeof(own), "%s.%u", op_name(l.op), b->n_layers);
        if ((st = set_name(b, node.name, l.name[0] ? l.name : own, suffix, line, err)) != AE_OK)
            return st;
        memcpy(node.param, l.param, sizeof(node.param));
        node.n_from = i ? 1 : n_from;
        memcpy(node.from, from, sizeof(from));
        if (i)
            node.from[0] = b->graph->n_nodes - 1;
        if (l.add[0])
            node.add = (int32_t)add;
        if (l.op == OP_RESIDUAL && n_from > 1)
            return aei_yaml_fail(b->yaml, line, err, "a layer residual reads one layer, not %u",
                                 n_from);
        st = l.op == OP_RESIDUAL ? add_residual(b, &l, &node, line, err)
                                 : add_conv(b, &l, &node, l.gate != GATE_NONE, line, err);
    }
    return st;
}

ae_status aei_recipe_network(const aei_yaml *yaml, uint32_t at, ae_network *network, ae_error *err)
{
    struct top {
        char name[AE_NAME_MAX];
        uint32_t inputs, layers, outputs;
    } top = {0};
    static const aei_field fields[] = {
        {"name", AEI_NAME, 0, .required = true},
        {"inputs", AEI_SUBTREE, offsetof(struct top, inputs), .required = true},
        {"layers", AEI_SUBTREE, offsetof(struct top, layers), .required = true},
        {"outputs", AEI_SUBTREE, .offset = offsetof(struct top, outputs)},
    };
    builder b = {.yaml = yaml, .graph = &network->graph};
    uint32_t inputs[AE_MAX_FROM], n_layers, *layers = NULL;
    int32_t node = -1;
    ae_error inner = {0};
    ae_status st = aei_yaml_fields(yaml, at, "network", fields, 4, &top, NULL, err);

    if (st != AE_OK || (st = aei_yaml_list(yaml, top.inputs, "inputs", AE_MAX_FROM, inputs,
                                           &b.n_inputs, err)) != AE_OK)
        return st;
    memcpy(network->name, top.name, sizeof(top.name));
    for (uint32_t i = 0; st == AE_OK && i < b.n_inputs; i++)
        st = read_input(&b, inputs[i], network->from[i], err);
    if (st == AE_OK && !b.n_inputs)
        st = aei_yaml_fail(yaml, yaml->nodes[top.inputs].line, err, "inputs: empty");
    if (st != AE_OK)
        goto done;
    layers = ae_alloc(AE_MAX_NODES, sizeof(*layers));
    if (!layers) {
        st = ae_fail(err, AE_ERR_NOMEM, "layers");
        goto done;
    }
    if ((st = aei_yaml_list(yaml, top.layers, "layers", AE_MAX_NODES, layers, &n_layers, err)) !=
        AE_OK)
        goto done;
    for (uint32_t i = 0; st == AE_OK && i < n_layers; i++)
        st = add_layer(&b, layers[i], err);
    if (st != AE_OK)
        goto done;
    b.graph->n_outputs = 1;
    b.graph->outputs[0] = b.graph->n_nodes - 1;
    if (top.outputs && (st = read_names(&b, top.outputs, "outputs", b.graph->outputs,
                                        &b.graph->n_outputs, err)) != AE_OK)
        goto done;
    st = aei_graph_check(b.graph, &node, &inner);
    if (st == AE_ERR_MALFORMED)
        st = aei_yaml_fail(yaml, node < 0 ? yaml->nodes[at].line : b.lines[node], err, "%s",
                           inner.message);
    else if (st != AE_OK)
        st = ae_fail(err, st, "%s", inner.message);
done:
    ae_free(layers);
    ae_free(b.lines);
    return st;
}
