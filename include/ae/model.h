/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Models: a recipe, its tensors and its card in one file (.aem, doc/model-format.md), and running
 * them. */
#ifndef AE_MODEL_H
#define AE_MODEL_H

#include "ae/recipe.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum ae_precision {
    AE_PRECISION_AUTO = 0,
    AE_PRECISION_F32 = 1,
    AE_PRECISION_BF16 = 2
} ae_precision;
/* AUTO: bf16 where the CPU computes in it (AVX-512 BF16 or AMX), else f32. BF16 on a CPU without
 * it: F32. */
AE_API ae_precision ae_precision_resolve(ae_precision wanted);
/* "AVX2", "AVX-512", "AMX", ...: what the executor uses here; static storage */
AE_API const char *ae_cpu_isa(void);

/* Weights and description: immutable once opened, shareable between threads; the file is read once.
 */
typedef struct ae_model ae_model;

/* On failure *out is NULL. limits may be NULL. Messages begin with the path. */
AE_API AE_NODISCARD ae_status ae_model_open(const char *path, const ae_limits *limits,
                                            ae_model **out, ae_error *err);
AE_API AE_NODISCARD ae_status ae_model_open_memory(const void *data, size_t n_bytes,
                                                   const ae_limits *limits, ae_model **out,
                                                   ae_error *err); /* data is copied */
AE_API void ae_model_free(ae_model *model);

/* Finds NAME (with or without .aem) in $AE_MODEL_PATH (colon-separated), the user's data directory
 * ($XDG_DATA_HOME/aesuite/models), beside the library and in the directory of the installation;
 * what has a slash in it or is an existing file NAME.aem is taken as it is. On success path holds
 * the file's name; the error lists where it looked and which models there are. */
AE_API AE_NODISCARD ae_status ae_model_find(const char *name, char *path, size_t n_path,
                                            ae_error *err);

/* Calls back with the path of every model file in those places, in that order, until it returns
 * false. */
AE_API void ae_model_visit(void *opaque, bool (*visit)(void *opaque, const char *path));

/* All pointers live as long as the model. */
AE_API const ae_recipe *ae_model_recipe(const ae_model *model);
AE_API const char *ae_model_recipe_text(const ae_model *model); /* YAML, NUL-terminated */
AE_API const ae_graph *ae_model_graph(const ae_model *model);   /* of the recipe's first network */
/* its flat parameters, order of ae_graph_params */
AE_API const float *ae_model_values(const ae_model *model, size_t *n_floats);
/* Those of all networks of its recipe, one after another, as ae_model_parts has them. */
AE_API const float *ae_model_all_values(const ae_model *model, size_t *n_floats);
/* YAML text: data, licences, command, seed, quality */
AE_API const char *ae_model_card(const ae_model *model);
AE_API const void *ae_model_program(const ae_model *model,
                                    /* the decoder program of a codec as it stands in the file;
                                     * NULL: none */
                                    size_t *n_bytes);
/* What the data were like that it was trained on, section NORM of its file (doc/model-format.md);
 * NULL: it does not say. */
AE_API const void *ae_model_normal(const ae_model *model, size_t *n_bytes);
/* What became of the columns of the tables that it was trained on, section COLS; NULL: there were
 * none. */
AE_API const void *ae_model_columns(const ae_model *model, size_t *n_bytes);
/* XXH3-128, doc/model-format.md */
AE_API void ae_model_identity(const ae_model *model, uint8_t identity[16]);

/* What is saved: values must hold the parameters of every network of the recipe, one after another.
 */
typedef struct ae_model_parts {
    const char *recipe_text;
    const char *card; /* YAML text, may be "" */
    const float *values;
    size_t n_floats;
    /* weights of convolutions and dense layers are rounded to 16-bit floats: files of half the size
     */
    bool half;
    const void *program; /* of codecs: the decoder program (ae_export); NULL: none */
    size_t n_program;
    const void *normal; /* section NORM; NULL: none */
    size_t n_normal;
    const void *columns; /* section COLS; NULL: none */
    size_t n_columns;
} ae_model_parts;
/* Written beside `path` and renamed. Values that are not finite, or of another number than the
 * recipe's, are AE_ERR_ARGUMENT. */
AE_API AE_NODISCARD ae_status ae_model_save(const char *path, const ae_model_parts *parts,
                                            ae_error *err);

/* What `aetrain --show` prints: identity, costs, a table of layers and the card. *text: to be freed
 * with ae_free. */
AE_API AE_NODISCARD ae_status ae_model_describe(const ae_model *model, char **text, ae_error *err);

/* A session: one model planned for one shape, with a workspace; one per thread, reusable. Sessions
 * of equal shape and precision made by ae_session_clone share their plan and prepared weights. The
 * model must outlive them. */
typedef struct ae_session ae_session;
AE_API AE_NODISCARD ae_status ae_session_create(const ae_model *model, uint32_t n, uint32_t h,
                                                uint32_t w, ae_precision precision,
                                                ae_session **out, ae_error *err);
/* Any part of the network: encoding, decoding a code, features. `from` names layers whose values
 * are given instead of computed, `to` those whose values are wanted (at most AE_MAX_FROM each;
 * none: the network's inputs, its outputs). Inputs of the network that the part depends on all the
 * same stay inputs. h and w are always those of the network's own first input; what is given has
 * the shape that it has there (ae_session_input_shape). live: height is time. Each run takes the
 * next h rows and goes on where the last one ended, so that a recording gives the same in blocks as
 * in one piece (f32: but for rounding). AE_ERR_UNSUPPORTED where a layer looks ahead; h must be a
 * multiple of the network's strides. Where a last block is shorter, another session takes over with
 * ae_session_continue. */
typedef struct ae_session_options {
    uint32_t n, h, w;
    ae_precision precision;
    const char *const *from;
    uint32_t n_from;
    const char *const *to;
    uint32_t n_to;
    bool live;
} ae_session_options;
AE_API AE_NODISCARD ae_status ae_session_open(const ae_model *model,
                                              const ae_session_options *options, ae_session **out,
                                              /* the names need not outlive the call */
                                              ae_error *err);
/* live: back to the beginning. */
AE_API void ae_session_rewind(ae_session *session);
/* live: `session` goes on where `other` is: both of one model and part, n, w and precision; else
 * AE_ERR_ARGUMENT. */
AE_API AE_NODISCARD ae_status ae_session_continue(ae_session *session, const ae_session *other,
                                                  ae_error *err);
/* A clone of a live session is at the beginning. */
AE_API AE_NODISCARD ae_status ae_session_clone(const ae_session *session, ae_session **out,
                                               ae_error *err);
AE_API void ae_session_free(ae_session *session);
AE_API size_t ae_session_bytes(const ae_session *session); /* workspace of one session */
AE_API uint32_t ae_session_n_inputs(const ae_session *session);
AE_API uint32_t ae_session_n_outputs(const ae_session *session);
/* as long as the session */
AE_API const char *ae_session_input_name(const ae_session *session, uint32_t i);
AE_API ae_shape ae_session_input_shape(const ae_session *session, uint32_t i);
AE_API ae_shape ae_session_output_shape(const ae_session *session, uint32_t i);
/* inputs[i], outputs[i]: dense f32, N x H x W x C; inputs in the order in which they stand in the
 * recipe, outputs likewise or in that of `to`. */
AE_API AE_NODISCARD ae_status ae_session_run(ae_session *session, const float *const *inputs,
                                             float *const *outputs, ae_error *err);

/* Processor seconds that the network alone took, summed over threads, and the pixels of the
 * picture: for measurements. */
typedef struct ae_run_stats {
    double network_seconds, network_pixels;
} ae_run_stats;

#ifdef __cplusplus
}
#endif
#endif
