#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Mel distance (doc/sound.md) of lossy sound at bit rates of whole files, beside Opus, AAC and MP3 where their encoders are there:

    bench/sound_rd.py BUILD 12,24 SPEECH.wav...      needs numpy and ffmpeg; opusenc and lame for their rows

Each file is decoded to 16 bits once, and that is what all encode. A peer's rate is what its files have: compare rows at like rates."""
import os
import shutil
import subprocess
import sys
import tempfile
import wave

import numpy as np


def read(path):
    with wave.open(path) as w:
        return np.frombuffer(w.readframes(w.getnframes()), "<i2").reshape(-1, w.getnchannels()) / 32768.0, w.getframerate()


def bands(n, rate, cache={}):
    if (n, rate) not in cache:
        count = n * 5 // 128
        edges = 700 * (10 ** (np.linspace(0, 2595 * np.log10(1 + rate / 1400), count + 2) / 2595) - 1)
        f = np.arange(n // 2 + 1) * rate / n
        low, middle, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
        cache[n, rate] = np.maximum(0, np.minimum((f - low) / (middle - low), (high - f) / (high - middle)))
    return cache[n, rate]


def log_mel(x, rate, n):
    window = np.hanning(n + 1)[:-1]
    frames = np.arange(n) + np.arange(1 + (len(x) - n) // (n // 4))[:, None] * (n // 4)
    power = np.abs(np.fft.rfft(x[frames] * window)) ** 2 / np.sum(window**2)
    return 10 * np.log10(power @ bands(n, rate).T + 1e-10)


def distance(a, b, rate):
    n = min(len(a), len(b))
    each = [[np.mean(np.abs(log_mel(a[:n, c], rate, w) - log_mel(b[:n, c], rate, w))) for c in range(a.shape[1])] for w in (512, 1024, 2048)]
    return np.mean(each)


def aligned(a, b):
    """b without the delay that a codec may have added."""
    n = min(len(a), len(b))
    both = np.fft.irfft(np.fft.rfft(a[:n, 0], 2 * n).conj() * np.fft.rfft(b[:n, 0], 2 * n))
    at = int(np.argmax(np.r_[both[:4096], both[-4096:]]))
    return b[at:] if at < 4096 else np.pad(b, ((8192 - at, 0), (0, 0)))


def main(build, rates, files):
    tools = os.path.join(build, "tools")
    ours = [os.path.join(tools, t, t) for t in ("aecompress", "aedecompress")]
    peers = {
        "ae": ("aec", lambda rate, i, o: [ours[0], "-f", "--target-bitrate", rate, "-o", o, i]),
        "opus": ("opus", lambda rate, i, o: ["opusenc", "--quiet", "--discard-comments", "--padding", "0", "--bitrate", rate, i, o]),
        "aac": ("m4a", lambda rate, i, o: ["ffmpeg", "-v", "error", "-y", "-i", i, "-c:a", "aac", "-b:a", rate + "k", o]),
        "mp3": ("mp3", lambda rate, i, o: ["lame", "--quiet", "-t", "-b", rate, i, o]),
    }
    print("codec  asked  kbit/s  mel distance, dB  SNR, dB")
    with tempfile.TemporaryDirectory() as d:
        wavs = []
        for k, path in enumerate(files):
            wavs.append(f"{d}/{k}.wav")
            subprocess.run(["ffmpeg", "-v", "error", "-y", "-i", path, "-map_metadata", "-1", "-sample_fmt", "s16", wavs[-1]], check=True)
        for name, (suffix, command) in peers.items():
            for rate in rates.split(","):
                rows = []
                for wav in wavs:
                    coded, back = f"{d}/coded.{suffix}", f"{d}/back.wav"
                    line = command(rate, wav, coded)
                    if not shutil.which(line[0]) or subprocess.run(line, stderr=subprocess.DEVNULL).returncode:
                        continue
                    a, hertz = read(wav)
                    if name == "ae":
                        subprocess.run([ours[1], "-f", "-o", back, coded], check=True)
                        b = read(back)[0]
                    else:
                        subprocess.run(["ffmpeg", "-v", "error", "-y", "-i", coded, "-ar", str(hertz), "-sample_fmt", "s16", back], check=True)
                        b = aligned(a, read(back)[0])
                    n = min(len(a), len(b))
                    noise = np.sum((a[:n] - b[:n]) ** 2) + 1e-20
                    rows.append((8e-3 * os.path.getsize(coded) * hertz / len(a), distance(a, b, hertz), 10 * np.log10(np.sum(a[:n] ** 2) / noise)))
                if rows:
                    print("%-5s %6s  %6.1f  %16.3f  %7.1f" % (name, rate, *np.mean(rows, axis=0)), flush=True)


if __name__ == "__main__":
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
