/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Inside the executor. A plan holds one step for each node; each operator is an aei_operator: how
 * it is planned, run and differentiated. An operator's file knows tensors and buffers, plan.c knows
 * lifetimes, run.c knows the order of things. */
#ifndef AEI_PLAN_H
#define AEI_PLAN_H

#include <dnnl.h>

#include "nn/acts.h"
#include "nn/exec.h"
#include "nn/mixed.h"
#include "nn/ops.h"

enum {
    AEI_MAX_PRIMITIVES = 3,
    AEI_NO_BUFFER = -1,
    AEI_SCRATCH = 0 /* of the operator at work */,
    AEI_TEMP = 1 /* a gradient to be added */
};

/* oneDNN memory handles that a run keeps for each step. */
enum {
    AEI_MEM_SRC,
    AEI_MEM_DST,
    AEI_MEM_DIFF_DST,
    AEI_MEM_DIFF_SRC,
    AEI_MEM_DIFF_WEIGHTS,
    AEI_MEM_DIFF_BIAS,
    AEI_MEM_PAD,                                    /* one for each primitive */
    AEI_MEM_ACT = AEI_MEM_PAD + AEI_MAX_PRIMITIVES, /* input, output, gradient */
    AEI_MEMORIES = AEI_MEM_ACT + 3
};

typedef struct aei_step aei_step;

enum {
    /* Kernels of oneDNN 2.6 read a few tiles before their first operand: every block begins with
     * this many spare bytes. */
    AEI_MARGIN = 4096,
    /* Its weight gradients write before their result for rows of 288 columns and more (measured on
     * AVX-512 and AMX; 192 is right). */
    AEI_MAX_TRAINING_WIDTH = 256
};

/* Storage of a node's value and gradient: pixels x stored channels, contiguous. Channels past c are
 * zero in values and finite in gradients. */
typedef struct aei_tensor {
    ae_shape shape;
    uint32_t cp; /* stored channels */
    /* f: logical channel (c, d), d < f*f, is stored as (d, c), so that shuffling moves whole runs;
     * 0: as is */
    uint32_t perm;
    uint32_t element; /* bytes: 4 f32, 2 bf16 */
} aei_tensor;

static inline size_t aei_pixels(const aei_tensor *t)
{
    return (size_t)t->shape.n * t->shape.h * t->shape.w;
}

static inline size_t aei_tensor_bytes(const aei_tensor *t)
{
    return aei_pixels(t) * t->cp * t->element;
}

/* Where logical channel k is stored. */
static inline uint32_t aei_stored(const aei_tensor *t, uint32_t k)
{
    uint32_t ff = t->perm * t->perm;

    return ff ? k % ff * (t->shape.c / ff) + k / ff : k;
}

/* A stretch of the workspace, alive from time first to last. Forward of node i is time i, the loss
 * n, backward of node i 2n - i. */
typedef struct aei_span {
    size_t bytes, offset;
    uint32_t first, last;
} aei_span;

typedef struct aei_operator {
    ae_status (*plan)(aei_plan *plan, aei_step *step, ae_error *err); /* may be NULL */
    void (*forward)(aei_run *run, const aei_weights *weights, const aei_step *step);
    /* Writes the gradient of input `slot` to `to`, all stored channels, from the node's own
     * (complete, activation removed). */
    void (*backward)(aei_run *run, const aei_weights *weights, const aei_step *step, uint32_t slot,
                     void *to);
    /* Writes the gradient of its parameters in the layout of its kernels. NULL: has none. */
    void (*backward_params)(aei_run *run, const aei_weights *weights, const aei_step *step,
                            float *native);
    /* Prepares its parameters, given flat, for its kernels. NULL: it reads them as they are. */
    void (*prepare)(const aei_weights *weights, const aei_step *step, const float *flat);
    /* Makes handles of its prepared parameters, weights->memory[step->index], freed with the
     * weights. NULL: needs none. */
    bool (*bind)(aei_weights *weights, const aei_step *step);
    /* Frees what `plan` left in step->own, which may be NULL. */
    void (*free)(aei_step *step);
    /* Adds that to a flat gradient. NULL: it is already in flat order. */
    void (*collect)(const aei_weights *weights, const aei_step *step, float *native, float *flat);
    /* Whether `collect` writes the gradient of its weight where others add: what was there is lost.
     * NULL: never. */
    bool (*overwrites)(const aei_step *step);
    /* Its bare primitive of kind 0 forward, 1 backward by data, 2 backward by weights; returns its
     * floating-point operations, 0: there is none. NULL: it has none. */
    double (*bench)(aei_run *run, const aei_weights *weights, const aei_step *step, int kind,
                    float *native);
    bool fuses_act; /* forward applies the activation and the residual sum itself */
    bool passes;    /* the gradient of every input is the node's own: add */
} aei_operator;

struct aei_step {
    const ae_node *node;
    uint32_t index, origin; /* in the plan's graph, in the caller's */
    const aei_operator *op;
    aei_tensor t;
    /* a parameter or a wanted input gradient lies at or below, and an output above */
    bool needs_grad;
    bool split_act; /* training: the activation's derivative needs its input, kept in `pre` */
    bool fused_act; /* the layer applies the activation itself */
    /* an act that one product alone reads; training: the product's gradient is from before the act
     */
    bool gates;
    uint32_t chunk; /* inference: pixels of such a gate that the product has it compute at a time */
    /* backward: input slot (last: add) already holds a gradient */
    bool accumulate[AE_MAX_FROM + 1];
    int32_t value, grad, pre, aux; /* buffers */
    uint32_t look;                 /* live: rows of its input that it keeps for the next run */
    size_t state;                  /* and where in the run's state they lie */
    void *own;                     /* its operator's */
    int32_t param[4]; /* indices into plan->params in the order of ae_graph_params, or -1 */
    bool shared;      /* other steps use its parameters, too */
    dnnl_primitive_t act_prim, act_back_prim;
    dnnl_memory_desc_t act_md;
    size_t native, native_floats; /* where the gradient of its parameters lies, and its size */
};

struct aei_plan {
    const ae_graph *graph; /* the caller's, or `trimmed`, or that of `mixed` */
    ae_graph trimmed;
    aei_mixed mixed;
    aei_plan_config config;
    uint32_t n_steps;
    aei_step *steps;
    uint32_t n_inputs, inputs[AE_MAX_FROM];
    uint32_t n_outputs, outputs[256]; /* with taps */
    ae_param *params;
    uint32_t n_params;
    size_t n_floats, native_floats;
    aei_span *buffers;
    uint32_t n_buffers, buffer_room;
    size_t workspace, state_bytes;
    size_t prepared_bytes; /* of aei_weights */
    /* of aei_weights: each layer has its own, so that several can be prepared at a time */
    size_t scratch_bytes;
    uint32_t n_parts, *parts; /* steps that are the first to use their parameters */
    uint64_t charged;         /* for what oneDNN makes */
};

struct aei_weights {
    const aei_plan *plan;
    dnnl_memory_t (*memory)[AEI_MAX_PRIMITIVES]; /* of each step, what its operator bound */
    uint8_t *block;                              /* prepared tensors and padded biases */
    uint8_t *scratch;
    float *flat; /* copy of the flat parameters, for operators that read them as they are */
    dnnl_stream_t stream;
};

struct aei_run {
    const aei_plan *plan;
    uint8_t *block;
    /* live: how many rows each step has seen, up to what it looks back, then the rows that they
     * keep */
    uint8_t *state;
    dnnl_stream_t stream;
    uint64_t seed;
    const bool *trains; /* parameters whose gradients are wanted; NULL: all */
    /* backward, for each step: a parameter that trains, or a wanted input gradient, lies at or
     * below; a gradient has come, or else it is zero */
    uint8_t *leads, *live;
    dnnl_status_t status;                  /* the first failure of a primitive */
    dnnl_memory_t (*memory)[AEI_MEMORIES]; /* for each step, made on first use */
};

/* workspace.c: a new buffer for times first..last; AEI_NO_BUFFER when out of memory. */
int32_t aei_span_new(aei_plan *plan, size_t bytes, uint32_t first, uint32_t last);
void aei_span_grow(aei_plan *plan, int32_t buffer, size_t bytes);
/* Makes the buffer AEI_SCRATCH at least this large. */
void aei_scratch(aei_plan *plan, size_t bytes);
/* Lays all buffers out in the workspace; false when out of memory. */
bool aei_workspace_place(aei_plan *plan);

static inline void *aei_at(const aei_run *run, int32_t buffer)
{
    return run->block + run->plan->buffers[buffer].offset;
}

static inline const aei_step *aei_from(const aei_run *run, const aei_step *step, uint32_t slot)
{
    return &run->plan->steps[step->node->from[slot]];
}

/* Where the operator writes: the value, or what the activation reads to make it. */
static inline void *aei_target(const aei_run *run, const aei_step *step)
{
    return aei_at(run, step->split_act ? step->pre : step->value);
}

/* engine.c */
dnnl_engine_t aei_engine(void);
/* The run's memory handle `which` of this step, bound to data. */
dnnl_memory_t aei_memory(aei_run *run, const aei_step *step, int which,
                         const dnnl_memory_desc_t *md, void *data);
/* Executes, latching the first failure in run->status. */
void aei_execute(aei_run *run, dnnl_primitive_t prim, int n, const dnnl_exec_arg_t *args);
/* Weights from one layout to another. *pad becomes what the most demanding of those made with it
 * needs, which lies at pad_offset of the scratch when one is executed, outside any run. */
bool aei_reorder_create(const dnnl_memory_desc_t *from, const dnnl_memory_desc_t *to,
                        dnnl_memory_desc_t *pad, dnnl_primitive_t *out);
void aei_reorder(const aei_weights *w, dnnl_primitive_t prim, const dnnl_memory_desc_t *from_md,
                 void *from, const dnnl_memory_desc_t *to_md, void *to,
                 const dnnl_memory_desc_t *pad, size_t pad_offset);

static inline void *aei_value(const aei_run *run, const aei_step *step)
{
    return aei_at(run, step->value);
}

static inline void *aei_grad(const aei_run *run, const aei_step *step)
{
    return aei_at(run, step->grad);
}

static inline const float *aei_param(const aei_weights *w, const aei_step *step, uint32_t which)
{
    return w->flat + w->plan->params[step->param[which]].offset;
}

#define ROW(number, name, ...) extern const aei_operator aei_op_##name;
AEI_OPS(ROW)
#undef ROW

/* op_conv.c */
/* The `chunk` pixels of a gate from `first` on. */
const void *aei_conv_chunk(aei_run *run, const aei_weights *weights, const aei_step *step,
                           size_t first);

/* act.c: the activation of a step, applied in place to its value, and its derivative, applied in
 * place to its gradient. */
ae_status aei_act_plan(aei_plan *plan, aei_step *step, ae_error *err);
void aei_act_forward(aei_run *run, const aei_step *step);
void aei_act_backward(aei_run *run, const aei_step *step);
/* oneDNN's kind of an activation and its parameters. */
dnnl_alg_kind_t aei_act_kind(ae_act act, float slope, float *alpha, float *beta);

/* kernels.c: loops over n elements of `element` bytes each. */
void aei_to_f32(const void *from, uint32_t element, float *to, size_t n);
void aei_from_f32(const float *from, void *to, uint32_t element, size_t n);
void aei_add_to(void *to, const void *from, uint32_t element, size_t n);
/* a * b + add; add: NULL or the same block as `to`, or apart from it. */
void aei_multiply(void *to, const void *a, const void *b, const void *add, uint32_t element,
                  size_t n);
/* to = grad * value * (1 - value), and times `other` where given. */
void aei_sigmoid_backward(void *to, const void *grad, const void *value, const void *other,
                          uint32_t element, size_t n);
/* to = grad, and times `other` where given, where value lies between 0 and 1. */
void aei_clip_backward(void *to, const void *grad, const void *value, const void *other,
                       uint32_t element, size_t n);
void aei_relu_backward(void *grad, const void *value, uint32_t element, float slope, size_t n);
/* Adds `row` to each of the rows of n elements; their sum. */
void aei_add_row(void *to, const float *row, uint32_t element, size_t rows, size_t n);
void aei_sum_rows(const void *from, uint32_t element, size_t rows, size_t n, float *sum);

#endif
