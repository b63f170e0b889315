/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Arrays in words, for listings and records: types as NumPy names them, shapes as they are said. */
#include "common/arrays.h"

#include <stdio.h>
#include <string.h>

const char *array_type(ae_sample sample)
{
    static const char *const names[] = {
        [AE_U8] = "u8",   [AE_U16] = "u16", [AE_S16] = "i16", [AE_S24] = "i24",   [AE_S32] = "i32",
        [AE_F32] = "f32", [AE_F64] = "f64", [AE_S8] = "i8",   [AE_BOOL] = "bool", [AE_U32] = "u32",
        [AE_S64] = "i64", [AE_U64] = "u64", [AE_F16] = "f16"};

    return names[sample];
}

const char *array_shape(const ae_signal_info *info, char text[ARRAY_TEXT])
{
    int n = snprintf(text, ARRAY_TEXT, "%llu", (unsigned long long)info->height);

    for (uint32_t i = 0; i < info->rank; i++)
        n += snprintf(text + n, ARRAY_TEXT - (size_t)n, " x %u", info->dims[i]);
    return text;
}

const char *array_coding(const ae_item *item, char text[ARRAY_TEXT])
{
    snprintf(text, ARRAY_TEXT, item->quality ? "within %g%s" : "lossless", item->error,
             item->quality == AE_ARRAY_RELATIVE ? " of each" : "");
    return text;
}

void array_describe(const ae_item *item, cli_json *json)
{
    double shape[AE_MAX_RANK + 1] = {(double)item->info.height};

    for (uint32_t i = 0; i < item->info.rank; i++)
        shape[i + 1] = item->info.dims[i];
    cli_json_numbers(json, "shape", shape, item->info.rank + 1);
    cli_json_string(json, "type", array_type(item->info.sample));
    if (item->quality)
        cli_json_number(json,
                        item->quality == AE_ARRAY_RELATIVE ? "max_relative_error" : "max_error",
                        item->error);
}
