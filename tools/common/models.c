/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Models as command lines name them: by a name that is looked for where models lie, or by a path. A
 * picture in the place of a model comes of misreading what -m is for, which the error says. */
#include "common/models.h"

#include <string.h>

#include "ae/files.h"

ae_status cli_model_open(const char *name, ae_model **out, ae_error *err)
{
    char path[4096];
    size_t n = strlen(name);
    ae_error inner;
    const char *why = inner.message;
    ae_status st;

    if ((st = ae_model_find(name, path, sizeof(path), &inner)) == AE_OK &&
        (st = ae_model_open(path, NULL, out, &inner)) == AE_OK)
        return AE_OK;
    if (ae_codec_for_path(name))
        return ae_fail(err, st, "not a model but an input, by its name; inputs stand without -m");
    if (strncmp(why, name, n) == 0 && strncmp(why + n, ": ", 2) == 0)
        why += n + 2;
    return ae_fail(err, st, "%s", why);
}
