/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The table of operators, from the rows of ops.h: whoever reads recipes, checks, describes or runs
 * graphs looks up here, and so they cannot disagree. */
#include "nn/ops.h"

#define ROW(number, op, ...) [AE_OP_##number] = {.name = #op, __VA_ARGS__},
static const aei_op_info table[] = {AEI_OPS(ROW)};
#undef ROW

const aei_op_info *aei_op_info_of(ae_op op)
{
    return (size_t)op < sizeof(table) / sizeof(*table) && table[op].name ? &table[op] : NULL;
}

const char *ae_op_name(ae_op op)
{
    const aei_op_info *info = aei_op_info_of(op);

    return info ? info->name : "?";
}
