#!/usr/bin/env python3
# A small job of each tool is done again and again, and the first time its first operation on files fails, the second time its second: what fails
# is told, with exit status 1; what was there stays as it was; what is there afterwards is whole; nothing is left over. What succeeds is right, and
# so it is where each read and write does only half. FAULTS=all tries each kind of failure.
# faults.py BADFILES AECOMPRESS AEDECOMPRESS AEDENOISE AESUPERRES MAKEMODEL AETRAIN AEFEATURES AESAMPLE AESEARCH AEANOMALY
import json, os, random, shutil, struct, subprocess, sys

bad, compress, decompress, denoise, superres, makemodel, train, features, sample, search, anomaly = sys.argv[1:]
thorough = os.environ.get("FAULTS") == "all"
wrong = []
runs = 0

def picture(name, w, h, seed):
    open(name, "wb").write(b"P6\n%d %d\n255\n" % (w, h) + random.Random(seed).randbytes(3 * w * h))

def run(command, where, fault=None, count=None):
    env = dict(os.environ, LSAN_OPTIONS="detect_leaks=0")
    if fault:
        env.update(LD_PRELOAD=bad, BAD_FILES=fault)
    if count:
        env.update(BAD_FILES_COUNT=count)
    return subprocess.run(command, cwd=where, env=env, capture_output=True, text=True, timeout=300)

def tree(where):
    return {os.path.relpath(os.path.join(d, f), where): open(os.path.join(d, f), "rb").read() for d, _, fs in os.walk(where) for f in fs}

def job(name, command, *given, differs=(), good=None):
    """given: files to begin with. differs: outputs that are not the same each time. good: says of a file in `work`, after a failure that was told,
    whether it is whole all the same, where it may be neither as before nor as wanted."""
    global runs
    shutil.rmtree("clean", True)
    os.mkdir("clean")
    for g in given:
        shutil.copy2(g, "clean")
    before = tree("clean")
    shutil.rmtree("start", True)
    shutil.copytree("clean", "start")
    r = run(command, "clean", "0 e", os.path.abspath("count"))
    if r.returncode:
        sys.exit(f"{name}: {r.stderr}")
    wanted, n = tree("clean"), int(open("count").read())
    if n < 5:
        sys.exit(f"{name}: {n} operations: are they seen?")
    print(name, n)
    told = r.stdout
    faults = [f"{i} {k}" for i in range(1, n + 1) for k in ("es" if thorough else "s")] + ["0 h"]
    for fault in faults:
        shutil.rmtree("work", True)
        os.mkdir("work")
        for g in given:
            shutil.copy2(g, "work")
        r = run(command, "work", fault)
        after = tree("work")
        runs += 1
        def say(what):
            wrong.append(f"{name}, {fault}: {what}: {r.stderr.strip()[-300:]}")
        if r.returncode not in (0, 1) or (fault == "0 h" and r.returncode):
            say(f"exit {r.returncode}")
        if r.returncode == 1 and not r.stderr.strip():
            say("nothing said")
        for f, data in before.items():
            if f not in after:
                say(f"{f} has gone")
            elif after[f] != data and after[f] != wanted[f] and not (r.returncode == 1 and good and good(f, data)):
                say(f"{f} is damaged")
        for f, data in after.items():
            if f in before:
                continue
            if f not in wanted:
                say(f"{f} is left over")
            elif data != wanted[f] and f not in differs and not (r.returncode == 1 and good and good(f, None)):
                say(f"{f} is half")
        if r.returncode == 0:
            if r.stdout != told:
                say("other results on standard output, and all is well")
            for f in wanted:
                if f not in after or (f not in differs and after[f] != wanted[f]):
                    say(f"{f} is not what it should be, and all is well")

def names(where, f):
    return [json.loads(line)["item"] for line in run([decompress, "-l", "--json", f], where).stdout.splitlines()]

def fine(f, before):
    """An archive that lacks some of what was to come, and nothing that it had; all that is in it is well."""
    if not f.endswith(".aec") or run([decompress, "-t", f], "work").returncode:
        return False
    had, has, all = names("start", f) if before else [], names("work", f), names("clean", f)
    return has == [n for n in all if n in has] and has[: len(had)] == had

picture("p.ppm", 40, 30, 1)
picture("q.ppm", 20, 10, 2)
samples = struct.pack("<600h", *(random.Random(3).randint(-9000, 9000) for _ in range(600)))
open("s.wav", "wb").write(b"RIFF" + struct.pack("<I", 36 + len(samples)) + b"WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 1, 8000, 16000, 2, 16)
                          + b"data" + struct.pack("<I", len(samples)) + samples)
open("table.csv", "w").writelines(f"{i % 7},{i % 5},{i % 3},{i % 2}\n" for i in range(20))
for f, args in (("s.aec", ["s.wav"]), ("t.aec", ["-o", "t.aec", "table.csv"]), ("p.aec", ["p.ppm"]), ("two.aec", ["--archive", "two.aec", "p.ppm", "q.ppm"]), ("one.aec", ["--archive", "one.aec", "p.ppm"])):
    subprocess.run([compress, "--lossless", "--quiet", *args], check=True)
open("tiny.yaml", "w").write("""recipe: 1
name: tiny
task: denoise
residual: true
networks:
  - name: net
    inputs: [{name: image, channels: 3}, {name: level, channels: 1}]
    layers:
      - {op: concat, from: [image, level]}
      - {op: conv, out: 8, act: relu}
      - {op: conv, out: 3}
data: {crop: 8}
corruption: [{kind: gaussian, sigma: [25, 25]}]
loss: [{kind: charbonnier}]
train: {rate: 5.0e-3, steps: 2, warmup: 0, batch: 2, shards: 2, validate_every: 2, holdout: 0.5}
""")
text = open("tiny.yaml").read().replace("channels: 1}]", "channels: 2}]").split("data:")[0]
open("denoise.yaml", "w").write(text)
open("superres.yaml", "w").write("""recipe: 1
name: tiny
task: superres
scale: 2
residual: true
networks:
  - name: net
    inputs: [{name: image, channels: 3}]
    layers:
      - {op: conv, out: 8, act: relu}
      - {op: conv, out: 12}
      - {op: shuffle}
""")
open("table.yaml", "w").write("""recipe: 1
name: table
task: autoencode
networks:
  - name: autoencoder
    inputs: [{name: image, channels: 1, height: 1, width: 4}]
    layers:
      - {name: code, op: dense, out: 2}
      - {op: dense, out: 4}
      - {op: reshape, height: 1, width: 4, channels: 1}
data: {augment: false}
loss: [{kind: mse}]
train: {optimizer: adamw, rate: 1.0e-2, rate_end: 1.0e-4, steps: 2, warmup: 0, batch: 4, shards: 2, validate_every: 2}
""")
for name in "denoise", "superres", "table":
    subprocess.run([makemodel, name + ".yaml", name + ".aem"], check=True)
quiet = ["--quiet", "-j", "1"]

job("aecompress", [compress, "--lossless", *quiet, "p.ppm"], "p.ppm")
job("aecompress --verify -f", [compress, "--lossless", *quiet, "--verify", "-f", "p.ppm"], "p.ppm", "p.aec")
job("aecompress --archive", [compress, "--lossless", *quiet, "--archive", "a.aec", "p.ppm", "q.ppm"], "p.ppm", "q.ppm", good=fine)
job("aecompress --append", [compress, "--lossless", *quiet, "--archive", "one.aec", "--append", "q.ppm"], "one.aec", "q.ppm", good=fine)
job("aedecompress", [decompress, *quiet, "p.aec"], "p.aec")
job("aedecompress, an archive", [decompress, *quiet, "-o", "deep/out", "two.aec"], "two.aec")
job("aedenoise -f", [denoise, *quiet, "--model", "./denoise.aem", "--level", "20", "-f", "-o", "q.ppm", "p.ppm"], "p.ppm", "q.ppm", "denoise.aem")
job("aesuperres", [superres, *quiet, "--model", "./superres.aem", "-o", "large.png", "p.ppm"], "p.ppm", "superres.aem")
job("aefeatures", [features, "-m", "table.aem", "table.csv", "-o", "codes.npy", "--error", "errors.csv", *quiet], "table.aem", "table.csv")
job("aesample", [sample, "-m", "table.aem", "table.csv", "-n", "5", "--seed", "3", "-o", "drawn.csv", *quiet], "table.aem", "table.csv")
with_model = [search, "-m", "table.aem", *quiet]
subprocess.run([*with_model, "--build", "table.index", "table.csv"], check=True)
job("aesearch --build", [*with_model, "--build", "new.index", "table.csv"], "table.aem", "table.csv")
job("aesearch", [*with_model, "--index", "table.index", "-k", "2", "table.csv"], "table.aem", "table.index", "table.csv")
job("aeanomaly", [anomaly, "-m", "table.aem", "--normal", "table.csv", "--detector", "new.detector", "table.csv", *quiet], "table.aem", "table.csv")
job("aecompress, a sound", [compress, *quiet, "s.wav"], "s.wav")
job("aedecompress, a sound", [decompress, *quiet, "s.aec"], "s.aec")
job("aecompress, an array", [compress, *quiet, "table.csv"], "table.csv")
job("aedecompress, an array", [decompress, *quiet, "-o", "t.csv", "t.aec"], "t.aec")
job("aetrain", [train, "tiny.yaml", "p.ppm", "q.ppm", "-o", "m.aem", "--threads", "1", "--quiet"], "tiny.yaml", "p.ppm", "q.ppm",
    differs=("m.aem", "m.json", "m.html", "m.md"))
print(runs, "runs")
if wrong:
    sys.exit("\n".join(wrong))
