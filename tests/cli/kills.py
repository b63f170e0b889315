#!/usr/bin/env python3
# Whoever is killed in the midst of writing leaves whole files, and what he leaves over goes with the next run: extraction, denoising
# into a tree, compressing beside the inputs. Appends and archives are append.py's. kills.py AECOMPRESS AEDECOMPRESS AEDENOISE MAKEMODEL [KILLS]
import os, random, shutil, signal, subprocess, sys, time

compress, decompress, denoise, makemodel = sys.argv[1:5]
kills = int((sys.argv[5:] or ["3"])[0])
random.seed(11)
quiet = ["--no-sync", "--quiet", "-j", "2"]

def run(*command):
    r = subprocess.run([str(c) for c in command], capture_output=True, text=True)
    if r.returncode:
        sys.exit(f"{' '.join(map(str, command))}: exit {r.returncode}: {r.stderr}")

def tree(where):
    return {os.path.relpath(os.path.join(d, f), where): open(os.path.join(d, f), "rb").read() for d, _, fs in os.walk(where) for f in fs}

open("denoise.yaml", "w").write("""recipe: 1
name: tiny
task: denoise
residual: true
networks:
  - name: net
    inputs: [{name: image, channels: 3}, {name: level, channels: 2}]
    layers:
      - {op: concat, from: [image, level]}
      - {op: conv, out: 3}
""")
run(makemodel, "denoise.yaml", "denoise.aem")
os.makedirs("in/deep")
names = [f"in/{'deep/' * (i % 2)}p{i:02}.ppm" for i in range(24)]
for i, n in enumerate(names):
    open(n, "wb").write(b"P6\n%d 60\n255\n" % (70 + i) + random.randbytes(3 * 60 * (70 + i)))
run(compress, "--lossless", *quiet, "--archive", "all.aec", "-r", "in")

jobs = {
    "extract": [decompress, *quiet, "--format", "ppm", "-o", "made", "all.aec"],
    "denoise": [denoise, *quiet, "--model", "./denoise.aem", "--level", "20", "-r", "-o", "made", "in"],
    "compress": [compress, "--lossless", *quiet, "-r", "-o", "made", "in"],
}
for name, command in jobs.items():
    shutil.rmtree("made", True)
    start = time.time()
    run(*command)
    took = min(time.time() - start, 3)
    wanted = tree("made")
    torn = torn_off = 0
    for k in range(kills):
        if k % 4 == 0:
            shutil.rmtree("made", True)
            killed = False
        number = signal.SIGTERM if k % 3 == 2 else signal.SIGKILL
        p = subprocess.Popen([*command, "--skip-existing"] if k % 4 else command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        time.sleep(took * random.uniform(0.05, 1))
        p.send_signal(number)
        p.stderr.read()
        status = p.wait()
        assert status in (0, -9, -15, 143), (name, status)
        killed = killed or status < 0 # this one or one before, after which none may have come far enough to tidy up
        for f, data in (tree("made") if os.path.isdir("made") else {}).items():
            if f in wanted:
                assert data == wanted[f], f"{name}: {f} is torn"
            else:
                assert f.endswith(".tmp") and ".ae-" in f and killed, f"{name}: {f} is left over, status {status}"
                torn_off += 1
    run(*command, "--skip-existing")
    assert tree("made") == wanted, f"{name}: {set(tree('out')) ^ set(wanted)} after the last run"
    print(name, kills, "kills,", torn_off, "times something was left over until the next run")
