/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Elements are 64-bit patterns in the order of their values. A tile finds the numbers behind them:
 * multiples of a step, decimal or binary fractions, products with a step, or places in a table of
 * all the values that there are. */
#include "arraytile.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/half.h"
#include "model/format.h"
#include "soundfloats.h"

enum { KIND_RAW = 0, KIND_NUMBERS = 1, N_KINDS = 2 };
enum { MAP_PATTERN = 0, MAP_QUOTIENT = 1, MAP_PRODUCT = 2, MAP_TABLE = 3, N_MAPS = 4 };
enum { EQUAL = 1, WINDOW = 2, COMMON = 4, KNOWN = 7 };
enum {
    MOST_VALUES = 4096, /* of a table */
    PLACES = 2 * MOST_VALUES,
    SAMPLE = 256, /* elements that ways are tried on */
    TRIAL = 6144, /* numbers that shapes are tried on */
    MOST_DIGITS = 12,
    MIDDLE = 53 /* quotients and products are of numbers from -2^53 on */
};

struct aei_array_coder {
    aei_array_model *model;
    uint64_t *patterns, *numbers;
    uint8_t *odd; /* elements that are told apart */
    uint64_t *table;
    size_t room;
};

/* How the numbers of a tile become elements: base + step * number, by the map. */
typedef struct mapping {
    uint32_t map;
    uint64_t divisor;
    double factor;
    const uint64_t *table;
    uint32_t n_table;
    uint64_t base, step, most; /* most: of the numbers without their low bits */
    uint32_t low;
} mapping;

/* What a type of elements is like. */
typedef struct layout {
    uint32_t bytes, mantissa; /* of floats; 0: whole numbers */
    bool sign;
    uint64_t mask; /* largest pattern */
} layout;

static layout layout_of(ae_sample type)
{
    uint32_t bytes = (uint32_t)ae_sample_bytes(type);
    layout l = {.bytes = bytes,
                .mask = type == AE_BOOL ? 1
                        : bytes == 8    ? UINT64_MAX
                                        : (1ull << 8 * bytes) - 1};

    l.mantissa = type == AE_F16 ? 10 : type == AE_F32 ? 23 : type == AE_F64 ? 52 : 0;
    l.sign = l.mantissa || type == AE_S8 || type == AE_S16 || type == AE_S32 || type == AE_S64;
    return l;
}

aei_array_coder *aei_array_coder_create(void)
{
    aei_array_coder *c = ae_alloc(1, sizeof(*c));

    if (c && (!(c->model = aei_array_model_create()) ||
              !(c->table = ae_alloc(MOST_VALUES, sizeof(*c->table))))) {
        aei_array_coder_free(c);
        return NULL;
    }
    return c;
}

static void free_buffers(aei_array_coder *c)
{
    ae_free(c->patterns);
    ae_free(c->numbers);
    ae_free(c->odd);
    c->patterns = c->numbers = NULL;
    c->odd = NULL;
    c->room = 0;
}

void aei_array_coder_free(aei_array_coder *c)
{
    if (!c)
        return;
    free_buffers(c);
    ae_free(c->table);
    aei_array_model_free(c->model);
    ae_free(c);
}

static ae_status reserve(aei_array_coder *c, size_t n, ae_error *err)
{
    if (n <= c->room)
        return AE_OK;
    free_buffers(c);
    c->patterns = ae_alloc(n, sizeof(*c->patterns));
    c->numbers = ae_alloc(n, sizeof(*c->numbers));
    c->odd = ae_alloc(n, 1);
    if (!c->patterns || !c->numbers || !c->odd) {
        free_buffers(c);
        return ae_fail(err, AE_ERR_NOMEM, "a tile of an array");
    }
    c->room = n;
    return AE_OK;
}

/* ---- elements ---- */

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "port me: elements are taken apart as little-endian");

/* Patterns in the order of the values that they stand for. */
static uint64_t in_order(const layout *l, uint64_t pattern)
{
    uint64_t top = (l->mask >> 1) + 1;

    if (!l->sign)
        return pattern;
    return l->mantissa && pattern & top ? l->mask - pattern : pattern ^ top;
}

static uint64_t from_order(const layout *l, uint64_t place)
{
    uint64_t top = (l->mask >> 1) + 1;

    if (!l->sign)
        return place;
    return l->mantissa && !(place & top) ? l->mask - place : place ^ top;
}

static void load(const layout *l, const uint8_t *elements, uint64_t *patterns, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        patterns[i] = 0;
        memcpy(&patterns[i], elements + (size_t)i * l->bytes, l->bytes);
        patterns[i] = in_order(l, patterns[i]);
    }
}

static void store(const layout *l, uint64_t place, uint8_t *element)
{
    uint64_t pattern = from_order(l, place);

    memcpy(element, &pattern, l->bytes);
}

static double value_of(const layout *l, uint64_t place)
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

static uint64_t place_of(const layout *l, double v)
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

/* What a number stands for. */
static uint64_t element_of(const layout *l, const mapping *m, uint64_t number)
{
    uint64_t v;

    if (__builtin_mul_overflow(number, m->step, &v) || __builtin_add_overflow(v, m->base, &v))
        v = UINT64_MAX;
    switch (m->map) {
    case MAP_QUOTIENT:
        return place_of(l, (double)(int64_t)(v - (1ull << MIDDLE)) / (double)m->divisor);
    case MAP_PRODUCT: return place_of(l, (double)(int64_t)(v - (1ull << MIDDLE)) * m->factor);
    case MAP_TABLE: return m->table[v < m->n_table ? v : m->n_table - 1];
    default: return v < l->mask ? v : l->mask;
    }
}

/* ---- choosing a map ---- */

static int by_size(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

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
        if (found == MOST_VALUES)
            return 0;
        used[at % PLACES] = 1;
        slots[at % PLACES] = c->table[found++] = v;
    }
    qsort(c->table, found, sizeof(*c->table), by_size);
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

static bool is_quotient(const layout *l, uint64_t place, uint64_t divisor, uint64_t *number)
{
    mapping m = {.map = MAP_QUOTIENT, .divisor = divisor, .step = 1};

    return nearest(value_of(l, place) * (double)divisor, number) &&
           element_of(l, &m, *number) == place;
}

/* A divisor by which nearly all elements are quotients of numbers with fewer bits than a mantissa
 * has; 0: none. Powers of ten, then of two. */
static uint64_t find_divisor(const layout *l, const uint64_t *patterns, uint32_t n)
{
    uint32_t step = n / SAMPLE + 1, most_bits = l->mantissa - 3, best_odd = UINT32_MAX;
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
static uint32_t map_all(aei_array_coder *c, const layout *l, const mapping *m, uint32_t n)
{
    uint32_t n_odd = 0;

    for (uint32_t i = 0; i < n; i++) {
        uint64_t *to = &c->numbers[i], v = c->patterns[i];
        bool good = true;

        if (m->map == MAP_QUOTIENT)
            good = is_quotient(l, v, m->divisor, to);
        else if (m->map == MAP_PRODUCT)
            good = nearest(value_of(l, v) / m->factor, to);
        else
            *to = m->map == MAP_TABLE ? place_in_table(m->table, m->n_table, v) : v;
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

/* Range and common step of the numbers of what is not odd. */
static void find_range(const aei_array_coder *c, uint32_t n, uint64_t *low, uint64_t *high,
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

/* Without loss. */
static void choose_exact(aei_array_coder *c, const layout *l, mapping *m, uint32_t n)
{
    uint32_t n_values = collect(c, n);
    uint64_t low, high, step;

    *m = (mapping){.map = MAP_PATTERN, .table = c->table, .n_table = n_values};
    if (l->mantissa > 10 && (m->divisor = find_divisor(l, c->patterns, n)) != 0) {
        m->map = MAP_QUOTIENT;
        if (map_all(c, l, m, n) <= n / 16)
            return;
        m->map = MAP_PATTERN;
    }
    map_all(c, l, m, n);
    find_range(c, n, &low, &high, &step);
    if (n_values > 1 && n_values < n / 16 && (high - low) / step > 8ull * n_values) {
        m->map = MAP_TABLE;
        map_all(c, l, m, n);
    }
}

/* Whether an element may become another. */
static bool is_within(const layout *l, const ae_item *item, uint64_t place, uint64_t becomes)
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

/* Whether numbers of this range are fewer than the patterns from the least to the largest. */
static bool is_shorter(const aei_array_coder *c, uint32_t n, uint64_t range)
{
    uint64_t low = UINT64_MAX, high = 0;

    for (uint32_t i = 0; i < n; i++)
        if (!c->odd[i]) {
            low = c->patterns[i] < low ? c->patterns[i] : low;
            high = c->patterns[i] > high ? c->patterns[i] : high;
        }
    return high >= low && range < high - low;
}

/* Within the error: steps of twice its size, or 0 in *step where there is none. */
static void choose_within(aei_array_coder *c, const layout *l, const ae_item *item, mapping *m,
                          uint32_t n, uint64_t *step)
{
    /* a little less than twice the error: for what rounding adds */
    static const double most = 2 * (1 - 1.0 / 4096);

    *m = (mapping){.map = MAP_PATTERN};
    *step = 0;
    if (item->quality == AE_ARRAY_RELATIVE) {
        *step = (uint64_t)fmin(item->error * ldexp(most, (int)l->mantissa),
                               ldexp(1, (int)l->mantissa));
    } else if (l->mantissa) {
        m->map = MAP_PRODUCT;
        m->factor = item->error * most;
        *step = isfinite(m->factor) && m->factor >= 1e-300;
    } else {
        *step = item->error < 4611686018427387904.0 ? 2 * (uint64_t)item->error + 1 : 1ull << 63;
        *step = *step < l->mask ? *step : l->mask;
    }
    if (*step)
        map_all(c, l, m, n);
}

/* ---- numbers ---- */

/* From numbers with a range to those that are coded: divided by the step, rounded to nearest, from
 * 0 on. */
static void reduce(aei_array_coder *c, mapping *m, uint32_t n, uint64_t low, uint64_t high)
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

/* At most `low`, and so many steps from the place of 0, which then stays what it is. */
static uint64_t keep_zero(const layout *l, uint64_t low, uint64_t step)
{
    uint64_t zero = l->sign ? (l->mask >> 1) + 1 : 0, rest;

    if (low >= zero)
        return low - (low - zero) % step;
    rest = (zero - low) % step;
    rest = rest ? step - rest : 0;
    return low >= rest ? low - rest : low;
}

/* Elements as they will be decoded; those that may not become that are told apart, too. How many
 * these are. */
static uint32_t rebuild(aei_array_coder *c, const layout *l, const ae_item *item, const mapping *m,
                        uint8_t *elements, uint32_t n)
{
    uint32_t n_odd = 0;

    for (uint32_t i = 0; i < n; i++) {
        uint64_t becomes = element_of(l, m, c->numbers[i]);

        c->odd[i] |= item->quality ? !is_within(l, item, c->patterns[i], becomes)
                                   : becomes != c->patterns[i];
        n_odd += c->odd[i];
        if (item->quality && elements)
            store(l, c->odd[i] ? c->patterns[i] : becomes, elements + (size_t)i * l->bytes);
    }
    return n_odd;
}

/* ---- the shape that the model is told ---- */

/* Axes from the innermost on, the last one's numbers as columns or not. */
static void set_axes(const ae_signal_info *info, bool columns, aei_array_shape *s)
{
    uint64_t distance = 1;
    uint32_t k = 0;

    memset(s->stride, 0, sizeof(s->stride));
    s->columns = 1;
    for (uint32_t i = info->rank; i-- > 0 && k < 3;) {
        if (info->dims[i] < 2)
            continue;
        if (columns && distance == 1)
            s->columns = info->dims[i];
        else if (distance <= UINT32_MAX)
            s->stride[k++] = distance;
        distance *= info->dims[i];
    }
    if (k < 3 && distance <= UINT32_MAX)
        s->stride[k++] = distance;
    if (!s->stride[0])
        s->stride[0] = 1;
}

static ae_status try(aei_array_coder *c, const aei_array_shape *s, size_t *best,
                     aei_array_shape *chosen, ae_error *err)
{
    aei_array_shape some = *s;
    const uint8_t *bytes;
    size_t n_bytes;
    ae_status st;

    some.n = s->n < TRIAL ? s->n : TRIAL;
    if ((st = aei_array_model_encode(c->model, &some, c->numbers, *best, &bytes, &n_bytes, err)) !=
        AE_OK)
        return st;
    if (n_bytes && n_bytes < *best) {
        *best = n_bytes;
        *chosen = *s;
    }
    return AE_OK;
}

/* The most frequent number of a sample, if it is frequent. */
static uint64_t find_common(const uint64_t *numbers, uint32_t n)
{
    uint64_t some[SAMPLE], best = UINT64_MAX;
    uint32_t step = n / SAMPLE + 1, k = 0, most = 0;

    for (uint32_t i = step / 2; i < n; i += step)
        some[k++] = numbers[i];
    qsort(some, k, sizeof(*some), by_size);
    for (uint32_t i = 0, run = 0; i < k; i++) {
        run = i && some[i] == some[i - 1] ? run + 1 : 1;
        if (run > most) {
            most = run;
            best = some[i];
        }
    }
    return 12 * most > k ? best : UINT64_MAX;
}

static ae_status choose_shape(aei_array_coder *c, const ae_signal_info *info, uint64_t first,
                              uint32_t n, const mapping *m, aei_array_shape *out, ae_error *err)
{
    aei_array_shape s = {
        .n = n, .first = first, .most = m->most, .common = find_common(c->numbers, n)};
    size_t best = SIZE_MAX / 4 > 64ull * TRIAL ? 64ull * TRIAL : SIZE_MAX / 4;
    uint32_t equal = 0;
    bool wide = m->most >> 12 != 0;
    ae_status st = AE_OK;

    for (uint32_t i = 1; i < n; i++)
        equal += c->numbers[i] == c->numbers[i - 1];
    s.equal = equal > n / 8;
    set_axes(info, false, &s);
    s.window = m->most >> 16 != 0 && !(m->map == MAP_PATTERN && layout_of(info->sample).mantissa);
    *out = s;
    st = try(c, &s, &best, out, err);
    set_axes(info, true, &s);
    if (st == AE_OK && s.columns > 1 && s.columns <= AEI_ARRAY_COLUMNS)
        st = try(c, &s, &best, out, err);
    s = *out;
    s.equal = !s.equal;
    if (st == AE_OK)
        st = try(c, &s, &best, out, err);
    s = *out;
    s.window = !s.window;
    if (st == AE_OK && wide)
        st = try(c, &s, &best, out, err);
    return st;
}

/* ---- a tile ---- */

static void put_mapping(aei_buffer *out, const mapping *m)
{
    uint8_t bytes[8];
    uint64_t pattern;

    aei_put_u8(out, m->map);
    if (m->map == MAP_QUOTIENT)
        aei_put_number(out, m->divisor);
    if (m->map == MAP_PRODUCT) {
        memcpy(&pattern, &m->factor, sizeof(pattern));
        aei_store64(bytes, pattern);
        aei_put(out, bytes, sizeof(bytes));
    }
    if (m->map == MAP_TABLE) {
        aei_put_number(out, m->n_table);
        for (uint32_t i = 0; i < m->n_table; i++)
            aei_put_number(out, m->table[i] - (i ? m->table[i - 1] : 0));
    }
    aei_put_number(out, m->base);
    aei_put_number(out, m->step);
    aei_put_number(out, m->most);
    aei_put_u8(out, m->low);
}

static void put_odd(aei_buffer *out, const aei_array_coder *c, const layout *l, uint32_t n,
                    uint32_t n_odd)
{
    uint64_t since = 0;
    uint8_t element[8];

    aei_put_number(out, n_odd);
    for (uint32_t i = 0; i < n; i++, since++)
        if (c->odd[i]) {
            store(l, c->patterns[i], element);
            aei_put_number(out, since);
            aei_put(out, element, l->bytes);
            since = UINT64_MAX;
        }
}

static ae_status put_numbers(aei_array_coder *c, const ae_item *item, uint64_t first,
                             const mapping *m, uint32_t n, size_t most, aei_buffer *out,
                             ae_error *err)
{
    aei_buffer low = {0};
    aei_bit_writer bits = {.to = &low};
    aei_array_shape s;
    const uint8_t *coded;
    size_t n_coded;
    ae_status st = AE_OK;

    for (uint32_t i = 0; i < n && m->low; i++) {
        aei_put_bits(&bits, c->numbers[i], m->low);
        c->numbers[i] >>= m->low;
    }
    aei_end_bits(&bits);
    if (m->most) {
        if ((st = choose_shape(c, &item->info, first, n, m, &s, err)) != AE_OK ||
            (st = aei_array_model_encode(c->model, &s, c->numbers, most, &coded, &n_coded, err)) !=
                AE_OK)
            goto done;
        if (!n_coded) { /* the caller stores elements as they are */
            out->n_bytes = 0;
            goto done;
        }
        aei_put_u8(out, (s.equal ? EQUAL : 0u) | (s.window ? WINDOW : 0u) |
                            (s.common <= s.most ? COMMON : 0u));
        aei_put_number(out, s.columns);
        for (int i = 0; i < 3; i++)
            aei_put_number(out, s.stride[i]);
        if (s.common <= s.most)
            aei_put_number(out, s.common);
        aei_put_number(out, n_coded);
        aei_put(out, coded, n_coded);
    }
    aei_put(out, low.data, low.n_bytes);
done:
    out->failed |= low.failed;
    ae_free(low.data);
    return st;
}

ae_status aei_array_tile_encode(aei_array_coder *c, const ae_item *item, uint64_t first,
                                void *elements, uint32_t n, aei_buffer *out, ae_error *err)
{
    const layout l = layout_of(item->info.sample);
    size_t raw = (size_t)n * l.bytes, at;
    uint64_t low, high, step, within = 0;
    uint32_t n_odd;
    mapping m;
    ae_status st = reserve(c, n, err);

    if (st != AE_OK)
        return st;
    out->n_bytes = 0;
    aei_put_number(out, n);
    at = out->n_bytes;
    aei_put_u8(out, KIND_NUMBERS);
    load(&l, elements, c->patterns, n);
    if (item->quality)
        choose_within(c, &l, item, &m, n, &within);
    for (int exact = !within;; exact++) {
        if (exact)
            choose_exact(c, &l, &m, n);
        find_range(c, n, &low, &high, &step);
        if (!exact && m.map == MAP_PRODUCT && !is_shorter(c, n, high - low))
            continue;
        m.step = exact || m.map == MAP_PRODUCT ? step : within;
        if (!exact && m.map == MAP_PATTERN)
            low = keep_zero(&l, low, m.step);
        reduce(c, &m, n, low, high);
        n_odd = rebuild(c, &l, item, &m, NULL, n);
        if (exact || n_odd <= n / 4)
            break;
    }
    rebuild(c, &l, item, &m, elements, n);
    put_mapping(out, &m);
    put_odd(out, c, &l, n, n_odd);
    if (out->n_bytes >= raw)
        out->n_bytes = 0;
    else
        st = put_numbers(c, item, first, &m, n, raw, out, err);
    if (st == AE_OK && (!out->n_bytes || out->n_bytes >= raw + at + 1)) {
        out->n_bytes = 0;
        aei_put_number(out, n);
        aei_put_u8(out, KIND_RAW);
        aei_put(out, elements, raw);
    }
    return st == AE_OK && out->failed ? ae_fail(err, AE_ERR_NOMEM, "a coded tile") : st;
}

static bool take_mapping(aei_array_coder *c, aei_cursor *at, const layout *l, mapping *m)
{
    const uint8_t *bytes;
    uint64_t pattern, n;
    bool good = true;

    *m = (mapping){.map = aei_take_u8(at), .table = c->table};
    if (m->map == MAP_QUOTIENT)
        m->divisor = aei_take_number(at);
    if (m->map == MAP_PRODUCT && (bytes = aei_take(at, 8)) != NULL) {
        pattern = aei_load64(bytes);
        memcpy(&m->factor, &pattern, sizeof(pattern));
    }
    if (m->map == MAP_TABLE) {
        n = aei_take_number(at);
        good = n >= 1 && n <= MOST_VALUES;
        m->n_table = good ? (uint32_t)n : 1;
        for (uint32_t i = 0; i < m->n_table; i++)
            good &= !__builtin_add_overflow(aei_take_number(at), i ? c->table[i - 1] : 0,
                                            &c->table[i]) &&
                    c->table[i] <= l->mask;
    }
    m->base = aei_take_number(at);
    m->step = aei_take_number(at);
    m->most = aei_take_number(at);
    m->low = aei_take_u8(at);
    return good && !at->bad && m->map < N_MAPS && (m->map != MAP_QUOTIENT || m->divisor) &&
           m->low <= 64 - AEI_ARRAY_BITS && m->most < 1ull << AEI_ARRAY_BITS &&
           ((m->map != MAP_QUOTIENT && m->map != MAP_PRODUCT) || l->mantissa);
}

/* Where the elements that are told apart lie; each is checked to. */
static bool take_odd(aei_cursor *at, const layout *l, uint32_t n, uint64_t *n_odd, aei_cursor *odd)
{
    uint64_t place = 0;

    *n_odd = aei_take_number(at);
    odd->at = at->at;
    for (uint64_t i = 0; i < *n_odd && !at->bad; i++) {
        uint64_t between = aei_take_number(at);

        aei_take(at, l->bytes);
        at->bad |= between >= n - place;
        place += at->bad ? 0 : between + 1;
    }
    odd->end = at->at;
    odd->bad = false;
    return !at->bad;
}

static ae_status take_numbers(aei_array_coder *c, aei_cursor *at, uint64_t first, const mapping *m,
                              uint32_t n, ae_error *err)
{
    aei_array_shape s = {.n = n, .first = first, .most = m->most, .common = UINT64_MAX};
    const uint8_t *coded = NULL, *low;
    uint64_t n_coded = 0, n_low = ((uint64_t)m->low * n + 7) / 8, columns;
    uint32_t flags;

    memset(c->numbers, 0, n * sizeof(*c->numbers));
    if (m->most) {
        flags = aei_take_u8(at);
        if (!at->bad && flags > KNOWN)
            return ae_fail(err, AE_ERR_TOO_NEW,
                           "a tile of an array coded in a way that later versions read (%u)",
                           flags);
        s.equal = flags & EQUAL;
        s.window = flags & WINDOW;
        columns = aei_take_number(at);
        s.columns = columns <= AEI_ARRAY_COLUMNS ? (uint32_t)columns : 0;
        for (int i = 0; i < 3; i++)
            s.stride[i] = aei_take_number(at);
        if (flags & COMMON)
            s.common = aei_take_number(at);
        n_coded = aei_take_number(at);
        coded = aei_take(at, n_coded);
    }
    low = aei_take(at, n_low);
    if (at->bad || at->at != at->end || (m->most && !aei_array_shape_is_sound(&s)))
        return ae_fail(err, AE_ERR_MALFORMED,
                       "the numbers of a tile of an array contradict their head");
    if (m->most)
        aei_array_model_decode(c->model, &s, coded, (size_t)n_coded, c->numbers);
    for (uint32_t i = 0; i < n && m->low; i++)
        c->numbers[i] = c->numbers[i] << m->low |
                        aei_get_bits(low, (size_t)n_low, (uint64_t)i * m->low, m->low);
    return AE_OK;
}

ae_status aei_array_tile_decode(aei_array_coder *c, const ae_item *item, uint64_t first,
                                const void *data, size_t n_bytes, void *elements, uint32_t n,
                                ae_error *err)
{
    const layout l = layout_of(item->info.sample);
    const uint8_t *bytes = n_bytes ? data : (const void *)""; /* NULL takes no offset */
    size_t raw = (size_t)n * l.bytes;
    aei_cursor at = {bytes, bytes + n_bytes, false}, odd;
    uint64_t told = aei_take_number(&at), n_odd, next;
    uint32_t kind = aei_take_u8(&at);
    mapping m;
    ae_status st;

    if (at.bad || told != n)
        return ae_fail(err, AE_ERR_MALFORMED, "a tile of %llu elements, not of %u",
                       (unsigned long long)told, n);
    if (kind >= N_KINDS)
        return ae_fail(err, AE_ERR_TOO_NEW,
                       "a tile of an array of a kind that later versions read (%u)", kind);
    if (kind == KIND_RAW) {
        if ((size_t)(at.end - at.at) != raw)
            return ae_fail(err, AE_ERR_MALFORMED, "plain elements: %zu bytes, not %zu",
                           (size_t)(at.end - at.at), raw);
        memcpy(elements, at.at, raw);
        return AE_OK;
    }
    if ((st = reserve(c, n, err)) != AE_OK)
        return st;
    if (!take_mapping(c, &at, &l, &m) || !take_odd(&at, &l, n, &n_odd, &odd))
        return ae_fail(err, AE_ERR_MALFORMED, "the head of a tile of an array contradicts itself");
    if ((st = take_numbers(c, &at, first, &m, n, err)) != AE_OK)
        return st;
    next = n_odd ? aei_take_number(&odd) : UINT64_MAX;
    for (uint32_t i = 0; i < n; i++) {
        uint8_t *to = (uint8_t *)elements + (size_t)i * l.bytes;

        if (next--) {
            store(&l, element_of(&l, &m, c->numbers[i]), to);
            continue;
        }
        memcpy(to, aei_take(&odd, l.bytes), l.bytes);
        next = --n_odd ? aei_take_number(&odd) : UINT64_MAX;
    }
    return AE_OK;
}
