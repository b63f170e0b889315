/* SPDX-License-Identifier: BSD-2-Clause
 *
 * .aec files by their paths; items copied as they are. */
#include "common/aecfile.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static size_t read_source(void *opaque, uint64_t offset, void *to, size_t n_bytes)
{
    ae_source *source = opaque;

    return ae_source_seek(source, offset) ? ae_source_read(source, to, n_bytes) : 0;
}

static ae_status open_regular(aecfile *f, ae_error *err)
{
    struct stat s;

    if (f->fd < 0 || fstat(f->fd, &s) != 0)
        return ae_fail(err, AE_ERR_IO, "%s", strerror(errno));
    f->size = (uint64_t)s.st_size;
    return ae_archive_open_descriptor(f->fd, NULL, &f->archive, err);
}

ae_status aecfile_open(aecfile *f, const char *path, ae_error *err)
{
    struct stat s;
    ae_status st;

    *f = (aecfile){.fd = -1};
    if (strcmp(path, "-") != 0 && (f->fd = open(path, O_RDONLY | O_CLOEXEC)) >= 0 &&
        fstat(f->fd, &s) == 0 && S_ISREG(s.st_mode)) {
        st = open_regular(f, err);
    } else {
        if (f->fd >= 0)
            close(f->fd);
        f->fd = -1;
        if ((st = ae_source_open(path, &f->source, err)) != AE_OK)
            return st;
        f->size = ae_source_size(f->source);
        st = ae_archive_open(&(ae_bytes){f->source, f->size, read_source}, NULL, &f->archive, err);
    }
    f->container = st == AE_OK ? ae_archive_container(f->archive) : NULL;
    return st;
}

ae_status aecfile_open_descriptor(aecfile *f, int fd, ae_error *err)
{
    ae_status st;

    *f = (aecfile){.fd = fcntl(fd, F_DUPFD_CLOEXEC, 3)};
    if ((st = open_regular(f, err)) == AE_OK)
        f->container = ae_archive_container(f->archive);
    return st;
}

void aecfile_close(aecfile *f)
{
    ae_archive_free(f->archive);
    ae_source_free(f->source);
    if (f->fd > 0)
        close(f->fd);
    *f = (aecfile){.fd = -1};
}

ae_status aecfile_copy(const ae_container *from, const ae_item *what, ae_container_writer *w,
                       uint32_t *n_lost, ae_error *err)
{
    uint32_t n_tiles = ae_item_tiles(what);
    bool network = what->coding == AE_ITEM_NETWORK;
    ae_item_reader *r = NULL;
    ae_item_fields fields;
    ae_meta meta = {0};
    uint8_t hash[16];
    ae_error why;
    ae_status st;

    if ((st = ae_container_fields(from, what, 1, &fields, err)) != AE_OK ||
        (st = ae_item_open(from, what, &r, err)) != AE_OK ||
        (st = ae_container_begin(w, what, err)) != AE_OK ||
        (st = ae_container_write_fields(w, &fields, 1, err)) != AE_OK)
        goto done;
    for (int kind = 0; kind < (network ? AE_TILE_KINDS : 1); kind++)
        for (uint32_t i = 0;
             i < n_tiles && st == AE_OK && (kind != AE_TILE_ALPHA || what->info.alpha); i++) {
            const void *data;
            size_t n;

            if (ae_item_tile(r, (ae_tile_kind)kind, i, &data, &n, &why) == AE_OK)
                st = data ? ae_container_write_tile(w, (ae_tile_kind)kind, i, data, n, err) : AE_OK;
            else if (n_lost && why.status != AE_ERR_IO)
                ++*n_lost;
            else
                st = ae_fail(err, why.status, "%s", why.message);
        }
    if (st == AE_OK && ae_item_meta(r, NULL, &meta, &why) == AE_OK)
        st = ae_container_write_meta(w, &meta, err);
    else if (st == AE_OK && why.status == AE_ERR_IO)
        st = ae_fail(err, why.status, "%s", why.message);
    if (st == AE_OK)
        st = ae_container_end(w, ae_item_hash(r, hash) ? hash : NULL, err);
done:
    ae_meta_clear(&meta);
    ae_item_free(r);
    return st;
}
