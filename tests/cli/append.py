#!/usr/bin/env python3
# What was reported done is there afterwards, whoever was killed: append.py AECOMPRESS AEDECOMPRESS [KILLS [APPENDS]]
import os, random, signal, subprocess, sys, threading, time

compress, decompress = sys.argv[1:3]
INTERRUPTED = (-15, 130, 143) # before it listens, and after
kills, appends = (int(a) for a in (sys.argv[3:] + ["6", "16"][len(sys.argv) - 3:]))
random.seed(7)
quiet = ["--lossless", "--no-sync", "--quiet", "-j", "1"]

def run(status, *command):
    r = subprocess.run([str(c) for c in command], capture_output=True, text=True)
    if r.returncode not in (status if isinstance(status, tuple) else (status,)):
        sys.exit(f"{' '.join(map(str, command))}: exit {r.returncode}: {r.stderr}")
    return r

def listed(path):
    return [l.split()[-1] for l in run((0, 1), decompress, "-l", path).stdout.splitlines()]

def picture(name, w, h, seed):
    if not os.path.exists(name):
        r = random.Random(seed)
        open(name, "wb").write(b"P5\n%d %d\n255\n" % (w, h) + r.randbytes(w * h))

def whole(path, names):
    """Exactly these items, all of them well, and nothing else in the directory."""
    have = listed(path)
    assert sorted(have) == sorted(names), f"{path}: {sorted(set(names) ^ set(have))}"
    run(0, decompress, "-t", path)
    left = [n for n in os.listdir(".") if n.endswith(".tmp")]
    assert not left, left

def kill_after(seconds, number, *command):
    p = subprocess.Popen([str(c) for c in command], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    time.sleep(seconds)
    p.send_signal(number)
    says = p.stderr.read()
    return p.wait(), says

names = [f"p{i:03}.pgm" for i in range(60)]
for i, n in enumerate(names):
    picture(n, 150, 130, i) if i % 3 else picture(n, 5, 4, i)

# how long an archive takes, so that kills fall within
start = time.time()
run(0, compress, *quiet, "--archive", "time.aec", *names)
took = min(time.time() - start, 2) # on a busy machine kills come early

# a new archive that is killed or interrupted leaves what was done; the same command goes on
for number in (signal.SIGKILL, signal.SIGTERM):
    before = 0
    for k in range(kills):
        status, says = kill_after(took * random.uniform(0.2, 1), number, compress, *quiet, "--archive", "new.aec", *names)
        assert status in (0, -9, 1, *INTERRUPTED) and (status != 1 or "exists already" in says), (status, says)
        if os.path.exists("new.aec"):
            n = len(listed("new.aec"))
            assert n >= before or number == signal.SIGKILL, (n, before)
            before = n
            if number == signal.SIGTERM:
                run(0, decompress, "-t", "new.aec")
    r = run((0, 1), compress, *quiet, "--archive", "new.aec", *names)
    assert not r.returncode or "exists already" in r.stderr, r.stderr
    whole("new.aec", names)
    r = run(1, compress, *quiet, "--archive", "new.aec", *names)
    assert "exists already" in r.stderr, r.stderr
    os.unlink("new.aec")

# an append that is killed costs nothing that was reported; an interrupted one leaves the archive as it was
run(0, compress, *quiet, "--archive", "s.aec", "p000.pgm")
done = ["p000.pgm"]
for k in range(kills):
    group = [f"k{k:04}-{i}.pgm" for i in range(4)]
    for i, g in enumerate(group):
        picture(g, 120 + k % 50, 110, 100 + 4 * k + i)
    status, says = kill_after(took * random.uniform(0.1, 0.5), random.choice((signal.SIGKILL, signal.SIGTERM)), compress, *quiet,
                              "--archive", "s.aec", "--append", *group)
    have = listed("s.aec")
    assert set(done) <= set(have), f"{set(done) - set(have)} lost"
    assert status not in INTERRUPTED or sorted(have) == sorted(done), "an interrupted append leaves something"
    if status not in (0, *INTERRUPTED):
        # what a run has left that broke off is no clash; what it had finished, killed as it ended, is one
        r = run((0, 1), compress, *quiet, "--archive", "s.aec", "--append", *group)
        assert not r.returncode or (set(group) <= set(have) and r.stderr.count("already") == len(group)), r.stderr
    if status not in INTERRUPTED:
        done += group
whole("s.aec", done)

# a damaged footer: what it stood for is indexed again
b = bytearray(open("s.aec", "rb").read())
b[-3] ^= 1
open("s.aec", "wb").write(b)
picture("last.pgm", 30, 20, 99)
run(0, compress, *quiet, "--archive", "s.aec", "--append", "last.pgm")
whole("s.aec", done + ["last.pgm"])

# four programs append to one archive, which none of them has yet
done = [[] for _ in range(4)]
for i in range(appends):
    picture(f"q{i:04}.pgm", 6, 5, i)
def work(w):
    for i in range(w, appends, 4):
        name = f"q{i:04}.pgm"
        if subprocess.run([compress, *quiet, "--archive", "t.aec", "--append", name], stderr=subprocess.DEVNULL).returncode == 0:
            done[w].append(name)
threads = [threading.Thread(target=work, args=(w,)) for w in range(4)]
for t in threads:
    t.start()
for t in threads:
    t.join()
assert sum(len(d) for d in done) == appends, "an append failed"
whole("t.aec", sum(done, []))

# what --verify finds wrong, or what fails, leaves the old file: here a full disk
old = open("t.aec", "rb").read()
picture("large.pgm", 600, 600, 5)
limit = lambda blocks: f"ulimit -f {blocks}; trap '' XFSZ; exec \"$@\""
run(1, "sh", "-c", limit(len(old) // 512 + 8), "sh", compress, *quiet, "--verify", "--archive", "t.aec", "--append", "large.pgm")
assert open("t.aec", "rb").read() == old, "a failed append changes the archive"
run(1, "sh", "-c", limit(8), "sh", compress, *quiet, "--archive", "full.aec", "large.pgm")
assert not os.path.exists("full.aec"), "half an archive is left"
print("all well")
