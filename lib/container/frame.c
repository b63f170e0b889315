/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The bytes of .aec files: numbers, checksums, chunks, heads and index entries. */
#include "frame.h"
#include "soundlossy.h"

#include <pthread.h>
#include <string.h>

#include "model/format.h"
#include "arraymodel.h"
#include "samples.h"
#include "soundmodel.h"

const uint8_t aei_aec_magic[8] = {0x89, 'A', 'E', 'C', '\r', '\n', 0x1a, '\n'};
const uint8_t aei_aec_sync[3] = {0xe5, 0xa3, 0xcb};
const uint8_t aei_aec_end[4] = {'A', 'E', 'C', 0xe5};

/* ---- checksums: Castagnoli's polynomial, reflected, four bytes at a time ---- */

static uint32_t crc_table[4][256];
static pthread_once_t crc_once = PTHREAD_ONCE_INIT;

static void make_crc_table(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t v = i;

        for (int k = 0; k < 8; k++)
            v = v >> 1 ^ (v & 1 ? 0x82f63b78 : 0);
        crc_table[0][i] = v;
    }
    for (uint32_t i = 0; i < 256; i++)
        for (int k = 1; k < 4; k++)
            crc_table[k][i] = crc_table[k - 1][i] >> 8 ^ crc_table[0][crc_table[k - 1][i] & 255];
}

uint32_t aei_crc32c(uint32_t crc, const void *data, size_t n_bytes)
{
    const uint8_t *p = data;

    pthread_once(&crc_once, make_crc_table);
    crc = ~crc;
    for (; n_bytes >= 4; n_bytes -= 4, p += 4) {
        crc ^= aei_load32(p);
        crc = crc_table[3][crc & 255] ^ crc_table[2][crc >> 8 & 255] ^
              crc_table[1][crc >> 16 & 255] ^ crc_table[0][crc >> 24];
    }
    for (; n_bytes; n_bytes--)
        crc = crc >> 8 ^ crc_table[0][(crc ^ *p++) & 255];
    return ~crc;
}

/* A checksum is linear: a wrong byte changes it by what that change of the byte alone makes at that
 * distance from the end, and few are alike among 2^32. */
bool aei_mend(uint8_t *bytes, size_t n_bytes)
{
    uint32_t wrong = aei_crc32c(0, bytes, n_bytes) ^ aei_load32(bytes + n_bytes);

    for (size_t i = 0; i < 4; i++) /* nothing is, or a byte of the checksum itself */
        if (!(wrong & ~(0xffu << 8 * i))) {
            bytes[n_bytes + i] ^= (uint8_t)(wrong >> 8 * i);
            return true;
        }
    for (uint32_t change = 1; change < 256; change++) {
        uint32_t made = crc_table[0][change];

        for (size_t i = n_bytes; i-- > 0; made = made >> 8 ^ crc_table[0][made & 255])
            if (made == wrong) {
                bytes[i] ^= (uint8_t)change;
                return true;
            }
    }
    return false;
}

/* ---- bytes ---- */

void aei_put(aei_buffer *b, const void *data, size_t n_bytes)
{
    if (!b->failed && n_bytes > b->capacity - b->n_bytes) {
        size_t capacity = 2 * b->capacity + n_bytes + 64;
        uint8_t *grown = ae_realloc(b->data, b->n_bytes, capacity);

        b->failed = !grown;
        if (grown) {
            b->data = grown;
            b->capacity = capacity;
        }
    }
    if (b->failed || !n_bytes)
        return;
    memcpy(b->data + b->n_bytes, data, n_bytes);
    b->n_bytes += n_bytes;
}

void aei_put_u8(aei_buffer *b, uint32_t v)
{
    uint8_t byte = (uint8_t)v;

    aei_put(b, &byte, 1);
}

void aei_put_number(aei_buffer *b, uint64_t v)
{
    for (; v >= 128; v >>= 7)
        aei_put_u8(b, (uint32_t)(v & 127) | 128);
    aei_put_u8(b, (uint32_t)v);
}

const uint8_t *aei_take(aei_cursor *c, uint64_t n_bytes)
{
    const uint8_t *at = c->at;

    if (c->bad || (uint64_t)(c->end - c->at) < n_bytes) {
        c->bad = true;
        return NULL;
    }
    c->at += n_bytes;
    return at;
}

uint32_t aei_take_u8(aei_cursor *c)
{
    const uint8_t *p = aei_take(c, 1);

    return p ? *p : 0;
}

uint64_t aei_take_number(aei_cursor *c)
{
    uint64_t v = 0;

    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint32_t byte = aei_take_u8(c);

        if (shift == 63 && byte > 1)
            break;
        v |= (uint64_t)(byte & 127) << shift;
        if (!(byte & 128))
            return c->bad ? 0 : v;
    }
    c->bad = true;
    return 0;
}

/* ---- chunks ---- */

void aei_make_chunk(uint8_t header[AEI_AEC_CHUNK], uint8_t type, uint32_t n_bytes)
{
    memcpy(header, aei_aec_sync, 3);
    header[3] = type;
    aei_store32(header + 4, n_bytes);
    aei_store32(header + 8, aei_crc32c(0, header, 8));
}

bool aei_parse_chunk(const uint8_t header[AEI_AEC_CHUNK], uint8_t *type, uint32_t *n_bytes)
{
    if (memcmp(header, aei_aec_sync, 3) != 0 || aei_crc32c(0, header, 8) != aei_load32(header + 8))
        return false;
    *type = header[3];
    *n_bytes = aei_load32(header + 4);
    return true;
}

/* ---- heads ---- */

enum { HEAD_ALPHA = 8, HEAD_IDENTITY = 16, HEAD_KNOWN = 31 };

/* The lengths and rates of a sound. */
static void put_sound(aei_buffer *b, const ae_item *item)
{
    uint8_t rate[8];
    uint64_t pattern;

    memcpy(&pattern, &item->info.rate, sizeof(pattern));
    aei_store64(rate, pattern);
    aei_put(b, rate, sizeof(rate));
    aei_put_number(b, item->info.layout);
    aei_put_number(b, item->tile);
    aei_put_number(b, item->info.height);
}

/* The dimensions of an array, the tile and the error. */
static void put_array(aei_buffer *b, const ae_item *item)
{
    uint8_t error[8];
    uint64_t pattern;

    aei_put_number(b, item->info.height);
    for (uint32_t i = 0; i < item->info.rank; i++)
        aei_put_number(b, item->info.dims[i]);
    aei_put_number(b, item->tile);
    if (!item->quality)
        return;
    memcpy(&pattern, &item->error, sizeof(pattern));
    aei_store64(error, pattern);
    aei_put(b, error, sizeof(error));
}

void aei_put_head(aei_buffer *b, const ae_item *item)
{
    const ae_signal_info *info = &item->info;
    bool network = item->coding == AE_ITEM_NETWORK, sound = info->kind == AE_KIND_AUDIO,
         array = info->kind == AE_KIND_TENSOR;

    aei_put_u8(b, item->coding);
    aei_put_u8(b, info->kind);
    aei_put_u8(b, info->sample);
    aei_put_u8(b, info->bits);
    aei_put_u8(b, array   ? info->rank + 1
                  : sound ? info->channels
                          : info->channels | (info->alpha ? HEAD_ALPHA : 0) |
                                (network ? HEAD_IDENTITY : 0));
    aei_put_u8(b, sound ? item->block : item->orientation);
    aei_put_u8(b, item->quality & 255);
    aei_put_u8(b, item->quality >> 8);
    if (sound || array) {
        (sound ? put_sound : put_array)(b, item);
        return;
    }
    aei_put_number(b, info->width);
    aei_put_number(b, info->height);
    if (network)
        aei_put(b, item->identity, sizeof(item->identity));
}

bool aei_samples_known(const ae_signal_info *info)
{
    return info->sample == AE_F32
               ? info->bits == 32
               : (info->sample == AE_U8 || info->sample == AE_U16) && info->bits >= 1 &&
                     info->bits <= 8 * ae_sample_bytes(info->sample);
}

bool aei_sound_known(const ae_signal_info *info)
{
    bool integer = info->sample == AE_S8 || info->sample == AE_S16 || info->sample == AE_S24 ||
                   info->sample == AE_S32;
    bool floats = info->sample == AE_F32 || info->sample == AE_F64;
    uint32_t bits = 8 * (uint32_t)ae_sample_bytes(info->sample);

    return (integer || floats) && info->bits >= 1 &&
           (floats ? info->bits == bits : info->bits <= bits) && info->channels >= 1 &&
           info->channels <= AEI_MODEL_CHANNELS && info->rate > 0 && info->rate <= 1e9;
}

bool ae_arrays_known(const ae_signal_info *info)
{
    uint64_t n, bytes;

    return info->kind == AE_KIND_TENSOR && info->sample != AE_S24 &&
           ae_sample_bytes(info->sample) && info->bits == 8 * ae_sample_bytes(info->sample) &&
           info->channels == 1 && info->rank <= AE_MAX_RANK && info->width && info->height &&
           !__builtin_mul_overflow(info->width, info->height, &n) &&
           !__builtin_mul_overflow(n, ae_sample_bytes(info->sample), &bytes) && ae_row_bytes(info);
}

bool aei_tiles_believed(const ae_item *item)
{
    uint64_t n = item->info.height * (item->info.kind == AE_KIND_TENSOR ? item->info.width : 1);

    return n / item->tile < AEI_AEC_MAX_SOUND_TILES;
}

/* The same of an array. */
static ae_status take_array(aei_cursor *c, ae_item *item, uint32_t rank, ae_error *err)
{
    ae_signal_info *info = &item->info;
    const uint8_t *error;
    uint64_t tile, pattern = 0, n = 0;
    bool good = rank >= 1 && rank <= AE_MAX_RANK + 1;

    info->channels = 1;
    info->width = 1;
    info->height = aei_take_number(c);
    for (uint32_t i = 1; i < rank && good; i++) {
        n = aei_take_number(c);
        good = n >= 1 && n <= UINT32_MAX && !__builtin_mul_overflow(info->width, n, &info->width);
        info->dims[info->rank++] = (uint32_t)n;
    }
    tile = aei_take_number(c);
    if (item->quality && (error = aei_take(c, 8)) != NULL)
        pattern = aei_load64(error);
    memcpy(&item->error, &pattern, sizeof(pattern));
    if (c->bad)
        return ae_fail(err, AE_ERR_MALFORMED, "a head that ends too early");
    if (item->coding != AE_ITEM_SAMPLES || item->quality > AE_ARRAY_RELATIVE)
        return ae_fail(err, AE_ERR_TOO_NEW,
                       "an array coded in a way that later versions read (coding %u, %u)",
                       item->coding, item->quality);
    if (!good || !ae_arrays_known(info) || item->orientation || tile < 1 ||
        tile > AEI_ARRAY_MAX_TILE || (item->quality && !(item->error > 0 && item->error < 1e308)))
        return ae_fail(err, AE_ERR_MALFORMED, "a head that contradicts itself");
    item->tile = (uint32_t)tile;
    if (!aei_tiles_believed(item))
        return ae_fail(err, AE_ERR_LIMIT,
                       "an array of %llu rows in tiles of %u elements, more than %d tiles",
                       (unsigned long long)info->height, item->tile, AEI_AEC_MAX_SOUND_TILES);
    return AE_OK;
}

/* What a head says of a sound, of which the first bytes are read. */
static ae_status take_sound(aei_cursor *c, ae_item *item, uint32_t channels, ae_error *err)
{
    ae_signal_info *info = &item->info;
    const uint8_t *rate = aei_take(c, 8);
    uint64_t pattern = rate ? aei_load64(rate) : 0, tile;

    memcpy(&info->rate, &pattern, sizeof(pattern));
    info->width = 1;
    info->channels = channels;
    info->layout = aei_take_number(c);
    tile = aei_take_number(c);
    info->height = aei_take_number(c);
    item->block = item->orientation;
    item->orientation = 0;
    if (c->bad)
        return ae_fail(err, AE_ERR_MALFORMED, "a head that ends too early");
    if (item->coding != AE_ITEM_SAMPLES && item->coding != AE_ITEM_SPECTRA)
        return ae_fail(err, AE_ERR_TOO_NEW,
                       "a sound coded in a way that later versions read (coding %u)", item->coding);
    if (!aei_sound_known(info) || tile < 1 || tile > AEI_MODEL_MAX_FRAMES ||
        tile * ae_row_bytes(info) > AEI_AEC_MAX_TILE / 2 ||
        (item->coding == AE_ITEM_SPECTRA ? !aei_lossy_fits(info, item->block, (uint32_t)tile)
                                         : item->block))
        return ae_fail(err, AE_ERR_MALFORMED, "a head that contradicts itself");
    item->tile = (uint32_t)tile;
    if (!aei_tiles_believed(item))
        return ae_fail(err, AE_ERR_LIMIT,
                       "a sound of %llu frames in tiles of %u, more than %d tiles",
                       (unsigned long long)info->height, item->tile, AEI_AEC_MAX_SOUND_TILES);
    return AE_OK;
}

uint32_t aei_sound_tile_frames(const void *data, size_t n_bytes)
{
    const uint8_t *bytes = n_bytes ? data : (const void *)"";
    aei_cursor at = {bytes, bytes + n_bytes, false};
    uint64_t frames = aei_take_number(&at);

    return at.bad || frames > AEI_MODEL_MAX_FRAMES ? 0 : (uint32_t)frames;
}

ae_status aei_take_head(aei_cursor *c, ae_item *item, ae_error *err)
{
    ae_signal_info *info = &item->info;
    uint32_t flags;
    const uint8_t *identity;

    *info = (ae_signal_info){0};
    item->coding = (uint8_t)aei_take_u8(c);
    info->kind = (ae_kind)aei_take_u8(c);
    info->sample = (ae_sample)aei_take_u8(c);
    info->bits = aei_take_u8(c);
    flags = aei_take_u8(c);
    item->orientation = (uint8_t)aei_take_u8(c);
    item->quality = (uint16_t)aei_take_u8(c);
    item->quality = (uint16_t)(item->quality | aei_take_u8(c) << 8);
    item->tile = item->block = 0;
    item->error = 0;
    if (info->kind == AE_KIND_AUDIO)
        return take_sound(c, item, flags, err);
    if (info->kind == AE_KIND_TENSOR)
        return take_array(c, item, flags, err);
    info->width = aei_take_number(c);
    info->height = aei_take_number(c);
    info->channels = flags & 7;
    info->alpha = flags & HEAD_ALPHA;
    if (flags & HEAD_IDENTITY && (identity = aei_take(c, sizeof(item->identity))) != NULL)
        memcpy(item->identity, identity, sizeof(item->identity));
    if (c->bad)
        return ae_fail(err, AE_ERR_MALFORMED, "a head that ends too early");
    if (item->coding > AE_ITEM_NETWORK || flags > HEAD_KNOWN)
        return ae_fail(err, AE_ERR_TOO_NEW,
                       "an item coded in a way that later versions read (coding %u, flags %u)",
                       item->coding, flags);
    if (info->kind != AE_KIND_IMAGE || !aei_samples_known(info) ||
        (info->sample == AE_F32 && (item->coding || item->quality)) || info->channels < 1 ||
        info->channels > 4 || info->alpha != (info->channels == 2 || info->channels == 4) ||
        item->orientation > 8 || info->width < 1 || info->height < 1 || info->width > UINT32_MAX ||
        info->height > UINT32_MAX ||
        (item->coding == AE_ITEM_NETWORK) != !!(flags & HEAD_IDENTITY) ||
        (item->coding == AE_ITEM_NETWORK && item->quality > AE_QUALITY_MOST))
        return ae_fail(err, AE_ERR_MALFORMED, "a head that contradicts itself");
    return AE_OK;
}

uint32_t aei_item_tiles(const ae_item *item)
{
    uint64_t across = (item->info.width + AE_CODER_TILE - 1) / AE_CODER_TILE;
    uint64_t down = (item->info.height + AE_CODER_TILE - 1) / AE_CODER_TILE;

    if (item->info.kind == AE_KIND_AUDIO)
        return (uint32_t)((item->info.height + item->tile - 1) / item->tile);
    if (item->info.kind == AE_KIND_TENSOR)
        return (uint32_t)((item->info.height * item->info.width + item->tile - 1) / item->tile);
    return across * down > UINT32_MAX ? UINT32_MAX : (uint32_t)(across * down);
}

uint32_t ae_item_tiles(const ae_item *item)
{
    return aei_item_tiles(item);
}

bool ae_item_name_is_safe(const char *name)
{
    size_t n = strlen(name);

    if (!n || n > AE_ITEM_MAX_NAME || *name == '/' || name[n - 1] == '/')
        return false;
    for (const char *part = name; part; part = strchr(part, '/') ? strchr(part, '/') + 1 : NULL) {
        size_t length = strcspn(part, "/");

        if (!length || (length == 1 && part[0] == '.') ||
            (length == 2 && part[0] == '.' && part[1] == '.') || length > 255)
            return false;
    }
    for (const unsigned char *c = (const unsigned char *)name; *c; c++)
        if (*c < 0x20 || *c == 0x7f || *c == '\\')
            return false;
    return true;
}

/* ---- index entries ---- */

void aei_put_name(aei_buffer *b, const char *previous, const char *name)
{
    size_t shared = 0, n = strlen(name);

    while (previous[shared] && previous[shared] == name[shared])
        shared++;
    aei_put_number(b, shared);
    aei_put_number(b, n - shared);
    aei_put(b, name + shared, n - shared);
}

bool aei_take_name(aei_cursor *c, char *name)
{
    uint64_t shared = aei_take_number(c), rest = aei_take_number(c);
    const uint8_t *text = aei_take(c, rest);

    if (c->bad || shared > strlen(name) || rest > AE_ITEM_MAX_NAME - shared ||
        memchr(text, 0, (size_t)rest))
        return false;
    memcpy(name + shared, text, (size_t)rest);
    name[shared + rest] = 0;
    return true;
}

void aei_put_entry(aei_buffer *b, const char *previous, const ae_item *item)
{
    aei_put_name(b, previous, item->name);
    aei_put_number(b, item->packed ? 1 + (uint64_t)item->position : 0);
    aei_put_number(b, item->offset);
    if (!item->packed) {
        aei_put_number(b, item->number);
        aei_put_number(b, item->span);
        aei_put_head(b, item);
    }
}

ae_status aei_take_entry(aei_cursor *c, char *name, ae_item *item, ae_error *err)
{
    uint64_t packed;

    *item = (ae_item){0};
    if (!aei_take_name(c, name))
        return ae_fail(err, AE_ERR_MALFORMED, "a damaged name in the index");
    packed = aei_take_number(c);
    item->offset = aei_take_number(c);
    if (packed > AE_PACK_BYTES)
        return ae_fail(err, AE_ERR_MALFORMED, "item %s is said to be the %llu-th of a pack", name,
                       (unsigned long long)packed);
    if (packed) {
        item->packed = 1;
        item->position = (uint32_t)packed - 1;
    } else {
        item->number = aei_take_number(c);
        item->span = aei_take_number(c);
        return aei_take_head(c, item, err);
    }
    return c->bad ? ae_fail(err, AE_ERR_MALFORMED, "an index that ends too early") : AE_OK;
}
