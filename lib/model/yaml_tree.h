/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The part of YAML that recipes use, read into a tree that knows its lines: mappings, sequences and
 * scalars in one document. Anchors, aliases, tags, repeated keys and deep nesting are errors, so a
 * hostile text can neither grow nor recurse. */
#ifndef AEI_YAML_TREE_H
#define AEI_YAML_TREE_H

#include "ae/status.h"

typedef enum aei_yaml_kind { AEI_YAML_SCALAR, AEI_YAML_LIST, AEI_YAML_MAP } aei_yaml_kind;

typedef struct aei_yaml_node {
    aei_yaml_kind kind;
    bool plain;       /* scalars: not quoted */
    uint32_t line;    /* from 1 */
    uint32_t n;       /* children; of a map: its keys and values in turn */
    uint32_t first;   /* child, 0: none (the root is nobody's child) */
    uint32_t next;    /* sibling */
    const char *text; /* scalars */
} aei_yaml_node;

typedef struct aei_yaml {
    const char *name;     /* stands in messages before the line; may be NULL */
    aei_yaml_node *nodes; /* the root is node 0 */
    uint32_t n_nodes;
    size_t n_allocated;
    uint32_t columns; /* what `columns` stands for among numbers; 0: nothing */
    char *text;
} aei_yaml;

ae_status aei_yaml_parse(const char *text, size_t n_bytes, const char *name, aei_yaml *out,
                         ae_error *err);
void aei_yaml_free(aei_yaml *yaml);
/* AE_ERR_MALFORMED with "NAME: line N: " before the message. */
ae_status aei_yaml_fail(const aei_yaml *yaml, uint32_t line, ae_error *err, const char *format, ...)
    AE_PRINTF(4, 5);

/* ---- maps read by table into plain structs ---- */

typedef enum aei_field_type {
    AEI_TEXT, /* char[size] */
    AEI_NAME, /* char[AE_NAME_MAX]: letters, digits, '_', '-'; not "previous" */
    AEI_U32,
    AEI_U64,
    AEI_REAL, /* float */
    AEI_BOOL,
    AEI_CHOICE, /* an enum */
    AEI_RANGE,  /* float[2]: [a, b] with a <= b */
    AEI_PAIR,   /* uint32_t[2]: a number or [vertical, horizontal] */
    AEI_SUBTREE /* uint32_t: the node, for the caller to read */
} aei_field_type;

/* a table ends with name NULL */
typedef struct aei_choice {
    const char *name;
    int value;
} aei_choice;

typedef struct aei_field {
    const char *key;
    aei_field_type type;
    size_t offset;
    double min, max; /* of numbers */
    size_t size;     /* of AEI_TEXT */
    const aei_choice *choices;
    const char *(*name_of)(int value); /* instead: the names of 0, 1, ... up to "?" */
    bool required;
} aei_field;

/* Reads map `at` (a `what`, for messages) into *to; keys that do not occur leave their fields
 * alone. Bit i of *given: fields[i] occurred; given may be NULL. At most 64 fields. */
ae_status aei_yaml_fields(const aei_yaml *yaml, uint32_t at, const char *what,
                          const aei_field *fields, uint32_t n_fields, void *to, uint64_t *given,
                          ae_error *err);
/* The value `at` alone, as of a map's key. */
ae_status aei_yaml_value(const aei_yaml *yaml, uint32_t at, const aei_field *field, void *to,
                         ae_error *err);
/* The elements of list `at`, at most max of them, as node numbers. */
ae_status aei_yaml_list(const aei_yaml *yaml, uint32_t at, const char *what, uint32_t max,
                        uint32_t *items, uint32_t *n, ae_error *err);

#endif
