/* SPDX-License-Identifier: BSD-2-Clause */
#include "model/format.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

static void try_open(const uint8_t *data, size_t n_bytes)
{
    ae_model *model = NULL;
    ae_error err = {0};
    ae_status st = ae_model_open_memory(data, n_bytes, NULL, &model, &err);
    char *text;

    if ((st == AE_OK) != (model != NULL) || st != err.status || (st != AE_OK && !err.message[0]))
        abort();
    if (st == AE_OK) {
        size_t n_floats;
        const float *values = ae_model_values(model, &n_floats);

        for (size_t i = 0; i < n_floats; i++)
            if (!isfinite(values[i]))
                abort();
        if (ae_model_describe(model, &text, NULL) == AE_OK)
            ae_free(text);
    }
    ae_model_free(model);
}

/* Once as it is, once with the size and the checksum put right, which no mutation would find. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    uint8_t *sealed;

    try_open(data, n_bytes);
    if (n_bytes < AEI_AEM_HEADER || !(sealed = malloc(n_bytes)))
        return 0;
    memcpy(sealed, data, n_bytes);
    memcpy(sealed, aei_aem_magic, 8);
    aei_store64(sealed + 16, n_bytes);
    aei_aem_checksum(sealed, n_bytes, sealed + AEI_AEM_CHECKSUM);
    try_open(sealed, n_bytes);
    free(sealed);
    return 0;
}
