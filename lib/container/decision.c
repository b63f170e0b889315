/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Tables of the logistic function and its inverse in integers, for mixing predictions: the same on
 * every machine. */
#include "decision.h"

#include <pthread.h>
#include <string.h>

static aei_decision_tables shared_tables;
static pthread_once_t tables_once = PTHREAD_ONCE_INIT;

static void make_tables(void)
{
    aei_decision_tables *t = &shared_tables;
    __extension__ typedef unsigned __int128 wide;
    const uint64_t one = 1ull << 62, factor = 0x3fc01ff557ff778e; /* e^(-1/256) 2^62 */
    uint64_t power = one;                                         /* e^(-i/256) 2^62 */
    int at = 0;

    for (int i = 0; i <= TAIL_MAX * 4; i++) {
        if (i <= STRETCH_MAX) {
            uint32_t p = (uint32_t)(((wide)power << 16) / (one + power));

            t->squash[STRETCH_MAX - i] = (uint16_t)(p ? p : 1);
            t->squash[STRETCH_MAX + i] = (uint16_t)(65536 - (p ? p : 1));
        }
        if (i % 4 == 0) {
            uint32_t p = (uint32_t)(((wide)power << 30) / (one + power));

            t->tail[TAIL_MAX + i / 4] = p;
            t->tail[TAIL_MAX - i / 4] = (1u << 30) - p;
        }
        power = (uint64_t)((wide)power * factor >> 62);
    }
    t->tail[2 * TAIL_MAX + 1] = t->tail[2 * TAIL_MAX];
    for (uint32_t i = 0; i < 4096; i++) {
        while (at < 2 * STRETCH_MAX && t->squash[at] < 16 * i + 8)
            at++;
        t->stretch[i] = (int16_t)(at - STRETCH_MAX);
    }
    at = 0;
    for (uint32_t i = 0; i < 4096; i++) {
        while (at < 2 * STRETCH_MAX && t->squash[at] < i)
            at++;
        t->stretch_low[i] = (int16_t)(at - STRETCH_MAX);
    }
    for (uint32_t i = 0; i < 1024; i++)
        t->rate[i] = (uint16_t)(131072 / (2 * i + 3));
}

void aei_decider_reset(aei_decider *d)
{
    pthread_once(&tables_once, make_tables);
    d->t = &shared_tables;
    memset(d->counters, 0, sizeof(d->counters));
    for (unsigned i = 0; i < N_SETS; i++) {
        for (unsigned j = 0; j < N_INPUTS; j++)
            d->weights[0][i][j] = d->weights[1][i][j] = 0;
        for (unsigned j = 0; j < N_CONTEXTS; j++)
            d->weights[0][i][j] = 65536 * 12 / 100;
        d->weights[0][i][N_CONTEXTS] = 65536 * 20 / 100;
        d->weights[0][i][N_CONTEXTS + 1] = 65536 * 10 / 100;
        d->weights[0][i][N_CONTEXTS + 2] = 65536 * 10 / 100;
    }
    d->low = 0;
    d->high = UINT32_MAX;
}

void aei_decider_begin(aei_decider *d, const uint8_t *bytes, size_t n_bytes)
{
    d->in = bytes;
    d->in_end = bytes + n_bytes;
    for (int i = 0; i < 4; i++)
        d->code = d->code << 8 | (d->in < d->in_end ? *d->in++ : 0u);
}

/* The shortest number in low .. high, the bytes behind it being zero. */
uint8_t *aei_decider_end(aei_decider *d, const uint8_t *first)
{
    if (d->low)
        *d->out++ = (uint8_t)((d->low >> 24) + 1);
    while (d->out > first && !d->out[-1])
        d->out--;
    return d->out;
}
