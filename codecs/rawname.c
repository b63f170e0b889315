/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Recognising camera raw files, by maker, and files of boxes, by brand. Makers' files are TIFF
 * with directories that point to the real picture, and would be read as their small preview
 * otherwise. */
#include <string.h>

#include "adapter.h"

static uint32_t number(const uint8_t *p, bool big_endian, unsigned n)
{
    uint32_t v = 0;

    for (unsigned i = 0; i < n; i++)
        v |= (uint32_t)p[i] << 8 * (big_endian ? n - 1 - i : i);
    return v;
}

/* The camera raw formats that are TIFF files: the first directory is of a preview and points to
 * others, or has a DNG version. */
static const char *tiff_raw_name(const uint8_t *head, size_t n_bytes)
{
    bool big_endian = n_bytes && head[0] == 'M', reduced = false, others = false;
    const char *maker = "camera raw";
    uint32_t at, n;

    if (!(aei_has_text(head, n_bytes, 0, "II*") || aei_has_text(head, n_bytes, 0, "MM")) ||
        n_bytes < 16 || number(head + 2, big_endian, 2) != 42)
        return NULL;
    at = number(head + 4, big_endian, 4);
    if (at > n_bytes - 2)
        return NULL;
    n = number(head + at, big_endian, 2);
    for (uint32_t i = 0; i < n && at + 2 + 12 * (i + 1) <= n_bytes; i++) {
        const uint8_t *e = head + at + 2 + 12 * i;
        uint32_t value = number(e + 8, big_endian, 4);

        switch (number(e, big_endian, 2)) {
        case 0x00fe: /* kind of picture */ reduced = value & 1; break;
        case 0x010f: /* make */
            maker = aei_has_text(head, n_bytes, value, "NIKON")     ? "Nikon camera raw (NEF)"
                    : aei_has_text(head, n_bytes, value, "SONY")    ? "Sony camera raw (ARW)"
                    : aei_has_text(head, n_bytes, value, "PENTAX")  ? "Pentax camera raw (PEF)"
                    : aei_has_text(head, n_bytes, value, "SAMSUNG") ? "Samsung camera raw (SRW)"
                                                                    : maker;
            break;
        case 0x014a: /* further directories */ others = true; break;
        case 0xc612: return "digital negative (DNG)";
        default: break;
        }
    }
    return reduced && others ? maker : NULL;
}

const char *aei_raw_name(const uint8_t *head, size_t n_bytes)
{
    return aei_has_text(head, n_bytes, 8, "CR\x02")            ? "Canon camera raw (CR2)"
           : aei_has_text(head, n_bytes, 4, "ftypcrx ")        ? "Canon camera raw (CR3)"
           : aei_has_text(head, n_bytes, 6, "HEAPCCDR")        ? "Canon camera raw (CRW)"
           : aei_has_text(head, n_bytes, 0, "FUJIFILMCCD-RAW") ? "Fujifilm camera raw (RAF)"
           : aei_has_text(head, n_bytes, 0, "IIRO")            ? "Olympus camera raw (ORF)"
           : aei_has_text(head, n_bytes, 0, "IIRS")            ? "Olympus camera raw (ORF)"
           : aei_has_text(head, n_bytes, 0, "MMOR")            ? "Olympus camera raw (ORF)"
           : aei_has_text(head, n_bytes, 0, "IIU")             ? "Panasonic camera raw (RW2)"
           : aei_has_text(head, n_bytes, 0, "FOVb")            ? "Sigma camera raw (X3F)"
                                                               : tiff_raw_name(head, n_bytes);
}

/* The box of file type: a major brand and compatible ones. */
bool aei_has_brand(const uint8_t *head, size_t n_bytes, const char *const *brands)
{
    uint32_t end = n_bytes >= 16 && aei_has_text(head, n_bytes, 4, "ftyp") ? number(head, true, 4)
                                                                           : 0;

    for (; *brands; brands++)
        for (size_t at = 8; at + 4 <= end && at + 4 <= n_bytes; at += 4)
            if (at != 12 && aei_has_text(head, n_bytes, at, *brands))
                return true;
    return false;
}

const char *const aei_raw_suffixes[] = {
    "cr2", "cr3", "crw", "nef", "nrw", "arw", "sr2", "srf", "dng", "raf", "orf", "rw2", "raw",
    "pef", "srw", "x3f", "3fr", "fff", "iiq", "rwl", "dcr", "kdc", "mrw", "erf", NULL};
