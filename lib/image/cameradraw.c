/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Which cameras there are: the distributions that training draws from, made by hand so that what
 * they take looks like photographs of phones and cameras at high sensitivity. */
#include "image/camera.h"

#include "core/fastmath.h"

#include <math.h>

static float log_range(aei_rng *rng, float lo, float hi)
{
    return lo * aei_pow(hi / lo, aei_rng_float(rng));
}

/* Grain of film that was scanned: as coarse in colour as in luminance, about as strong in shadows
 * as in highlights. */
static void draw_film(aei_rng *rng, aei_camera *k)
{
    k->mosaic = k->raw = false;
    k->read = log_range(rng, 0.5f, 8);
    k->colour = aei_rng_float(rng) < 0.4f ? aei_rng_range(rng, 0.02f, 0.2f)
                                          : aei_rng_range(rng, 0.5f, 1.5f);
    k->fine = k->colour_fine = aei_rng_range(rng, 0.5f, 1.6f);
    k->keep = 1;
    k->coarse_share = k->colour_share = k->sharpen = 0;
}

/* Ranges chosen so that deviations and correlations spread about those measured on cameras
 * (tests/image/test_camera.c). */
void aei_camera_draw(aei_rng *rng, aei_camera *k)
{
    /* no noise reduction, or a picture scaled down since */
    bool plain = aei_rng_float(rng) < 0.08f;
    float share;

    *k = (aei_camera){
        .balance = {aei_rng_range(rng, 1.2f, 2.6f), 1, aei_rng_range(rng, 1.2f, 2.6f)}};
    for (int i = 0; i < 3; i++) {
        float a = aei_rng_range(rng, 0, 0.6f), b = aei_rng_range(rng, 0, 0.3f);

        k->mix[i][i] = 1 + a + b;
        k->mix[i][(i + 1) % 3] = i == 2 ? -b : -a; /* neighbours in the spectrum overlap most */
        k->mix[i][(i + 2) % 3] = i == 2 ? -a : -b;
    }
    k->gamma = aei_rng_range(rng, 1.8f, 2.6f);
    k->toe = log_range(rng, 0.002f, 0.02f);
    k->contrast = aei_rng_range(rng, 0.2f, 0.9f);
    k->mosaic = !plain && aei_rng_float(rng) < 0.85f;
    k->phase = aei_rng_below(rng, 4);
    share = aei_rng_range(rng, -0.5f, 1.5f);
    k->gradient = share > 0 ? (share < 1 ? share : 1) : 0;
    k->read = log_range(rng, 0.02f, 2);
    k->colour = plain ? aei_rng_range(rng, 0.8f, 1.73f) : log_range(rng, 0.3f, 1.3f);
    k->fine = aei_rng_range(rng, 0.25f, 0.85f);
    k->keep = log_range(rng, 0.1f, 0.8f);
    k->coarse = log_range(rng, 2, 9);
    k->coarse_share = aei_rng_range(rng, 0, 0.3f);
    k->colour_fine = aei_rng_range(rng, 1, 2.5f);
    k->colour_coarse = k->colour_fine * aei_rng_range(rng, 2, 4.5f);
    k->colour_share = aei_rng_range(rng, 0.2f, 0.9f);
    k->edge = log_range(rng, 0.012f, 0.2f);
    share = aei_rng_float(rng);
    k->sharpen = share < 0.3f ? aei_rng_range(rng, 0.1f, 0.9f) : 0;
    k->radius = aei_rng_range(rng, 0.6f, 1.2f);
    if (plain)
        k->fine = k->coarse_share = k->colour_fine = k->colour_share = k->sharpen = 0, k->keep = 1;
    k->raw = aei_rng_float(rng) < 0.3f;
    share = aei_rng_float(rng);
    if (k->raw) {
        k->mosaic = k->mosaic || plain;
        k->fine = share < 0.3f ? k->fine : 0;
        k->contrast = aei_rng_range(rng, 0, 0.9f);
    }
    share = aei_rng_float(rng);
    k->has_jpeg = aei_rng_float(rng) < (k->raw ? 0.4f : 0.85f);
    k->jpeg = (aei_jpeg_loss){.quality = (int)(98.5f - 28 * share * share * share * share),
                              .halve_chroma = aei_rng_below(rng, 2),
                              .y = aei_rng_below(rng, 16),
                              .x = aei_rng_below(rng, 16)};
    if (aei_rng_float(rng) < 0.06f)
        draw_film(rng, k);
    k->zoom = aei_rng_float(rng) < 0.08f ? log_range(rng, 1.05f, 2) : 1;
    k->at_y = aei_rng_float(rng);
    k->at_x = aei_rng_float(rng);
    k->again = aei_rng_float(rng) < 0.15f;
    share = aei_rng_float(rng);
    k->second = (aei_jpeg_loss){.quality = (int)(98.5f - 35 * share * share),
                                .halve_chroma = aei_rng_below(rng, 2),
                                .y = aei_rng_below(rng, 16),
                                .x = aei_rng_below(rng, 16)};
}
