#!/bin/sh
# aetrain on a data set made here: train.sh LIB AETRAIN
. "$1"

# picture FILE GREY: a 24 x 24 binary PPM with a pattern
picture()
{
    { printf 'P6\n24 24\n255\n'; awk -v g="$2" 'BEGIN { for (i = 0; i < 1728; i++) printf "%c", 33 + (g + int(i / 72) * 3 + i % 7) % 90 }'; } >"$1"
}

mkdir -p data/deep
for i in 1 2 3 4 5 6; do LC_ALL=C picture data/p$i.ppm $((i * 13)); done
LC_ALL=C picture data/deep/q.ppm 5
cat >tiny.yaml <<'END'
recipe: 1
name: tiny
task: denoise
residual: true
networks:
  - name: net
    inputs: [{name: image, channels: 3}, {name: level, channels: 1}]
    layers:
      - {op: concat, from: [image, level]}
      - {op: conv, out: 16, act: relu}
      - {op: conv, out: 3}
data: {crop: 16}
corruption: [{kind: gaussian, sigma: [25, 25]}]
loss: [{kind: charbonnier}]
train: {rate: 5.0e-3, steps: 40, warmup: 0, batch: 8, shards: 4, validate_every: 10, holdout: 0.2}
END

run 0 $tool --help; prints "Usage: aetrain"; prints "--noisy-only"; silent
run 0 $tool -V; prints "aetrain"
run 2 $tool; says "aetrain: a recipe and data must be named"
run 2 $tool tiny.yaml data; says "-o MODEL.aem"
run 2 $tool --time-limit soon tiny.yaml data -o m.aem
run 2 $tool --steps 0 tiny.yaml data -o m.aem
run 1 $tool missing.yaml data -o m.aem; says "missing.yaml"
run 1 $tool data data -o m.aem; says "data is no recipe: one comes first"; run 1 $tool data/p1.ppm data -o m.aem; says "no recipe"
run 1 $tool tiny.yaml missing -o m.aem; says "missing"
run 1 $tool tiny.yaml data -o nowhere/m.aem; says "nowhere"
run 1 $tool tiny.yaml data -o data; says "is a directory"
run 1 $tool tiny.yaml data --card missing.txt -o m.aem; says "missing.txt"
run 1 $tool tiny.yaml data --init missing.aem -o m.aem; says "missing.aem"
run 1 $tool -f tiny.yaml data -o tiny.yaml; says "recipe itself"
run 1 $tool -f tiny.yaml data -o data/p1.ppm; says "among the data"
mkdir -p empty bad; : >bad/a.png; printf 'garbage' >bad/b.jpg; head -c 40 data/p1.ppm >bad/c.ppm
run 1 $tool tiny.yaml empty -o m.aem; says "nothing to learn from"
run 1 $tool tiny.yaml bad -o m.aem; says "a.png: is empty"; says "c.ppm: "; says "none of the 3 items"
sed 's/act: relu/act: wrong/' tiny.yaml >wrong.yaml
run 1 $tool wrong.yaml data -o m.aem; says "wrong.yaml"
absent m.aem m.ckpt .ae-*

echo 'licence: none of these' >card.yaml
run 0 $tool tiny.yaml data bad -o m.aem --json=log.json --report r.html --card card.yaml --seed 3
says "step 40/40"; says "m.aem: 40 steps"; says "c.ppm"; absent m.ckpt
present m.aem log.json r.html
grep -q '"step": 40.*"validated": true' log.json || fail "log.json: $(tail -1 log.json)"
run 0 $tool --show m.aem; prints "seed: 3"; prints "licence: none of these"; prints "conv.2"; prints "command: "; silent
run 0 $tool --list; prints "photo"; prints "mnist-variational"; silent
run 0 $tool --evaluate m.aem data/deep --json=e.json; prints "items                1"; prints "charbonnier"; prints " dB"; silent
grep -q '"charbonnier": 0.*"psnr": ' e.json || fail "e.json: $(cat e.json)"
run 2 $tool --evaluate m.aem; says "wants data"
run 1 $tool --evaluate missing.aem data; says "missing.aem"
# Pairs of clean and noisy pictures.
mkdir pairs fewer && for i in 1 2 3 4 5 6; do LC_ALL=C picture pairs/p$i.ppm $((i * 13 + 1)); done; mkdir pairs/deep; LC_ALL=C picture pairs/deep/q.ppm 6; cp pairs/p1.ppm fewer
run 0 $tool tiny.yaml data --noisy pairs -o pairs.aem; says "the input itself has"
run 0 $tool --evaluate pairs.aem data --noisy pairs; prints " dB"
run 1 $tool tiny.yaml data --noisy fewer -o none.aem; says "7 clean pictures, but 1 noisy"; run 1 $tool tiny.yaml data --noisy pairs --noisy-only -o none.aem; says "pairs"; absent none.aem
# From a directory what the recipe can use is taken; what else is there is counted once, and what was named itself is an error.
mkdir mixed && cp data/*.ppm mixed && printf 'name,licence\na,b\nc,d\n' >mixed/SOURCES.csv && echo hello >mixed/README.txt && echo '{}' >mixed/m.json
run 0 $tool tiny.yaml mixed -o mixed.aem; says "3 files of other kinds were left out"; [ "$(grep -c 'SOURCES' err)" -le 1 ] || fail "rows of a table: $(cat err)"
rm mixed/README.txt mixed/m.json; run 0 $tool -f tiny.yaml mixed -o mixed.aem; says "one file of another kind was left out: mixed/SOURCES.csv"
run 0 $tool -f tiny.yaml data mixed/SOURCES.csv -o mixed.aem; says "mixed/SOURCES.csv: its lines are of 2 numbers; pictures of at least 16 x 16 are needed"
run 1 $tool tiny.yaml mixed/SOURCES.csv -o none.aem; says "at least 16 x 16"; says "nothing to learn from"; absent none.aem
run 0 $tool -f tiny.yaml mixed -o mixed.aem --quiet; silent
mkdir many; for i in 1 2 3 4 5 6 7; do printf 'P5\n3 %d\n255\n%s' $i xxxxxxxxxxxxxxxxxxxxxxxx >many/$i.pgm; done
run 0 $tool -f tiny.yaml data many -o mixed.aem; [ "$(grep -c '^aetrain: many\|^aetrain: [0-9].pgm' err)" -eq 3 ] || fail "each of many: $(cat err)"; says 'and 4 more like "3 x '
run 0 $tool -f -v tiny.yaml data many -o mixed.aem; [ "$(grep -c 'pixels; at least' err)" -eq 7 ] || fail "-v says each: $(cat err)"
cat >rows.yaml <<'END'
recipe: 1
name: rows
task: autoencode
networks:
  - name: net
    inputs: [{name: image, channels: 1, height: 1, width: 2}]
    layers: [{name: code, op: dense, out: 1}, {op: dense, out: 2}, {op: reshape, height: 1, width: 2, channels: 1}]
data: {augment: false}
terms: [{kind: mse}]
train: {rate: 1.0e-3, steps: 2, warmup: 0, batch: 2, shards: 1, validate_every: 2, holdout: 0.5}
END
run 0 $tool rows.yaml mixed -o rows.aem; says "6 files of other kinds were left out, such as mixed/p1.ppm"
# Two networks, classes, and phases; labels are compared with the data and with what the network has.
cat >class.yaml <<'END'
recipe: 1
name: class
task: autoencode
networks:
  - name: net
    inputs: [{name: image, channels: 1, height: 24, width: 24}]
    layers:
      - {name: code, op: dense, out: 8, act: relu}
      - {op: dense, out: 576, act: sigmoid}
      - {op: reshape, height: 24, width: 24, channels: 1}
  - name: head
    inputs: [{name: code, channels: 8, height: 1, width: 1, from: code}]
    layers: [{name: class, op: dense, out: 2}]
data: {augment: false}
terms: [{kind: mse}, {name: classes, kind: cross_entropy, on: head.class, to: label}]
phases: [{train: [net], terms: [mse], steps: 10}, {terms: [classes], steps: 10}]
train: {rate: 5.0e-3, batch: 8, shards: 2, validate_every: 10, holdout: 0.2}
END
printf '0\n1\n0\n1\n0\n1\n1\n' >labels.csv; printf '0\n1\n0\n1\n0\n1\n2\n' >beyond.csv; head -3 labels.csv >few.csv
run 1 $tool class.yaml data -o c.aem; says "needs the labels of the data (--labels)"
run 1 $tool class.yaml data -o c.aem --labels few.csv; says "few.csv: "; says " labels for 7 items"
run 1 $tool class.yaml data -o c.aem --labels beyond.csv; says "has label 2"; absent c.aem
run 0 $tool class.yaml data -o c.aem --labels labels.csv --json=c.json; grep -q '"term_classes": ' c.json || fail "c.json: $(cat c.json)"
run 0 $tool --evaluate c.aem data --labels labels.csv; prints "accuracy"; prints "classes"
run 0 $tool --evaluate c.aem data; prints "mse"; ! grep -q accuracy out || fail "accuracy without labels"
run 0 $tool --rewrite c.aem -o rewritten.aem
run 0 $tool --evaluate rewritten.aem data --labels labels.csv; prints "accuracy"
same_identity() { [ "$($tool --show "$1" | grep identity)" = "$($tool --show "$2" | grep identity)" ] || fail "$1 and $2 are different models"; }
run 1 $tool tiny.yaml data -o m.aem; says "m.aem exists (-f overwrites it)"
run 0 $tool -f tiny.yaml data bad -o n.aem --seed 3 --quiet -j 1; silent; same_identity m.aem n.aem
run 0 $tool -f tiny.yaml data bad -o n.aem --seed 4 --json --quiet; prints '"step": 40'; silent
[ "$($tool --show m.aem | grep identity)" != "$($tool --show n.aem | grep identity)" ] || fail "the seed does not matter"
run 0 $tool tiny.yaml data -o fine.aem --init m.aem; says "4 of 4 tensors taken"
run 0 $tool tiny.yaml data --noisy-only -o noisy.aem; present noisy.aem
run 0 $tool tiny.yaml data --bench --steps 3; prints "layers alone"; silent

# Recipes by name: those that lie beside the models, and one of my own.
mkdir -p own/recipes; cp tiny.yaml own/recipes/mine.yaml
run 0 env AE_MODEL_PATH=own $tool mine data --steps 3 --seed 3 -o named.aem
run 1 $tool nameless data -o o.aem; says "no recipe 'nameless'"; says "mnist-dense"; says "photo"
mkdir photo; run 1 $tool photo empty -o o.aem; says "nothing to learn from"; rmdir photo

# Within a time the schedule is complete, the rate down at its end, and the scores are said.
run 0 $tool tiny.yaml data --steps 100000 -o timed.aem --time-limit 1s --json=timed.json --report timed.html
absent timed.ckpt; says "score on what was held out"; says " dB (before: "; says "the input itself has"
tail -1 timed.json | grep -q '"validated": true' || fail "timed.json: $(tail -1 timed.json)"
awk -F'[,:]' '{ for (i = 1; i < NF; i++) if ($i ~ /"rate"/) r = $(i + 1) } END { exit !(r < 5e-5) }' timed.json || fail "the rate at the end: $(tail -1 timed.json)"
grep -q "before training" timed.html || fail "timed.html: no score before"
run 0 $tool --show timed.aem; prints "validation_psnr_before: "; prints "validation_psnr_of_input: "
# A rate that ruins everything: what training began with is written, and said to be.
run 0 $tool tiny.yaml data --init m.aem --steps 20 --rate 30 -o kept.aem; says "written unchanged"
# Noise that neighbours share, which hidden pixels do not hide.
smooth()
{
    { printf 'P5\n96 96\n255\n'; awk -v s="$1" -v spread="$2" 'BEGIN { srand(s); for (i = 0; i < 97 * 97; i++) n[i] = rand() * 24;
        for (y = 0; y < 96; y++) for (x = 0; x < 96; x++) { i = y * 97 + x;
            printf "%c", 80 + (spread ? (n[i] + n[i + 1] + n[i + 97] + n[i + 98]) / 2 : n[i]) } }'; } >"$3"
}
mkdir coarse fine_noise
for i in 1 2 3; do LC_ALL=C smooth $i 1 coarse/$i.pgm; LC_ALL=C smooth $i 0 fine_noise/$i.pgm; done
run 0 $tool tiny.yaml coarse --noisy-only --steps 2 -o c1.aem; says "coarser than a pixel"; says "cannot be known"
run 0 $tool tiny.yaml fine_noise --noisy-only --steps 2 -o c2.aem; says "cannot be known"
grep -q "coarser" err && fail "fine noise was taken for coarse: $(cat err)"

# Killed, interrupted: the same model as without.
sed 's/validate_every: 10/validate_every: 700/' tiny.yaml >long.yaml
run 0 $tool long.yaml data --steps 8 -o few.aem --json=few.json # shorter than the interval: seen four times all the same
[ "$(grep -c '"validated": true' few.json)" -eq 4 ] || fail "few.json: $(cat few.json)"
long="$tool long.yaml data --steps 9000 --seed 5 --quiet"
run 0 $long -o whole.aem
# timeout signals the process and then its group, in which it is, too: two signals, one wish
timeout -s INT 1 $long -o parts.aem; [ $? -eq 124 ] || fail "interrupted by timeout"; present parts.aem parts.ckpt
# begin SIGNAL: resumes in the background, waits for it to run, sends the signal; its exit status is in $status
begin()
{
    : >log
    $tool long.yaml data --steps 9000 --seed 5 -o parts.aem 2>log & pid=$!
    for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do grep -q resumed log && break; sleep 0.5; done
    sleep 0.2
    kill -$1 $pid
    wait $pid 2>/dev/null
    status=$?
}
begin KILL; present parts.aem
[ ! -e parts.ckpt ] || begin INT
[ $status -eq 130 ] || [ ! -e parts.ckpt ] || fail "interrupted: exit $status: $(cat log)"
[ ! -e parts.ckpt ] || run 0 $long -o parts.aem -j 1
same_identity whole.aem parts.aem; absent parts.ckpt .ae-*

timeout -s INT 1 $tool tiny.yaml data --steps 100000 -o x.aem 2>/dev/null; present x.aem x.ckpt
run 1 $tool tiny.yaml data --steps 100001 -o x.aem; says "x.ckpt"; says "another number of steps or schedule"
run 1 $tool tiny.yaml data/p1.ppm data/p2.ppm data/p3.ppm --steps 100000 -o x.aem; says "another data set"
printf 'XXXX' | dd of=x.ckpt bs=1 seek=500 conv=notrunc 2>/dev/null
run 1 $tool tiny.yaml data --steps 100000 -o x.aem; says "damaged checkpoint"

# IDX, plain and gzip; labels are left out
idx() { printf '\000\000\010\003\000\000\000\030\000\000\000\020\000\000\000\020'; awk 'BEGIN { for (i = 0; i < 6144; i++) printf "%c", 33 + i % 90 }'; }
LC_ALL=C idx >digits-idx3-ubyte; gzip -c digits-idx3-ubyte >digits2-idx3-ubyte.gz
printf '\000\000\010\001\000\000\000\002\001\002' >labels-idx1-ubyte
cat >digits.yaml <<'END'
recipe: 1
name: digits
task: autoencode
networks:
  - name: net
    inputs: [{name: image, channels: 1, height: 16, width: 16}]
    layers:
      - {op: dense, out: 16, act: relu}
      - {op: dense, out: 256, act: sigmoid}
      - {op: reshape, height: 16, width: 16, channels: 1}
data: {augment: false}
loss: [{kind: bce}]
train: {steps: 10, batch: 8, shards: 2, validate_every: 10}
END
run 0 $tool digits.yaml digits-idx3-ubyte digits2-idx3-ubyte.gz labels-idx1-ubyte -o d.aem
run 0 $tool --show d.aem; prints "items: 48"
run 0 $tool digits.yaml . -o e.aem -f; run 0 $tool --show e.aem
printf 'licence: of my own\nscores: none\n' >new-card
run 0 $tool --rewrite m.aem --card new-card -o w.aem; same_identity m.aem w.aem
run 0 $tool --show w.aem; prints "licence: of my own"; grep -q "seed: 3" out && fail "the old card is still there"
run 2 $tool --rewrite m.aem; says "wants -o"
run 1 $tool --rewrite m.aem -o w.aem; says "exists"
# Sound: speech and noises in directories
wav() { printf 'RIFF\044\175\000\000WAVEfmt \020\000\000\000\001\000\001\000\200\076\000\000\000\175\000\000\002\000\020\000data\000\175\000\000'; awk -v s="$1" 'BEGIN { srand(s); for (i = 0; i < 16000; i++) printf "%c%c", 65, 1 + rand() * (i % 800 < 400 ? 8 : 30) }'; }
mkdir speech noises; for i in 1 2 3 4; do LC_ALL=C wav $i >speech/$i.wav; LC_ALL=C wav 9$i >noises/$i.wav; done
sound_recipe sound.yaml tiny "      - {op: conv, out: 1, kernel: [1, 3], act: sigmoid}
      - {op: mul, from: [previous, image]}"
printf 'data: {crop: 16}\nloss: [{kind: mse}]\ntrain: {steps: 2, batch: 2, shards: 2, validate_every: 2}\n' >>sound.yaml
run 0 $tool sound.yaml --clean speech --noise noises -o s.aem; says "2 steps"; run 0 $tool --show s.aem
run 1 $tool sound.yaml speech -o none.aem; says "wants --clean DIR"; run 1 $tool tiny.yaml data --clean speech -o none.aem; says "not of sound"; absent none.aem

head -c 3000 digits-idx3-ubyte >cut-idx3-ubyte
run 1 $tool digits.yaml cut-idx3-ubyte -o c.aem; says "cut-idx3-ubyte"
finish
