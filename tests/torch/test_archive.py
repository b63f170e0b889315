# SPDX-License-Identifier: BSD-2-Clause
"""test_archive.py AECOMPRESS AEDECOMPRESS: items that the module reads are those that the tools store and give back."""
import pickle
import struct
import subprocess
import sys
import tempfile
import unittest
import wave
from pathlib import Path

try:
    import numpy as np
    import torch
except ImportError as e:
    print("skipped: %s; install python3-torch and python3-numpy" % e)
    sys.exit(77)

from models.torch.archive import Archive, ArchiveError

COMPRESS, DECOMPRESS = (Path(a).resolve() for a in sys.argv[1:3])
ROOT = Path(__file__).resolve().parents[2]
rng = np.random.default_rng(1)


def pnm(path):
    kind, size, most, samples = path.read_bytes().split(b"\n", 3)
    width, height = map(int, size.split())
    return np.frombuffer(samples, ">u2" if int(most) > 255 else "u1").reshape(height, width, 3 if kind == b"P6" else 1)


class Items(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.at = Path(folder.name)

    def run_tool(self, *command):
        subprocess.run([str(c) for c in command], check=True, cwd=self.at, stdout=subprocess.DEVNULL)

    def archive(self, *arguments):
        self.run_tool(COMPRESS, "--quiet", "--archive", "set.aec", *arguments)
        return Archive(self.at / "set.aec")

    def test_pictures(self):
        deep = rng.integers(0, 65536, (40, 50, 3)).astype(">u2")
        (self.at / "deep.ppm").write_bytes(b"P6\n50 40\n65535\n" + deep.tobytes())
        items = self.archive("--lossless", "deep.ppm", ROOT / "samples/dog.png")
        self.assertEqual(sorted(items.names), ["deep.ppm", "dog.png"])
        self.assertTrue((items.read("deep.ppm") == deep).all())
        self.assertTrue((items.read("deep.ppm", region=(7, 5, 30, 20)) == deep[5:25, 7:37]).all())
        self.assertEqual(items["deep.ppm"].dtype, torch.int32)
        self.assertEqual(tuple(items["dog.png"].shape), (3, 288, 384))
        self.run_tool(DECOMPRESS, "--quiet", "-i", "dog.png", "--preview", "-o", "small.ppm", "set.aec")
        self.assertTrue((items.read("dog.png", preview=True) == pnm(self.at / "small.ppm")).all())
        with self.assertRaises(IndexError):
            items[2]
        with self.assertRaises(KeyError):
            items["none"]
        with self.assertRaisesRegex(ArchiveError, "region outside"):
            items.read("deep.ppm", region=(40, 0, 20, 20))

    def test_network(self):
        items = self.archive("-q", "40", ROOT / "samples/dog.png")
        self.run_tool(DECOMPRESS, "--quiet", "-o", "dog.ppm", "set.aec")
        self.assertTrue((items.read(0) == pnm(self.at / "dog.ppm")).all())

    def test_many(self):
        """Small pictures share tiles; labels; other processes; what was open when it was pickled."""
        pictures = rng.integers(0, 256, (300, 9, 7)).astype("u1")
        (self.at / "t-images-idx3-ubyte").write_bytes(struct.pack(">IIII", 2051, 300, 9, 7) + pictures.tobytes())
        (self.at / "t-labels-idx1-ubyte").write_bytes(struct.pack(">II", 2049, 300) + bytes(i % 10 for i in range(300)))
        items = self.archive("--lossless", "--labels", "t-labels-idx1-ubyte", "t-images-idx3-ubyte")
        self.assertEqual(items.labels, [str(i % 10) for i in range(300)])
        for i in rng.permutation(300):
            self.assertTrue((items.read(int(i))[..., 0] == pictures[i]).all())
        loaded = torch.cat(list(torch.utils.data.DataLoader(items, batch_size=64, num_workers=2)))
        self.assertTrue((loaded[:, 0].numpy() == pictures).all())
        again = pickle.loads(pickle.dumps(items))
        self.assertTrue((again.read(299)[..., 0] == pictures[299]).all())
        items.close()

    def test_sound(self):
        samples = rng.integers(-1 << 23, 1 << 23, (5000, 2))
        with wave.open(str(self.at / "a.wav"), "wb") as f:
            f.setparams((2, 3, 8000, 5000, "NONE", ""))
            f.writeframes((samples.astype("<i4")[..., None].view("u1")[..., :3]).tobytes())
        items = self.archive("--lossless", "a.wav")
        self.assertTrue((items.read(0) == samples).all())
        self.assertTrue((items.read(0, first=4000, n=100) == samples[4000:4100]).all())
        self.assertEqual(tuple(items[0].shape), (2, 5000))
        with self.assertRaisesRegex(ArchiveError, "range outside"):
            items.read(0, first=5000)

    def test_arrays(self):
        for kind in ("u1", "i2", "f2", "f4", "f8", "u4", "i8", "?"):
            values = (rng.standard_normal((20, 3, 4)) * 50).astype(kind)
            np.save(self.at / ("%s.npy" % kind.replace("?", "b")), values)
            (self.at / "set.aec").unlink(missing_ok=True)
            items = self.archive("--lossless", "%s.npy" % kind.replace("?", "b"))
            self.assertTrue(items.read(0).dtype == values.dtype and (items.read(0) == values).all(), kind)
            self.assertTrue((items.read(0, first=7, n=2) == values[7:9]).all(), kind)
            self.assertEqual(tuple(items[0].shape), (20, 3, 4))

    def test_damage(self):
        self.archive("--lossless", ROOT / "samples/dog.png").close()
        whole = bytearray((self.at / "set.aec").read_bytes())
        whole[len(whole) // 2] ^= 1
        (self.at / "set.aec").write_bytes(whole)
        with self.assertRaises(ArchiveError):
            Archive(self.at / "set.aec").read(0)
        (self.at / "other.aec").write_bytes(b"no archive")
        with self.assertRaises(ArchiveError):
            Archive(self.at / "other.aec")


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
