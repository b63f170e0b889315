/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The executor: runs a graph forward and backward over oneDNN.
 *
 *   plan     primitives, weight layouts and one workspace layout for fixed shapes; immutable,
 *            shared between threads
 *   weights  the parameters prepared for a plan (compute type, kernel layout); written between
 *            steps, else shared read-only
 *   run      one thread's workspace
 *
 * Activations are N x H x W x Cp, channels last with Cp = C rounded up to 16 where that pays, in
 * f32 or bf16. oneDNN's own choice of layout was measured no faster (doc/executor.md). Every
 * primitive is single-threaded: threads take shards or tiles, so that results do not depend on
 * their number. Nothing allocates after creation.
 *
 * Inference gives a pixel the same bytes in every batch and in every tile that holds its
 * surroundings (ae_graph_field), unless the network has dense layers, grouped convolutions other
 * than depthwise, or transposed ones other than with kernel = stride, no padding, no groups and no
 * residual sum: for those oneDNN's order of summation depends on the place. */
#ifndef AEI_EXEC_H
#define AEI_EXEC_H

#include "ae/graph.h"
#include "ae/model.h"

typedef struct aei_plan aei_plan;
typedef struct aei_weights aei_weights;
typedef struct aei_run aei_run;

typedef struct aei_plan_config {
    uint32_t n, h, w;
    ae_precision precision; /* resolved: AE_PRECISION_F32 or AE_PRECISION_BF16 */
    /* keep activations, build backward primitives, use batch statistics and random nodes */
    bool train;
    bool input_gradients; /* backward also delivers gradients of the inputs */
    /* further nodes whose values are wanted and whose gradients may be injected (penalties) */
    const uint32_t *taps;
    uint32_t n_taps; /* they follow the graph's outputs in every outputs[] array */
    /* at inference, without taps: pixels of the input, whole strides, around what is wanted;
     * outputs come * without them, and layers compute no more of them than the outputs need */
    uint32_t trim;
    /* at inference: height is time, and each run goes on where the last one ended; what looks ahead
     * is * refused */
    bool live;
    bool draws; /* at inference: gaussian nodes draw in runs whose seed is not 0 */
    /* with train and input_gradients, for decoded latents: no gradients of parameters, no noise in
     * bits, and no * gradient of bits by a latent itself whose mean was predicted, only by what is
     * predicted */
    bool refine;
} aei_plan_config;

/* The graph must outlive the plan. */
ae_status aei_plan_create(const ae_graph *graph, const aei_plan_config *config, aei_plan **out,
                          ae_error *err);
void aei_plan_free(aei_plan *plan);
uint32_t aei_plan_n_inputs(const aei_plan *plan);
uint32_t aei_plan_n_outputs(const aei_plan *plan); /* graph outputs, then taps */
ae_shape aei_plan_input_shape(const aei_plan *plan, uint32_t i);
ae_shape aei_plan_output_shape(const aei_plan *plan, uint32_t i);
size_t aei_plan_workspace(const aei_plan *plan); /* bytes of one run */
/* live: bytes that one run keeps for the next; does not depend on h */
size_t aei_plan_state(const aei_plan *plan);
/* live: whether one's state is the other's */
bool aei_plan_continues(const aei_plan *plan, const aei_plan *other);
size_t aei_plan_n_floats(const aei_plan *plan); /* of the flat parameter array */

ae_status aei_weights_create(const aei_plan *plan, aei_weights **out, ae_error *err);
void aei_weights_free(aei_weights *weights);
void aei_weights_set(aei_weights *weights, const float *flat); /* flat: order of ae_graph_params */
/* The same in parts, which may be done by several threads at a time; likewise
 * aei_weights_collect_part below. */
uint32_t aei_weights_parts(const aei_weights *weights);
void aei_weights_set_part(aei_weights *weights, const float *flat, uint32_t part);

ae_status aei_run_create(const aei_plan *plan, aei_run **out, ae_error *err);
void aei_run_free(aei_run *run);
/* live: what is kept, aei_plan_state bytes; all zeros is the beginning. */
void *aei_run_state(aei_run *run);

/* inputs[i]: N x H x W x C dense f32, in the order of the graph's input nodes; outputs likewise
 * (NULL: not wanted). seed feeds the random nodes. */
ae_status aei_run_forward(aei_run *run, const aei_weights *weights, const float *const *inputs,
                          float *const *outputs, uint64_t seed, ae_error *err);
/* Once after each aei_run_forward on a training plan: it overwrites the activations. d_outputs[i]:
 * gradient of the loss by output i (NULL: zero). native: receives the gradient of all parameters in
 * the kernels' own layouts, aei_plan_native_floats, 64-byte aligned; gradients of several runs may
 * be added up before they are collected, once; NULL: not wanted. d_inputs: NULL unless
 * input_gradients. */
ae_status aei_run_backward(aei_run *run, const aei_weights *weights, const float *const *d_outputs,
                           float *native, float *const *d_inputs, ae_error *err);
/* Backward computes what these parameters' gradients need, by their numbers in ae_graph_params, and
 * leaves the others' undefined, and those of inputs; NULL: all. Read at each backward. */
void aei_run_trains(aei_run *run, const bool *trains);
size_t aei_plan_native_floats(const aei_plan *plan);
/* A native gradient as a flat one, overwritten. Entries that are not trainable receive the sum of
 * the runs' batch statistics (batch normalisation's mean and biased variance, of the first node
 * where several share them). */
void aei_weights_collect(aei_weights *weights, float *native, float *flat);
void aei_weights_collect_part(aei_weights *weights, float *native, float *flat, uint32_t part);

/* Seconds of processor time that the convolution, deconvolution and dense primitives of this plan
 * take, each timed alone, one thread, the least of `repeats` times: forward, backward by data and
 * backward by weights summed (the latter two 0 without train). `operations` receives their
 * floating-point operations. */
ae_status aei_plan_bench(const aei_plan *plan, int repeats, double *seconds, double *operations,
                         ae_error *err);

/* The calling thread's oneDNN primitives use one thread from now on. Every thread that creates
 * plans or runs calls it; the functions above do so themselves. */
void aei_single_threaded(void);

#endif
