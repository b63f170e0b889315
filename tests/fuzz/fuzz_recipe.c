/* SPDX-License-Identifier: BSD-2-Clause */
#include "ae/recipe.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    ae_recipe *recipe = NULL;
    ae_error err = {0};
    ae_status st = ae_recipe_parse((const char *)data, n_bytes, "fuzz", &recipe, &err);

    /* a failure has a message and no result */
    if ((st == AE_OK) != (recipe != NULL) || st != err.status || (st != AE_OK && !err.message[0]))
        abort();
    ae_recipe_free(recipe);
    return 0;
}
