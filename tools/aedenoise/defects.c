/* SPDX-License-Identifier: BSD-2-Clause
 *
 * One pass over a picture finds its noise and its broken pixels and lines; where lines have offsets
 * these would count as noise, so that a second pass looks at the picture with them mended. */
#include "defects.h"

typedef struct looker {
    const ae_row_source *source;
    ae_defects *all;
} looker;

static ae_status read_and_look(void *opaque, void *rows, uint32_t n_rows, ae_error *err)
{
    const looker *l = opaque;
    ae_status st = l->source->read(l->source->opaque, rows, n_rows, err);

    if (st == AE_OK)
        ae_defects_look(l->all, rows, n_rows);
    return st;
}

ae_status defects_estimate(picture_defects *d, filter_picture *p, ae_noise *noise, ae_error *err)
{
    looker l = {&p->rows, NULL};
    ae_row_source rows = {p->rows.info, &l, read_and_look};
    ae_status st = ae_defects_create(&p->rows.info, &d->all, err);

    l.all = d->all;
    if (st == AE_OK && (st = ae_noise_estimate(&rows, &cli_cancel, noise, err)) == AE_OK)
        d->found = ae_defects_settle(d->all);
    if (st != AE_OK || !(d->found.rows > 0 || d->found.columns > 0))
        return st;
    if ((st = filter_reopen(p, err)) == AE_OK && (st = defects_rows(d, p, &rows, err)) == AE_OK)
        st = ae_noise_estimate(&rows, &cli_cancel, noise, err);
    return st;
}

ae_status defects_rows(const picture_defects *d, const filter_picture *p, ae_row_source *rows,
                       ae_error *err)
{
    *rows = p->rows;
    if (!d->all || !(d->found.pixels || d->found.rows > 0 || d->found.columns > 0))
        return AE_OK;
    return ae_defects_mend(d->all, &p->rows, rows, err);
}

void defects_report(const picture_defects *d, const filter_picture *p)
{
    const ae_defects_found *f = &d->found;

    if (f->pixels && p->options->picture.batch.verbose)
        cli_item_note(p->item, "%llu hot or dead pixels", (unsigned long long)f->pixels);
    if ((f->rows > 0 || f->columns > 0) && p->options->picture.batch.verbose)
        cli_item_note(p->item, "banding of rows %.1f, of columns %.1f (of 255)", (double)f->rows,
                      (double)f->columns);
    cli_json_number(p->item->json, "broken_pixels", (double)f->pixels);
    cli_json_number(p->item->json, "banding_rows", (double)f->rows);
    cli_json_number(p->item->json, "banding_columns", (double)f->columns);
}
