#!/bin/sh
# Tables come back as they were written: tables.sh LIB AECOMPRESS AEDECOMPRESS
de=$(realpath "$3")
. "$1"
export LC_ALL=C AE_MODEL_PATH=/nonexistent XDG_DATA_HOME=/nonexistent # no codec is needed
mkdir in

# words, dates, decimals, quotes, separators, line ends, marks, what is missing: byte for byte
printf 'city,height,since\nOslo,23.50,1048-01-01\n"Rome, old",21.00,\nOslo,0.10,0753-04-21\n' >in/words.csv
printf '"city","height"\r\n"Oslo",23.5\r\n"say ""no""",NA\r\n"two\nlines",1e-07\r\n' >in/quoted.csv
printf '\357\273\277time;value\n2026-11-30 12:30:05;1,25\n2026-11-30 12:30:59;-3\n' >in/comma.csv
printf 'a\tb\n2000-02-29T23:59Z\tx\\y\n1969-12-31T00:00Z\tz' >in/times.tsv
printf 'red\ngreen\nred\n' >in/all.csv
printf 'n,m\n12345678901234,0.30000000000000004\n-0,1e+20\n0.0001,1.7976931348623157e+308\n' >in/digits.csv
printf 'v\n-1.50\n2.25\n""\n' >in/one.csv
awk 'BEGIN { print "id,name"; for (i = 0; i < 9000; i++) printf "%d,%s\"\"%d%s\n", i, "\"w", i % 5000, "\"" }' >in/long.csv # quotes at every place of a buffer
run 0 $tool --verify -a all.aec in/*; silent
run 0 $de -o back all.aec; silent
for f in in/*; do cmp "$f" "back/${f#in/}" || fail "$f is not what it was"; done
run 0 $de --format npy -o numbers all.aec; present numbers/words.npy

# what is written in several ways is told, and keeps its values
printf 'a,b\n1.50,x\n+2,"y"\n' >mixed.csv
run 0 $tool mixed.csv; says "line 3"; says "the same values"
run 0 $de -o again.csv mixed.aec; printf 'a,b\n1.5,x\n2,y\n' | cmp - again.csv || fail "$(cat again.csv)"
printf 'a\n\n\n1\n' >empty.csv; run 0 $tool empty.csv; says "the same values"
run 0 $tool -a told.aec mixed.csv in/all.csv; says "mixed.csv: not all is written as most of it is (line 3)"
# an error would exchange words
run 1 $tool --max-error 1 -o x.aec in/words.csv; says "a table with words is kept without loss"; absent x.aec
printf 'a,b\n1,x\n2,3\n4,5\n' >odd.csv; run 1 $tool odd.csv; says "line 2, column 2: 'x' in a column of numbers"; absent odd.aec

# IDX, as it was and from other types
printf '\0\0\15\2\0\0\0\2\0\0\0\1\77\200\0\0\300\0\0\0' >f.idx
run 0 $tool f.idx; run 0 $de -o g.idx f.aec; same f.idx g.idx
printf 'a,b\n1,-2.5\n3,4\n' >d.csv; run 0 $tool d.csv; run 0 $de -o d.idx d.aec
printf '\0\0\16\2\0\0\0\2\0\0\0\2\77\360\0\0\0\0\0\0\300\4\0\0\0\0\0\0\100\10\0\0\0\0\0\0\100\20\0\0\0\0\0\0' | cmp - d.idx || fail "d.idx"
run 0 $tool -o h.aec d.idx; run 0 $de -o h.csv h.aec; printf '1,-2.5\n3,4\n' | cmp - h.csv || fail "$(cat h.csv)"
finish
