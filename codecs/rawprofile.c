/* SPDX-License-Identifier: BSD-2-Clause
 *
 * PNG has no chunk for IPTC. The custom, begun by ImageMagick, is a text with key "Raw profile type
 * iptc" that holds a name, a length and hexadecimal digits: "\niptc\n      42\n3842494d0404...\n".
 * EXIF came that way too before PNG had eXIf. */
#include <stdlib.h>
#include <string.h>

#include "adapter.h"

static int digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* An ae_alloc copy of the bytes in *n_bytes, NULL where the text is damaged or memory short. */
static uint8_t *parse(const char *text, size_t *n_bytes)
{
    const char *p = strchr(text[0] == '\n' ? text + 1 : text, '\n');
    char *end;
    unsigned long n;
    uint8_t *out;
    size_t i = 0;

    if (!p)
        return NULL;
    n = strtoul(p, &end, 10);
    if (end == p || n == 0 || n > strlen(end) / 2 || !(out = ae_alloc(n, 1)))
        return NULL;
    for (int high = -1; *end && i < n; end++) {
        int d = digit(*end);

        if (d < 0)
            continue;
        if (high >= 0)
            out[i++] = (uint8_t)(high << 4 | d);
        high = high < 0 ? d : -1;
    }
    if (i < n) {
        ae_free(out);
        return NULL;
    }
    *n_bytes = n;
    return out;
}

bool aei_add_raw_profile(ae_meta *meta, const char *key, const char *text, ae_status *st,
                         ae_error *err)
{
    static const char prefix[] = "Raw profile type ";
    const char *type = key + sizeof(prefix) - 1;
    bool iptc, exif;
    uint8_t *bytes;
    size_t n;

    if (strncmp(key, prefix, sizeof(prefix) - 1) != 0)
        return false;
    iptc = strcmp(type, "iptc") == 0;
    exif = strcmp(type, "exif") == 0 || strcmp(type, "APP1") == 0;
    bytes = iptc || exif ? parse(text, &n) : NULL;
    if (!bytes)
        return false;
    *st = iptc ? aei_add_photoshop(meta, bytes, n, err) : aei_add_exif(meta, bytes, n, err);
    ae_free(bytes);
    return true;
}

char *aei_make_raw_iptc(const ae_meta_item *item)
{
    static const char hex[] = "0123456789abcdef";
    size_t n = AEI_PHOTOSHOP_HEAD + item->n_bytes + (item->n_bytes & 1);
    uint8_t head[AEI_PHOTOSHOP_HEAD];
    char *text = n < SIZE_MAX / 4 ? ae_alloc(40 + 2 * n + n / 36, 1) : NULL, *p = text;

    if (!text)
        return NULL;
    aei_photoshop_head(item->n_bytes, head);
    p += sprintf(p, "\niptc\n%8zu", n);
    for (size_t i = 0; i < n; i++) {
        uint8_t v = i < sizeof(head) ? head[i] : item->value[i - sizeof(head)];

        if (i % 36 == 0)
            *p++ = '\n';
        *p++ = hex[v >> 4];
        *p++ = hex[v & 15];
    }
    *p++ = '\n';
    return text;
}
