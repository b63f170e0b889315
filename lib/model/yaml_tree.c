/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Recipes as a tree over libyaml, and its maps read by table into plain structures. */
#include "model/yaml_tree.h"

#include "model/file.h"
#include "model/format.h"

#include <stdio.h>
#include <string.h>
#include <yaml.h>

enum { MAX_TEXT = 1 << 20, MAX_NODES = 1 << 17, MAX_DEPTH = 16 };

ae_status aei_yaml_fail(const aei_yaml *yaml, uint32_t line, ae_error *err, const char *format, ...)
{
    char message[400];
    va_list args;

    va_start(args, format);
    vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    return ae_fail(err, AE_ERR_MALFORMED, "%s%sline %u: %s", yaml->name ? yaml->name : "",
                   yaml->name ? ": " : "", line, message);
}

void aei_yaml_free(aei_yaml *yaml)
{
    ae_free(yaml->nodes);
    ae_free(yaml->text);
    *yaml = (aei_yaml){0};
}

/* ---- events to tree ---- */

typedef struct builder {
    aei_yaml *yaml;
    size_t n_text, text_bytes;
    /* the open collections and their last children */
    uint32_t stack[MAX_DEPTH], last[MAX_DEPTH], depth;
} builder;

static ae_status add_node(builder *b, aei_yaml_node node, ae_error *err)
{
    aei_yaml *y = b->yaml;
    uint32_t index = y->n_nodes;

    if (index == y->n_allocated) {
        size_t want = y->n_allocated ? 2 * y->n_allocated : 256;
        aei_yaml_node *more;

        if (index >= MAX_NODES)
            return ae_fail(err, AE_ERR_LIMIT, "more than %d YAML nodes", MAX_NODES);
        more = ae_realloc(y->nodes, y->n_allocated * sizeof(*more), want * sizeof(*more));
        if (!more)
            return ae_fail(err, AE_ERR_NOMEM, "%zu YAML nodes", want);
        y->nodes = more;
        y->n_allocated = want;
    }
    y->nodes[index] = node;
    y->n_nodes++;
    if (b->depth) {
        uint32_t parent = b->stack[b->depth - 1];

        if (y->nodes[parent].n++)
            y->nodes[b->last[b->depth - 1]].next = index;
        else
            y->nodes[parent].first = index;
        b->last[b->depth - 1] = index;
    }
    if (node.kind != AEI_YAML_SCALAR) {
        if (b->depth == MAX_DEPTH)
            return aei_yaml_fail(y, node.line, err, "nested deeper than %d levels", MAX_DEPTH);
        b->stack[b->depth++] = index;
    }
    return AE_OK;
}

/* A key must be a scalar that has not occurred before in its map. */
static ae_status check_key(const builder *b, const aei_yaml_node *node, ae_error *err)
{
    const aei_yaml *y = b->yaml;
    const aei_yaml_node *parent = b->depth ? &y->nodes[b->stack[b->depth - 1]] : NULL;

    if (!parent || parent->kind != AEI_YAML_MAP || parent->n % 2)
        return AE_OK;
    if (node->kind != AEI_YAML_SCALAR)
        return aei_yaml_fail(y, node->line, err, "a key must be a word");
    if (parent->n / 2 >= 64)
        return aei_yaml_fail(y, node->line, err, "more than 64 keys");
    for (uint32_t i = 0, k = parent->first; i < parent->n / 2;
         i++, k = y->nodes[y->nodes[k].next].next)
        if (!strcmp(y->nodes[k].text, node->text))
            return aei_yaml_fail(y, node->line, err, "key '%s' occurs twice", node->text);
    return AE_OK;
}

static ae_status add_event(builder *b, const yaml_event_t *event, ae_error *err)
{
    aei_yaml_node node = {.line = (uint32_t)event->start_mark.line + 1};
    const void *anchor = NULL, *tag = NULL;
    ae_status st;

    switch (event->type) {
    case YAML_SCALAR_EVENT: {
        size_t n = event->data.scalar.length;

        anchor = event->data.scalar.anchor;
        tag = event->data.scalar.tag;
        node.plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
        if (!aei_text_is_clean((const char *)event->data.scalar.value, n))
            return aei_yaml_fail(b->yaml, node.line, err, "a control character");
        if (n >= b->text_bytes - b->n_text)
            return ae_fail(err, AE_ERR_LIMIT, "too much text in scalars");
        node.text = memcpy(b->yaml->text + b->n_text, event->data.scalar.value, n);
        b->n_text += n + 1;
        break;
    }
    case YAML_SEQUENCE_START_EVENT:
        node.kind = AEI_YAML_LIST;
        anchor = event->data.sequence_start.anchor;
        tag = event->data.sequence_start.tag;
        break;
    case YAML_MAPPING_START_EVENT:
        node.kind = AEI_YAML_MAP;
        anchor = event->data.mapping_start.anchor;
        tag = event->data.mapping_start.tag;
        break;
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT: b->depth--; return AE_OK;
    case YAML_ALIAS_EVENT:
        return aei_yaml_fail(b->yaml, node.line, err, "anchors and aliases are not allowed");
    case YAML_DOCUMENT_START_EVENT:
        if (b->yaml->n_nodes)
            return aei_yaml_fail(b->yaml, node.line, err, "a second document");
        return AE_OK;
    default: return AE_OK;
    }
    if (anchor)
        return aei_yaml_fail(b->yaml, node.line, err, "anchors and aliases are not allowed");
    if (tag)
        return aei_yaml_fail(b->yaml, node.line, err, "tags are not allowed");
    if ((st = check_key(b, &node, err)) != AE_OK)
        return st;
    return add_node(b, node, err);
}

ae_status aei_yaml_parse(const char *text, size_t n_bytes, const char *name, aei_yaml *out,
                         ae_error *err)
{
    builder b = {.yaml = out, .text_bytes = 2 * n_bytes + 64};
    yaml_parser_t parser;
    bool done = false;
    ae_status st = AE_OK;

    *out = (aei_yaml){.name = name ? aei_file_name(name) : NULL};
    if (n_bytes > MAX_TEXT)
        return ae_fail(err, AE_ERR_LIMIT, "%zu bytes of YAML, the limit is %d", n_bytes, MAX_TEXT);
    out->text = ae_alloc(b.text_bytes, 1);
    if (!out->text)
        return ae_fail(err, AE_ERR_NOMEM, "%zu bytes of YAML", n_bytes);
    if (!yaml_parser_initialize(&parser)) {
        st = ae_fail(err, AE_ERR_NOMEM, "YAML parser");
        goto done;
    }
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, n_bytes);
    while (st == AE_OK && !done) {
        yaml_event_t event;

        if (!yaml_parser_parse(&parser, &event)) {
            if (parser.error == YAML_MEMORY_ERROR)
                st = ae_fail(err, AE_ERR_NOMEM, "YAML parser");
            else
                st = aei_yaml_fail(out, (uint32_t)parser.problem_mark.line + 1, err, "not YAML: %s",
                                   parser.problem ? parser.problem : "unreadable");
            break;
        }
        done = event.type == YAML_STREAM_END_EVENT;
        st = add_event(&b, &event, err);
        yaml_event_delete(&event);
    }
    yaml_parser_delete(&parser);
    if (st == AE_OK && !out->n_nodes)
        st = ae_fail(err, AE_ERR_MALFORMED, "%s%sempty", out->name ? out->name : "",
                     out->name ? ": " : "");
done:
    if (st != AE_OK)
        aei_yaml_free(out);
    return st;
}

/* ---- scalars ---- */

/* Decimal numbers of at most 15 digits: with powers up to 10^22 one operation on doubles rounds
 * them correctly (Clinger 1990), and in every locale alike. */
static bool parse_number(const char *s, double *value, bool *integer)
{
    uint64_t mantissa = 0;
    int n_digits = 0, n_significant = 0, exponent = 0;
    bool negative = false, any = false;
    double power = 1;

    *integer = true;
    if (*s == '-' || *s == '+')
        negative = *s++ == '-';
    if (s[0] == '0' && s[1] >= '0' && s[1] <= '9') /* octal elsewhere */
        return false;
    for (; (*s >= '0' && *s <= '9') || (*s == '.' && *integer); s++) {
        if (*s == '.') {
            *integer = false;
            continue;
        }
        any = true;
        n_digits++;
        if (n_significant || *s != '0')
            n_significant++;
        if (n_significant > 15 || n_digits > 40)
            return false;
        mantissa = mantissa * 10 + (uint64_t)(*s - '0');
        exponent -= !*integer;
    }
    if (any && (*s == 'e' || *s == 'E')) {
        int sign = 1, e = 0;

        *integer = false;
        s++;
        if (*s == '-' || *s == '+')
            sign = *s++ == '-' ? -1 : 1;
        if (!*s)
            return false;
        for (; *s >= '0' && *s <= '9' && e < 1000; s++)
            e = e * 10 + (*s - '0');
        exponent += sign * e;
    }
    if (!any || *s)
        return false;
    if (mantissa && (exponent < -22 || exponent > 22))
        return false;
    for (int i = 0; mantissa && i < (exponent < 0 ? -exponent : exponent); i++)
        power *= 10;
    *value = exponent < 0 ? (double)mantissa / power : (double)mantissa * power;
    if (negative)
        *value = -*value;
    return true;
}

/* `columns`, or so many times that. */
static bool is_columns(const aei_yaml *y, const char *text, double *value)
{
    const char *star = strchr(text, '*');
    bool integer;

    if (!y->columns || strcmp(star ? star + 1 : text, "columns") != 0)
        return false;
    *value = 1;
    if (star) {
        char times[16];

        snprintf(times, sizeof(times), "%.*s", (int)(star - text), text);
        if (!parse_number(times, value, &integer) || !integer)
            return false;
    }
    *value *= y->columns;
    return true;
}

static ae_status read_number(const aei_yaml *y, uint32_t at, const aei_field *f, double *value,
                             ae_error *err)
{
    const aei_yaml_node *n = &y->nodes[at];
    bool integer, want_integer = f->type != AEI_REAL && f->type != AEI_RANGE;

    if (n->kind == AEI_YAML_SCALAR && n->plain && want_integer && is_columns(y, n->text, value))
        ;
    else if (n->kind != AEI_YAML_SCALAR || !n->plain || !parse_number(n->text, value, &integer) ||
             (want_integer && !integer))
        return aei_yaml_fail(y, n->line, err, "%s: expected %s, found %s%.40s", f->key,
                             want_integer ? "a whole number" : "a number",
                             n->kind == AEI_YAML_SCALAR ? "" : "a list or a map",
                             n->kind == AEI_YAML_SCALAR ? n->text : "");
    if (!(*value >= f->min && *value <= f->max))
        return aei_yaml_fail(y, n->line, err, "%s: %g is not in %g to %g", f->key, *value, f->min,
                             f->max);
    return AE_OK;
}

static ae_status read_text(const aei_yaml *y, uint32_t at, const aei_field *f, char *to,
                           ae_error *err)
{
    const aei_yaml_node *n = &y->nodes[at];
    size_t size = f->type == AEI_NAME ? AE_NAME_MAX : f->size, length;

    if (n->kind != AEI_YAML_SCALAR)
        return aei_yaml_fail(y, n->line, err, "%s: expected text", f->key);
    length = strlen(n->text);
    if (length >= size)
        return aei_yaml_fail(y, n->line, err, "%s: longer than %zu bytes", f->key, size - 1);
    if (f->type == AEI_NAME) {
        static const char letters[] =
            "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";

        if (!length || strspn(n->text, letters) != length || !strcmp(n->text, "previous"))
            return aei_yaml_fail(y, n->line, err,
                                 "%s: '%s' is not a name (letters, digits, '_', '-')", f->key,
                                 n->text);
    }
    memcpy(to, n->text, length + 1);
    return AE_OK;
}

/* The name of choice i and its value; NULL: there are no more. */
static const char *choice(const aei_field *f, int i, int *value)
{
    const char *name = f->name_of ? f->name_of(i) : f->choices[i].name;

    *value = f->name_of ? i : f->choices[i].value;
    return name && strcmp(name, "?") ? name : NULL;
}

static ae_status read_choice(const aei_yaml *y, uint32_t at, const aei_field *f, int *to,
                             ae_error *err)
{
    const aei_yaml_node *n = &y->nodes[at];
    char known[200] = "";
    size_t used = 0;
    int value;

    for (int i = 0; n->kind == AEI_YAML_SCALAR && choice(f, i, &value); i++)
        if (!strcmp(choice(f, i, &value), n->text)) {
            *to = value;
            return AE_OK;
        }
    for (int i = 0; choice(f, i, &value) && used < sizeof(known); i++)
        used += (size_t)snprintf(known + used, sizeof(known) - used, "%s%s", used ? ", " : "",
                                 choice(f, i, &value));
    return aei_yaml_fail(y, n->line, err, "%s: '%.40s' is none of %s", f->key,
                         n->kind == AEI_YAML_SCALAR ? n->text : "(a list or a map)", known);
}

/* ---- fields ---- */

static ae_status read_two(const aei_yaml *y, uint32_t at, const aei_field *f, double to[2],
                          ae_error *err)
{
    const aei_yaml_node *n = &y->nodes[at];
    ae_status st;

    if (n->kind == AEI_YAML_SCALAR && f->type == AEI_PAIR) {
        st = read_number(y, at, f, &to[0], err);
        to[1] = to[0];
        return st;
    }
    if (n->kind != AEI_YAML_LIST || n->n != 2)
        return aei_yaml_fail(y, n->line, err, "%s: expected %s", f->key,
                             f->type == AEI_PAIR ? "a number or two in brackets"
                                                 : "[lowest, highest]");
    if ((st = read_number(y, n->first, f, &to[0], err)) != AE_OK ||
        (st = read_number(y, y->nodes[n->first].next, f, &to[1], err)) != AE_OK)
        return st;
    if (f->type == AEI_RANGE && !(to[0] <= to[1]))
        return aei_yaml_fail(y, n->line, err, "%s: %g is above %g", f->key, to[0], to[1]);
    return AE_OK;
}

ae_status aei_yaml_value(const aei_yaml *y, uint32_t at, const aei_field *f, void *to,
                         ae_error *err)
{
    const aei_yaml_node *n = &y->nodes[at];
    double value = 0, two[2] = {0, 0};
    ae_status st = AE_OK;

    switch (f->type) {
    case AEI_TEXT:
    case AEI_NAME: return read_text(y, at, f, to, err);
    case AEI_CHOICE: return read_choice(y, at, f, (int *)to, err);
    case AEI_BOOL:
        if (n->kind != AEI_YAML_SCALAR || !n->plain ||
            (strcmp(n->text, "true") != 0 && strcmp(n->text, "false") != 0))
            return aei_yaml_fail(y, n->line, err, "%s: expected true or false", f->key);
        *(bool *)to = n->text[0] == 't';
        return AE_OK;
    case AEI_SUBTREE: *(uint32_t *)to = at; return AE_OK;
    case AEI_RANGE:
        if ((st = read_two(y, at, f, two, err)) == AE_OK) {
            ((float *)to)[0] = (float)two[0];
            ((float *)to)[1] = (float)two[1];
        }
        return st;
    case AEI_PAIR:
        if ((st = read_two(y, at, f, two, err)) == AE_OK) {
            ((uint32_t *)to)[0] = (uint32_t)two[0];
            ((uint32_t *)to)[1] = (uint32_t)two[1];
        }
        return st;
    case AEI_U32:
    case AEI_U64:
    case AEI_REAL:
        if ((st = read_number(y, at, f, &value, err)) != AE_OK)
            return st;
        if (f->type == AEI_U32)
            *(uint32_t *)to = (uint32_t)value;
        else if (f->type == AEI_U64)
            *(uint64_t *)to = (uint64_t)value;
        else
            *(float *)to = (float)value;
    }
    return st;
}

ae_status aei_yaml_fields(const aei_yaml *y, uint32_t at, const char *what, const aei_field *fields,
                          uint32_t n_fields, void *to, uint64_t *given, ae_error *err)
{
    const aei_yaml_node *map = &y->nodes[at];
    uint64_t seen = 0;

    if (map->kind != AEI_YAML_MAP)
        return aei_yaml_fail(y, map->line, err, "%s: expected keys and values", what);
    for (uint32_t i = 0, key = map->first; i < map->n / 2;
         i++, key = y->nodes[y->nodes[key].next].next) {
        uint32_t f = 0;
        ae_status st;

        while (f < n_fields && strcmp(fields[f].key, y->nodes[key].text) != 0)
            f++;
        if (f == n_fields)
            return aei_yaml_fail(y, y->nodes[key].line, err, "%s: unknown key '%.60s'", what,
                                 y->nodes[key].text);
        if ((st = aei_yaml_value(y, y->nodes[key].next, &fields[f], (char *)to + fields[f].offset,
                                 err)) != AE_OK)
            return st;
        seen |= UINT64_C(1) << f;
    }
    for (uint32_t f = 0; f < n_fields; f++)
        if (fields[f].required && !(seen >> f & 1))
            return aei_yaml_fail(y, map->line, err, "%s: key '%s' is missing", what, fields[f].key);
    if (given)
        *given = seen;
    return AE_OK;
}

ae_status aei_yaml_list(const aei_yaml *y, uint32_t at, const char *what, uint32_t max,
                        uint32_t *items, uint32_t *n, ae_error *err)
{
    const aei_yaml_node *list = &y->nodes[at];

    *n = 0;
    if (list->kind != AEI_YAML_LIST)
        return aei_yaml_fail(y, list->line, err, "%s: expected a list", what);
    if (list->n > max)
        return aei_yaml_fail(y, list->line, err, "%s: %u entries, at most %u are possible", what,
                             list->n, max);
    for (uint32_t i = list->first; *n < list->n; i = y->nodes[i].next)
        items[(*n)++] = i;
    return AE_OK;
}
