/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Opening .aec: by footer and index, or where these are damaged by scanning for chunks. */
#include <stdio.h>
#include <string.h>

#include "read.h"

/* The last whole footer whose index is whole, at the very end or, where an append broke off, before
 * it. */
static ae_status find_tail(ae_container *c, ae_error *err)
{
    /* bytes of roots that were none: footers that look whole may name large ones */
    uint64_t end = c->bytes.size, spent = 0;
    uint8_t *window = ae_alloc(AEI_AEC_WINDOW, 1);
    ae_status st = window ? AE_OK : aei_out_of_memory(err);

    while (st == AE_OK && end >= AEI_AEC_HEADER + AEI_AEC_FOOTER) {
        /* it is at the end as a rule */
        size_t n = end == c->bytes.size   ? AEI_AEC_FOOTER
                   : end < AEI_AEC_WINDOW ? (size_t)end
                                          : AEI_AEC_WINDOW;

        if (!aei_read_at(c, end - n, window, n))
            break;
        for (size_t i = n; i >= AEI_AEC_FOOTER; i--) {
            const uint8_t *footer = window + i - AEI_AEC_FOOTER;
            aei_root r = {0};
            uint32_t n_chunk;
            uint8_t type;
            ae_error why;

            if (memcmp(footer + 12, aei_aec_end, 4) != 0 || !aei_is_footer(footer))
                continue;
            if (spent > c->bytes.size) /* all is found by scanning */
                goto done;
            st = aei_root_open(c, aei_load64(footer), &r, &why);
            if (st == AE_OK)
                c->tail = (aei_tail){
                    end - n + i,
                    aei_load64(footer),
                    r.next_number,
                    r.model,
                    r.chain,
                    aei_chunk_at(c, r.end, &type, &n_chunk) && type == AEI_CHUNK_UNFINISHED};
            spent += r.capacity;
            ae_free(r.buffer);
            if (st == AE_OK)
                goto done;
            if (st == AE_ERR_NOMEM) {
                ae_fail(err, st, "%s", why.message);
                goto done;
            }
            st = AE_OK;
        }
        if (end == n)
            break;
        end -= n - (AEI_AEC_FOOTER - 1);
    }
done:
    ae_free(window);
    return st;
}

/* Goes by a scan from `offset` on, and says why. */
static ae_status scan_rest(ae_container *c, uint64_t offset, ae_error *err)
{
    bool appended = offset > AEI_AEC_HEADER;
    ae_status st;

    if (!*c->complaint)
        snprintf(c->complaint, sizeof(c->complaint), "%s, at byte %llu",
                 appended ? "it is damaged or an append broke off"
                          : "it is damaged or cut off: there is no index at its end",
                 (unsigned long long)c->bytes.size);
    st = aei_scan(c, offset, err);
    if (c->needs)
        snprintf(c->complaint, sizeof(c->complaint), "%s at byte %llu of at least %llu",
                 appended ? "an append broke off or it is cut off" : "it is cut off",
                 (unsigned long long)c->bytes.size, (unsigned long long)c->needs);
    return st;
}

static ae_status open_container(ae_container *c, ae_error *err)
{
    uint8_t header[AEI_AEC_HEADER];
    ae_status st;

    if (!aei_read_at(c, 0, header, sizeof(header)) ||
        memcmp(header, aei_aec_magic, sizeof(aei_aec_magic)) != 0) {
        uint8_t type;
        uint32_t n;

        /* a file whose first bytes are damaged, but which has a chunk where the first one belongs
         */
        if (!aei_chunk_at(c, AEI_AEC_HEADER, &type, &n))
            return ae_fail(err, AE_ERR_MALFORMED,
                           c->bytes.size ? "is no .aec file, as aecompress makes them"
                                         : "is empty");
        aei_complain(c, "the header of the file is damaged");
    } else if (aei_crc32c(0, header, 12) != aei_load32(header + 12)) {
        aei_complain(c, "the header of the file is damaged");
    } else if (header[8] > AEI_AEC_VERSION || aei_load16(header + 10)) {
        return ae_fail(err, AE_ERR_TOO_NEW, "version %u of the format (features %04x), known is %u",
                       header[8], aei_load16(header + 10), AEI_AEC_VERSION);
    }
    if ((st = find_tail(c, err)) != AE_OK)
        return st;
    if (!c->tail.root) {
        c->by_scan = true;
        return scan_rest(c, AEI_AEC_HEADER, err);
    }
    return c->tail.end < c->bytes.size ? scan_rest(c, c->tail.end, err) : AE_OK;
}

ae_status ae_container_open(const ae_bytes *bytes, const ae_limits *limits, ae_container **out,
                            ae_error *err)
{
    ae_container *c = ae_alloc(1, sizeof(*c));
    ae_status st;

    *out = NULL;
    if (!c)
        return aei_out_of_memory(err);
    c->bytes = *bytes;
    c->limits = ae_limits_resolve(limits);
    c->unread = &c->unread_flag;
    if ((st = aei_settle(c, open_container(c, err), err)) != AE_OK) {
        ae_container_free(c);
        return st;
    }
    *out = c;
    return AE_OK;
}

void ae_container_free(ae_container *c)
{
    if (!c)
        return;
    ae_items_free(c->scanned.all, c->scanned.n);
    ae_free(c);
}

const char *ae_container_complaint(const ae_container *c)
{
    return *c->complaint ? c->complaint : NULL;
}

bool ae_container_unfinished(const ae_container *c)
{
    return c->tail.root ? c->tail.unfinished : c->by_scan;
}

const aei_tail *aei_container_tail(const ae_container *c)
{
    return &c->tail;
}

ae_status ae_container_model(const ae_container *c, void **program, size_t *n_bytes, ae_error *err)
{
    uint8_t *buffer = NULL;
    size_t capacity = 0;
    uint32_t n = 0;
    ae_status st;

    *program = NULL;
    if (!c->tail.model)
        return ae_fail(err, AE_ERR_ARGUMENT, "no model is embedded");
    st = aei_load_chunk(c, c->tail.model, AEI_CHUNK_MODEL, AEI_AEC_MAX_MODEL, &buffer, &capacity,
                        &n, err);
    st = aei_settle(c, st, err);
    if (st != AE_OK)
        ae_free(buffer);
    else
        *program = buffer;
    *n_bytes = n;
    return st;
}
