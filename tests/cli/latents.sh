#!/bin/sh
# Latents: features, samples, search and anomalies, on data made here: latents.sh LIB AETRAIN AEFEATURES AESAMPLE AESEARCH AEANOMALY
train=$(realpath "$2") features=$(realpath "$3") sample=$(realpath "$4") search=$(realpath "$5") anomaly=$(realpath "$6")
. "$1"
export LC_ALL=C

# Three kinds of lines in eight columns that two numbers make, and a kind of its own that they do not make.
awk 'BEGIN { srand(5); for (i = 0; i < 600; i++) { k = i % 3; a = rand() + k; b = rand() - k; line = "";
    for (c = 0; c < 8; c++) line = line (c ? "," : "") sprintf("%.5f", .3 * (a * (c % 3 - 1) + b * (c % 5 - 2)) + .01 * rand()); print line; print k >"labels.csv" } }' >table.csv
awk 'BEGIN { srand(6); for (i = 0; i < 20; i++) { line = ""; for (c = 0; c < 8; c++) line = line (c ? "," : "") sprintf("%.5f", 2 * rand() - 1); print line } }' >odd.csv
cat >table.yaml <<'END'
recipe: 1
name: table
task: autoencode
networks:
  - name: autoencoder
    inputs:
      - {name: image, channels: 1, height: 1, width: 8}
    layers:
      - {op: dense, out: 16, act: tanh}
      - {name: code, op: dense, out: 2}
      - {op: dense, out: 16, act: tanh}
      - {op: dense, out: 8}
      - {op: reshape, height: 1, width: 8, channels: 1}
data: {augment: false}
loss:
  - {kind: mse}
train: {optimizer: adamw, rate: 1.0e-2, rate_end: 1.0e-4, steps: 1500, warmup: 20, batch: 64, shards: 2, validate_every: 500}
END
run 0 $train table.yaml table.csv -o t.aem --quiet -j 2
run 0 $train --rewrite t.aem -o again.aem; same t.aem again.aem # what is normal comes along

# a layer whose units all die is named
sed 's/name: code, op: dense, out: 2/&, act: sigmoid/; s/rate: 1.0e-2, rate_end: 1.0e-4, steps: 1500/rate: 1, rate_end: 1, steps: 200/; s/every: 500/every: 100/' table.yaml >dead.yaml
run 0 $train dead.yaml table.csv -o dead.aem -j 1; says "layer code is dead: 2 of its 2 units"

# features: the same for any number of threads, errors small, in every format, and telling of the kind
run 0 $features -m t.aem table.csv -o codes.npy --error errors.csv --reconstruct back.npy --map map.html --labels labels.csv -j 1
[ "$(wc -c <codes.npy)" -eq $((128 + 600 * 2 * 4)) ] || fail "codes.npy has $(wc -c <codes.npy) bytes"
grep -q '<title>table.csv\[599\]: 2</title>' map.html || fail "no names in the map"
[ "$(awk '{ s += $1 } END { print (s / NR < .002) }' errors.csv)" = 1 ] || fail "mean error $(awk '{ s += $1 } END { print s / NR }' errors.csv)"
run 0 $features -m t.aem table.csv --map map.png --labels labels.csv; run 0 $features -m t.aem table.csv --map map2.png --map-by components
[ "$(head -c 4 map.png | tail -c 3)" = PNG ] || fail "map.png"; cmp -s map.png map2.png && fail "maps do not differ"
run 1 $features -m t.aem table.csv --map map.txt; says "a map is an .svg, an .html or a picture"; absent map.txt
run 0 $features -m t.aem table.csv -o codes2.npy -j 3; same codes.npy codes2.npy
$features -m t.aem table.csv >codes.csv || fail "to standard output"; [ "$(wc -l <codes.csv)" -eq 600 ] || fail "codes.csv"
run 0 $features -m t.aem table.csv -o codes2.npy -f; [ -s err ] && fail "warned of the training data: $(cat err)"
run 0 $features -m t.aem odd.csv --error odd.errors.csv -o odd.npy; says " of 20 items are unlike what the model was trained on, the first is odd.csv["
run 0 $features -m t.aem odd.csv --error odd.errors.csv -o odd.npy -f --quiet; [ -s err ] && fail "not quiet: $(cat err)"
run 1 $features -m t.aem table.csv --layer nothing; says "no layer nothing"
run 0 $features -m t.aem table.csv --probe labels.csv; prints "linear probe: "; prints "k-means: "
[ "$(sed -n 's/^linear probe: \([0-9.]*\).*/\1/p' out | awk '{ print ($1 > .9) }')" = 1 ] || fail "$(cat out)"
run 1 $features -m t.aem table.csv -o codes.npy; says "exists already (-f overwrites it)"
run 1 $features -m t.aem codes.npy -o x.npy; says "is 1 x 2 x 1, the model takes 1 x 8 x 1"; absent x.npy
head -20 labels.csv >few.csv; run 1 $features -m t.aem table.csv --probe few.csv; says "20 labels for 600 items"
head -400 labels.csv >learn.csv; tail -200 labels.csv >try.csv; run 0 $features -m t.aem table.csv --probe learn.csv,try.csv; prints "of 200 items right, 3 classes, learnt from 400"
run 1 $features -m t.aem table.csv --probe learn.csv,few.csv; says "400 labels and 20 for 600 items"
run 1 $features -m t.aem table.csv -o x.png; absent x.png; run 2 $features table.csv -o x.npy; says "no model named"

# numbers that are none: the place is said, and nothing is written
cp back.npy inf.npy; cp codes.npy inf.codes.npy; rm -f x.npy
printf '\0\0\200\177' | dd of=inf.npy bs=1 seek=$((128 + 4 * (6 * 8 + 1))) conv=notrunc 2>/dev/null # the second of the seventh
printf '\0\0\200\177' | dd of=inf.codes.npy bs=1 seek=$((128 + 4 * 3)) conv=notrunc 2>/dev/null
run 1 $features -m t.aem inf.npy -o x.npy; says "inf.npy: row 7, column 2 holds inf"; absent x.npy
run 1 $search -m t.aem --build x.index inf.npy; says "inf.npy: row 7"; absent x.index
run 1 $anomaly -m t.aem inf.npy; says "inf.npy: row 7"; run 1 $train table.yaml inf.npy -o x.aem; says "inf.npy: row 7, column 2"; absent x.aem
awk 'NR == 4 { sub(/[^,]*/, "") } 1' table.csv >hole.csv; run 0 $train table.yaml hole.csv -o x.aem --quiet --steps 2 # of a line a number may be missing, of a picture none
sed 's/height: 1, width: 8/height: 2, width: 4/' table.yaml >picture.yaml
{ printf '\223NUMPY\1\0v\0%-117s\n' "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2, 4), }"; head -c 92 /dev/zero; printf '\0\0\300\177'; } >nan.npy
run 1 $train picture.yaml nan.npy -o y.aem; says "nan.npy: item 2: row 2, column 4 holds nan"; absent y.aem
run 1 $sample -m t.aem --codes inf.codes.npy -o x.csv; says "code 1: row 1, column 2 holds inf"; absent x.csv

# codes and back
run 0 $sample -m t.aem --codes codes.npy -o back2.npy; cmp -n 5000 -i 128 back.npy back2.npy || fail "codes decode to something else"
run 0 $sample -m t.aem table.csv -n 50 --seed 3 -o drawn.csv; [ "$(wc -l <drawn.csv)" -eq 50 ] || fail "drawn.csv"
run 0 $sample -m t.aem table.csv -n 50 --seed 3 -o drawn2.csv; same drawn.csv drawn2.csv
head -2 table.csv >two.csv; run 0 $sample -m t.aem two.csv --interpolate --steps 5 -o between.csv; [ "$(wc -l <between.csv)" -eq 5 ] || fail "between.csv"
run 1 $sample -m t.aem -o x.csv; says "DATA is needed"; run 1 $sample -m t.aem --codes table.csv -o x.csv; says "codes of 8 numbers"; absent x.csv

# search: every line finds itself, then others of its kind; an index of another model is refused
run 0 $search -m t.aem --build t.index table.csv; run 0 $search -m t.aem --index t.index -k 1 table.csv
[ "$(awk -F'\t' '$1 == $4' out | wc -l)" -eq 600 ] || fail "lines that do not find themselves: $(awk -F'\t' '$1 != $4' out | head -3)"
run 0 $search -m t.aem --index t.index -k 1 --plain table.csv; [ "$(awk -F'\t' '$1 == $4' out | wc -l)" -eq 600 ] || fail "plainly: $(awk -F'\t' '$1 != $4' out | head -3)"
run 0 $search -m t.aem --index t.index -k 5 -j 1 two.csv; cp out one; run 0 $search -m t.aem --index t.index -k 5 -j 2 two.csv; same out one
run 0 $search -m t.aem --index t.index --cosine --leave-self --json two.csv; prints '"found": "table.csv['
run 0 $train table.yaml table.csv -o u.aem --quiet -j 2 --seed 2 --steps 20
run 1 $search -m u.aem --index t.index two.csv; says "made by another model"; run 1 $search -m t.aem --index codes.npy two.csv; says "no index"

# anomalies: random lines against those that two numbers make
run 0 $anomaly -m t.aem --normal table.csv --detector t.detector odd.csv; cp out told
[ "$(grep -c 'anomaly$' out)" -ge 18 ] || fail "$(cat out)"
run 0 $anomaly -m t.aem --detector t.detector odd.csv; same out told
run 0 $anomaly -m t.aem --detector t.detector --only table.csv; [ "$(wc -l <out)" -le 30 ] || fail "$(wc -l <out) of 600 called anomalies"
cat table.csv odd.csv >both.csv; awk 'BEGIN { for (i = 0; i < 620; i++) print (i >= 600) }' >truth.csv
run 0 $anomaly -m t.aem --detector t.detector --labels truth.csv both.csv
[ "$(sed 's/.*curve \([0-9.]*\),.*/\1/' out | awk '{ print ($1 > .95) }')" = 1 ] || fail "$(cat out)"
run 1 $anomaly -m u.aem --detector t.detector odd.csv; says "belongs to another model"; run 1 $anomaly -m t.aem --detector table.csv odd.csv; says "no detector"
run 1 $anomaly -m t.aem --detector t.detector missing.csv
head -c 400 t.detector >cut.detector; run 1 $anomaly -m t.aem --detector cut.detector odd.csv; says "cut.detector: what is normal: "
{ head -c 300 t.detector; tail -c +302 t.detector; } >short.detector; run 1 $anomaly -m t.aem --detector short.detector odd.csv; says "bytes for codes of 2"
run 1 $anomaly -m t.aem --layer dense.1 --detector t.detector odd.csv; says "another layer, code"
# by what the model keeps of its training data: here the same
run 0 $anomaly -m t.aem odd.csv; same out told
run 1 $anomaly -m t.aem --layer dense.1 odd.csv; says "does not say what its training data were like at layer dense.1"
run 1 $anomaly -m t.aem --normal two.csv --detector x.detector missing.csv; head -1 table.csv >one.csv; run 1 $anomaly -m t.aem --normal one.csv odd.csv; says "1 normal items"
finish
