# SPDX-License-Identifier: BSD-2-Clause
"""Items of .aec files in PyTorch, each decoded alone by libaesuite (include/ae/archive.h).

    archive = Archive("set.aec")
    archive[7], archive["cats/007.png"]                  # tensors
    archive.labels[7], archive.names[7]
    DataLoader(archive, batch_size=64, shuffle=True)     # a map-style data set, for any number of workers
"""
import ctypes
import os
from pathlib import Path

import numpy as np

PICTURE, SOUND, ARRAY = 1, 2, 3
# by ae_sample; None: of three bytes
TYPES = [None, "u1", "u2", "i2", None, "i4", "f4", "f8", "i1", "?", "u4", "i8", "u8", "f2"]
S24 = 4
KEPT_PACKS = 1024  # up to 64 MiB of small pictures that share tiles
# what PyTorch 1.13 has no type for
WIDER = {"u2": "i4", "u4": "i8"}


class ArchiveError(RuntimeError):
    pass


class _Error(ctypes.Structure):
    _fields_ = [("status", ctypes.c_int), ("message", ctypes.c_char * 504)]


class _Info(ctypes.Structure):
    _fields_ = [("kind", ctypes.c_int), ("sample", ctypes.c_int), ("bits", ctypes.c_uint32), ("channels", ctypes.c_uint32),
                ("alpha", ctypes.c_bool), ("width", ctypes.c_uint64), ("height", ctypes.c_uint64), ("rate", ctypes.c_double),
                ("rank", ctypes.c_uint32), ("dims", ctypes.c_uint32 * 7), ("layout", ctypes.c_uint64)]


class _Item(ctypes.Structure):
    _fields_ = [("name", ctypes.c_char_p), ("info", _Info), ("tile", ctypes.c_uint32), ("coding", ctypes.c_uint8),
                ("block", ctypes.c_uint8), ("orientation", ctypes.c_uint8), ("quality", ctypes.c_uint16), ("error", ctypes.c_double),
                ("identity", ctypes.c_uint8 * 16), ("number", ctypes.c_uint64), ("offset", ctypes.c_uint64), ("span", ctypes.c_uint64),
                ("position", ctypes.c_uint32), ("packed", ctypes.c_uint32)]


class _Fields(ctypes.Structure):
    _fields_ = [("has_changed", ctypes.c_bool), ("changed", ctypes.c_int64), ("mode", ctypes.c_uint32), ("label", ctypes.c_char * 64)]


class _Options(ctypes.Structure):
    _fields_ = [("model", ctypes.c_char_p), ("coders", ctypes.c_void_p), ("region", ctypes.c_uint32 * 4), ("preview", ctypes.c_bool),
                ("first", ctypes.c_uint64), ("n_frames", ctypes.c_uint64), ("threads", ctypes.c_uint32), ("cancel", ctypes.c_void_p),
                ("opaque", ctypes.c_void_p), ("progress", ctypes.c_void_p), ("lost", ctypes.c_void_p)]


def _library():
    built = Path(__file__).resolve().parents[2] / "build" / "codecs" / "libaesuite.so.0"
    for name in (os.environ.get("AESUITE_LIBRARY"), str(built), "libaesuite.so.0"):
        try:
            lib = ctypes.CDLL(name) if name else None
        except OSError:
            continue
        if lib:
            lib.ae_archive_container.restype = ctypes.c_void_p
            lib.ae_archive_result.restype = _Info
            for free in (lib.ae_archive_free, lib.ae_items_free):
                free.restype = None
            return lib
    raise ArchiveError("libaesuite.so.0 is neither in build/ nor installed; AESUITE_LIBRARY names it")


class Archive:
    """The items of a file, in its order (small pictures stand behind others). model: a codec to decode with, by name or path, where the file has none inside and none that
    fits is installed. threads: a decoder's, 0 for all processors; workers of a DataLoader best have one."""

    def __init__(self, path, model=None, threads=1):
        self.path, self.model, self.threads = os.fspath(path), model, threads
        self._lib = None
        self._open()
        self.names = [self._items[i].name.decode() for i in range(self._n)]
        self._numbers = {name: i for i, name in enumerate(self.names)}
        fields = (_Fields * self._n)()
        self._call("ae_container_fields", self._container, self._items, ctypes.c_size_t(self._n), fields)
        self.labels = [f.label.decode() for f in fields]

    def _call(self, name, *arguments):
        error = _Error()
        if getattr(self._lib, name)(*arguments, ctypes.byref(error)):
            raise ArchiveError("%s: %s" % (self.path, error.message.decode()))

    def _open(self):
        """In each process anew: a descriptor's place and what was decoded last are no business of others."""
        self._lib, self._process = self._lib or _library(), os.getpid()
        self._archive, self._items, n = ctypes.c_void_p(), ctypes.POINTER(_Item)(), ctypes.c_size_t()
        descriptor = os.open(self.path, os.O_RDONLY)
        try:
            self._call("ae_archive_open_descriptor", descriptor, None, ctypes.byref(self._archive))
        finally:
            os.close(descriptor)
        self._call("ae_archive_keep_packs", self._archive, KEPT_PACKS)
        self._container = ctypes.c_void_p(self._lib.ae_archive_container(self._archive))
        self._call("ae_container_list", self._container, ctypes.byref(self._items), ctypes.byref(n))
        self._n = n.value

    def close(self):
        if self._lib and self._archive and self._process == os.getpid():
            self._lib.ae_items_free(self._items, ctypes.c_size_t(self._n))
            self._lib.ae_archive_free(self._archive)
        self._archive = None

    __del__ = close

    def __getstate__(self):
        return {**self.__dict__, "_lib": None, "_archive": None, "_items": None, "_container": None, "_process": 0}

    def __len__(self):
        return self._n

    def read(self, item, region=None, preview=False, first=0, n=0):
        """An item by number or name as a NumPy array of the type that it has: pictures height x width x channels, sounds frames x
        channels, arrays as they were. region: (x, y, width, height) of a picture; preview: an eighth of the size; first, n: frames of
        a sound or rows of an array, n 0 for the rest. Decodes what that takes."""
        if self._process != os.getpid():
            self._open()
        if isinstance(item, str):
            if item not in self._numbers:
                raise KeyError(item)
            item = self._numbers[item]
        if not -self._n <= item < self._n:
            raise IndexError("item %d of %d" % (item, self._n))
        item = self._items[item % self._n]
        options = _Options(self.model.encode() if self.model else None, None, tuple(region or (0, 0, 0, 0)), preview, first, n,
                           self.threads)
        info = self._lib.ae_archive_result(ctypes.byref(item), ctypes.byref(options))
        if info.kind == ARRAY:
            shape = (info.height, *info.dims[:info.rank])
        else:
            shape = (info.height, info.width, info.channels) if info.kind == PICTURE else (info.height, info.channels)
        out = np.empty((*shape, 3) if info.sample == S24 else shape, TYPES[info.sample] or "u1")
        self._call("ae_archive_read", self._archive, ctypes.byref(item), ctypes.byref(options), ctypes.c_void_p(out.ctypes.data),
                   ctypes.c_size_t(out.nbytes))
        if info.sample == S24:
            out = (out.astype("i4") << [8, 16, 24]).sum(-1, dtype="i4") >> 8
        return out

    def __getitem__(self, item):
        """As a tensor, channels first; 16 and 32 bits without sign in the next wider type."""
        import torch

        samples = self.read(item)
        kind = self._items[self._numbers[item] if isinstance(item, str) else item % self._n].info.kind
        samples = samples if kind == ARRAY else np.ascontiguousarray(np.moveaxis(samples, -1, 0))
        return torch.from_numpy(samples.astype(WIDER.get(samples.dtype.str[1:], samples.dtype)))
