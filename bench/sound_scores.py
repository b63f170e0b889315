#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Scores of speech enhancement, and what a model and its peers reach.

    sound_scores.py pairs CLEAN_DIR NOISY_DIR [MODEL]        16 kHz pairs: STOI, SI-SDR, log-spectral distance, peers beside
    sound_scores.py mixed CLEAN_DIR NOISE_DIR [MODEL]        mixtures at 0, 5 and 10 dB made here, at the recordings' rate
    sound_scores.py kept CLEAN_DIR MUSIC_DIR NOISE_DIR MODEL clean speech, music and noise alone; low levels; clipped speech

STOI: Taal et al. 2011; SI-SDR: Le Roux et al. 2019; LSD: root mean square over bins, mean over frames, of the difference of log
spectra. Files are read by ffmpeg; AE_BENCH names the program `sound` (build/bench/sound)."""
import glob
import os
import subprocess
import sys

import numpy as np
from scipy.signal import resample_poly

HERE = os.path.dirname(os.path.abspath(__file__))
PROGRAM = os.environ.get('AE_BENCH', os.path.join(HERE, '..', 'build', 'bench', 'sound'))


def read(path, rate):
    raw = subprocess.run(['ffmpeg', '-v', 'error', '-nostdin', '-i', path, '-f', 'f32le', '-ac', '1', '-ar', str(rate), '-'],
                         check=True, capture_output=True).stdout
    return np.frombuffer(raw, dtype='<f4').astype(np.float64)


def si_sdr(clean, x):
    clean, x = clean - clean.mean(), x - x.mean()
    target = clean * (x @ clean) / (clean @ clean)
    return 10 * np.log10((target @ target) / ((x - target) @ (x - target) + 1e-20))


def spectra(x, n, hop, size, window):
    frames = (len(x) - n) // hop + 1
    at = np.arange(n)[None, :] + hop * np.arange(frames)[:, None]
    return np.fft.rfft(x[at] * window, size)


def lsd(clean, x):
    a, b = (np.log10(np.abs(spectra(v, 512, 256, 512, np.hanning(512))) ** 2 + 1e-8) for v in (clean, x))
    return np.mean(np.sqrt(np.mean((10 * (a - b)) ** 2, axis=1)))


def third_octaves(rate, size, first, n):
    f = np.linspace(0, rate, size + 1)[:size // 2 + 1]
    bands = np.zeros((n, len(f)))
    for i in range(n):
        low, high = first * 2 ** ((2 * i - 1) / 6), first * 2 ** ((2 * i + 1) / 6)
        bands[i, np.argmin((f - low) ** 2):np.argmin((f - high) ** 2)] = 1
    return bands


def stoi(clean, x, rate):
    """Of both at 10 kHz, without the frames in which the clean one is 40 dB below its loudest."""
    up, down = 10000 // np.gcd(10000, rate), rate // np.gcd(10000, rate)
    clean, x = resample_poly(clean, up, down), resample_poly(x, up, down)
    window = np.hanning(258)[1:-1]
    frames = range(0, len(clean) - 256 + 1, 128)
    c = np.array([window * clean[i:i + 256] for i in frames])
    y = np.array([window * x[i:i + 256] for i in frames])
    level = 20 * np.log10(np.linalg.norm(c, axis=1) + 1e-15)
    keep = level > level.max() - 40
    joined = []
    for v in (c[keep], y[keep]):
        out = np.zeros(128 * (len(v) - 1) + 256)
        for i, frame in enumerate(v):
            out[128 * i:128 * i + 256] += frame
        joined.append(out)
    bands = third_octaves(10000, 512, 150, 15)
    c, y = (np.sqrt(bands @ (np.abs(spectra(v, 256, 128, 512, window)) ** 2).T) for v in joined)
    total, count = 0, 0
    for m in range(30, c.shape[1] + 1):
        a, b = c[:, m - 30:m], y[:, m - 30:m]
        b = b * np.linalg.norm(a, axis=1, keepdims=True) / (np.linalg.norm(b, axis=1, keepdims=True) + 1e-15)
        b = np.minimum(b, a * (1 + 10 ** (15 / 20)))
        a, b = a - a.mean(axis=1, keepdims=True), b - b.mean(axis=1, keepdims=True)
        d = (a * b).sum(axis=1) / (np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1) + 1e-15)
        total, count = total + d.sum(), count + len(d)
    return total / count if count else np.nan


def ours(x, rate, model, *more):
    done = subprocess.run([PROGRAM, model, str(rate), '1', *more], input=x.astype('<f4').tobytes(), check=True,
                          capture_output=True)
    return np.frombuffer(done.stdout, dtype='<f4').astype(np.float64)


def ffmpeg(x, rate, filters):
    done = subprocess.run(['ffmpeg', '-v', 'error', '-f', 'f32le', '-ar', str(rate), '-ac', '1', '-i', '-', '-af', filters, '-f',
                           'f32le', '-ar', str(rate), '-'], input=x.astype('<f4').tobytes(), check=True, capture_output=True)
    y = np.frombuffer(done.stdout, dtype='<f4').astype(np.float64)
    return np.pad(y, (0, max(0, len(x) - len(y))))[:len(x)]


def aligned(clean, x, most=2400):
    """ffmpeg's filters shift the signal and do not say by how much: they are given the shift that suits them best."""
    n = 1 << int(np.ceil(np.log2(2 * len(x))))
    c = np.fft.irfft(np.fft.rfft(x, n) * np.conj(np.fft.rfft(clean, n)), n)
    shift = int(np.argmax(c[:most]))
    return np.concatenate([x[shift:], np.zeros(shift)])


def peers(model):
    table = {'noisy': lambda c, x, r: x, 'ffmpeg afftdn': lambda c, x, r: aligned(c, ffmpeg(x, r, 'afftdn'))}
    rnn = os.environ.get('ARNNDN_MODEL')
    if rnn:
        table['ffmpeg arnndn'] = lambda c, x, r: aligned(c, ffmpeg(x, r, f'aresample=48000,arnndn=m={rnn},aresample={r}'))
    if model:
        table[model] = lambda c, x, r: ours(x, r, model)
    return table


def table_of(pairs, rate, model):
    for name, work in peers(model).items():
        scores = []
        for clean, noisy in pairs:
            y = work(clean, noisy, rate)
            assert len(y) == len(clean)
            scores.append((stoi(clean, y, rate), si_sdr(clean, y), lsd(clean, y)))
        s = np.mean(scores, axis=0)
        print(f'{name:24} STOI {s[0]:.4f}  SI-SDR {s[1]:6.2f} dB  LSD {s[2]:5.2f} dB  ({len(scores)} pairs)', flush=True)


def recordings(folder):
    return sorted(f for e in ('flac', 'wav', 'ogg', 'opus') for f in glob.glob(os.path.join(folder, '**', '*.' + e), recursive=True))


def pairs(clean_dir, noisy_dir, model=None, rate=16000):
    both = []
    for f in recordings(clean_dir):
        clean, noisy = read(f, rate), read(os.path.join(noisy_dir, os.path.basename(f)), rate)
        n = min(len(clean), len(noisy))
        both.append((clean[:n], noisy[:n]))
    table_of(both, rate, model)


def mix(clean, noise, snr):
    noise = np.resize(noise, len(clean))
    noise = noise * np.sqrt((clean @ clean) / (noise @ noise + 1e-20)) * 10 ** (-snr / 20)
    return clean + noise


def mixed(clean_dir, noise_dir, model=None, rate=48000):
    clean, noises = recordings(clean_dir), recordings(noise_dir)
    both = []
    for i, f in enumerate(noises):
        c = read(clean[i % len(clean)], rate)
        both.append((c, mix(c, read(f, rate), (0, 5, 10)[i % 3])))
    table_of(both, rate, model)


def db(x):
    return 10 * np.log10(np.mean(x ** 2) + 1e-20)


def kept(clean_dir, music_dir, noise_dir, model, rate=48000):
    clean, noises = recordings(clean_dir), recordings(noise_dir)
    print('clean speech in, SI-SDR of output to input:',
          *(f'{si_sdr(c, ours(c, rate, model)):.1f}' for c in (read(f, rate) for f in clean[:10])))
    for what, files in (('music', recordings(music_dir)), ('noise', noises)):
        for f in files:
            x = read(f, rate)[:30 * rate]
            print(f'{what} in, change of level: {db(ours(x, rate, model)) - db(x):6.1f} dB  {os.path.basename(f)}')
    rows = {'-20 dBFS': [], '-40 dBFS': [], 'clipped by 6 dB': []}
    for i, f in enumerate(noises):
        c = read(clean[i % len(clean)], rate)
        x = mix(c, read(f, rate), 5)
        c, x = (v * 10 ** ((-20 - db(x)) / 20) for v in (c, x))
        top = np.abs(x).max() / 2
        for name, k, y in (('-20 dBFS', 1, x), ('-40 dBFS', 0.1, x * 0.1), ('clipped by 6 dB', 1, np.clip(x, -top, top))):
            rows[name].append(stoi(c * k, ours(y, rate, model), rate) - stoi(c * k, y, rate))
    for name, gains in rows.items():
        print(f'STOI gain at 5 dB, {name}: {np.mean(gains):.4f}')


if __name__ == '__main__':
    if len(sys.argv) < 4 or sys.argv[1] not in ('pairs', 'mixed', 'kept'):
        sys.exit(__doc__)
    globals()[sys.argv[1]](*sys.argv[2:])
