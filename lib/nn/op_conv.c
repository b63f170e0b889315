/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Layers with weights over oneDNN: convolution, transposed convolution, fully connected.
 *
 * All are reduced to one form: source and destination channels padded to what is stored, weights prepared from a plain padded f32
 * tensor ("plain") by a reorder, bias in padded f32. A fully connected layer is a convolution whose kernel covers the picture; a
 * transposed convolution whose kernel equals its stride is a 1 x 1 convolution to kernel^2 * out channels and a copy (oneDNN's own
 * is several times slower). */
#include <string.h>

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

static bool is_grouped(const aei_step *s)
{
    return s->node->groups > 1;
}

static const aei_step *source(const aei_plan *plan, const aei_step *step)
{
    return &plan->steps[step->node->from[0]];
}

static uint32_t n_groups(const aei_step *s)
{
    return s->node->groups ? s->node->groups : 1; /* fully connected layers have no such number */
}

/* Stored groups: depthwise layers have as many as stored channels. */
static uint32_t stored_groups(const aei_plan *plan, const aei_step *s)
{
    bool depthwise = is_grouped(s) && s->node->groups == source(plan, s)->t.shape.c && s->node->groups == s->t.shape.c;

    return depthwise ? s->t.cp : n_groups(s);
}

/* Flat weights <-> plain padded ones. to_plain: plain = flat; otherwise flat += plain. Plain is [g] O I H W with stored counts; for
 * the expanded deconvolution O runs over (ky, kx, o). */
static void map_weights(const aei_plan *plan, const aei_step *s, float *plain, float *flat, bool to_plain)
{
    const aei_tensor *src = &source(plan, s)->t, *dst = &s->t;
    bool dense = s->op == &aei_op_dense, deconv = s->op == &aei_op_deconv;
    uint32_t g = n_groups(s), sg = stored_groups(plan, s);
    uint32_t n_i = dense ? src->shape.h * src->shape.w * src->shape.c : src->shape.c / g, n_o = dst->shape.c / g;
    uint32_t kk = dense ? 1 : s->node->kernel[0] * s->node->kernel[1];
    size_t plain_i = dense ? n_i : src->cp / sg, plain_o = dst->cp / sg;

    if (to_plain)
        memset(plain, 0, s->plain_floats * sizeof(float));
    for (uint32_t q = 0; q < g; q++)
        for (uint32_t o = 0; o < n_o; o++)
            for (uint32_t i = 0; i < n_i; i++) {
                size_t so = g > 1 ? o : aei_stored(dst, o), si = g > 1 || dense ? i : aei_stored(src, i);
                /* a deconvolution's flat tensor is I x O/g, oneDNN's plain one O x I */
                bool turned = deconv || (dense && s->node->transposed);
                size_t from = (turned ? ((size_t)q * n_i + i) * n_o + o : ((size_t)q * n_o + o) * n_i + i) * kk;

                for (uint32_t k = 0; k < kk; k++) {
                    size_t to = s->expand ? (k * plain_o + so) * plain_i + si : ((q * plain_o + so) * plain_i + si) * kk + k;

                    if (to_plain)
                        plain[to] = flat[from + k];
                    else
                        flat[from + k] += plain[to];
                }
            }
}

/* Bias, stored count: repeated for each tap of an expanded deconvolution. */
static size_t bias_floats(const aei_step *s)
{
    return (size_t)s->t.cp * (s->expand ? s->node->kernel[0] * s->node->kernel[1] : 1);
}

static void map_bias(const aei_step *s, float *stored, float *flat, bool to_stored)
{
    uint32_t copies = (uint32_t)(bias_floats(s) / s->t.cp);

    if (to_stored)
        memset(stored, 0, bias_floats(s) * sizeof(float));
    for (uint32_t o = 0; o < s->t.shape.c; o++) {
        size_t at = aei_stored(&s->t, o);
        float sum = 0;

        for (uint32_t k = 0; k < copies; k++)
            if (to_stored)
                stored[k * s->t.cp + at] = flat[o];
            else
                sum += stored[k * s->t.cp + at];
        if (!to_stored)
            flat[o] += sum;
    }
}

typedef struct conv_form {
    dnnl_dims_t src, dst, weights, bias, stride, dilation, pad, pad_after;
    int n_weights;
    bool inner; /* fully connected */
    bool deconv;
} conv_form;

static conv_form form_of(const aei_plan *plan, const aei_step *s)
{
    const aei_tensor *src = &source(plan, s)->t, *dst = &s->t;
    const ae_node *n = s->node;
    uint32_t g = stored_groups(plan, s);
    conv_form f = {.inner = s->op == &aei_op_dense, .deconv = s->op == &aei_op_deconv && !s->expand};
    int w = 0;

    if (f.inner) {
        dnnl_dim_t in = (dnnl_dim_t)src->shape.h * src->shape.w * src->shape.c;

        return (conv_form){.inner = true, .src = {src->shape.n, in}, .dst = {dst->shape.n, dst->cp}, .weights = {dst->cp, in},
                           .bias = {dst->cp}, .n_weights = 2};
    }
    memcpy(f.src, (dnnl_dims_t){src->shape.n, src->cp, src->shape.h, src->shape.w}, sizeof(f.src));
    memcpy(f.dst, (dnnl_dims_t){dst->shape.n, dst->cp, dst->shape.h, dst->shape.w}, sizeof(f.dst));
    if (s->expand) {
        f.dst[1] = (dnnl_dim_t)bias_floats(s);
        f.dst[2] = src->shape.h;
        f.dst[3] = src->shape.w;
        memcpy(f.weights, (dnnl_dims_t){f.dst[1], src->cp, 1, 1}, sizeof(f.weights));
        f.n_weights = 4;
        f.stride[0] = f.stride[1] = 1;
    } else {
        if (is_grouped(s))
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
    if (s->look) { /* the rows that are kept stand before the source; of their share in the result nothing is left */
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

/* oneDNN's first choice that gives a pixel the same bytes in every picture. Its batched matrix products (brgconv) sum in bf16 a
 * kernel that nothing pads in an order that depends on the picture's size. */
static bool choose(const_dnnl_op_desc_t d, bool unpadded, dnnl_primitive_attr_t attr, dnnl_primitive_desc_t hint,
                   dnnl_primitive_desc_t *out)
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
static bool make_desc(const aei_plan *plan, const aei_step *s, const conv_form *f, int kind, dnnl_primitive_attr_t attr,
                      dnnl_primitive_desc_t hint, dnnl_primitive_desc_t *out)
{
    dnnl_data_type_t type = data_type(&s->t);
    dnnl_format_tag_t tag = f->inner ? dnnl_nc : dnnl_nhwc;
    int n = f->inner ? 2 : 4;
    dnnl_memory_desc_t src, dst, weights, bias;
    const dnnl_memory_desc_t *b = s->node->bias ? &bias : NULL;
    dnnl_prop_kind_t prop = plan->config.train ? dnnl_forward_training : dnnl_forward_inference;
    union { dnnl_convolution_desc_t conv; dnnl_deconvolution_desc_t deconv; dnnl_inner_product_desc_t inner; } d;
    dnnl_status_t st;

    if (!ok(dnnl_memory_desc_init_by_tag(&src, n, f->src, type, tag)) ||
        !ok(dnnl_memory_desc_init_by_tag(&dst, n, f->dst, type, tag)) ||
        !ok(dnnl_memory_desc_init_by_tag(&weights, f->n_weights, f->weights, kind == 2 ? dnnl_f32 : type, dnnl_format_tag_any)) ||
        !ok(dnnl_memory_desc_init_by_tag(&bias, 1, f->bias, dnnl_f32, dnnl_a)))
        return false;
    if (f->inner)
        st = kind == 0   ? dnnl_inner_product_forward_desc_init(&d.inner, prop, &src, &weights, b, &dst)
             : kind == 1 ? dnnl_inner_product_backward_data_desc_init(&d.inner, &src, &weights, &dst)
                         : dnnl_inner_product_backward_weights_desc_init(&d.inner, &src, &weights, b, &dst);
    else if (f->deconv)
        st = kind == 0 ? dnnl_dilated_deconvolution_forward_desc_init(&d.deconv, prop, dnnl_deconvolution_direct, &src, &weights, b,
                                                                      &dst, f->stride, f->dilation, f->pad, f->pad_after)
             : kind == 1
                 ? dnnl_dilated_deconvolution_backward_data_desc_init(&d.deconv, dnnl_deconvolution_direct, &src, &weights, &dst,
                                                                      f->stride, f->dilation, f->pad, f->pad_after)
                 : dnnl_dilated_deconvolution_backward_weights_desc_init(&d.deconv, dnnl_deconvolution_direct, &src, &weights, b,
                                                                         &dst, f->stride, f->dilation, f->pad, f->pad_after);
    else
        st = kind == 0 ? dnnl_dilated_convolution_forward_desc_init(&d.conv, prop, dnnl_convolution_direct, &src, &weights, b, &dst,
                                                                    f->stride, f->dilation, f->pad, f->pad_after)
             : kind == 1 ? dnnl_dilated_convolution_backward_data_desc_init(&d.conv, dnnl_convolution_direct, &src, &weights, &dst,
                                                                            f->stride, f->dilation, f->pad, f->pad_after)
                         : dnnl_dilated_convolution_backward_weights_desc_init(&d.conv, dnnl_convolution_direct, &src, &weights, b,
                                                                               &dst, f->stride, f->dilation, f->pad, f->pad_after);
    return ok(st) && choose(&d, kind == 0 && type == dnnl_bf16 && is_unpadded(f), attr, hint, out);
}

/* Scratchpad in the caller's workspace, residual sum and activation after the layer. */
static bool make_attr(const aei_step *s, bool forward, dnnl_primitive_attr_t *attr)
{
    dnnl_post_ops_t post = NULL;
    float alpha;
    bool good =
        ok(dnnl_primitive_attr_create(attr)) && ok(dnnl_primitive_attr_set_scratchpad_mode(*attr, dnnl_scratchpad_mode_user));

    if (good && forward && (s->node->add >= 0 || s->fused_act)) {
        good = ok(dnnl_post_ops_create(&post));
        if (good && s->node->add >= 0)
            good = ok(dnnl_post_ops_append_sum(post, 1));
        if (good && s->fused_act) {
            dnnl_alg_kind_t kind = aei_act_kind(s->node->act, s->node->slope, &alpha);

            good = ok(dnnl_post_ops_append_eltwise(post, 1, kind, alpha, 0));
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

static bool make_reorder(aei_step *s, const dnnl_memory_desc_t *from, const dnnl_memory_desc_t *to, dnnl_primitive_t *out)
{
    dnnl_primitive_desc_t pd = NULL;
    dnnl_primitive_attr_t attr = NULL;
    bool good = ok(dnnl_primitive_attr_create(&attr)) &&
                ok(dnnl_primitive_attr_set_scratchpad_mode(attr, dnnl_scratchpad_mode_user)) &&
                ok(dnnl_reorder_primitive_desc_create(&pd, from, aei_engine(), to, aei_engine(), attr)) &&
                ok(dnnl_primitive_create(out, pd));

    if (good) {
        const dnnl_memory_desc_t *pad = md_of(pd, dnnl_query_scratchpad_md);

        if (dnnl_memory_desc_get_size(pad) > dnnl_memory_desc_get_size(&s->reorder_pad))
            s->reorder_pad = *pad;
    }
    dnnl_primitive_desc_destroy(pd);
    dnnl_primitive_attr_destroy(attr);
    return good;
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

/* The source as the primitive reads it: fully connected layers over padded channels read a packed copy. */
static bool is_packed(const aei_tensor *src, const conv_form *f)
{
    return f->inner && src->cp != src->shape.c;
}

/* The convolution as wgrad.h sees it; .n = 0: it is none of those, or computed in f32. */
static aei_wgrad wgrad_of(const aei_plan *plan, const aei_step *s)
{
    const aei_tensor *src = &source(plan, s)->t, *dst = &s->t;
    const ae_node *n = s->node;
    aei_wgrad g = {.n = src->shape.n, .h = src->shape.h, .w = src->shape.w, .out_h = dst->shape.h, .out_w = dst->shape.w,
                   .in = src->cp, .out = dst->cp, .stride = n->stride[0]};
    bool fits = false;

    if (s->op != &aei_op_conv || is_grouped(s) || src->element != 2 || dst->element != 2 || n->stride[0] != n->stride[1])
        return (aei_wgrad){0};
    if (g.stride == 1) {
        memcpy(g.kernel, n->kernel, sizeof(g.kernel));
        memcpy(g.pad, n->pad, sizeof(g.pad));
        fits = n->dilation[0] == 1 && n->dilation[1] == 1;
    } else {
        g.kernel[0] = g.kernel[1] = 1;
        g.h /= g.stride;
        g.w /= g.stride;
        fits = n->kernel[0] == g.stride && n->kernel[1] == g.stride && !n->pad[0] && !n->pad[1] && !(src->shape.h % g.stride) &&
               !(src->shape.w % g.stride);
    }
    return fits && aei_wgrad_fits(&g) ? g : (aei_wgrad){0};
}

/* Their layout, H x W x O x I, within the plain one's dimensions. */
static bool wgrad_layout(const conv_form *f, dnnl_memory_desc_t *md)
{
    const dnnl_dim_t *d = f->weights;

    return ok(dnnl_memory_desc_init_by_strides(md, 4, d, dnnl_f32, (dnnl_dims_t){d[1], 1, d[3] * d[0] * d[1], d[0] * d[1]}));
}

static ae_status conv_plan(aei_plan *plan, aei_step *s, ae_error *err)
{
    const aei_tensor *src = &source(plan, s)->t;
    conv_form f;
    dnnl_primitive_desc_t pd[3] = {NULL, NULL, NULL};
    dnnl_primitive_attr_t attr = NULL;
    size_t pads = 0;
    bool good = true;
    int n_kinds = !plan->config.train || !s->needs_grad ? 1 : plan->config.refine ? 2 : 3;

    if (n_kinds == 3 && src->shape.w > AEI_MAX_TRAINING_WIDTH)
        return ae_fail(err, AE_ERR_LIMIT, "layer '%s': %u columns in training, at most %d (larger crops are for inference only)",
                       s->node->name, src->shape.w, AEI_MAX_TRAINING_WIDTH);
    s->expand = s->op == &aei_op_deconv && s->node->kernel[0] == s->node->stride[0] && s->node->kernel[1] == s->node->stride[1] &&
                !s->node->pad[0] && !s->node->pad[1] && s->node->groups == 1 && s->node->add < 0;
    f = form_of(plan, s);
    if (s->chunk) {
        f.src[0] = f.dst[0] = f.src[2] = f.dst[2] = 1;
        f.src[3] = f.dst[3] = s->chunk;
    }
    s->plain_floats = 1;
    for (int i = 0; i < f.n_weights; i++)
        s->plain_floats *= (size_t)f.weights[i];
    if (n_kinds == 3)
        s->wgrad = wgrad_of(plan, s);
    if (s->wgrad.n)
        pads = aei_wgrad_scratch(&s->wgrad);
    for (int kind = 0; kind < (s->wgrad.n ? 2 : n_kinds) && good; kind++) {
        if (kind == 1 && !source(plan, s)->needs_grad)
            continue;
        good = make_attr(s, kind == 0, &attr) && make_desc(plan, s, &f, kind, attr, pd[0], &pd[kind]) &&
               ok(dnnl_primitive_create(&s->prim[kind], pd[kind]));
        dnnl_primitive_attr_destroy(attr);
        attr = NULL;
        if (good) {
            s->pad_md[kind] = *md_of(pd[kind], dnnl_query_scratchpad_md);
            if (dnnl_memory_desc_get_size(&s->pad_md[kind]) > pads)
                pads = dnnl_memory_desc_get_size(&s->pad_md[kind]);
        }
    }
    if (good) {
        static const dnnl_format_tag_t plain_tag[] = {0, 0, dnnl_ab, 0, dnnl_abcd, dnnl_abcde};

        s->src_md = *md_of(pd[0], dnnl_query_src_md);
        s->dst_md = *md_of(pd[0], dnnl_query_dst_md);
        good = ok(dnnl_memory_desc_init_by_tag(&s->bias_md, 1, f.bias, dnnl_f32, dnnl_a)) &&
               ok(dnnl_memory_desc_init_by_tag(&s->plain_md, f.n_weights, f.weights, dnnl_f32, plain_tag[f.n_weights]));
        reserve_prepared(plan, &s->weights[0], md_of(pd[0], dnnl_query_weights_md));
        good = good && make_reorder(s, &s->plain_md, &s->weights[0].md, &s->reorder_in[0]);
        if (pd[1]) {
            reserve_prepared(plan, &s->weights[1], md_of(pd[1], dnnl_query_weights_md));
            good = good && make_reorder(s, &s->plain_md, &s->weights[1].md, &s->reorder_in[1]);
        }
        if (n_kinds == 3) {
            if (s->wgrad.n)
                good = good && wgrad_layout(&f, &s->diff_weights_md);
            else
                s->diff_weights_md = *md_of(pd[2], dnnl_query_diff_weights_md);
            good = good && make_reorder(s, &s->diff_weights_md, &s->plain_md, &s->reorder_out);
            s->native_bias = align64(dnnl_memory_desc_get_size(&s->diff_weights_md)) / 4;
            s->native_floats = s->native_bias + align64(bias_floats(s) * 4) / 4;
        }
        s->bias_offset = plan->prepared_bytes;
        plan->prepared_bytes += align64(bias_floats(s) * 4);
        s->direct = s->op != &aei_op_deconv && !s->node->transposed && src->perm == 0 && s->t.perm == 0 &&
                    s->t.cp == s->t.shape.c && (f.inner || src->cp == src->shape.c);
        s->plain_offset = plan->scratch_bytes;
        s->pad_offset = s->plain_offset + (s->direct && !s->shared ? 0 : align64(s->plain_floats * sizeof(float)));
        plan->scratch_bytes = s->pad_offset + align64(dnnl_memory_desc_get_size(&s->reorder_pad));
    }
    for (int i = 0; i < 3; i++)
        dnnl_primitive_desc_destroy(pd[i]);
    if (!good)
        return ae_fail(err, AE_ERR_UNSUPPORTED, "layer '%s': oneDNN cannot compute this shape here", s->node->name);
    /* scratch: scratchpad, then a packed or joined source, an expanded result or the piece at hand */
    s->side = align64(pads);
    if (is_packed(src, &f))
        pads = align64(pads) + (size_t)src->shape.n * src->shape.h * src->shape.w * src->shape.c * src->element;
    else if (s->expand)
        pads = align64(pads) + aei_pixels(src) * bias_floats(s) * src->element;
    else if (s->look)
        pads = align64(pads) + aei_live_room(plan, s);
    else if (s->chunk)
        pads = align64(pads) + (size_t)s->chunk * s->t.cp * s->t.element;
    aei_scratch(plan, pads);
    return AE_OK;
}

static uint8_t *side_space(const aei_run *run, const aei_step *s)
{
    return (uint8_t *)aei_at(run, AEI_SCRATCH) + s->side;
}

/* Copies logical channels between a padded tensor and a packed one. */
static void pack(const aei_tensor *t, uint8_t *padded, uint8_t *packed, bool unpack)
{
    size_t n = aei_pixels(t), run = (size_t)t->shape.c * t->element, step = (size_t)t->cp * t->element;

    for (size_t i = 0; i < n; i++)
        if (unpack) {
            memcpy(padded + i * step, packed + i * run, run);
            memset(padded + i * step + run, 0, step - run);
        } else {
            memcpy(packed + i * run, padded + i * step, run);
        }
}

/* Expanded deconvolution: (y, x, (ky, kx, c)) <-> (y * k + ky, x * k + kx, c). */
static void spread(const aei_run *run, const aei_step *s, uint8_t *expanded, uint8_t *picture, bool gather)
{
    ae_shape in = source(run->plan, s)->t.shape;
    uint32_t kh = s->node->kernel[0], kw = s->node->kernel[1];
    size_t row = (size_t)s->t.cp * kw * s->t.element;

    for (size_t y = 0; y < (size_t)in.n * in.h; y++)
        for (uint32_t ky = 0; ky < kh; ky++)
            for (uint32_t x = 0; x < in.w; x++) {
                uint8_t *e = expanded + ((y * in.w + x) * kh + ky) * row, *p = picture + ((y * kh + ky) * in.w + x) * row;

                memcpy(gather ? e : p, gather ? p : e, row);
            }
}

static dnnl_memory_t packed_source(aei_run *run, const aei_step *s)
{
    const aei_step *from = aei_from(run, s, 0);
    void *src = aei_value(run, from);

    if (s->op == &aei_op_dense && from->t.cp != from->t.shape.c) {
        pack(&from->t, src, side_space(run, s), false);
        src = side_space(run, s);
    } else if (s->look) {
        aei_live_join(run, s, side_space(run, s));
        src = side_space(run, s);
    }
    return aei_memory(run, s, AEI_MEM_SRC, &s->src_md, src);
}

static dnnl_memory_t pad_memory(aei_run *run, const aei_step *s, int kind)
{
    return aei_memory(run, s, AEI_MEM_PAD + kind, &s->pad_md[kind], aei_at(run, AEI_SCRATCH));
}

static void forward_primitive(aei_run *run, const aei_weights *w, const aei_step *s, dnnl_memory_t src, void *dst)
{
    dnnl_exec_arg_t args[] = {
        {DNNL_ARG_SRC, src},
        {DNNL_ARG_DST, aei_memory(run, s, AEI_MEM_DST, &s->dst_md, dst)},
        {DNNL_ARG_WEIGHTS, w->memory[s->index][0]},
        {DNNL_ARG_SCRATCHPAD, pad_memory(run, s, 0)},
        {DNNL_ARG_BIAS, w->memory[s->index][2]},
    };

    aei_execute(run, s->prim[0], s->node->bias ? 5 : 4, args);
}

static void data_primitive(aei_run *run, const aei_weights *w, const aei_step *s, dnnl_memory_t d_dst, void *d_src)
{
    dnnl_exec_arg_t args[] = {
        {DNNL_ARG_DIFF_DST, d_dst},
        {DNNL_ARG_DIFF_SRC, aei_memory(run, s, AEI_MEM_DIFF_SRC, &s->src_md, d_src)},
        {DNNL_ARG_WEIGHTS, w->memory[s->index][1]},
        {DNNL_ARG_SCRATCHPAD, pad_memory(run, s, 1)},
    };

    aei_execute(run, s->prim[1], 4, args);
}

static void weights_gradient(aei_run *run, const aei_step *s, dnnl_memory_t src, dnnl_memory_t d_dst, float *native)
{
    dnnl_exec_arg_t args[] = {
        {DNNL_ARG_SRC, src},
        {DNNL_ARG_DIFF_DST, d_dst},
        {DNNL_ARG_DIFF_WEIGHTS, aei_memory(run, s, AEI_MEM_DIFF_WEIGHTS, &s->diff_weights_md, native)},
        {DNNL_ARG_SCRATCHPAD, pad_memory(run, s, 2)},
        {DNNL_ARG_DIFF_BIAS, aei_memory(run, s, AEI_MEM_DIFF_BIAS, &s->bias_md, native + s->native_bias)},
    };
    void *x = NULL, *dy = NULL;

    if (s->wgrad.n) {
        dnnl_memory_get_data_handle(src, &x);
        dnnl_memory_get_data_handle(d_dst, &dy);
        aei_wgrad_run(&s->wgrad, x, dy, native, s->node->bias ? native + s->native_bias : NULL, aei_at(run, AEI_SCRATCH));
        return;
    }
    aei_execute(run, s->prim[2], s->node->bias ? 5 : 4, args);
}

static void conv_forward(aei_run *run, const aei_weights *w, const aei_step *s)
{
    void *target = aei_target(run, s), *dst = s->expand ? side_space(run, s) : target;

    if (s->chunk)
        return; /* its product will ask for it */
    if (s->node->add >= 0) {
        const void *add = aei_value(run, &run->plan->steps[s->node->add]);

        if (add != target)
            memcpy(target, add, aei_tensor_bytes(&s->t));
    }
    forward_primitive(run, w, s, packed_source(run, s), dst);
    if (s->expand)
        spread(run, s, dst, target, false);
}

const void *aei_conv_chunk(aei_run *run, const aei_weights *w, const aei_step *s, size_t first)
{
    const aei_step *from = aei_from(run, s, 0);
    uint8_t *src = (uint8_t *)aei_value(run, from) + first * from->t.cp * from->t.element;

    forward_primitive(run, w, s, aei_memory(run, s, AEI_MEM_SRC, &s->src_md, src), side_space(run, s));
    return side_space(run, s);
}

/* The gradient as the primitives read it. */
static dnnl_memory_t output_gradient(aei_run *run, const aei_step *s)
{
    void *grad = aei_grad(run, s);

    if (s->expand) {
        spread(run, s, side_space(run, s), grad, true);
        grad = side_space(run, s);
    }
    return aei_memory(run, s, AEI_MEM_DIFF_DST, &s->dst_md, grad);
}

static void conv_backward(aei_run *run, const aei_weights *w, const aei_step *s, uint32_t slot, void *to)
{
    const aei_step *from = aei_from(run, s, slot);
    bool packed = s->op == &aei_op_dense && from->t.cp != from->t.shape.c;

    data_primitive(run, w, s, output_gradient(run, s), packed ? (void *)side_space(run, s) : to);
    if (packed)
        pack(&from->t, to, side_space(run, s), true);
}

static void conv_backward_params(aei_run *run, const aei_weights *w, const aei_step *s, float *native)
{
    (void)w;
    weights_gradient(run, s, packed_source(run, s), output_gradient(run, s), native);
}

static bool conv_bench(aei_run *run, const aei_weights *w, const aei_step *s, int kind, float *native)
{
    const aei_step *from = aei_from(run, s, 0);
    void *dst = s->expand ? side_space(run, s) : aei_target(run, s);
    void *src = s->op == &aei_op_dense && from->t.cp != from->t.shape.c ? side_space(run, s) : aei_value(run, from);
    dnnl_memory_t src_memory = aei_memory(run, s, AEI_MEM_SRC, &s->src_md, src), d_dst;

    if (!s->prim[kind] && !(kind == 2 && s->wgrad.n))
        return false;
    if (kind == 0) {
        forward_primitive(run, w, s, src_memory, dst);
        return true;
    }
    d_dst = aei_memory(run, s, AEI_MEM_DIFF_DST, &s->dst_md, s->expand ? dst : aei_grad(run, s));
    if (kind == 1)
        data_primitive(run, w, s, d_dst, src == aei_value(run, from) ? aei_grad(run, from) : src);
    else
        weights_gradient(run, s, src_memory, d_dst, native);
    return true;
}

/* Reorders outside any run. */
static void reorder(const aei_weights *w, const aei_step *s, dnnl_primitive_t prim, const dnnl_memory_desc_t *from_md, void *from,
                    const dnnl_memory_desc_t *to_md, void *to)
{
    dnnl_memory_t a = NULL, b = NULL, pad = NULL;

    if (ok(dnnl_memory_create(&a, from_md, aei_engine(), from)) && ok(dnnl_memory_create(&b, to_md, aei_engine(), to)) &&
        ok(dnnl_memory_create(&pad, &s->reorder_pad, aei_engine(), w->scratch + s->pad_offset))) {
        dnnl_exec_arg_t args[] = {{DNNL_ARG_FROM, a}, {DNNL_ARG_TO, b}, {DNNL_ARG_SCRATCHPAD, pad}};

        dnnl_primitive_execute(prim, w->stream, 3, args);
        dnnl_stream_wait(w->stream);
    }
    dnnl_memory_destroy(a);
    dnnl_memory_destroy(b);
    dnnl_memory_destroy(pad);
}

static bool conv_overwrites(const aei_step *s)
{
    return s->needs_grad && s->direct && !s->shared;
}

static void conv_collect(const aei_weights *w, const aei_step *s, float *native, float *flat)
{
    const ae_param *params = w->plan->params;
    float *to = flat + params[s->param[0]].offset, *plain = conv_overwrites(s) ? to : (float *)(w->scratch + s->plain_offset);

    reorder(w, s, s->reorder_out, &s->diff_weights_md, native, &s->plain_md, plain);
    if (plain != to)
        map_weights(w->plan, s, plain, to, false);
    if (s->node->bias)
        map_bias(s, native + s->native_bias, flat + params[s->param[1]].offset, false);
}

static void conv_prepare(const aei_weights *w, const aei_step *s, const float *flat)
{
    const ae_param *params = w->plan->params;
    /* only read: to_plain */
    float *from = (float *)flat + params[s->param[0]].offset, *plain = s->direct ? from : (float *)(w->scratch + s->plain_offset);

    if (!s->direct)
        map_weights(w->plan, s, plain, from, true);
    for (int i = 0; i < 2; i++)
        if (s->reorder_in[i])
            reorder(w, s, s->reorder_in[i], &s->plain_md, plain, &s->weights[i].md, w->block + s->weights[i].offset);
    if (s->node->bias)
        map_bias(s, (float *)(w->block + s->bias_offset), (float *)flat + params[s->param[1]].offset, true);
}

#define LAYER {.plan = conv_plan, .forward = conv_forward, .backward = conv_backward, .backward_params = conv_backward_params, \
               .prepare = conv_prepare, .collect = conv_collect, .overwrites = conv_overwrites, .bench = conv_bench, \
               .fuses_act = true}
const aei_operator aei_op_conv = LAYER, aei_op_dense = LAYER, aei_op_deconv = LAYER;
