/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What becomes of descriptions of colour in formats that have no place for them: a profile, or a
 * note. */
#include <string.h>

#include "adapter.h"

static const char *const types[] = {"cICP", "gAMA", "cHRM", "sRGB", "sBIT", "mDCV", "cLLI"};

/* What is understood where nothing is said: sRGB, all bits significant. */
static bool is_usual(const ae_meta *meta, const char *type, const uint8_t *p, size_t n)
{
    double gamma, xy[8];
    bool wide = aei_get_chromaticities(meta, xy) && !aei_are_srgb(xy);

    if (strcmp(type, "sRGB") == 0)
        return true;
    if (strcmp(type, "cICP") == 0)
        return p[0] == 1 && p[1] == 13 && p[2] == 0 && p[3] == 1;
    /* beside other primaries than its own, what is about sRGB's gamma is not meant as its curve */
    if (strcmp(type, "gAMA") == 0)
        return aei_get_gamma(meta, &gamma) && gamma >= .45 && gamma <= .46 && !wide;
    if (strcmp(type, "sBIT") == 0) {
        for (size_t i = 0; i < n; i++)
            if (p[i] != 8 && p[i] != 16)
                return false;
        return true;
    }
    return strcmp(type, "cHRM") == 0 && !wide;
}

#ifndef AEI_HAVE_LCMS
uint8_t *aei_make_profile(const ae_meta *meta, bool grey, size_t *n_bytes)
{
    (void)meta;
    (void)grey;
    *n_bytes = 0;
    return NULL;
}
#endif

/* Whether there is such a description, it is unusual, and the format has no place for it. */
static bool is_lost(const ae_meta *meta, const char *held, const char *type)
{
    size_t n;
    const uint8_t *p = aei_find_colour(meta, type, &n);

    return p && !strstr(held, type) && !is_usual(meta, type, p, n);
}

/* Names what is lost, but for the types in `said`, which a profile says. */
static void note_colours(const ae_meta *meta, const char *held, const char *said, char note[160])
{
    for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++) {
        char text[64];

        if (!is_lost(meta, held, types[i]) || strstr(said, types[i]))
            continue;
        snprintf(text, sizeof(text), "%s dropped", types[i]);
        aei_note(note, text);
    }
}

void aei_profile_for(const ae_meta *meta, const ae_signal_info *info, const char *held,
                     aei_profile *out, uint8_t **made, char note[160])
{
    const char *said = "gAMA cHRM"; /* by any profile, and better */
    bool numbers = is_lost(meta, held, "cICP"), gamma = is_lost(meta, held, "gAMA"),
         xy = is_lost(meta, held, "cHRM");
    size_t n;

    *made = NULL;
    if (!aei_fitting_icc(meta, info, out, note)) {
        /* which go before the others */
        bool held_numbers = !numbers && aei_find_colour(meta, "cICP", &n);

        if (numbers || (!held_numbers && (gamma || xy)))
            *made = aei_make_profile(meta, info->channels < 3, &out->n_bytes);
        out->data = *made;
        if (*made)
            aei_note(note, numbers       ? "cICP became a profile"
                           : gamma && xy ? "gAMA and cHRM became a profile"
                           : gamma       ? "gAMA became a profile"
                                         : "cHRM became a profile");
        said = *made ? "cICP gAMA cHRM" : held_numbers ? said : "";
    }
    note_colours(meta, held, said, note);
}

void aei_note_dropped(const ae_meta *meta, unsigned held, char note[160])
{
    for (size_t i = 0; i < meta->n_items; i++)
        if (!((held | 1u << AE_META_COLOUR) >> meta->items[i].kind & 1))
            aei_note(note, "metadata dropped");
    note_colours(meta, "", "", note);
}
