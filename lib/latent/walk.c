/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Runs a decoder program over a tile in integers (doc/codec.md), so that every machine decodes the
 * same bytes. The entropy part walks the whole tile with the coder of symbols at its side; the
 * synthesis then computes only what the wanted rectangle reads. Tensors that live at different
 * times share their place in one arena, laid out before anything is computed. */
#include "latent/walk.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/clones.h"
#include "latent/surprise.h"

/* bytes of input that a convolution takes at a time, so that they stay near */
enum { CHUNK = 1 << 18 };

struct aei_walk {
    const aei_engine *engine;
    const aei_program *program;
    uint32_t quality;
    const ae_cancel *cancel;
    aei_view *views;    /* by tensor; those of grid 0 point into vectors */
    aei_rect *computed; /* the part of a view that is not surely zero */
    int16_t *vectors;
    uint8_t *arena;
    size_t n_arena;
    size_t *begin, *end; /* of tensors in the arena; equal: not there */
    uint32_t *last_use;
    int32_t *steps, *log_steps;    /* of a latent at the quality */
    aei_surprise *before, *around; /* of each channel of a latent */
    aei_remembered *remembered;    /* of each position and channel of the last latent */
    size_t n_remembered;
    const aei_op *last_latent;
};

/* ---- operators ---- */

AEI_CLONES static void add_rows(const int16_t *a, const int16_t *b, int16_t *out, size_t n,
                                uint32_t shift, uint32_t leak, int32_t lo, int32_t hi)
{
    int32_t half = shift ? 1 << (shift - 1) : 0;

    if (leak == AEI_NO_LEAK)
        for (size_t i = 0; i < n; i++)
            out[i] = (int16_t)aei_saturate((a[i] + b[i] + half) >> shift, lo, hi);
    else
        for (size_t i = 0; i < n; i++)
            out[i] = (int16_t)aei_saturate(aei_leak((a[i] + b[i] + half) >> shift, leak), lo, hi);
}

AEI_CLONES static void mul_rows(const int16_t *a, const int16_t *b, int16_t *out, size_t n,
                                uint32_t shift, int32_t lo, int32_t hi)
{
    int32_t half = shift ? 1 << (shift - 1) : 0;

    for (size_t i = 0; i < n; i++)
        out[i] = (int16_t)aei_saturate((a[i] * b[i] + half) >> shift, lo, hi);
}

static const int16_t *operand(const aei_walk *w, uint32_t tensor, int32_t x, int32_t y)
{
    return w->program->ops[tensor].grid ? aei_view_at(&w->views[tensor], x, y)
                                        : w->views[tensor].data;
}

static void run_pointwise(const aei_walk *w, const aei_op *op, const aei_view *to, aei_rect r)
{
    bool whole = op->n_in == 2 && op->grid && w->program->ops[op->in[0]].grid &&
                 w->program->ops[op->in[1]].grid;

    for (int32_t y = r.y0; y < r.y1; y++)
        for (int32_t x = r.x0; x < r.x1; x += whole ? r.x1 - r.x0 : 1) {
            const int16_t *a = operand(w, op->in[0], x, y),
                          *b = op->n_in > 1 ? operand(w, op->in[1], x, y) : NULL;
            int16_t *out = aei_view_at(to, x, y);
            /* all views of one pitch */
            size_t n = whole ? (size_t)(r.x1 - r.x0) * to->pitch : op->channels;

            if (op->kind == AEI_MUL) {
                mul_rows(a, b, out, n, op->shift, op->lo, op->hi);
            } else if (op->n_in == 2) {
                add_rows(a, b, out, n, op->shift, op->leak, op->lo, op->hi);
            } else {
                for (size_t c = 0; c < n; c++) {
                    int32_t sum = 0;

                    for (uint32_t k = 0; k < op->n_in; k++)
                        sum += operand(w, op->in[k], x, y)[c];
                    out[c] = (int16_t)aei_saturate(aei_leak(aei_rescale(sum, op->shift), op->leak),
                                                   op->lo, op->hi);
                }
            }
        }
}

static void run_conv(const aei_walk *w, uint32_t index, const aei_view *to, aei_rect r)
{
    const aei_op *op = &w->program->ops[index];
    const aei_view *in = &w->views[op->in[0]];
    aei_rect field = aei_rect_field(op, 0, r);
    uint32_t columns = (uint32_t)(r.x1 - r.x0), parity = w->engine->parities[index];
    size_t in_bytes = (size_t)(field.x1 - field.x0) * in->pitch * op->stride * sizeof(int16_t);
    int32_t step = (int32_t)(CHUNK / in_bytes) & ~1;
    aei_iconv_area area = {.in_step = (size_t)op->stride * in->pitch,
                           .in_row = (size_t)(in->rect.x1 - in->rect.x0) * in->pitch,
                           .out_step = to->pitch,
                           .out_line = (size_t)(to->rect.x1 - to->rect.x0) * to->pitch,
                           .width = columns};

    area.in_line = area.in_row * op->stride;
    if (op->n_in == 2 && w->program->ops[op->in[1]].grid) {
        area.add_step = w->views[op->in[1]].pitch;
        area.add_line = (size_t)(w->views[op->in[1]].rect.x1 - w->views[op->in[1]].rect.x0) *
                        area.add_step;
    }
    area.staggered = (parity == AE_PARITY_EVEN || parity == AE_PARITY_ODD) && columns % 2 == 0;
    area.odd = (((uint32_t)(r.x0 + r.y0) & 1) != 0) != (parity == AE_PARITY_ODD);
    area.width >>= area.staggered;
    step = step < 2 ? 2 : step;
    for (int32_t y = r.y0; y < r.y1; y += step) {
        aei_rect first = aei_rect_field(op, 0, (aei_rect){r.x0, y, r.x0 + 1, y + 1});

        area.in = aei_view_at(in, first.x0, first.y0);
        area.out = aei_view_at(to, r.x0, y);
        area.add = op->n_in == 2 ? operand(w, op->in[1], r.x0, y) : NULL;
        area.n = area.width * (uint32_t)(r.y1 - y < step ? r.y1 - y : step);
        w->engine->kernel(&w->engine->convs[index], &area);
    }
}

static void run_shuffle(const aei_walk *w, const aei_op *op, const aei_view *to, aei_rect r)
{
    const aei_view *in = &w->views[op->in[0]];
    int32_t f = (int32_t)op->factor;
    uint32_t n = op->channels, plane = op->factor * op->factor;

    for (int32_t y = r.y0; y < r.y1; y++) {
        int16_t *out = aei_view_at(to, r.x0, y);

        for (int32_t x = r.x0; x < r.x1;) {
            int32_t from = aei_floor_div(x, f), end = aei_min_i32((from + 1) * f, r.x1),
                    dy = y - aei_floor_div(y, f) * f;
            const int16_t *a = aei_view_at(in, from, aei_floor_div(y, f)) + dy * f;

            for (int32_t dx = x - from * f; x < end; x++, dx++, out += to->pitch)
                for (uint32_t c = 0; c < n; c++)
                    out[c] = a[c * plane + (uint32_t)dx];
        }
    }
}

static void run_channels(const aei_walk *w, const aei_op *op, const aei_view *to, aei_rect r)
{
    uint32_t at = 0;

    for (uint32_t k = 0; k < op->n_in; k++) {
        uint32_t n = op->kind == AEI_CROP ? op->channels : w->program->ops[op->in[k]].channels;

        for (int32_t y = r.y0; y < r.y1; y++)
            for (int32_t x = r.x0; x < r.x1; x++)
                memcpy(aei_view_at(to, x, y) + at, operand(w, op->in[k], x, y) + op->first,
                       n * sizeof(int16_t));
        at += n;
    }
}

static void run_op(const aei_walk *w, uint32_t index, const aei_view *to, aei_rect r)
{
    const aei_op *op = &w->program->ops[index];

    switch (op->kind) {
    case AEI_CONV: run_conv(w, index, to, r); break;
    case AEI_ADD:
    case AEI_MUL: run_pointwise(w, op, to, r); break;
    case AEI_SHUFFLE: run_shuffle(w, op, to, r); break;
    case AEI_CONCAT:
    case AEI_CROP: run_channels(w, op, to, r); break;
    default: break;
    }
}

/* ---- latents ---- */

static uint32_t scale_index(const aei_walk *w, const aei_op *op, int32_t log_scale,
                            int32_t log_step)
{
    return (uint32_t)aei_saturate((log_scale - log_step + op->index_offset) >> op->index_shift, 0,
                                  (int32_t)w->program->n_scales - 1);
}

/* The symbol for y; with effort, 0 instead of 1 where that saves more bits than its error is worth.
 * A uniform quantiser is optimal at high rate where an error of one squared step is worth 6 / ln 2
 * bits. More than twice that was found best, as later latents are predicted from this one, and
 * nothing is won by larger symbols. Refining sees to that: any may come one nearer to zero. */
static int32_t choose(const aei_latents *l, const aei_scale *s, double v)
{
    int32_t q = (int32_t)lrint(v < -32767 ? -32767 : v > 32767 ? 32767 : v);
    bool refines = l->effort >= AE_EFFORT_REFINES;

    if (l->effort >= AE_EFFORT_CHOOSES && q && (refines || abs(q) == 1)) {
        int32_t less = q > 0 ? q - 1 : q + 1;
        double gain = aei_rans_cost(s, q) - aei_rans_cost(s, less);

        if (gain > (refines ? 7 : 14) * M_LOG2E * ((v - less) * (v - less) - (v - q) * (v - q)))
            q = less;
    }
    return q;
}

AEI_CLONES static void add_remembered(const aei_remembered *const from[4], aei_surprise *sum,
                                      uint32_t n)
{
    for (uint32_t c = 0; c < n; c++) {
        sum[c].came = (uint32_t)from[0][c].came + from[1][c].came + from[2][c].came +
                      from[3][c].came;
        sum[c].expected = (uint32_t)from[0][c].expected + from[1][c].expected +
                          from[2][c].expected + from[3][c].expected;
    }
}

static aei_remembered *remembered_at(const aei_walk *w, aei_rect r, uint32_t n, int32_t x,
                                     int32_t y)
{
    return w->remembered + ((size_t)(y - r.y0) * (size_t)(r.x1 - r.x0) + (size_t)(x - r.x0)) * n;
}

/* Sums up what is remembered around a position: at the four nearest of a latent that has just been
 * decoded at the positions between, or else at the nearest before it that every parity knows. */
static void look_around(const aei_walk *w, aei_rect r, int32_t x, int32_t y, uint32_t n,
                        bool between)
{
    static const aei_remembered nothing[AEI_MAX_WIDTH];
    static const int32_t places[2][4][2] = {{{-2, 0}, {-1, -1}, {1, -1}, {0, -2}},
                                            {{-1, 0}, {1, 0}, {0, -1}, {0, 1}}};
    const aei_remembered *from[4];

    for (int i = 0; i < 4; i++) {
        int32_t u = x + places[between][i][0], v = y + places[between][i][1];

        from[i] = u < r.x0 || u >= r.x1 || v < r.y0 || v >= r.y1 ? nothing
                                                                 : remembered_at(w, r, n, u, v);
    }
    add_remembered(from, w->around, n);
}

static ae_status prepare_remembered(aei_walk *w, size_t n, ae_error *err)
{
    if (n <= w->n_remembered)
        return AE_OK;
    ae_free(w->remembered);
    w->n_remembered = 0;
    w->remembered = ae_alloc(n, sizeof(*w->remembered));
    if (!w->remembered)
        return ae_fail(err, AE_ERR_NOMEM, "decoder: magnitudes of %zu latents", n);
    w->n_remembered = n;
    return AE_OK;
}

static ae_status run_latent(aei_walk *w, const aei_op *op, const aei_view *to, aei_rect r,
                            aei_latents *l, ae_error *err)
{
    uint32_t n = op->channels, beyond = aei_beyond(w->program, op, w->quality);
    double unit = (double)(1u << op->unit) * (double)(1u << op->shift);
    const aei_op *last = w->last_latent;
    bool between = last && op->n_in == 3 && last == &w->program->ops[op->in[2]] &&
                   last->parity + op->parity == AE_PARITY_EVEN + AE_PARITY_ODD;
    ae_status st = prepare_remembered(w, (size_t)(r.x1 - r.x0) * (size_t)(r.y1 - r.y0) * n, err);

    if (st != AE_OK)
        return st;
    w->last_latent = op;
    for (uint32_t c = 0; c < n; c++) {
        w->steps[c] = aei_finer(aei_embed(op->table, n, c, w->quality), beyond);
        w->log_steps[c] = aei_embed(op->log_steps, n, c, w->quality) -
                          (int32_t)((uint64_t)beyond << op->index_shift >> 5);
    }
    memset(w->before, 0, n * sizeof(*w->before));
    for (int32_t y = r.y0; y < r.y1; y++)
        for (int32_t x = r.x0; x < r.x1; x++) {
            aei_surprise beside = {0};
            aei_remembered *here = remembered_at(w, r, n, x, y);
            const int16_t *mean = operand(w, op->in[0], x, y), *scale = operand(w, op->in[1], x, y);
            int16_t *out = aei_view_at(to, x, y);
            bool visible = (uint32_t)x * op->grid < l->visible_w &&
                           (uint32_t)y * op->grid < l->visible_h;
            const float *from = l->reader ? NULL
                                          : l->sources[op->source] +
                                                ((size_t)y * (size_t)(r.x1 - r.x0) + (size_t)x) *
                                                    l->n_channels[op->source] +
                                                op->source_first;

            if (op->parity != AE_PARITY_ALL &&
                (uint32_t)((x + y) & 1) != op->parity - AE_PARITY_EVEN) {
                if (op->n_in == 3)
                    memcpy(out, operand(w, op->in[2], x, y), n * sizeof(*out));
                else
                    memset(out, 0, n * sizeof(*out));
                continue;
            }
            look_around(w, r, x, y, n, between);
            for (uint32_t c = 0; c < n; c++) {
                uint32_t told = scale_index(w, op, scale[c], w->log_steps[c]),
                         index = (uint32_t)aei_saturate(
                             (int32_t)told +
                                 aei_surprise_shift(&beside, &w->before[c], &w->around[c]),
                             0, (int32_t)w->program->n_scales - 1),
                         expected = w->engine->tables.expected[told], came;
                int32_t q;

                if (l->reader) {
                    q = aei_rans_get(l->reader, &w->engine->tables, index);
                } else {
                    const aei_scale *s = &w->program->scales[index];

                    q = visible ? choose(l, s,
                                         (from[c] * unit - mean[c] * (double)(1u << op->shift)) /
                                             w->steps[c])
                                : 0;
                    if (l->decoded)
                        l->bits += aei_rans_cost(s, q);
                    else if (l->counts)
                        l->counts[index][abs(q) < AEI_COUNTED ? abs(q) : AEI_COUNTED - 1]++;
                    else if (aei_rans_put(l->writer, s, q, err) != AE_OK)
                        return AE_ERR_NOMEM;
                }
                came = (uint32_t)aei_min_i32(abs(q), AEI_MOST_MAGNITUDE) * AEI_MAGNITUDE_ONE;
                aei_surprise_add(&beside, came, expected);
                aei_surprise_add(&w->before[c], came, expected);
                here[c] = (aei_remembered){aei_remember(came), aei_remember(expected)};
                out[c] = (int16_t)aei_saturate(mean[c] + aei_rescale(q * w->steps[c], op->shift),
                                               op->lo, op->hi);
                if (l->decoded)
                    l->decoded[op->source][(size_t)(from - l->sources[op->source]) + c] =
                        (float)(out[c] / (double)(1u << op->unit));
            }
        }
    return AE_OK;
}

/* ---- plans ---- */

void aei_walk_free(aei_walk *w)
{
    if (!w)
        return;
    ae_free(w->views);
    ae_free(w->computed);
    ae_free(w->vectors);
    ae_free(w->arena);
    ae_free(w->begin);
    ae_free(w->end);
    ae_free(w->last_use);
    ae_free(w->steps);
    ae_free(w->log_steps);
    ae_free(w->before);
    ae_free(w->around);
    ae_free(w->remembered);
    ae_free(w);
}

ae_status aei_walk_create(const aei_engine *engine, aei_walk **out, ae_error *err)
{
    const aei_program *p = engine->program;
    aei_walk *w = ae_alloc(1, sizeof(*w));
    size_t n_vectors = AEI_SLACK;

    *out = NULL;
    if (!w)
        return ae_fail(err, AE_ERR_NOMEM, "decoder");
    w->engine = engine;
    w->program = p;
    for (uint32_t i = 0; i < p->n_ops; i++)
        n_vectors += p->ops[i].grid ? 0 : p->ops[i].channels + AEI_SLACK;
    w->views = ae_alloc(p->n_ops, sizeof(*w->views));
    w->computed = ae_alloc(p->n_ops, sizeof(*w->computed));
    w->vectors = ae_alloc(n_vectors, sizeof(*w->vectors));
    w->begin = ae_alloc(p->n_ops, sizeof(*w->begin));
    w->end = ae_alloc(p->n_ops, sizeof(*w->end));
    w->last_use = ae_alloc(p->n_ops, sizeof(*w->last_use));
    w->steps = ae_alloc(AEI_MAX_WIDTH, sizeof(*w->steps));
    w->log_steps = ae_alloc(AEI_MAX_WIDTH, sizeof(*w->log_steps));
    w->before = ae_alloc(AEI_MAX_WIDTH, sizeof(*w->before));
    w->around = ae_alloc(AEI_MAX_WIDTH, sizeof(*w->around));
    if (!w->views || !w->computed || !w->vectors || !w->begin || !w->end || !w->last_use ||
        !w->steps || !w->log_steps || !w->before || !w->around) {
        aei_walk_free(w);
        return ae_fail(err, AE_ERR_NOMEM, "decoder");
    }
    n_vectors = 0;
    for (uint32_t i = 0; i < p->n_ops; i++) {
        w->views[i].pitch = aei_pitch(p->ops[i].channels);
        if (p->ops[i].grid)
            continue;
        w->views[i].data = w->vectors + n_vectors;
        w->views[i].rect = (aei_rect){0, 0, 1, 1};
        n_vectors += p->ops[i].channels + AEI_SLACK;
    }
    *out = w;
    return AE_OK;
}

void aei_walk_cancel(aei_walk *w, const ae_cancel *cancel)
{
    w->cancel = cancel;
}

static bool cancelled(const aei_walk *w)
{
    return w->cancel && w->cancel->requested;
}

void aei_walk_quality(aei_walk *w, uint32_t quality)
{
    w->quality = quality;
    for (uint32_t i = 0; i < w->program->n_ops; i++) {
        const aei_op *op = &w->program->ops[i];

        if (op->kind == AEI_EMBED)
            for (uint32_t c = 0; c < op->channels; c++)
                w->views[i].data[c] = (int16_t)aei_embed(op->table, op->channels, c, quality);
        else if (!op->grid)
            run_op(w, i, &w->views[i], w->views[i].rect);
    }
}

/* Rectangles of tensors, from what is wanted of the last to the first; views[].rect of what is
 * wanted are set, those of the others empty. */
static void plan_rects(aei_walk *w, uint32_t first, uint32_t end, aei_rect pixels)
{
    for (uint32_t i = end; i-- > first;) {
        const aei_op *op = &w->program->ops[i];

        if (!op->grid)
            continue;
        if (op->kind == AEI_SHUFFLE && !aei_rect_is_empty(w->views[i].rect)) {
            aei_rect r = aei_rect_coarser(w->views[i].rect, (int32_t)op->factor);
            int32_t f = (int32_t)op->factor;

            w->views[i].rect = (aei_rect){r.x0 * f, r.y0 * f, r.x1 * f, r.y1 * f};
        }
        if (op->kind == AEI_LATENT)
            w->views[i].rect = aei_rect_join(w->views[i].rect,
                                             aei_rect_coarser(pixels, (int32_t)op->grid));
        w->computed[i] = aei_rect_meet(w->views[i].rect,
                                       aei_rect_coarser(pixels, (int32_t)op->grid));
        for (uint32_t k = 0; k < op->n_in && !aei_rect_is_empty(w->computed[i]); k++)
            if (w->program->ops[op->in[k]].grid)
                w->views[op->in[k]].rect = aei_rect_join(w->views[op->in[k]].rect,
                                                         aei_rect_field(op, k, w->computed[i]));
    }
}

/* First fit: the lowest place that nothing alive takes. */
static ae_status plan_memory(aei_walk *w, uint32_t first, uint32_t end, ae_error *err)
{
    const aei_program *p = w->program;
    size_t n_arena = 0;

    for (uint32_t i = 0; i < p->n_ops; i++)
        w->begin[i] = w->end[i] = 0;
    for (uint32_t k = 0; k < end; k++) {
        aei_rect r = w->views[k].rect;
        uint32_t born = k < first ? first : k;
        size_t n, at = 0;
        bool moved = true;

        if (!p->ops[k].grid || aei_rect_is_empty(r) || p->ops[k].kind == AEI_OUTPUT)
            continue;
        n = (size_t)(r.x1 - r.x0) * (size_t)(r.y1 - r.y0) * w->views[k].pitch * sizeof(int16_t) +
            AEI_SLACK;
        n = (n + 63) / 64 * 64;
        while (moved) {
            moved = false;
            for (uint32_t i = 0; i < k; i++)
                if (w->begin[i] < w->end[i] && w->last_use[i] >= born && at < w->end[i] &&
                    w->begin[i] < at + n) {
                    at = w->end[i];
                    moved = true;
                }
        }
        w->begin[k] = at;
        w->end[k] = at + n;
        n_arena = at + n > n_arena ? at + n : n_arena;
    }
    if (n_arena > w->n_arena) {
        ae_free(w->arena);
        w->n_arena = 0;
        w->arena = ae_alloc(n_arena, 1);
        if (!w->arena)
            return ae_fail(err, AE_ERR_NOMEM, "decoder: %zu bytes", n_arena);
        w->n_arena = n_arena;
    }
    for (uint32_t k = 0; k < end; k++)
        if (w->begin[k] < w->end[k])
            w->views[k].data = (int16_t *)(void *)(w->arena + w->begin[k]);
    return AE_OK;
}

static void clear_rows(const aei_view *v, int32_t y0, int32_t y1, int32_t x0, int32_t x1)
{
    for (int32_t y = y0; y < y1 && x0 < x1; y++)
        memset(aei_view_at(v, x0, y), 0, (size_t)(x1 - x0) * v->pitch * sizeof(int16_t));
}

/* Zeros outside r. */
static void clear_border(const aei_view *v, aei_rect r)
{
    if (aei_rect_is_empty(r)) {
        clear_rows(v, v->rect.y0, v->rect.y1, v->rect.x0, v->rect.x1);
        return;
    }
    clear_rows(v, v->rect.y0, r.y0, v->rect.x0, v->rect.x1);
    clear_rows(v, r.y1, v->rect.y1, v->rect.x0, v->rect.x1);
    clear_rows(v, r.y0, r.y1, v->rect.x0, r.x0);
    clear_rows(v, r.y0, r.y1, r.x1, v->rect.x1);
}

static void no_rects(aei_walk *w)
{
    for (uint32_t i = 0; i < w->program->n_ops; i++)
        if (w->program->ops[i].grid)
            w->views[i].rect = (aei_rect){0};
}

ae_status aei_walk_entropy(aei_walk *w, uint32_t width, uint32_t height, aei_latents *latents,
                           ae_error *err)
{
    const aei_program *p = w->program;
    aei_rect pixels = {0, 0, (int32_t)width, (int32_t)height};
    ae_status st;

    no_rects(w);
    for (uint32_t i = 0; i < p->n_entropy; i++) {
        w->last_use[i] = i;
        for (uint32_t k = 0; k < p->ops[i].n_in; k++)
            w->last_use[p->ops[i].in[k]] = i;
    }
    for (uint32_t i = 0; i < w->engine->n_crossings; i++) {
        uint32_t t = w->engine->crossings[i];

        w->views[t].rect = aei_rect_coarser(pixels, (int32_t)p->ops[t].grid);
        w->last_use[t] = p->n_ops;
    }
    w->last_latent = NULL;
    plan_rects(w, 0, p->n_entropy, pixels);
    if ((st = plan_memory(w, 0, p->n_entropy, err)) != AE_OK)
        return st;
    for (uint32_t i = 0; i < p->n_entropy; i++) {
        if (!p->ops[i].grid || aei_rect_is_empty(w->views[i].rect))
            continue;
        clear_border(&w->views[i], w->computed[i]);
        if (cancelled(w))
            return ae_fail(err, AE_ERR_CANCELLED, "interrupted");
        if (p->ops[i].kind != AEI_LATENT)
            run_op(w, i, &w->views[i], w->computed[i]);
        else if ((st = run_latent(w, &p->ops[i], &w->views[i], w->computed[i], latents, err)) !=
                 AE_OK)
            return st;
    }
    return AE_OK;
}

aei_view aei_walk_crossing(const aei_walk *w, uint32_t index)
{
    return w->views[w->engine->crossings[index]];
}

ae_status aei_walk_synthesis(aei_walk *w, uint32_t width, uint32_t height, aei_rect wanted,
                             void (*fetch)(void *context, uint32_t index, const aei_view *to),
                             void *context, aei_view *picture, ae_error *err)
{
    const aei_program *p = w->program;
    uint32_t last = p->n_ops - 1;
    ae_status st;

    no_rects(w);
    w->views[last].rect = wanted;
    for (uint32_t i = p->n_entropy; i < p->n_ops; i++) {
        w->last_use[i] = i;
        for (uint32_t k = 0; k < p->ops[i].n_in; k++)
            w->last_use[p->ops[i].in[k]] = i;
    }
    plan_rects(w, p->n_entropy, p->n_ops, (aei_rect){0, 0, (int32_t)width, (int32_t)height});
    if ((st = plan_memory(w, p->n_entropy, p->n_ops, err)) != AE_OK)
        return st;
    for (uint32_t i = 0; i < w->engine->n_crossings; i++)
        if (!aei_rect_is_empty(w->views[w->engine->crossings[i]].rect))
            fetch(context, i, &w->views[w->engine->crossings[i]]);
    for (uint32_t i = p->n_entropy; i < last; i++)
        if (p->ops[i].grid && !aei_rect_is_empty(w->views[i].rect)) {
            if (cancelled(w))
                return ae_fail(err, AE_ERR_CANCELLED, "interrupted");
            clear_border(&w->views[i], w->computed[i]);
            run_op(w, i, &w->views[i], w->computed[i]);
        }
    *picture = w->views[p->ops[last].in[0]];
    return AE_OK;
}
