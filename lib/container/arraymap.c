/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The numbers behind elements. Elements are 64-bit patterns in the order of their values; a tile
 * finds what they come from: multiples of a step, decimal or binary fractions, products with a
 * step, or places in a table of all the values that there are. Ways are tried on a sample first;
 * elements that a way does not give back are told apart. */
#include "arraymap.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/half.h"
#include "model/format.h"

enum {
    PLACES = 2 * AEI_MAP_VALUES,
    MOST_DIGITS = 12,
    MIDDLE = 53 /* quotients and products are of numbers from -2^53 on */
};

aei_array_layout aei_element_layout(ae_sample type)
{
    uint32_t bytes = (uint32_t)ae_sample_bytes(type);
    aei_array_layout l = {.bytes = bytes,
                          .mask = type == AE_BOOL ? 1
                                  : bytes == 8    ? UINT64_MAX
                                                  : (1ull << 8 * bytes) - 1};

    l.mantissa = type == AE_F16 ? 10 : type == AE_F32 ? 23 : type == AE_F64 ? 52 : 0;
    l.sign = l.mantissa || type == AE_S8 || type == AE_S16 || type == AE_S32 || type == AE_S64;
    return l;
}

/* ---- elements ---- */

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "port me: elements are taken apart as little-endian");

/* Patterns in the order of the values that they stand for. */
static uint64_t in_order(const aei_array_layout *l, uint64_t pattern)
{
    uint64_t top = (l->mask >> 1) + 1;

    if (!l->sign)
        return pattern;
    return l->mantissa && pattern & top ? l->mask - pattern : pattern ^ top;
}

static uint64_t from_order(const aei_array_layout *l, uint64_t place)
{
    uint64_t top = (l->mask >> 1) + 1;

    if (!l->sign)
        return place;
    return l->mantissa && !(place & top) ? l->mask - place : place ^ top;
}

void aei_elements_load(const aei_array_layout *l, const uint8_t *elements, uint64_t *patterns,
                       uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        patterns[i] = 0;
        memcpy(&patterns[i], elements + (size_t)i * l->bytes, l->bytes);
        patterns[i] = in_order(l, patterns[i]);
    }
}

void aei_element_store(const aei_array_layout *l, uint64_t place, uint8_t *element)
{
    uint64_t pattern = from_order(l, place);

    memcpy(element, &pattern, l->bytes);
}

static double value_of(const aei_array_layout *l, uint64_t place)
{
    uint64_t pattern = from_order(l, place);
    double wide;
    float narrow;

    if (l->bytes == 8) {
        memcpy(&wide, &pattern, 8);
        return wide;
    }
    if (l->bytes == 4) {
        memcpy(&narrow, &pattern, 4);
        return (double)narrow;
    }
    return aei_half_number((uint16_t)pattern);
}

static uint64_t place_of(const aei_array_layout *l, double v)
{
    uint64_t pattern = 0;
    float narrow = (float)v;

    if (l->bytes == 8)
        memcpy(&pattern, &v, 8);
    else if (l->bytes == 4)
        memcpy(&pattern, &narrow, 4);
    else
        pattern = aei_half_of(v);
    return in_order(l, pattern);
}

uint64_t aei_element_of(const aei_array_layout *l, const aei_array_map *m, uint64_t number)
{
    uint64_t v;

    if (__builtin_mul_overflow(number, m->step, &v) || __builtin_add_overflow(v, m->base, &v))
        v = UINT64_MAX;
    switch (m->map) {
    case AEI_MAP_QUOTIENT:
        return place_of(l, (double)(int64_t)(v - (1ull << MIDDLE)) / (double)m->divisor);
    case AEI_MAP_PRODUCT: return place_of(l, (double)(int64_t)(v - (1ull << MIDDLE)) * m->factor);
    case AEI_MAP_TABLE: return m->table[v < m->n_table ? v : m->n_table - 1];
    default: return v < l->mask ? v : l->mask;
    }
}

/* ---- choosing a map ---- */

/* All values, in order; 0: more than a table has. Open addressing in c->numbers, which has room for
 * n. */
static uint32_t collect(aei_array_coder *c, uint32_t n)
{
    uint64_t slots[PLACES];
    uint8_t used[PLACES] = {0};
    uint32_t found = 0;

    for (uint32_t i = 0; i < n; i++) {
        uint64_t v = c->patterns[i], at = v * 0x9e3779b97f4a7c15u >> 51;

        while (used[at % PLACES] && slots[at % PLACES] != v)
            at++;
        if (used[at % PLACES])
            continue;
        if (found == AEI_MAP_VALUES)
            return 0;
        used[at % PLACES] = 1;
        slots[at % PLACES] = c->table[found++] = v;
    }
    qsort(c->table, found, sizeof(*c->table), aei_by_size);
    return found;
}

static uint64_t place_in_table(const uint64_t *table, uint32_t n, uint64_t v)
{
    uint32_t low = 0, high = n;

    while (high - low > 1) {
        uint32_t middle = (low + high) / 2;

        *(table[middle] <= v ? &low : &high) = middle;
    }
    return low;
}

/* The number that v * divisor, or v / factor, is nearest to; false where it is out of range. */
static bool nearest(double v, uint64_t *number)
{
    if (!(fabs(v) < 4503599627370496.0))
        return false;
    *number = (uint64_t)(int64_t)rint(v) + (1ull << MIDDLE);
    return true;
}

static bool is_quotient(const aei_array_layout *l, uint64_t place, uint64_t divisor,
                        uint64_t *number)
{
    aei_array_map m = {.map = AEI_MAP_QUOTIENT, .divisor = divisor, .step = 1};

    return nearest(value_of(l, place) * (double)divisor, number) &&
           aei_element_of(l, &m, *number) == place;
}

/* A divisor by which nearly all elements are quotients of numbers with fewer bits than a mantissa
 * has; 0: none. Powers of ten, then of two. */
static uint64_t find_divisor(const aei_array_layout *l, const uint64_t *patterns, uint32_t n)
{
    uint32_t step = n / AEI_MAP_SAMPLE + 1, most_bits = l->mantissa - 3, best_odd = UINT32_MAX;
    uint64_t best = 0, divisor = 1;

    for (int k = 0; k < MOST_DIGITS + 14; k++) {
        uint64_t low = UINT64_MAX, high = 0, number;
        uint32_t n_odd = 0, seen = 0;

        divisor = k < MOST_DIGITS ? (k ? divisor * 10 : 1) : 1ull << 2 * (k - MOST_DIGITS + 1);
        for (uint32_t i = step / 2; i < n; i += step, seen++)
            if (is_quotient(l, patterns[i], divisor, &number)) {
                low = number < low ? number : low;
                high = number > high ? number : high;
            } else {
                n_odd++;
            }
        if (n_odd * 8 <= seen && high >= low && (high - low) >> most_bits == 0 &&
            n_odd < best_odd) {
            best = divisor;
            best_odd = n_odd;
        }
        if (!best_odd)
            break;
    }
    return best;
}

/* Numbers of all elements, those without one marked; how many these are. */
static uint32_t aei_map_all(aei_array_coder *c, const aei_array_layout *l, const aei_array_map *m,
                            uint32_t n)
{
    uint32_t n_odd = 0;

    for (uint32_t i = 0; i < n; i++) {
        uint64_t *to = &c->numbers[i], v = c->patterns[i];
        bool good = true;

        if (m->map == AEI_MAP_QUOTIENT)
            good = is_quotient(l, v, m->divisor, to);
        else if (m->map == AEI_MAP_PRODUCT)
            good = nearest(value_of(l, v) / m->factor, to);
        else
            *to = m->map == AEI_MAP_TABLE ? place_in_table(m->table, m->n_table, v) : v;
        c->odd[i] = !good;
        n_odd += !good;
    }
    return n_odd;
}

static uint64_t divisor_of(uint64_t a, uint64_t b)
{
    while (b) {
        uint64_t rest = a % b;

        a = b;
        b = rest;
    }
    return a;
}

void aei_map_range(const aei_array_coder *c, uint32_t n, uint64_t *low, uint64_t *high,
                   uint64_t *step)
{
    *low = UINT64_MAX;
    *high = *step = 0;
    for (uint32_t i = 0; i < n; i++)
        if (!c->odd[i]) {
            *low = c->numbers[i] < *low ? c->numbers[i] : *low;
            *high = c->numbers[i] > *high ? c->numbers[i] : *high;
        }
    for (uint32_t i = 0; i < n && *step != 1; i++)
        if (!c->odd[i])
            *step = divisor_of(c->numbers[i] - *low, *step);
    *step = *step ? *step : 1;
    *low = *low > *high ? 0 : *low;
}

void aei_map_exact(aei_array_coder *c, const aei_array_layout *l, aei_array_map *m, uint32_t n)
{
    uint32_t n_values = collect(c, n);
    uint64_t low, high, step;

    *m = (aei_array_map){.map = AEI_MAP_PATTERN, .table = c->table, .n_table = n_values};
    if (l->mantissa > 10 && (m->divisor = find_divisor(l, c->patterns, n)) != 0) {
        m->map = AEI_MAP_QUOTIENT;
        if (aei_map_all(c, l, m, n) <= n / 16)
            return;
        m->map = AEI_MAP_PATTERN;
    }
    aei_map_all(c, l, m, n);
    aei_map_range(c, n, &low, &high, &step);
    if (n_values > 1 && n_values < n / 16 && (high - low) / step > 8ull * n_values) {
        m->map = AEI_MAP_TABLE;
        aei_map_all(c, l, m, n);
    }
}

/* Whether an element may become another. */
static bool is_within(const aei_array_layout *l, const ae_item *item, uint64_t place,
                      uint64_t becomes)
{
    double v, w;

    if (place == becomes)
        return true;
    if (!l->mantissa)
        return (place > becomes ? place - becomes : becomes - place) <=
               (uint64_t)fmin(item->error, 9e18);
    v = value_of(l, place);
    w = value_of(l, becomes);
    return isfinite(v) && fabs(w - v) <= (item->quality == AE_ARRAY_RELATIVE ? item->error * fabs(v)
                                                                             : item->error);
}

bool aei_map_is_shorter(const aei_array_coder *c, uint32_t n, uint64_t range)
{
    uint64_t low = UINT64_MAX, high = 0;

    for (uint32_t i = 0; i < n; i++)
        if (!c->odd[i]) {
            low = c->patterns[i] < low ? c->patterns[i] : low;
            high = c->patterns[i] > high ? c->patterns[i] : high;
        }
    return high >= low && range < high - low;
}

void aei_map_within(aei_array_coder *c, const aei_array_layout *l, const ae_item *item,
                    aei_array_map *m, uint32_t n, uint64_t *step)
{
    /* a little less than twice the error: for what rounding adds */
    static const double most = 2 * (1 - 1.0 / 4096);

    *m = (aei_array_map){.map = AEI_MAP_PATTERN};
    *step = 0;
    if (item->quality == AE_ARRAY_RELATIVE) {
        *step = (uint64_t)fmin(item->error * ldexp(most, (int)l->mantissa),
                               ldexp(1, (int)l->mantissa));
    } else if (l->mantissa) {
        m->map = AEI_MAP_PRODUCT;
        m->factor = item->error * most;
        *step = isfinite(m->factor) && m->factor >= 1e-300;
    } else {
        *step = item->error < 4611686018427387904.0 ? 2 * (uint64_t)item->error + 1 : 1ull << 63;
        *step = *step < l->mask ? *step : l->mask;
    }
    if (*step)
        aei_map_all(c, l, m, n);
}

void aei_map_reduce(aei_array_coder *c, aei_array_map *m, uint32_t n, uint64_t low, uint64_t high)
{
    uint64_t last = 0, most = (high - low) / m->step;

    m->base = low;
    most += (high - low) % m->step > m->step / 2;
    for (uint32_t i = 0; i < n; i++) {
        uint64_t v = c->numbers[i] - low;

        if (!c->odd[i])
            last = v / m->step + (v % m->step > m->step / 2);
        c->numbers[i] = last; /* what is easily expected where it is told apart */
    }
    m->low = most >> AEI_ARRAY_BITS ? 64 - (uint32_t)__builtin_clzll(most) - AEI_ARRAY_BITS : 0;
    m->most = most >> m->low;
}

uint64_t aei_map_keep_zero(const aei_array_layout *l, uint64_t low, uint64_t step)
{
    uint64_t zero = l->sign ? (l->mask >> 1) + 1 : 0, rest;

    if (low >= zero)
        return low - (low - zero) % step;
    rest = (zero - low) % step;
    rest = rest ? step - rest : 0;
    return low >= rest ? low - rest : low;
}

uint32_t aei_map_rebuild(aei_array_coder *c, const aei_array_layout *l, const ae_item *item,
                         const aei_array_map *m, uint8_t *elements, uint32_t n)
{
    uint32_t n_odd = 0;

    for (uint32_t i = 0; i < n; i++) {
        uint64_t becomes = aei_element_of(l, m, c->numbers[i]);

        c->odd[i] |= item->quality ? !is_within(l, item, c->patterns[i], becomes)
                                   : becomes != c->patterns[i];
        n_odd += c->odd[i];
        if (item->quality && elements)
            aei_element_store(l, c->odd[i] ? c->patterns[i] : becomes,
                              elements + (size_t)i * l->bytes);
    }
    return n_odd;
}
