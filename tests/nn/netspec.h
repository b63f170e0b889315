/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Networks for tests as one line of text, with random values to put into them.
 *
 *   "input c=3; conv c=16 k=3x5 s=2 act=relu; add from=1,2; outputs from=1,3"
 *
 * Statements make nodes 0, 1, ...; each reads the one before unless `from=` lists others. Keys: c
 * (output channels), k, s, d, p (kernel, stride, dilation, pad; N or NxM), g (groups), f (factor),
 * first, h, w, v (value), act, slope, add (node), bias, param (node to share with), causal,
 * transposed, parity, init (numbers). Defaults are those of recipes. `outputs` ends the list;
 * without it the last node is the output. */
#ifndef TEST_NETSPEC_H
#define TEST_NETSPEC_H

#include "nn/reference.h"

typedef struct net_case {
    const char *name, *spec;
    uint32_t h, w;
} net_case;

/* Every operator, activation and combination: those that are written down, and one for each row of
 * the tables of activations and of operators that read one node and need nothing. Ends with a NULL
 * name. */
const net_case *net_all_cases(void);

/* checked; fails the test when it is wrong. Freed with ae_graph_free. */
ae_graph net_graph(const char *spec);

/* A network with values: what both the reference and the executor are run on. */
typedef struct net {
    ae_graph graph;
    ae_param *params;
    uint32_t n_params, n_inputs;
    size_t n_floats;
    aei_ref *ref;
    double *flat, *gradient;
    double *inputs[AE_MAX_FROM];
    double **d_values; /* n_nodes: random for outputs, else NULL */
    uint64_t seed;
} test_net;

enum { NET_ROUND_BF16 = 1 }; /* parameters and inputs are exact in bf16 */

/* Random values; redrawn until no value lies close to a kink (relu, max pooling, round), so that a
 * rounding error cannot turn into another derivative. Leaves the reference forward and backward in
 * training mode done. */
test_net net_make(const char *spec, uint32_t n, uint32_t h, uint32_t w, uint64_t seed, int flags);
void net_free(test_net *net);
bool net_has(const ae_graph *graph, ae_op op);
bool net_is_random(const ae_graph *graph); /* training differs from inference */

#endif
