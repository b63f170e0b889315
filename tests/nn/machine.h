/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The executor, planned and with buffers, for tests. Whatever fails fails the test, naming the
 * case. */
#ifndef TEST_MACHINE_H
#define TEST_MACHINE_H

#include "netspec.h"
#include "nn/exec.h"

enum { MACHINE_OUTPUTS = AE_MAX_FROM + 4 };

extern const char *running; /* the case that messages speak of */

/* Dense f32 buffers with a guard behind, filled with NaN so that nothing missed passes for written.
 */
float *machine_buffer(size_t n);
float *machine_floats(const double *from, size_t n);
void machine_buffer_free(float *b, size_t n); /* checks the guard */

/* One network planned, with everything that its calls read and write. */
typedef struct machine {
    aei_plan *plan;
    aei_weights *weights;
    aei_run *run;
    uint32_t n_inputs, n_outputs;
    float *inputs[AE_MAX_FROM], *d_inputs[AE_MAX_FROM], *outputs[MACHINE_OUTPUTS];
    size_t in_count[AE_MAX_FROM], out_count[MACHINE_OUTPUTS], n_floats;
    float *flat, *gradient, *native; /* gradient: collected */
    size_t n_native;
} machine;

machine machine_make(const ae_graph *graph, const aei_plan_config *config, const double *flat);
void machine_free(machine *m);
void machine_forward(machine *m, uint64_t seed);
void machine_backward(machine *m, const float *const *d_outputs, bool d_inputs);

/* The error of one tensor, infinite where a value is not finite: the largest over the largest
 * magnitude or, `mean_square`, root mean square over root mean square. `floor`: the least magnitude
 * that errors are compared with. */
double machine_error(const float *found, const double *expected, size_t n, bool mean_square,
                     double floor);

#endif
