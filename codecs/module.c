/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Loading modules: NAME is aesuite-NAME.so beside the library that holds this code, wherever both
 * have been put. Programs that link the adapters themselves, as tests do, hold the modules already.
 * A module is never unloaded. */
#define _GNU_SOURCE
#include "module.h"

#include <dlfcn.h>
#include <pthread.h>
#include <string.h>

extern const aei_module aei_module_av __attribute__((weak)), aei_module_avif __attribute__((weak)),
    aei_module_heif __attribute__((weak)), aei_module_jxl __attribute__((weak)),
    aei_module_raw __attribute__((weak));

typedef struct module {
    const char *name;
    const aei_module *linked; /* NULL: it has to be loaded */
    const char *codecs[18];   /* end with NULL */
    const aei_module *loaded;
    char failure[200];
} module;

static module modules[] = {
    {"av",
     &aei_module_av,
     {"apng", "bmp", "exr", "gif", "jp2", "qoi", "tga", /* sounds: */ "aac", "avi", "m4a", "mkv",
      "mov", "mp3", "mp4", "ts", "webm", "wma"},
     NULL,
     ""},
    {"avif", &aei_module_avif, {"avif"}, NULL, ""},
    {"heif", &aei_module_heif, {"heic"}, NULL, ""},
    {"jxl", &aei_module_jxl, {"jxl"}, NULL, ""},
    {"raw", &aei_module_raw, {"raw"}, NULL, ""},
};
enum { N_MODULES = sizeof(modules) / sizeof(*modules) };

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER; /* of what is loaded, and these: */
static bool forbidden;
static uint32_t missed;

static void load(module *m)
{
    char text[4096];
    const char *slash = NULL;
    Dl_info here;
    void *library;
    const aei_module *found;

    if (m->linked) {
        m->loaded = m->linked;
        return;
    }
    /* $ORIGIN would be that of a sanitizer, where one stands before dlopen */
    if (dladdr(modules, &here) && here.dli_fname)
        slash = strrchr(here.dli_fname, '/');
    if (!slash) {
        snprintf(m->failure, sizeof(m->failure), "it is unknown where the library lies");
        return;
    }
    snprintf(text, sizeof(text), "%.*s/aesuite-%s.so", (int)(slash - here.dli_fname),
             here.dli_fname, m->name);
    if (!(library = dlopen(text, RTLD_NOW | RTLD_LOCAL))) {
        snprintf(m->failure, sizeof(m->failure), "%s", dlerror());
        return;
    }
    snprintf(text, sizeof(text), "aei_module_%s", m->name);
    found = dlsym(library, text);
    if (!found || strcmp(found->version, ae_version()) != 0)
        snprintf(m->failure, sizeof(m->failure), "aesuite-%s.so is not of version %s", m->name,
                 ae_version());
    else
        m->loaded = found;
}

void aei_module_forbid(void)
{
    forbidden = true;
}

uint32_t aei_module_missed(void)
{
    uint32_t bits = missed;

    missed = 0;
    return bits;
}

void aei_module_load(uint32_t bits)
{
    for (int i = 0; i < N_MODULES; i++)
        if (bits >> i & 1 && !modules[i].loaded && !modules[i].failure[0])
            load(&modules[i]);
}

static bool serves(const module *m, const char *name)
{
    size_t i = 0;

    while (m->codecs[i] && strcmp(m->codecs[i], name) != 0)
        i++;
    return m->codecs[i];
}

/* The adapter of that name in its module, or NULL. */
static const ae_codec *find(const ae_codec *codec, ae_error *err)
{
    uint32_t i = 0;
    const ae_codec *found;

    while (i < N_MODULES && !serves(&modules[i], codec->name))
        i++;
    if (i == N_MODULES) {
        ae_fail(err, AE_ERR_INTERNAL, "%s: in no module", codec->description);
        return NULL;
    }
    pthread_mutex_lock(&mutex);
    if (!forbidden)
        aei_module_load(UINT32_C(1) << i);
    else if (!modules[i].loaded && !modules[i].failure[0])
        missed |= UINT32_C(1) << i;
    found = modules[i].loaded ? modules[i].loaded->codecs : NULL;
    pthread_mutex_unlock(&mutex);
    while (found && found->name && strcmp(found->name, codec->name) != 0)
        found++;
    if (found && found->name)
        return found;
    ae_fail(err, AE_ERR_UNSUPPORTED, "%s: its module cannot be loaded: %s", codec->description,
            modules[i].failure[0] ? modules[i].failure : modules[i].name);
    return NULL;
}

ae_status aei_module_open(ae_source *source, const ae_limits *limits, ae_reader *reader,
                          ae_error *err)
{
    const ae_codec *c = find(reader->codec, err);

    return c ? c->open(source, limits, reader, err) : AE_ERR_UNSUPPORTED;
}

ae_status aei_module_create(ae_sink *sink, const ae_signal_info *info, const ae_meta *meta,
                            const ae_write_options *options, ae_writer *writer, ae_error *err)
{
    const ae_codec *c = find(writer->codec, err);

    return c ? c->create(sink, info, meta, options, writer, err) : AE_ERR_UNSUPPORTED;
}

/* What follows was opened or created, and so is there. */

ae_status aei_module_read(ae_reader *reader, void *rows, uint32_t n_rows, ae_error *err)
{
    return find(reader->codec, err)->read(reader, rows, n_rows, err);
}

ae_status aei_module_read_some(ae_reader *reader, void *rows, uint32_t capacity, uint32_t *n_rows,
                               ae_error *err)
{
    return find(reader->codec, err)->read_some(reader, rows, capacity, n_rows, err);
}

ae_status aei_module_picture(ae_reader *reader, uint32_t n, ae_error *err)
{
    return find(reader->codec, err)->picture(reader, n, err);
}

void aei_module_close(ae_reader *reader)
{
    find(reader->codec, NULL)->close(reader);
}

ae_status aei_module_write(ae_writer *writer, const void *rows, uint32_t n_rows, ae_error *err)
{
    return find(writer->codec, err)->write(writer, rows, n_rows, err);
}

ae_status aei_module_finish(ae_writer *writer, ae_error *err)
{
    return find(writer->codec, err)->finish(writer, err);
}

void aei_module_abandon(ae_writer *writer)
{
    find(writer->codec, NULL)->abandon(writer);
}
