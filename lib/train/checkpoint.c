/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Writes everything that a run goes on from into one file beside the old one, which it then takes
 * the place of, and reads it back only where hash, key and sizes are those of the run. */
#include "train/checkpoint.h"
#include "core/replace.h"
#include "model/file.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#define MAGIC UINT64_C(0x3154504b43454189) /* "\x89" "AECKPT1" where little-endian */

enum { /* words of the header */
       W_MAGIC,
       W_RECIPE,
       W_SEED,
       W_STEPS,
       W_PRECISION,
       W_NOISY_ONLY,
       W_CACHE,
       W_DATA,
       W_FLOATS,
       W_UPDATES,
       W_STEP,
       W_FAULTS,
       W_STALE,
       W_SCORE,
       W_BEST_SCORE,
       W_SECONDS,
       W_HAS_BEST,
       W_POINTS,
       N_WORDS
};

static uint64_t from_double(double x)
{
    uint64_t u;

    memcpy(&u, &x, sizeof(u));
    return u;
}

static double to_double(uint64_t u)
{
    double x;

    memcpy(&x, &u, sizeof(x));
    return x;
}

/* Bytes between header and hash. */
static size_t body_bytes(const aei_state *state, uint64_t n_floats, bool has_best,
                         uint64_t n_points)
{
    return (4 + has_best) * n_floats * sizeof(float) + n_points * sizeof(aei_point) +
           state->n_skipped * sizeof(*state->skipped);
}

ae_status aei_checkpoint_save(const char *path, const aei_run_key *key, const aei_state *state,
                              const aei_progress *p, ae_error *err)
{
    uint64_t head[N_WORDS] = {MAGIC,
                              key->recipe,
                              key->seed,
                              key->steps,
                              key->precision,
                              key->noisy_only,
                              key->cache_bytes,
                              key->data,
                              state->n_floats,
                              state->n_updates,
                              p->step,
                              p->faults,
                              p->stale,
                              from_double(p->score),
                              from_double(p->best_score),
                              from_double(p->seconds),
                              p->has_best,
                              p->n_points};
    size_t bytes = sizeof(head) + body_bytes(state, state->n_floats, p->has_best, p->n_points);
    size_t floats = state->n_floats * sizeof(float);
    uint8_t *all = ae_alloc(bytes + 8, 1), *at = all + sizeof(head);
    aei_replace file;
    uint64_t hash;
    ae_status st;

    if (!all)
        return ae_fail(err, AE_ERR_NOMEM, "%s: checkpoint of %zu bytes", path, bytes);
    memcpy(all, head, sizeof(head));
    memcpy(at, state->value, 4 * floats);
    at += 4 * floats;
    if (p->has_best) {
        memcpy(at, p->best, floats);
        at += floats;
    }
    if (state->n_skipped)
        memcpy(at, state->skipped, state->n_skipped * sizeof(*state->skipped));
    at += state->n_skipped * sizeof(*state->skipped);
    memcpy(at, p->points, p->n_points * sizeof(aei_point));
    hash = XXH3_64bits(all, bytes);
    memcpy(all + bytes, &hash, sizeof(hash));
    if ((st = aei_replace_open(path, &file, err)) == AE_OK) {
        fwrite(all, 1, bytes + 8, file.file);
        st = aei_replace_commit(&file, err);
    }
    ae_free(all);
    return st;
}

ae_status aei_checkpoint_mismatch(const char *path, const char *what, ae_error *err)
{
    return ae_fail(err, AE_ERR_MISMATCH,
                   "%s: this checkpoint was made with another %s; repeat that command to resume, "
                   "or delete the file to begin anew",
                   path, what);
}

/* The words must be those of this run. */
static ae_status check_key(const char *path, const uint64_t *head, const aei_run_key *key,
                           ae_error *err)
{
    static const char *const what[] = {"recipe",
                                       "seed",
                                       "number of steps or schedule",
                                       "precision",
                                       "kind of data (noisy-only)",
                                       "cache size"};
    const uint64_t mine[] = {key->recipe,    key->seed,       key->steps,
                             key->precision, key->noisy_only, key->cache_bytes};

    for (int i = 0; i < 6; i++)
        if (head[W_RECIPE + i] != mine[i])
            return aei_checkpoint_mismatch(path, what[i], err);
    return AE_OK;
}

static ae_status check_contents(const char *path, const uint8_t *all, size_t bytes,
                                const aei_run_key *key, const aei_state *state,
                                const aei_progress *p, uint64_t *head, ae_error *err)
{
    uint64_t hash;
    ae_status st;

    if (bytes < 8 || memcmp(all, &(uint64_t){MAGIC}, 8))
        return ae_fail(err, AE_ERR_MALFORMED,
                       "%s: not a checkpoint of this version; name another file or delete it",
                       path);
    if (bytes < N_WORDS * 8 + 8)
        return ae_fail(err, AE_ERR_MALFORMED, "%s: truncated checkpoint; delete it to begin anew",
                       path);
    memcpy(&hash, all + bytes - 8, 8);
    if (hash != XXH3_64bits(all, bytes - 8))
        return ae_fail(err, AE_ERR_CHECKSUM,
                       "%s: damaged checkpoint (checksum differs); delete it to begin anew", path);
    memcpy(head, all, N_WORDS * 8);
    if ((st = check_key(path, head, key, err)) != AE_OK)
        return st;
    if (head[W_FLOATS] != state->n_floats || head[W_HAS_BEST] > (p->best != NULL) ||
        head[W_POINTS] > AEI_CURVE_MAX ||
        bytes !=
            N_WORDS * 8 + 8 + body_bytes(state, head[W_FLOATS], head[W_HAS_BEST], head[W_POINTS]))
        return ae_fail(err, AE_ERR_MALFORMED,
                       "%s: checkpoint of impossible size; delete it to begin anew", path);
    return AE_OK;
}

ae_status aei_checkpoint_load(const char *path, aei_run_key *key, aei_state *state, aei_progress *p,
                              bool *found, ae_error *err)
{
    size_t bytes, floats = state->n_floats * sizeof(float);
    uint64_t head[N_WORDS];
    uint8_t *all, *at;
    ae_status st;

    *found = false;
    if (access(path, F_OK) && errno == ENOENT)
        return AE_OK;
    if ((st = aei_file_read(path, UINT64_MAX, &all, &bytes, err)) != AE_OK)
        return aei_file_blame(path, st, err);
    if ((st = check_contents(path, all, bytes, key, state, p, head, err)) == AE_OK) {
        at = all + sizeof(head);
        memcpy(state->value, at, 4 * floats);
        at += 4 * floats;
        if (head[W_HAS_BEST]) {
            memcpy(p->best, at, floats);
            at += floats;
        }
        if (state->n_skipped)
            memcpy(state->skipped, at, state->n_skipped * sizeof(*state->skipped));
        at += state->n_skipped * sizeof(*state->skipped);
        memcpy(p->points, at, head[W_POINTS] * sizeof(aei_point));
        key->data = head[W_DATA];
        state->n_updates = head[W_UPDATES];
        p->step = head[W_STEP];
        p->faults = head[W_FAULTS];
        p->stale = head[W_STALE];
        p->score = to_double(head[W_SCORE]);
        p->best_score = to_double(head[W_BEST_SCORE]);
        p->seconds = to_double(head[W_SECONDS]);
        p->has_best = head[W_HAS_BEST] != 0;
        p->n_points = (uint32_t)head[W_POINTS];
        *found = true;
    }
    ae_free(all);
    return st;
}
