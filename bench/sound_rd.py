#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Mel distance (doc/sound.md) of lossy sound at bit rates of whole files, beside Opus, AAC and MP3 where their encoders are there:

    bench/sound_rd.py [--plot FILE.svg] BUILD 12,24 SPEECH.wav...      needs numpy, scipy and ffmpeg; opusenc and lame for their rows

Each file is decoded to 16 bits once, and that is what all encode. STOI is of single channels. A peer's rate is what its files have: compare rows at like rates."""
import os
import shutil
import subprocess
import sys
import tempfile
import wave

import numpy as np

from sound_scores import stoi


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


COLOURS = {"ae": "#111", "opus": "#2563eb", "aac": "#c2410c", "mp3": "#15803d"}


def plot(curves, path, title):
    """Mel distance over the logarithm of the rate; ours is the thick curve."""
    rates = [p[0] for c in curves.values() for p in c]
    low, high, most = min(rates) / 1.1, max(rates) * 1.1, 10

    def at(p):
        return "%.1f %.1f" % (50 + 560 * np.log(p[0] / low) / np.log(high / low), 390 - 350 * min(p[1], most) / most)

    lines = ['<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 640 430" font-family="sans-serif" font-size="12">',
             '<rect width="640" height="430" fill="#fff"/><text x="50" y="20" font-size="14">%s</text>' % title,
             '<text x="330" y="423" text-anchor="middle">kbit/s</text><text x="10" y="34">dB</text>']
    for y in range(0, most + 1, 2):
        lines.append('<path stroke="#ddd" d="M%s H610"/><text x="28" y="%g">%d</text>' % (at((low, y)), 394 - 350 * y / most, y))
    for rate in (6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256):
        if low < rate < high:
            x = at((rate, 0)).split()[0]
            lines.append('<path stroke="#ddd" d="M%s 40V390"/><text x="%s" y="406" text-anchor="middle">%d</text>' % (x, x, rate))
    for i, (name, points) in enumerate(curves.items()):
        style = 'fill="none" stroke="%s" stroke-width="%s"' % (COLOURS[name], 3 if name == "ae" else 1.5)
        lines.append('<path %s d="M%s"/>' % (style, " ".join(at(p) for p in sorted(map(tuple, points)))))
        lines.append('<path %s d="M500 %dh30"/><text x="538" y="%d">%s</text>' % (style, 60 + 16 * i, 64 + 16 * i, name))
    with open(path, "w") as file:
        file.write("\n".join(lines + ["</svg>\n"]))


def main(build, rates, files, picture=None):
    tools = os.path.join(build, "tools")
    ours = [os.path.join(tools, t, t) for t in ("aecompress", "aedecompress")]
    peers = {
        "ae": ("aec", lambda rate, i, o: [ours[0], "-f", "--target-bitrate", rate, "-o", o, i]),
        "opus": ("opus", lambda rate, i, o: ["opusenc", "--quiet", "--discard-comments", "--padding", "0", "--bitrate", rate, i, o]),
        "aac": ("m4a", lambda rate, i, o: ["ffmpeg", "-v", "error", "-y", "-i", i, "-c:a", "aac", "-b:a", rate + "k", o]),
        "mp3": ("mp3", lambda rate, i, o: ["lame", "--quiet", "-t", "-b", rate, i, o]),
    }
    curves = {}
    print("codec  asked  kbit/s  mel distance, dB  SNR, dB   STOI")
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
                    rows.append((8e-3 * os.path.getsize(coded) * hertz / len(a), distance(a, b, hertz), 10 * np.log10(np.sum(a[:n] ** 2) / noise),
                                 stoi(a[:n, 0], b[:n, 0], hertz) if a.shape[1] == 1 else np.nan))
                if rows:
                    curves.setdefault(name, []).append(np.mean(rows, axis=0))
                    print("%-5s %6s  %6.1f  %16.3f  %7.1f  %5.3f" % (name, rate, *curves[name][-1]), flush=True)
        if picture:
            plot(curves, picture, "Mel distance of %d recordings" % len(wavs))


if __name__ == "__main__":
    arguments = sys.argv[1:]
    picture = arguments.pop(1) if arguments[:1] == ["--plot"] and len(arguments) > 1 else None
    if len(arguments) < (4 if picture else 3):
        sys.exit(__doc__)
    main(*arguments[1 if picture else 0:][:2], arguments[3 if picture else 2:], picture)
