/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Planning of layers with weights over oneDNN: convolution, transposed convolution, fully
 * connected.
 *
 * All are reduced to one form: source and destination channels padded to what is stored, weights
 * prepared from a plain padded f32 tensor ("plain") by a reorder, bias in padded f32. A fully
 * connected layer is a convolution whose kernel covers the picture; a transposed convolution whose
 * kernel equals its stride is a 1 x 1 convolution to kernel^2 * out channels and a copy (oneDNN's
 * own is several times slower). */
#include <string.h>

#include "nn/conv_layer.h"
#include "nn/graph_check.h"
#include "nn/live.h"

static bool ok(dnnl_status_t st)
{
    return st == dnnl_success;
}

static dnnl_data_type_t data_type(const aei_tensor *t)
{
    return t->element == 4 ? dnnl_f32 : dnnl_bf16;
}

typedef struct conv_form {
    dnnl_dims_t src, dst, weights, bias, stride, dilation, pad, pad_after;
    int n_weights;
    bool inner; /* fully connected */
    bool deconv;
} conv_form;

static conv_form form_of(const aei_plan *plan, const aei_step *s)
{
    const aei_tensor *src = &aei_conv_source(plan, s)->t, *dst = &s->t;
    const ae_node *n = s->node;
    uint32_t g = aei_conv_stored_groups(plan, s);
    conv_form f = {.inner = s->node->op == AE_OP_DENSE, .deconv = aei_conv_is_bare(s)};
    int w = 0;

    if (f.inner) {
        dnnl_dim_t in = (dnnl_dim_t)src->shape.h * src->shape.w * src->shape.c;

        return (conv_form){.inner = true,
                           .src = {src->shape.n, in},
                           .dst = {dst->shape.n, dst->cp},
                           .weights = {dst->cp, in},
                           .bias = {dst->cp},
                           .n_weights = 2};
    }
    memcpy(f.src, (dnnl_dims_t){src->shape.n, src->cp, src->shape.h, src->shape.w}, sizeof(f.src));
    memcpy(f.dst, (dnnl_dims_t){dst->shape.n, dst->cp, dst->shape.h, dst->shape.w}, sizeof(f.dst));
    if (aei_conv_of(s)->expand) {
        f.dst[1] = (dnnl_dim_t)aei_conv_bias_floats(s);
        f.dst[2] = src->shape.h;
        f.dst[3] = src->shape.w;
        memcpy(f.weights, (dnnl_dims_t){f.dst[1], src->cp, 1, 1}, sizeof(f.weights));
        f.n_weights = 4;
        f.stride[0] = f.stride[1] = 1;
    } else {
        if (aei_conv_groups(s) > 1)
            f.weights[w++] = g;
        f.weights[w++] = dst->cp / g;
        f.weights[w++] = src->cp / g;
        f.weights[w++] = n->kernel[0];
        f.weights[w++] = n->kernel[1];
        f.n_weights = w;
        for (int i = 0; i < 2; i++) {
            f.stride[i] = n->stride[i];
            f.dilation[i] = n->dilation[i] - 1;
            f.pad[i] = aei_pad_before(n, i);
            f.pad_after[i] = aei_pad_after(n, i);
        }
    }
    /* the rows that are kept stand before the source; of their share in the result nothing is left
     */
    if (s->look) {
        f.src[2] += s->look;
        f.pad[0] = f.deconv ? (dnnl_dim_t)s->look * n->stride[0] : 0;
    }
    f.bias[0] = f.dst[1];
    return f;
}

static bool is_unpadded(const conv_form *f)
{
    const dnnl_dim_t *kernel = f->weights + f->n_weights - 2;

    return !f->inner && ((kernel[0] > 1 && !f->pad[0]) || (kernel[1] > 1 && !f->pad[1]));
}

/* oneDNN's first choice that gives a pixel the same bytes in every picture. Its batched matrix
 * products (brgconv) sum in bf16 a kernel that nothing pads in an order that depends on the
 * picture's size. */
static bool choose(const_dnnl_op_desc_t d, bool unpadded, dnnl_primitive_attr_t attr,
                   dnnl_primitive_desc_t hint, dnnl_primitive_desc_t *out)
{
    static const char unsteady[] = "brgconv:";
    dnnl_primitive_desc_iterator_t i = NULL;
    bool good = ok(dnnl_primitive_desc_iterator_create(&i, d, attr, aei_engine(), hint));

    while (good) {
        const char *name = "";

        *out = dnnl_primitive_desc_iterator_fetch(i);
        if (!unpadded || !ok(dnnl_primitive_desc_query(*out, dnnl_query_impl_info_str, 0, &name)) ||
            strncmp(name, unsteady, sizeof(unsteady) - 1) != 0)
            break;
        dnnl_primitive_desc_destroy(*out);
        *out = NULL;
        good = ok(dnnl_primitive_desc_iterator_next(i));
    }
    dnnl_primitive_desc_iterator_destroy(i);
    return good && *out;
}

/* The operation of kind 0 forward, 1 backward by data, 2 backward by weights. */
static bool make_desc(const aei_plan *plan, const aei_step *s, const conv_form *f, int kind,
                      dnnl_primitive_attr_t attr, dnnl_primitive_desc_t hint,
                      dnnl_primitive_desc_t *out)
{
    dnnl_data_type_t type = data_type(&s->t);
    dnnl_format_tag_t tag = f->inner ? dnnl_nc : dnnl_nhwc;
    int n = f->inner ? 2 : 4;
    dnnl_memory_desc_t src, dst, weights, bias;
    const dnnl_memory_desc_t *b = s->node->bias && !f->deconv ? &bias : NULL;
    dnnl_prop_kind_t prop = plan->config.train ? dnnl_forward_training : dnnl_forward_inference;
    union {
        dnnl_convolution_desc_t conv;
        dnnl_deconvolution_desc_t deconv;
        dnnl_inner_product_desc_t inner;
    } d;
    dnnl_status_t st;

    if (!ok(dnnl_memory_desc_init_by_tag(&src, n, f->src, type, tag)) ||
        !ok(dnnl_memory_desc_init_by_tag(&dst, n, f->dst, type, tag)) ||
        !ok(dnnl_memory_desc_init_by_tag(&weights, f->n_weights, f->weights,
                                         kind == 2 ? dnnl_f32 : type, dnnl_format_tag_any)) ||
        !ok(dnnl_memory_desc_init_by_tag(&bias, 1, f->bias, dnnl_f32, dnnl_a)))
        return false;
    if (f->inner)
        st = kind == 0
                 ? dnnl_inner_product_forward_desc_init(&d.inner, prop, &src, &weights, b, &dst)
             : kind == 1
                 ? dnnl_inner_product_backward_data_desc_init(&d.inner, &src, &weights, &dst)
                 : dnnl_inner_product_backward_weights_desc_init(&d.inner, &src, &weights, b, &dst);
    else if (f->deconv)
        st = kind == 0 ? dnnl_dilated_deconvolution_forward_desc_init(
                             &d.deconv, prop, dnnl_deconvolution_direct, &src, &weights, b, &dst,
                             f->stride, f->dilation, f->pad, f->pad_after)
             : kind == 1 ? dnnl_dilated_deconvolution_backward_data_desc_init(
                               &d.deconv, dnnl_deconvolution_direct, &src, &weights, &dst,
                               f->stride, f->dilation, f->pad, f->pad_after)
                         : dnnl_dilated_deconvolution_backward_weights_desc_init(
                               &d.deconv, dnnl_deconvolution_direct, &src, &weights, b, &dst,
                               f->stride, f->dilation, f->pad, f->pad_after);
    else
        st = kind == 0 ? dnnl_dilated_convolution_forward_desc_init(
                             &d.conv, prop, dnnl_convolution_direct, &src, &weights, b, &dst,
                             f->stride, f->dilation, f->pad, f->pad_after)
             : kind == 1 ? dnnl_dilated_convolution_backward_data_desc_init(
                               &d.conv, dnnl_convolution_direct, &src, &weights, &dst, f->stride,
                               f->dilation, f->pad, f->pad_after)
                         : dnnl_dilated_convolution_backward_weights_desc_init(
                               &d.conv, dnnl_convolution_direct, &src, &weights, b, &dst, f->stride,
                               f->dilation, f->pad, f->pad_after);
    return ok(st) && choose(&d, kind == 0 && type == dnnl_bf16 && is_unpadded(f), attr, hint, out);
}

/* Scratchpad in the caller's workspace, residual sum and activation after the layer. */
static bool make_attr(const aei_step *s, bool forward, dnnl_primitive_attr_t *attr)
{
    dnnl_post_ops_t post = NULL;
    float alpha, beta;
    bool good = ok(dnnl_primitive_attr_create(attr)) &&
                ok(dnnl_primitive_attr_set_scratchpad_mode(*attr, dnnl_scratchpad_mode_user));

    if (good && forward && (s->node->add >= 0 || s->fused_act)) {
        good = ok(dnnl_post_ops_create(&post));
        if (good && s->node->add >= 0)
            good = ok(dnnl_post_ops_append_sum(post, 1));
        if (good && s->fused_act) {
            dnnl_alg_kind_t kind = aei_act_kind(s->node->act, s->node->slope, &alpha, &beta);

            good = ok(dnnl_post_ops_append_eltwise(post, 1, kind, alpha, beta));
        }
        good = good && ok(dnnl_primitive_attr_set_post_ops(*attr, post));
        dnnl_post_ops_destroy(post);
    }
    return good;
}

static const dnnl_memory_desc_t *md_of(dnnl_primitive_desc_t pd, dnnl_query_t what)
{
    return dnnl_primitive_desc_query_md(pd, what, 0);
}

static size_t align64(size_t n)
{
    return (n + 63) / 64 * 64;
}

static void reserve_prepared(aei_plan *plan, aei_prepared *p, const dnnl_memory_desc_t *md)
{
    p->md = *md;
    p->bytes = dnnl_memory_desc_get_size(md);
    p->offset = plan->prepared_bytes;
    plan->prepared_bytes += align64(p->bytes);
}

/* The source as the primitive reads it: fully connected layers over padded channels read a packed
 * copy. */
static bool is_packed(const aei_tensor *src, const conv_form *f)
{
    return f->inner && src->cp != src->shape.c;
}

/* The convolution as wgrad.h sees it; .n = 0: it is none of those, or computed in f32. */
static aei_wgrad wgrad_of(const aei_plan *plan, const aei_step *s)
{
    const aei_tensor *src = &aei_conv_source(plan, s)->t, *dst = &s->t;
    const ae_node *n = s->node;
    aei_wgrad g = {.n = src->shape.n,
                   .h = src->shape.h,
                   .w = src->shape.w,
                   .out_h = dst->shape.h,
                   .out_w = dst->shape.w,
                   .in = src->cp,
                   .out = dst->cp,
                   .stride = n->stride[0]};
    bool fits = false;

    if (n->op != AE_OP_CONV || n->groups > 1 || src->element != 2 || dst->element != 2 ||
        n->stride[0] != n->stride[1])
        return (aei_wgrad){0};
    if (g.stride == 1) {
        memcpy(g.kernel, n->kernel, sizeof(g.kernel));
        memcpy(g.pad, n->pad, sizeof(g.pad));
        fits = n->dilation[0] == 1 && n->dilation[1] == 1;
    } else {
        g.kernel[0] = g.kernel[1] = 1;
        g.h /= g.stride;
        g.w /= g.stride;
        fits = n->kernel[0] == g.stride && n->kernel[1] == g.stride && !n->pad[0] && !n->pad[1] &&
               !(src->shape.h % g.stride) && !(src->shape.w % g.stride);
    }
    return fits && aei_wgrad_fits(&g) ? g : (aei_wgrad){0};
}

/* Their layout, H x W x O x I, within the plain one's dimensions. */
static bool wgrad_layout(const conv_form *f, dnnl_memory_desc_t *md)
{
    const dnnl_dim_t *d = f->weights;

    return ok(dnnl_memory_desc_init_by_strides(
        md, 4, d, dnnl_f32, (dnnl_dims_t){d[1], 1, d[3] * d[0] * d[1], d[0] * d[1]}));
}

/* Primitives of kinds 0 to n_kinds - 1 as far as they are wanted, and the largest of their
 * scratchpads. */
static bool make_primitives(const aei_plan *plan, aei_step *s, const conv_form *f, int n_kinds,
                            dnnl_primitive_desc_t pd[3], size_t *pads)
{
    aei_conv *l = s->own;
    bool good = true;

    *pads = l->wgrad.n ? aei_wgrad_scratch(&l->wgrad) : 0;
    for (int kind = 0; kind < (l->wgrad.n ? 2 : n_kinds) && good; kind++) {
        dnnl_primitive_attr_t attr = NULL;

        if (kind == 1 && !aei_conv_source(plan, s)->needs_grad)
            continue;
        good = make_attr(s, kind == 0, &attr) &&
               make_desc(plan, s, f, kind, attr, pd[0], &pd[kind]) &&
               ok(dnnl_primitive_create(&l->prim[kind], pd[kind]));
        dnnl_primitive_attr_destroy(attr);
        if (good) {
            l->pad_md[kind] = *md_of(pd[kind], dnnl_query_scratchpad_md);
            if (dnnl_memory_desc_get_size(&l->pad_md[kind]) > *pads)
                *pads = dnnl_memory_desc_get_size(&l->pad_md[kind]);
        }
    }
    return good;
}

/* Where its weights lie, prepared and plain, and their gradients; and the reorders between these.
 */
static bool lay_out_weights(aei_plan *plan, aei_step *s, const conv_form *f, int n_kinds,
                            const dnnl_primitive_desc_t pd[3])
{
    static const dnnl_format_tag_t plain_tag[] = {0, 0, dnnl_ab, 0, dnnl_abcd, dnnl_abcde};
    const aei_tensor *src = &aei_conv_source(plan, s)->t;
    aei_conv *l = s->own;
    dnnl_format_tag_t tag;
    bool good;

    l->src_md = *md_of(pd[0], dnnl_query_src_md);
    l->dst_md = *md_of(pd[0], dnnl_query_dst_md);
    l->direct = s->node->op != AE_OP_DECONV && src->perm == 0 && s->t.perm == 0 &&
                s->t.cp == s->t.shape.c && (f->inner || src->cp == src->shape.c);
    /* the flat weights of a tied layer are those of the other one, I x O */
    tag = l->direct && s->node->transposed ? dnnl_ba : plain_tag[f->n_weights];
    good = ok(dnnl_memory_desc_init_by_tag(&l->bias_md, 1, f->bias, dnnl_f32, dnnl_a)) &&
           ok(dnnl_memory_desc_init_by_tag(&l->plain_md, f->n_weights, f->weights, dnnl_f32, tag));
    for (int k = 0; k < 2 && good; k++)
        if (pd[k]) {
            reserve_prepared(plan, &l->weights[k], md_of(pd[k], dnnl_query_weights_md));
            good = aei_reorder_create(&l->plain_md, &l->weights[k].md, &l->reorder_pad,
                                      &l->reorder_in[k]);
        }
    if (n_kinds == 3) {
        if (l->wgrad.n)
            good = good && wgrad_layout(f, &l->diff_weights_md);
        else
            l->diff_weights_md = *md_of(pd[2], dnnl_query_diff_weights_md);
        good = good && aei_reorder_create(&l->diff_weights_md, &l->plain_md, &l->reorder_pad,
                                          &l->reorder_out);
        l->native_bias = align64(dnnl_memory_desc_get_size(&l->diff_weights_md)) / 4;
        s->native_floats = l->native_bias + align64(aei_conv_bias_floats(s) * 4) / 4;
    }
    l->bias_offset = plan->prepared_bytes;
    plan->prepared_bytes += align64(aei_conv_bias_floats(s) * 4);
    l->plain_offset = plan->scratch_bytes;
    l->pad_offset = l->plain_offset +
                    (l->direct && !s->shared ? 0 : align64(l->plain_floats * sizeof(float)));
    plan->scratch_bytes = l->pad_offset + align64(dnnl_memory_desc_get_size(&l->reorder_pad));
    return good;
}

/* The run's scratch: the scratchpad, then a packed or joined source, an expanded result or the
 * piece at hand. */
static void lay_out_scratch(aei_plan *plan, const aei_step *s, const conv_form *f, size_t pads)
{
    const aei_tensor *src = &aei_conv_source(plan, s)->t;
    aei_conv *l = s->own;

    l->side = align64(pads);
    if (is_packed(src, f))
        pads = l->side +
               (size_t)src->shape.n * src->shape.h * src->shape.w * src->shape.c * src->element;
    else if (l->expand)
        pads = l->side + aei_pixels(src) * aei_conv_bias_floats(s) * src->element;
    else if (s->look)
        pads = l->side + aei_live_room(plan, s);
    else if (s->chunk)
        pads = l->side + (size_t)s->chunk * s->t.cp * s->t.element;
    aei_scratch(plan, pads);
}

ae_status aei_conv_plan(aei_plan *plan, aei_step *s, ae_error *err)
{
    const ae_node *n = s->node;
    uint32_t columns = aei_conv_source(plan, s)->t.shape.w;
    aei_conv *l = s->own = ae_alloc(1, sizeof(*l));
    dnnl_primitive_desc_t pd[3] = {NULL, NULL, NULL};
    conv_form f;
    size_t pads;
    bool good;
    int n_kinds = !plan->config.train || !s->needs_grad ? 1 : plan->config.refine ? 2 : 3;

    if (!l)
        return ae_fail(err, AE_ERR_NOMEM, "layer '%s'", n->name);
    if (n_kinds == 3 && columns > AEI_MAX_TRAINING_WIDTH)
        return ae_fail(
            err, AE_ERR_LIMIT,
            "layer '%s': %u columns in training, at most %d (larger crops are for inference only)",
            n->name, columns, AEI_MAX_TRAINING_WIDTH);
    l->expand = n->op == AE_OP_DECONV && n->kernel[0] == n->stride[0] &&
                n->kernel[1] == n->stride[1] && !n->pad[0] && !n->pad[1] && n->groups == 1 &&
                n->add < 0;
    s->fused_act = s->fused_act && !aei_conv_is_bare(s);
    f = form_of(plan, s);
    if (s->chunk) {
        f.src[0] = f.dst[0] = f.src[2] = f.dst[2] = 1;
        f.src[3] = f.dst[3] = s->chunk;
    }
    l->plain_floats = 1;
    for (int i = 0; i < f.n_weights; i++)
        l->plain_floats *= (size_t)f.weights[i];
    if (n_kinds == 3)
        l->wgrad = wgrad_of(plan, s);
    good = make_primitives(plan, s, &f, n_kinds, pd, &pads) &&
           lay_out_weights(plan, s, &f, n_kinds, pd);
    for (int i = 0; i < 3; i++)
        dnnl_primitive_desc_destroy(pd[i]);
    if (!good)
        return ae_fail(err, AE_ERR_UNSUPPORTED, "layer '%s': oneDNN cannot compute this shape here",
                       n->name);
    lay_out_scratch(plan, s, &f, pads);
    return AE_OK;
}

void aei_conv_free(aei_step *s)
{
    aei_conv *l = s->own;
    dnnl_primitive_t all[6] = {0};

    if (!l)
        return;
    memcpy(all, l->prim, sizeof(l->prim));
    memcpy(all + 3, l->reorder_in, sizeof(l->reorder_in));
    all[5] = l->reorder_out;
    for (int i = 0; i < 6; i++)
        if (all[i])
            dnnl_primitive_destroy(all[i]);
    ae_free(l);
}
