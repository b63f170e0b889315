/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What oneDNN makes of this CPU, which decides whether bf16 serves and is told in reports.
 * ONEDNN_MAX_CPU_ISA lowers it, as tests do to go through every set of instructions. */
#include <dnnl.h>

#include "ae/model.h"

ae_precision ae_precision_resolve(ae_precision wanted)
{
    bool has_bf16 = dnnl_get_effective_cpu_isa() >= dnnl_cpu_isa_avx512_core_bf16;

    return wanted == AE_PRECISION_F32 || !has_bf16 ? AE_PRECISION_F32 : AE_PRECISION_BF16;
}

const char *ae_cpu_isa(void)
{
    switch (dnnl_get_effective_cpu_isa()) {
    case dnnl_cpu_isa_sse41: return "SSE4.1";
    case dnnl_cpu_isa_avx: return "AVX";
    case dnnl_cpu_isa_avx2: return "AVX2";
    case dnnl_cpu_isa_avx2_vnni: return "AVX2 VNNI";
    case dnnl_cpu_isa_avx512_core: return "AVX-512";
    case dnnl_cpu_isa_avx512_core_vnni: return "AVX-512 VNNI";
    case dnnl_cpu_isa_avx512_core_bf16: return "AVX-512 BF16";
    case dnnl_cpu_isa_avx512_core_amx: return "AMX";
    default: return "generic";
    }
}
