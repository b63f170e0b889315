#!/bin/sh
# Arrays in .aec files: arrays.sh LIB AECOMPRESS AEDECOMPRESS ARRAYS.PY READER
de=$(realpath "$3") arrays=$(realpath "$4") reader=$(realpath "$5")
. "$1"
export LC_ALL=C AE_MODEL_PATH=/nonexistent XDG_DATA_HOME=/nonexistent # no codec is needed

# every type and rank comes back bit for bit, NaN and infinities, too
python3 "$arrays" make . || fail make
run 0 $tool --verify --lossless ./*.npy; silent
run 0 $de -o back/ ./*.aec; silent
python3 "$arrays" all back ./*.npy || fail "not all came back"
run 0 python3 "$reader" ./*.aec; prints "within 0: f4-nan.npy"; prints "2 x 3 x 1 x 2 x 1 x 2 x 1 x 2, 16 bit"
for f in ./*-nan.npy ./*-decimal.npy ./*-rank.npy ./*-big.npy ./*-noise.npy; do # the coder written down twice
    run 0 python3 "$(dirname "$reader")/arrayreader.py" "${f%.npy}.aec" "back/$f"
done
run 0 $de -l f4-walk.aec; prints "3000 x 5, f32  lossless     f4-walk.npy"
run 0 $de -l --json f4-walk.aec; prints '"shape": [3000, 5], "type": "f32"'
run 0 $de -t f4-walk.aec; prints "1 items, all well"
# what was written once opens for ever, to the same elements
for f in "$(dirname "$reader")"/golden/version1-array*.aec; do run 0 $de -t "$f"; prints "items, all well"; run 0 python3 "$reader" "$f"
    run 0 $de --format npy -o golden/ "$f"; run 0 python3 "$(dirname "$reader")/arrayreader.py" "$f" golden/*.npy; rm -r golden
done

# errors are kept, and what cannot be is kept as it is
for type in f2 f4 f8 i4 u1; do
    for error in 1 2.5; do
        run 0 $tool -f --max-error $error -o e.aec $type-walk.npy; run 0 $de -f -o back.npy e.aec
        python3 "$arrays" within $error $type-walk.npy back.npy || fail "$type errs by more than $error"
    done
done
for type in f2 f4 f8; do
    for error in 1e-9 .03; do
        run 0 $tool -f --max-error $error -o e.aec $type-nan.npy; run 0 $de -f -o back.npy e.aec
        python3 "$arrays" within $error $type-nan.npy back.npy || fail "$type errs by more than $error"
        run 0 $tool -f --max-relative-error $error -o e.aec $type-nan.npy; run 0 $de -f -o back.npy e.aec
        python3 "$arrays" relative $error $type-nan.npy back.npy || fail "$type errs by more than $error of itself"
    done
done
run 0 $tool -f --max-error 1 -o e.aec f4-walk.npy
[ $(($(stat -c %s e.aec) * 3)) -lt "$(stat -c %s f4-walk.aec)" ] || fail "an error of 1 saves little"
run 1 $tool --max-relative-error .1 -f -o e.aec i4-walk.npy; says "for floats"
run 1 $tool --near-lossless 2 -f -o e.aec f4-walk.npy; says "--max-error"
run 1 $tool --target-size 1k -f -o e.aec f4-walk.npy; says "for pictures"
run 2 $tool --max-error 1 --lossless f4-walk.npy
run 1 $tool -o e2.aec complex.bad; says "complex"; absent e2.aec

# some rows, pipes, threads, other formats
run 0 $de --range 2000-2100 -o rows.npy f4-walk.aec; python3 "$arrays" rows 2000 2100 f4-walk.npy rows.npy || fail "other rows"
run 1 $de --range 3000- -o none.npy f4-walk.aec; says "3000 rows"; absent none.npy
$tool --lossless <f4-walk.npy | $de --format npy >piped.npy; python3 "$arrays" same f4-walk.npy piped.npy || fail pipes
run 0 $tool --lossless -j 1 -o one.aec f8-long.npy; run 0 $tool --lossless -j 3 -o three.aec f8-long.npy; same one.aec three.aec
printf 'time,value\n1,2.5\n2,\n3,-1e9\n' >t.csv
run 0 $tool t.csv; mv t.csv kept.csv; run 0 $de t.aec; printf 'time,value\n1,2.5\n2,\n3,-1000000000\n' | cmp - t.csv || fail "$(cat t.csv)"
run 0 $de -o t.npy t.aec; present t.npy

# beside pictures in an archive, and added
printf 'P5 4 4 255\n0123456789abcdef' >p.pgm
run 0 $tool --lossless -a all.aec p.pgm f4-walk.npy t.csv; run 0 $tool --lossless -a all.aec --append u1-walk.npy
run 0 $de -t all.aec; prints "4 items, all well"; run 0 $de -o all/ all.aec; present all/p.png all/t.csv
python3 "$arrays" same f4-walk.npy all/f4-walk.npy && python3 "$arrays" same u1-walk.npy all/u1-walk.npy || fail archive

# damage costs a tile, and is named by its rows
python3 "$arrays" break one.aec broken.aec
run 1 $de -o rest.npy broken.aec; says "rows 0 to"; says " are lost"; python3 "$arrays" mostly 131072 f8-long.npy rest.npy || fail "more than a tile was lost"
python3 "$arrays" break f4-walk.aec broken4.aec # of an array that gains little by large tiles they are small
run 1 $de -o rest4.npy broken4.aec; python3 "$arrays" mostly 4096 f4-walk.npy rest4.npy || fail "more than 4096 of 15000 elements were lost"
run 1 $de -t broken.aec; says "rows 0 to"
for n in 3 40 200; do head -c -$n f4-walk.aec >cut.aec; run 1 $de -f -o cut.npy cut.aec; done
finish
