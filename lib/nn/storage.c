/* SPDX-License-Identifier: BSD-2-Clause
 *
 * How tensors are stored: with how many channels, in which order, and which of them only pass from
 * a gate to its product. */
#include "nn/storage.h"

/* EXACT wins: grouped layers cannot have channels between their groups */
enum { PADDED = 1, EXACT = 2 };

static bool spread_flags(uint8_t *a, uint8_t *b)
{
    uint8_t both = *a | *b;
    bool changed = *a != both || *b != both;

    *a = *b = both;
    return changed;
}

/* Channels of tensors that convolutions touch are padded to 16, which their kernels want. */
static void choose_channels(aei_plan *p, uint8_t *flags)
{
    bool changed = true;

    for (uint32_t i = 0; i < p->n_steps; i++) {
        const ae_node *n = p->steps[i].node;
        bool depthwise;

        if (n->op != AE_OP_CONV && n->op != AE_OP_DECONV)
            continue;
        depthwise = n->groups == p->steps[n->from[0]].t.shape.c && n->groups == n->out;
        flags[i] |= n->groups > 1 && !depthwise ? EXACT : PADDED;
        flags[n->from[0]] |= flags[i];
    }
    while (changed) {
        changed = false;
        for (uint32_t i = 0; i < p->n_steps; i++) {
            const ae_node *n = p->steps[i].node;
            bool tied = aei_op_is(n->op, AEI_ELEMENTWISE) || (n->op == AE_OP_CONV && n->groups > 1);
            uint32_t n_tied = !tied ? 0 : aei_op_is(n->op, AEI_FIRST_ALONE) ? 1 : n->n_from;

            for (uint32_t k = 0; k < n_tied; k++)
                changed |= spread_flags(&flags[i], &flags[n->from[k]]);
            if (n->add >= 0)
                changed |= spread_flags(&flags[i], &flags[n->add]);
        }
    }
    for (uint32_t i = 0; i < p->n_steps; i++) {
        aei_tensor *t = &p->steps[i].t;

        t->cp = flags[i] == PADDED ? (t->shape.c + 15) / 16 * 16 : t->shape.c;
    }
}

static bool is_plain_conv(const aei_step *s)
{
    return s->node->op == AE_OP_CONV && s->node->groups == 1;
}

static bool reads(const aei_step *user, uint32_t node)
{
    for (uint32_t k = 0; k < user->node->n_from; k++)
        if (user->node->from[k] == node)
            return true;
    return false;
}

/* Casts and trimmed pixels: the channels stay as they are. */
static bool keeps_channels(const ae_node *n)
{
    return n->act == AE_ACT_NONE &&
           (n->op == AE_OP_ACT || (n->op == AE_OP_CROP && n->pad[0] + n->pad[1]));
}

/* Whether plain convolutions alone read step i, some by way of steps that keep its channels. */
static bool leads_to_convs(const aei_plan *p, uint32_t i)
{
    bool good = !aei_is_output(p, i);

    for (uint32_t k = i + 1; k < p->n_steps && good; k++) {
        const aei_step *user = &p->steps[k];

        good = user->node->add != (int32_t)i &&
               (!reads(user, i) || is_plain_conv(user) ||
                (keeps_channels(user->node) && leads_to_convs(p, k)));
    }
    return good;
}

static void permute_down_to_convs(aei_plan *p, uint32_t i, uint32_t factor)
{
    p->steps[i].t.perm = factor;
    for (uint32_t k = i + 1; k < p->n_steps; k++)
        if (reads(&p->steps[k], i) && !is_plain_conv(&p->steps[k]))
            permute_down_to_convs(p, k, factor);
}

/* The factor of the shuffles that alone read step i; 0: they differ, or others do. */
static uint32_t shuffled_by(const aei_plan *p, uint32_t i)
{
    uint32_t factor = 0;

    for (uint32_t k = i + 1; k < p->n_steps; k++) {
        const ae_node *user = p->steps[k].node;

        if (!reads(&p->steps[k], i) && user->add != (int32_t)i)
            continue;
        if (user->op != AE_OP_SHUFFLE || (factor && factor != user->factor))
            return 0;
        factor = user->factor;
    }
    return aei_is_output(p, i) ? 0 : factor;
}

/* Deep tensors of shuffles that otherwise only plain convolutions touch are stored permuted. */
static void choose_permutations(aei_plan *p)
{
    for (uint32_t i = 0; i < p->n_steps; i++) {
        const ae_node *n = p->steps[i].node;

        if (n->op == AE_OP_UNSHUFFLE && n->act == AE_ACT_NONE && leads_to_convs(p, i))
            permute_down_to_convs(p, i, n->factor);
        else if (is_plain_conv(&p->steps[i]) && n->add < 0)
            p->steps[i].t.perm = shuffled_by(p, i);
    }
}

/* The only step that reads step i, or NULL. */
static const aei_step *only_user(const aei_plan *p, uint32_t i)
{
    const aei_step *user = NULL;
    uint32_t n = aei_is_output(p, i);

    for (uint32_t k = i + 1; k < p->n_steps; k++) {
        const ae_node *node = p->steps[k].node;

        n += node->add == (int32_t)i;
        for (uint32_t q = 0; q < node->n_from; q++)
            if (node->from[q] == i) {
                n++;
                user = &p->steps[k];
            }
    }
    return n == 1 ? user : NULL;
}

/* Products of a layer and its gate. In training the gradient takes one pass, not two. At inference
 * gates that are convolutions of single pixels are computed piece by piece: they never leave the
 * cache. */
void aei_storage_gates(aei_plan *p)
{
    enum { PIECE = 1 << 18 }; /* bytes */

    for (uint32_t i = 0; i < p->n_steps; i++) {
        aei_step *s = &p->steps[i];
        const ae_node *n = s->node;
        const aei_step *mul = n->act == AE_ACT_SIGMOID || n->act == AE_ACT_CLIP ? only_user(p, i)
                                                                                : NULL;

        s->gates = mul && mul->node->op == AE_OP_MUL;
        for (int k = 0; k < 2 && s->gates; k++) /* nothing broadcast or of another type */
            s->gates = aei_tensor_bytes(&p->steps[mul->node->from[k]].t) ==
                           aei_tensor_bytes(&mul->t) &&
                       (p->config.train || !p->steps[mul->node->from[k]].chunk);
        if (s->gates && !p->config.train && is_plain_conv(s) && n->add < 0 &&
            n->kernel[0] * n->kernel[1] == 1 && n->stride[0] * n->stride[1] == 1 && !n->pad[0] &&
            !n->pad[1]) {
            uint32_t widest = s->t.cp > p->steps[n->from[0]].t.cp ? s->t.cp
                                                                  : p->steps[n->from[0]].t.cp;
            size_t most = PIECE / ((size_t)widest * s->t.element), pixels = aei_pixels(&s->t);

            s->chunk = (uint32_t)(most < 1 ? 1 : most < pixels ? most : pixels);
        }
    }
}

bool aei_storage_choose(aei_plan *p)
{
    uint8_t *flags = ae_alloc(p->n_steps, 1);

    if (!flags)
        return false;
    choose_channels(p, flags);
    choose_permutations(p);
    ae_free(flags);
    return true;
}
