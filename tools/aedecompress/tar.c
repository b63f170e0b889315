/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Headers of ustar, with a pax record in front of what they cannot say: names that are long or not
 * ASCII, sizes of more than eleven octal digits. Owners are left out, and nothing is sought, so
 * that a pipe will do. */
#include "tar.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { BLOCK = 512, NAME = 100 };

/* name[100] mode[8] uid[8] gid[8] size[12] mtime[12] checksum[8] type link[100] "ustar" version[2]
 * user[32] group[32] ... */
static void make_header(char block[BLOCK], const char *name, uint64_t n_bytes, int64_t changed,
                        char type)
{
    /* what its eleven digits hold; a pax header says what is larger */
    static const uint64_t most = UINT64_C(077777777777);
    unsigned sum = 0;

    memset(block, 0, BLOCK);
    memcpy(block, name, strlen(name) < NAME ? strlen(name) : NAME);
    memcpy(block + 100, "0000644", 7);
    memcpy(block + 108, "0000000", 7);
    memcpy(block + 116, "0000000", 7);
    snprintf(block + 124, 12, "%011" PRIo64, n_bytes < most ? n_bytes : most);
    snprintf(block + 136, 12, "%011" PRIo64, (uint64_t)(changed > 0 ? changed : 0) & most);
    memset(block + 148, ' ', 8);
    block[156] = type;
    memcpy(block + 257, "ustar\00000", 8);
    for (int i = 0; i < BLOCK; i++)
        sum += (unsigned char)block[i];
    snprintf(block + 148, 8, "%06o", sum & 0777777);
}

static ae_status put_padded(ae_sink *sink, const void *data, uint64_t n_bytes, ae_error *err)
{
    static const char zeros[BLOCK];
    ae_status st = n_bytes ? sink->write(sink->opaque, data, (size_t)n_bytes, err) : AE_OK;

    if (st == AE_OK && n_bytes % BLOCK)
        st = sink->write(sink->opaque, zeros, (size_t)(BLOCK - n_bytes % BLOCK), err);
    return st;
}

/* "LENGTH KEY=VALUE\n", where LENGTH counts its own digits, too. */
static size_t put_record(char *to, size_t room, const char *key, const char *value)
{
    size_t rest = strlen(key) + strlen(value) + 3, n = rest + 1;

    while (n != rest + (size_t)snprintf(NULL, 0, "%zu", n))
        n = rest + (size_t)snprintf(NULL, 0, "%zu", n);
    return (size_t)snprintf(to, room, "%zu %s=%s\n", n, key, value);
}

static bool is_plain(const char *name)
{
    for (const char *c = name; *c; c++)
        if ((unsigned char)*c >= 0x7f)
            return false;
    return strlen(name) <= NAME;
}

ae_status tar_write(ae_sink *sink, const char *name, int64_t changed, const void *data,
                    uint64_t n_bytes, ae_error *err)
{
    size_t room = strlen(name) + 128, n = 0;
    char block[BLOCK], digits[24], *records = ae_alloc(room, 1);
    ae_status st = AE_OK;

    if (!records)
        return ae_fail(err, AE_ERR_NOMEM, "tar: a name of %zu bytes", strlen(name));
    if (!is_plain(name))
        n += put_record(records, room, "path", name);
    snprintf(digits, sizeof(digits), "%" PRIu64, n_bytes);
    if (n_bytes > UINT64_C(077777777777))
        n += put_record(records + n, room - n, "size", digits);
    if (n) {
        make_header(block, "pax", n, changed, 'x');
        if ((st = sink->write(sink->opaque, block, sizeof(block), err)) == AE_OK)
            st = put_padded(sink, records, n, err);
    }
    ae_free(records);
    make_header(block, name, n_bytes, changed, '0');
    if (st == AE_OK && (st = sink->write(sink->opaque, block, sizeof(block), err)) == AE_OK)
        st = put_padded(sink, data, n_bytes, err);
    return st;
}

ae_status tar_finish(ae_sink *sink, ae_error *err)
{
    static const char zeros[2 * BLOCK];

    return sink->write(sink->opaque, zeros, sizeof(zeros), err);
}
