/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A tile of an array: the map from numbers to its elements (arraymap.h), the elements that the map
 * does not give, and the numbers, coded by the model under the shape that a trial on some of them
 * favours. What that does not make smaller stays as it is. */
#include "arraytile.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/format.h"
#include "soundfloats.h"

enum { KIND_RAW = 0, KIND_NUMBERS = 1, N_KINDS = 2 };
enum { TRIAL = 6144 /* numbers that shapes are tried on */ };
enum { EQUAL = 1, WINDOW = 2, COMMON = 4, KNOWN = 7 };

aei_array_coder *aei_array_coder_create(void)
{
    aei_array_coder *c = ae_alloc(1, sizeof(*c));

    if (c && (!(c->model = aei_array_model_create()) ||
              !(c->table = ae_alloc(AEI_MAP_VALUES, sizeof(*c->table))))) {
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
    uint64_t some[AEI_MAP_SAMPLE], best = UINT64_MAX;
    uint32_t step = n / AEI_MAP_SAMPLE + 1, k = 0, most = 0;

    for (uint32_t i = step / 2; i < n; i += step)
        some[k++] = numbers[i];
    qsort(some, k, sizeof(*some), aei_by_size);
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
                              uint32_t n, const aei_array_map *m, aei_array_shape *out,
                              ae_error *err)
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
    s.window = m->most >> 16 != 0 &&
               !(m->map == AEI_MAP_PATTERN && aei_element_layout(info->sample).mantissa);
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

static void put_mapping(aei_buffer *out, const aei_array_map *m)
{
    uint8_t bytes[8];
    uint64_t pattern;

    aei_put_u8(out, m->map);
    if (m->map == AEI_MAP_QUOTIENT)
        aei_put_number(out, m->divisor);
    if (m->map == AEI_MAP_PRODUCT) {
        memcpy(&pattern, &m->factor, sizeof(pattern));
        aei_store64(bytes, pattern);
        aei_put(out, bytes, sizeof(bytes));
    }
    if (m->map == AEI_MAP_TABLE) {
        aei_put_number(out, m->n_table);
        for (uint32_t i = 0; i < m->n_table; i++)
            aei_put_number(out, m->table[i] - (i ? m->table[i - 1] : 0));
    }
    aei_put_number(out, m->base);
    aei_put_number(out, m->step);
    aei_put_number(out, m->most);
    aei_put_u8(out, m->low);
}

static void put_odd(aei_buffer *out, const aei_array_coder *c, const aei_array_layout *l,
                    uint32_t n, uint32_t n_odd)
{
    uint64_t since = 0;
    uint8_t element[8];

    aei_put_number(out, n_odd);
    for (uint32_t i = 0; i < n; i++, since++)
        if (c->odd[i]) {
            aei_element_store(l, c->patterns[i], element);
            aei_put_number(out, since);
            aei_put(out, element, l->bytes);
            since = UINT64_MAX;
        }
}

static ae_status put_numbers(aei_array_coder *c, const ae_item *item, uint64_t first,
                             const aei_array_map *m, uint32_t n, size_t most, aei_buffer *out,
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
    const aei_array_layout l = aei_element_layout(item->info.sample);
    size_t raw = (size_t)n * l.bytes, at;
    uint64_t low, high, step, within = 0;
    uint32_t n_odd;
    aei_array_map m;
    ae_status st = reserve(c, n, err);

    if (st != AE_OK)
        return st;
    out->n_bytes = 0;
    aei_put_number(out, n);
    at = out->n_bytes;
    aei_put_u8(out, KIND_NUMBERS);
    aei_elements_load(&l, elements, c->patterns, n);
    if (item->quality)
        aei_map_within(c, &l, item, &m, n, &within);
    for (int exact = !within;; exact++) {
        if (exact)
            aei_map_exact(c, &l, &m, n);
        aei_map_range(c, n, &low, &high, &step);
        if (!exact && m.map == AEI_MAP_PRODUCT && !aei_map_is_shorter(c, n, high - low))
            continue;
        m.step = exact || m.map == AEI_MAP_PRODUCT ? step : within;
        if (!exact && m.map == AEI_MAP_PATTERN)
            low = aei_map_keep_zero(&l, low, m.step);
        aei_map_reduce(c, &m, n, low, high);
        n_odd = aei_map_rebuild(c, &l, item, &m, NULL, n);
        if (exact || n_odd <= n / 4)
            break;
    }
    aei_map_rebuild(c, &l, item, &m, elements, n);
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

static bool take_mapping(aei_array_coder *c, aei_cursor *at, const aei_array_layout *l,
                         aei_array_map *m)
{
    const uint8_t *bytes;
    uint64_t pattern, n;
    bool good = true;

    *m = (aei_array_map){.map = aei_take_u8(at), .table = c->table};
    if (m->map == AEI_MAP_QUOTIENT)
        m->divisor = aei_take_number(at);
    if (m->map == AEI_MAP_PRODUCT && (bytes = aei_take(at, 8)) != NULL) {
        pattern = aei_load64(bytes);
        memcpy(&m->factor, &pattern, sizeof(pattern));
    }
    if (m->map == AEI_MAP_TABLE) {
        n = aei_take_number(at);
        good = n >= 1 && n <= AEI_MAP_VALUES;
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
    return good && !at->bad && m->map < AEI_N_MAPS && (m->map != AEI_MAP_QUOTIENT || m->divisor) &&
           m->low <= 64 - AEI_ARRAY_BITS && m->most < 1ull << AEI_ARRAY_BITS &&
           ((m->map != AEI_MAP_QUOTIENT && m->map != AEI_MAP_PRODUCT) || l->mantissa);
}

/* Where the elements that are told apart lie; each is checked to. */
static bool take_odd(aei_cursor *at, const aei_array_layout *l, uint32_t n, uint64_t *n_odd,
                     aei_cursor *odd)
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

static ae_status take_numbers(aei_array_coder *c, aei_cursor *at, uint64_t first,
                              const aei_array_map *m, uint32_t n, ae_error *err)
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
    const aei_array_layout l = aei_element_layout(item->info.sample);
    const uint8_t *bytes = n_bytes ? data : (const void *)""; /* NULL takes no offset */
    size_t raw = (size_t)n * l.bytes;
    aei_cursor at = {bytes, bytes + n_bytes, false}, odd;
    uint64_t told = aei_take_number(&at), n_odd, next;
    uint32_t kind = aei_take_u8(&at);
    aei_array_map m;
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
            aei_element_store(&l, aei_element_of(&l, &m, c->numbers[i]), to);
            continue;
        }
        memcpy(to, aei_take(&odd, l.bytes), l.bytes);
        next = --n_odd ? aei_take_number(&odd) : UINT64_MAX;
    }
    return AE_OK;
}
