/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What a quality stands for, and the errors of a picture by tile that are held against it. */
#include "promise.h"

#include <math.h>

enum { BLOCK = 32 /* pixels, edge, of what is looked at by itself */ };

double promise_q(uint32_t quality)
{
    return quality <= AE_QUALITY_ONE
               ? (double)quality * COMPRESS_TRAINED / AE_QUALITY_ONE
               : COMPRESS_TRAINED + (quality - (double)AE_QUALITY_ONE) *
                                        (COMPRESS_NETWORK_MAX - COMPRESS_TRAINED) /
                                        COMPRESS_FURTHER;
}

uint32_t promise_quality(double q)
{
    double beyond = fmax(q - COMPRESS_TRAINED, 0);

    return (uint32_t)lround((q - beyond) / COMPRESS_TRAINED * AE_QUALITY_ONE +
                            beyond / (COMPRESS_NETWORK_MAX - COMPRESS_TRAINED) * COMPRESS_FURTHER);
}

static double square_of(double psnr)
{
    return 65025 * pow(10, -psnr / 10);
}

/* Bits that a pixel's mean square error of 1 is worth: the codec was trained with it, and beyond
 * its range steps halve. */
double promise_price(double q)
{
    return 0.0004 * pow(300, fmin(q, COMPRESS_TRAINED) / COMPRESS_TRAINED) *
           pow(4, fmax(q - COMPRESS_TRAINED, 0) / (COMPRESS_NETWORK_MAX - COMPRESS_TRAINED));
}

/* Mean square errors: as photographs have them on average; the most that a tile and a block of it
 * may have. */
double promise_usual_error(double q)
{
    return square_of(26 + 0.16 * q);
}

static double worst_tile(double q)
{
    return square_of(17 + 0.14 * q);
}

static double worst_block(double q)
{
    return square_of(14 + 0.14 * q);
}

/* Bits a pixel of photographs. */
double promise_usual_rate(double q)
{
    return 0.08 * pow(22, q / COMPRESS_TRAINED);
}

bool promise_is_kept(double q, const tile_error *e, double samples)
{
    return e->squares <= worst_tile(q) * samples && e->worst <= worst_block(q);
}

ae_status error_map_open(error_map *m, uint32_t width, uint32_t height, uint32_t channels,
                         ae_error *err)
{
    uint32_t across = (width + AE_CODER_TILE - 1) / AE_CODER_TILE,
             down = (height + AE_CODER_TILE - 1) / AE_CODER_TILE;

    *m = (error_map){.width = width, .height = height, .channels = channels, .across = across};
    m->tiles = ae_alloc((size_t)across * down, sizeof(*m->tiles));
    m->blocks = ae_alloc((width + BLOCK - 1) / BLOCK, sizeof(*m->blocks));
    return m->tiles && m->blocks ? AE_OK
                                 : ae_fail(err, AE_ERR_NOMEM, "errors of %u tiles", across * down);
}

void error_map_close(error_map *m)
{
    ae_free(m->tiles);
    ae_free(m->blocks);
    *m = (error_map){0};
}

void error_map_add(error_map *m, const double *squares)
{
    tile_error *tiles = m->tiles + (size_t)(m->y / AE_CODER_TILE) * m->across;
    uint32_t rows = m->y % BLOCK + 1;

    for (uint32_t x = 0; x < m->width; x++) {
        tiles[x / AE_CODER_TILE].squares += squares[x];
        m->blocks[x / BLOCK] += squares[x];
    }
    if (++m->y % BLOCK && m->y < m->height)
        return;
    /* small ones at the edges count as if they were half whole, so that single pixels do not weigh
     * like a block */
    for (uint32_t i = 0; i * BLOCK < m->width; i++) {
        uint32_t columns = m->width - i * BLOCK < BLOCK ? m->width - i * BLOCK : BLOCK;
        double pixels = fmax(columns * rows, BLOCK * BLOCK / 2),
               mean = m->blocks[i] / (pixels * m->channels);
        tile_error *t = &tiles[i * BLOCK / AE_CODER_TILE];

        t->worst = fmax(t->worst, mean);
        m->blocks[i] = 0;
    }
}
