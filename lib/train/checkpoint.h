/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Checkpoints: everything from which a run goes on as if it had never stopped.
 *
 * The file holds 64-bit words in the machine's own byte order: magic and version, the key, the
 * progress; then the arrays of floats; then, of recipes with phases, how often each parameter was
 * skipped; then the curve; then the XXH3-64 of all before. It belongs to one run on one machine and
 * is no format for exchange. */
#ifndef AEI_CHECKPOINT_H
#define AEI_CHECKPOINT_H

#include "train/trainer.h"

enum { AEI_CURVE_MAX = 1024 };

/* One point of the curves. score is NaN where no validation took place. */
typedef struct aei_point {
    double step, loss, rate, score;
} aei_point;

/* What must be equal for a resumed run to be the same run. `data` is known only once the loader
 * runs, which needs the step: loading does not compare it but reports it. */
typedef struct aei_run_key {
    uint64_t recipe, data, seed, steps, precision, noisy_only, cache_bytes;
} aei_run_key;

/* Where a run stands. */
typedef struct aei_progress {
    uint64_t step;            /* the next one */
    uint64_t faults;          /* steps skipped in a row */
    uint64_t stale;           /* validations since the best */
    double score, best_score; /* NaN before the first validation */
    double seconds;           /* of all sessions */
    bool has_best;            /* `best` holds the best parameters */
    float *best;              /* n_floats; NULL unless the recipe stops early */
    uint32_t n_points;
    aei_point points[AEI_CURVE_MAX];
} aei_progress;

ae_status aei_checkpoint_save(const char *path, const aei_run_key *key, const aei_state *state,
                              const aei_progress *progress, ae_error *err);
/* The error for a checkpoint made with another `what`. */
ae_status aei_checkpoint_mismatch(const char *path, const char *what, ae_error *err);
/* *found: false, and nothing changed, where there is no such file. Damaged: AE_ERR_CHECKSUM or
 * AE_ERR_MALFORMED; of another run: AE_ERR_MISMATCH; the messages say what to do. State and
 * progress are written only on success. */
ae_status aei_checkpoint_load(const char *path, aei_run_key *key, aei_state *state,
                              aei_progress *progress, bool *found, ae_error *err);

#endif
