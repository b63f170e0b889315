/* SPDX-License-Identifier: BSD-2-Clause
 *
 * From the elements of an array's tile to numbers that are easily coded, and back. */
#ifndef AEI_ARRAYMAP_H
#define AEI_ARRAYMAP_H

#include "arraymodel.h"
#include "ae/container.h"

enum {
    AEI_MAP_VALUES = 4096, /* of a table */
    AEI_MAP_SAMPLE = 256   /* elements that ways are tried on */
};
enum {
    AEI_MAP_PATTERN = 0,
    AEI_MAP_QUOTIENT = 1,
    AEI_MAP_PRODUCT = 2,
    AEI_MAP_TABLE = 3,
    AEI_N_MAPS = 4
};

/* What coding and decoding work with. */
typedef struct aei_array_coder aei_array_coder;
struct aei_array_coder {
    aei_array_model *model;
    uint64_t *patterns, *numbers;
    uint8_t *odd; /* elements that are told apart */
    uint64_t *table;
    size_t room;
};

/* How the numbers of a tile become elements: base + step * number, by the map. */
typedef struct aei_array_map {
    uint32_t map;
    uint64_t divisor;
    double factor;
    const uint64_t *table;
    uint32_t n_table;
    uint64_t base, step, most; /* most: of the numbers without their low bits */
    uint32_t low;
} aei_array_map;

/* What a type of elements is like. */
typedef struct aei_array_layout {
    uint32_t bytes, mantissa; /* of floats; 0: whole numbers */
    bool sign;
    uint64_t mask; /* largest pattern */
} aei_array_layout;

aei_array_layout aei_element_layout(ae_sample type);
void aei_elements_load(const aei_array_layout *l, const uint8_t *elements, uint64_t *patterns,
                       uint32_t n);
void aei_element_store(const aei_array_layout *l, uint64_t place, uint8_t *element);
/* What a number stands for. */
uint64_t aei_element_of(const aei_array_layout *l, const aei_array_map *m, uint64_t number);
/* Without loss. */
void aei_map_exact(aei_array_coder *c, const aei_array_layout *l, aei_array_map *m, uint32_t n);
/* Within the error: steps of twice its size, or 0 in *step where there is none. */
void aei_map_within(aei_array_coder *c, const aei_array_layout *l, const ae_item *item,
                    aei_array_map *m, uint32_t n, uint64_t *step);
/* From numbers with a range to those that are coded: divided by the step, rounded to nearest, from
 * 0 on. */
void aei_map_reduce(aei_array_coder *c, aei_array_map *m, uint32_t n, uint64_t low, uint64_t high);
/* At most `low`, and so many steps from the place of 0, which then stays what it is. */
uint64_t aei_map_keep_zero(const aei_array_layout *l, uint64_t low, uint64_t step);
/* Elements as they will be decoded; those that may not become that are told apart, too. How many
 * these are. */
uint32_t aei_map_rebuild(aei_array_coder *c, const aei_array_layout *l, const ae_item *item,
                         const aei_array_map *m, uint8_t *elements, uint32_t n);
/* Range and common step of the numbers of what is not odd. */
void aei_map_range(const aei_array_coder *c, uint32_t n, uint64_t *low, uint64_t *high,
                   uint64_t *step);
/* Whether numbers of this range are fewer than the patterns from the least to the largest. */
bool aei_map_is_shorter(const aei_array_coder *c, uint32_t n, uint64_t range);

/* For qsort, of uint64_t. */
static inline int aei_by_size(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

#endif
