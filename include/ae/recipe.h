/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Recipes: everything needed to make a model again, from one YAML file. The grammar is
 * doc/recipe.md; the same files are read by models/torch. Parsed recipes are plain data; unknown
 * keys and impossible values are errors naming line and key. */
#ifndef AE_RECIPE_H
#define AE_RECIPE_H

#include "ae/graph.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
    AE_MAX_NETWORKS = 8,
    AE_MAX_TERMS = 16,
    AE_MAX_PHASES = 16,
    AE_MAX_TRAINED = 16,
    AE_MAX_LISTED = 8 /* corruptions, filters */
};

typedef enum ae_task {
    AE_TASK_AUTOENCODE = 1, /* output = reconstruction of the clean input */
    /* output + image = the clean picture (residual learning) where `residual`, else the clean
     * picture */
    AE_TASK_DENOISE = 2,
    AE_TASK_SUPERRES = 3, /* output + bicubic enlargement = the picture at `scale` times the size */
    /* first output = reconstruction, the others are `bits` nodes (doc/codec.md) */
    AE_TASK_COMPRESS = 4
} ae_task;

/* What an input node of the first network is fed with, by its name. */
#define AE_INPUT_IMAGE "image" /* the picture, 1.0 = white */
/* noise deviation at each pixel, 1.0 = white: one channel, or luminance and chroma; or how much of
 * the corruption to remove, where the recipe has a `strength` */
#define AE_INPUT_LEVEL "level"
/* sound: where a band stands, from -1 for the lowest to 1 for the highest */
#define AE_INPUT_PLACE "place"
#define AE_INPUT_QUALITY "quality" /* COMPRESS: 1 x 1 x 1, 0 the lowest, 1 the highest */

typedef struct ae_network {
    char name[AE_NAME_MAX];
    ae_graph graph;
    /* of each input: the layer of a network before that feeds it, or "" */
    char from[AE_MAX_FROM][AE_NAME_MAX];
} ae_network;

typedef enum ae_corrupt {
    AE_CORRUPT_GAUSSIAN = 1, /* white noise, deviation drawn from [min, max], 0..255 scale */
    /* Poisson-Gaussian on the mosaic through demosaicking, white balance, tone curve, smoothing and
     * JPEG; deviation of the luminance in the result about [min, max] */
    AE_CORRUPT_CAMERA = 2,
    AE_CORRUPT_SALT_PEPPER = 3, /* fraction of pixels in [min, max] */
    AE_CORRUPT_MASK = 4,        /* fraction of pixels in [min, max] set to 0 */
    AE_CORRUPT_JPEG = 5,        /* quality in [min, max] */
    /* moved, turned, scaled and sheared: displacements of a deviation in [min, max], in pixels */
    AE_CORRUPT_WARP = 6
} ae_corrupt;

/* Resampling, widened where the picture shrinks. */
typedef enum ae_filter {
    AE_BICUBIC = 1,
    AE_LANCZOS = 2 /* three lobes */,
    AE_AREA = 3,
    AE_BILINEAR = 4
} ae_filter;

typedef struct ae_corruption {
    ae_corrupt kind;
    float min, max;
    float probability; /* of being applied to a sample; default 1 */
    /* the level told to the network is the true one times a draw from here; default 1, 1 */
    float jitter_min, jitter_max;
} ae_corruption;

typedef enum ae_loss_kind {
    AE_LOSS_MSE = 1,
    AE_LOSS_L1 = 2,
    AE_LOSS_CHARBONNIER = 3 /* epsilon 1e-3 */,
    AE_LOSS_BCE = 4 /* targets in 0..1, outputs are probabilities */,
    AE_LOSS_TV = 5 /* total variation */,
    AE_LOSS_PERCEPTUAL = 6 /* L1 between features of `model` */,
    /* COMPRESS, alone: lambda * 255^2 * mean square error + bits / pixel */
    AE_LOSS_RATE_DISTORTION = 7,
    AE_LOSS_LUMA = 8 /* charbonnier of the luma (BT.601) of pictures in colour */,
    AE_LOSS_PSNR = 9 /* 10 log10(1 + 255^2 * mean square error) of each sample */,
    /* from logits, over the channels of each pixel, of the target's probabilities or of the class
     * that its one channel numbers; classes that are not there (-1) do not count */
    AE_LOSS_CROSS_ENTROPY = 10,
    /* Kullback-Leibler divergence of mean activation from `rho` (Ng 2011) */
    AE_LOSS_KL_SPARSE = 11,
    /* that of the normal of mean `on`, log variance `logvar` from the unit one: summed over a
     * sample, mean over samples (Kingma and Welling 2014) */
    AE_LOSS_KL_NORMAL = 12,
    /* squared Jacobian of the dense layer `on` by its input: summed over a sample, mean over
     * samples (Rifai et al. 2011) */
    AE_LOSS_JACOBIAN = 13,
    /* cross-entropy of network `by`, which tells unit normal draws from codes (Makhzani et al.
     * 2015) */
    AE_LOSS_ADVERSARY = 14,
    AE_LOSS_HUBER = 15 /* half the square of errors up to 1, beyond that linear (Huber 1964) */
} ae_loss_kind;

/* What a term holds its layer against. */
typedef enum ae_against {
    AE_AGAINST_TARGET = 0, /* the clean sample */
    AE_AGAINST_LABEL = 1,  /* the sample's class, one number */
    AE_AGAINST_NUMBER = 2, /* `number` everywhere */
    AE_AGAINST_LAYER = 3   /* the values of layer `to`, which get no gradient */
} ae_against;

typedef struct ae_term {
    ae_loss_kind kind;
    char name[AE_NAME_MAX]; /* for phases and logs; the kind unless given */
    /* layer of the first network, or NETWORK.LAYER; "": the prediction, or with `on_weights` all
     * parameters that decay */
    char on[AE_NAME_MAX];
    bool on_weights; /* MSE and L1, against 0 */
    ae_against against;
    char to[AE_NAME_MAX];
    float number;
    char mask[AE_NAME_MAX]; /* layer of one channel: weight of each pixel; "": none */
    float weight;
    bool sum;        /* over a sample, instead of the mean */
    uint64_t warmup; /* steps of its phase in which the weight rises from 0 */
    char model[128]; /* PERCEPTUAL: the model whose tap `node` gives the features */
    char node[AE_NAME_MAX];
    float lambda_min, lambda_max; /* RATE_DISTORTION: at quality 0 and 1; geometric between */
    float rho;                    /* KL_SPARSE */
    char logvar[AE_NAME_MAX];     /* KL_NORMAL */
    char by[AE_NAME_MAX];         /* ADVERSARY: a network of one input and one logit */
    bool fool; /* ADVERSARY: that codes be taken for draws, without which they shall be told */
} ae_term;

/* Phases follow one another; those of `every` that stand side by side take turns, each for so many
 * steps at a time, for as long as their steps together. */
typedef struct ae_phase {
    uint32_t n_trained;                        /* 0: everything */
    char trained[AE_MAX_TRAINED][AE_NAME_MAX]; /* networks, layers or parameters */
    uint32_t terms;                            /* bit i: terms[i] counts */
    uint64_t steps, every;
    float rate, rate_end; /* of its schedule; 0: the recipe's */
} ae_phase;

/* weights; AdamW for the rest */
typedef enum ae_optimizer {
    AE_ADAMW = 1,
    AE_ADAM = 2,
    AE_SGD = 3,
    AE_MUON = 4,
    /* one moment; all move alike, by its sign */
    AE_LION = 5
} ae_optimizer;

/* Recipes of sound: what the network sees of a recording, and how recordings are mixed for training
 * (doc/sound.md). bands 0: the recipe is of pictures. The network's `image` is then time x bands x
 * 1: compressed magnitudes over their running mean; its output is the same of the clean sound. */
typedef struct ae_sound_features {
    float rate;             /* of training, frames a second; bands reach up to half of it */
    float window, hop;      /* seconds */
    uint32_t bands, linear; /* of them, from the lowest, one bin wide */
    float power;            /* of magnitudes */
    float memory;           /* seconds of the running mean */

    float snr_min, snr_max;     /* dB, of speech while there is some, against the noise */
    float level_min, level_max; /* dB below full scale */
    float silent, music;        /* shares of samples: noise alone; music instead of speech */
    /* shares of samples with rooms, random filters, limited bands, changed speed, clipping */
    float rooms, filters, limits, speed, clipped;
    float synthetic, babble; /* shares of the noises that are made up, or made of many voices */
} ae_sound_features;

/* Items are as many numbers as the input has rows, and -1 after the last: successive bytes of a
 * file, 0 to 255; those of a line, as far as they go; or the words of a line, each as a number from
 * 1 to AE_WORDS - 1 that is made of its letters in lower case, so that no list of words is kept and
 * a few words share one. */
typedef enum ae_text {
    AE_TEXT_NONE = 0,
    AE_TEXT_BYTES = 1,
    AE_TEXT_LINES = 2,
    AE_TEXT_WORDS = 3
} ae_text;
enum { AE_WORDS = 8192 };

typedef struct ae_recipe {
    char name[AE_NAME_MAX];
    char about[256];
    ae_task task;
    bool residual;
    /* DENOISE, residual, told a level: so many deviations are the most that changes; 0: none named
     */
    float bound;
    uint32_t scale; /* SUPERRES; else 1 */
    uint32_t n_networks;
    ae_network networks[AE_MAX_NETWORKS]; /* the first is the one the tools run */

    /* data */
    uint32_t crop; /* edge of the training crops; fixed-size networks use their input size */
    /* items are lines of tables, or of so many successive ones as the input has rows, whose columns
     * become so many of deviation 1; 0: they are not */
    uint32_t columns;
    ae_text text;
    bool augment; /* flips and right-angle turns; of tables and text never */
    /* crops are taken from the picture scaled down by a draw from here; default 1, 1 */
    float scale_min, scale_max;
    float grey; /* share of samples made grey (three equal channels); default 0 */
    /* share of samples drawn as synthetic patterns instead of cut from pictures; default 0 */
    float patterns;
    float clean;                /* share of samples left uncorrupted; default 0 */
    float doubt_min, doubt_max; /* deviation told of uncorrupted samples, of 255; default 0, 0 */
    /* the level told follows the brightness as the corruption does; default false: one level a
     * sample */
    bool curve;
    /* 0, 0: none; else the level told is a draw d from here, at most 1, and the target keeps the
     * share 1 - d of the corruption */
    float strength_min, strength_max;
    /* SUPERRES: one is drawn a sample to make the small picture with; default bicubic */
    uint32_t n_filters;
    ae_filter filters[AE_MAX_LISTED];
    uint32_t n_corruptions; /* one is drawn a sample where `one_of`, else all apply in order */
    bool one_of;
    ae_corruption corruptions[AE_MAX_LISTED];

    ae_sound_features sound; /* bands 0: pictures */

    /* objective */
    uint32_t n_terms;
    ae_term terms[AE_MAX_TERMS];
    uint32_t n_phases; /* 0: one of everything */
    ae_phase phases[AE_MAX_PHASES];

    /* optimisation */
    ae_optimizer optimizer;
    float rate, rate_end; /* cosine from rate to rate_end; defaults 1e-3, 1e-6 */
    float beta1, beta2;   /* SGD: beta1 is the momentum */
    float decay;          /* decoupled for AdamW */
    float clip;           /* gradient norm; 0 off; default 1 */
    bool integer;   /* COMPRESS: the decoder's weights are rounded as its integer form holds them */
    float ema;      /* of the weights; 0 off; default 0.999 */
    uint64_t steps; /* with phases: the sum of theirs */
    uint64_t warmup; /* steps */
    uint32_t batch;
    /* the batch is cut into this many for one thread each; results depend on it, not on the threads
     */
    uint32_t shards;
    uint64_t validate_every; /* steps */
    uint32_t patience;       /* validations without improvement before stopping; 0: never */
    float holdout;           /* share of the items kept for validation; default 0.05 */
} ae_recipe;

/* text need not be NUL-terminated. Messages read "NAME: line N: ...", without NAME where `name` is
 * NULL. *out is owned by the caller. All graphs are checked. */
AE_API AE_NODISCARD ae_status ae_recipe_parse(const char *text, size_t n_bytes, const char *name,
                                              ae_recipe **out, ae_error *err);
AE_API AE_NODISCARD ae_status ae_recipe_load(const char *path, const ae_limits *limits,
                                             ae_recipe **out, char **text /* may be NULL;
                                             ae_free */
                                             ,
                                             ae_error *err); /* messages begin with the path */
AE_API void ae_recipe_free(ae_recipe *recipe);

/* Finds the recipe NAME (with or without .yaml) in the places of ae_model_find (ae/model.h), each
 * time also in `recipes` and its `kinds` below the directory or beside it; a file so called, and
 * what has a slash in it, is taken as it is. The error lists which there are. */
AE_API AE_NODISCARD ae_status ae_recipe_find(const char *name, char *path, size_t n_path,
                                             ae_error *err);

/* Calls back with the path of every recipe in those places, in that order, until it returns false.
 */
AE_API void ae_recipe_visit(void *opaque, bool (*visit)(void *opaque, const char *path));

#ifdef __cplusplus
}
#endif
#endif
