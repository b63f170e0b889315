#!/bin/sh
# Tables with categories and series, from CSV to the line and the column at fault: records.sh LIB AETRAIN AEFEATURES AEANOMALY RECIPES AESEARCH
train=$(realpath "$2") features=$(realpath "$3") anomaly=$(realpath "$4") recipes=$(realpath "$5") search=$(realpath "$6")
. "$1"
export LC_ALL=C

# Weight follows from height and kind; one number is large, one small, some are missing.
awk 'BEGIN { srand(3); print "height,kind,weight,note"; for (i = 0; i < 800; i++) { h = 1500 + 400 * rand(); k = int(3 * rand());
    printf "%.1f,%s,%s,%s\n", h, k ? (k > 1 ? "oak" : "ash") : "fir", i % 40 == 39 ? "" : sprintf("%.6f", h * (k + 1) * 1e-6), i % 2 ? "yes" : "no" } }' >trees.csv
run 0 $train $recipes/table.yaml trees.csv -o t.aem --quiet -j 1 --steps 600
run 0 $train --show t.aem; prints "1 x 7 x 1"
run 0 $train --rewrite t.aem -o again.aem; same t.aem again.aem # columns come along
run 0 $train --evaluate t.aem trees.csv; prints "mean_square_error"

# one that cannot be, in a file with other columns in another order; the column at fault is named
{ echo "note,weight,more,kind,height"; echo "no,.0016,x,fir,1600"; echo "no,.0032,y,ash,1600"; echo "yes,.0048,z,fir,1600"; } >new.csv
run 0 $anomaly -m t.aem --by error new.csv
awk -F '\t' '{ s[NR] = $2 } NR == 3 && $4 !~ /weight|kind|height/ { exit 1 } END { exit !(NR == 3 && s[3] > 5 * s[1] && s[3] > 5 * s[2]) }' out || fail "$(cat out)"
run 0 $anomaly -m t.aem --by error new.csv --json; prints '"column":'
run 0 $features -m t.aem trees.csv -o codes.csv; [ "$(wc -l <codes.csv)" -eq 800 ] || fail "codes.csv"
run 0 $features -m t.aem trees.csv -o codes2.csv -j 1; same codes.csv codes2.csv

# what does not fit is said, and nothing is written
printf 'height,kind\n1,fir\n' >few.csv; run 1 $anomaly -m t.aem few.csv; says "few.csv: has no column 'weight', which the model takes"
printf 'height,kind,weight,note\n1,2,3,no\n' >odd.csv; run 1 $anomaly -m t.aem odd.csv; says "column 2 (kind) holds numbers, the model takes words there"
printf '1,fir,3\n' >unnamed.csv; run 1 $features -m t.aem unnamed.csv -o x.npy; says "has 3 columns, the model takes 4"; absent x.npy
printf 'a,b\n1,2\n3\n' >ragged.csv; run 1 $train $recipes/table.yaml ragged.csv -o x.aem; says "ragged.csv: CSV: line 3 has 1 cells, those before it 2"; absent x.aem
printf 'a,b\n1,2\n3,x\n4,5\n' >text.csv; run 1 $train $recipes/table.yaml text.csv -o x.aem; says "line 3, column 2: 'x' in a column of numbers"; absent x.aem
printf 'a,b\n1,2\n3,1e39\n' >large.csv; run 1 $train $recipes/table.yaml large.csv -o x.aem; says "large.csv: row 2, column 2 (b) holds 1e+39"; absent x.aem
printf '0\n1\n' >two.csv; run 1 $anomaly -m t.aem trees.csv --labels two.csv; says "two.csv: 2 labels for 800 items"
: >nothing.csv; run 1 $train $recipes/series.yaml nothing.csv -o x.aem; says "nothing.csv"; absent x.aem
awk 'BEGIN { print "id,v"; for (i = 0; i < 5000; i++) print "n" i "," i }' >names.csv
run 1 $train $recipes/table.yaml names.csv -o x.aem; says "column 1 (id): more than 4096 different words"; absent x.aem
run 1 $train $recipes/table.yaml trees.csv few.csv -o x.aem; says "few.csv: has 2 columns, the table before it 4"; absent x.aem
sed 's/data: {columns: 16}/data: {}/' $recipes/table.yaml >bad.yaml; run 1 $train bad.yaml trees.csv -o x.aem; says "width: expected a whole number, found columns"; absent x.aem
sed 's/width: columns}/width: 5}/; /reshape, width: 1,/d' $recipes/table.yaml >bad.yaml; run 1 $train bad.yaml trees.csv -o x.aem; says "width: columns"; absent x.aem

# A series whose channels belong together, and one that has a spike in one of them.
wave='for (i = 0; i < n; i++) { u = sin(i / 3); v = sin(i / 7.3); if (i == at) u = 4; printf "%.4f,%.4f,%.4f\n", u, 10 * sin(i / 3) + v, 100 * v } }'
awk -v n=900 -v at=-1 "BEGIN { print \"a,b,c\"; $wave" >train.csv; awk -v n=200 -v at=120 "BEGIN { print \"a,b,c\"; $wave" >test.csv
run 0 $train $recipes/series.yaml train.csv -o s.aem --quiet -j 1 --steps 150
run 0 $anomaly -m s.aem --by error test.csv; [ "$(wc -l <out)" -eq 200 ] || fail "$(wc -l <out) lines"
sort -k 2 -g -r -t "$(printf '\t')" out | head -1 >worst; awk -F '\t' '$4 == "a" { split($1, p, /[][]/); exit !(p[2] >= 118 && p[2] <= 122) } { exit 1 }' worst || fail "$(cat worst)"
head -20 test.csv >short.csv; run 1 $anomaly -m s.aem short.csv; says "short.csv: has 19 lines, the model looks at 32 successive ones"

# Tables of any width: of 300 columns that all say one thing, most of them missing, what is missing comes out.
awk 'BEGIN { srand(7); for (k = 0; k < 300; k++) printf "c%d%s", k, k < 299 ? "," : "\n"; for (i = 0; i < 400; i++) { a = rand()
    for (k = 0; k < 300; k++) printf "%s%s", rand() < .7 ? "" : sprintf("%.4f", a), k < 299 ? "," : "\n" } }' >rated.csv
run 0 $train $recipes/ratings.yaml rated.csv -o r.aem --quiet -j 1 --steps 100
run 0 $train --evaluate r.aem rated.csv; awk '$1 == "mse" { found = $2 < .5 } END { exit !found }' out || fail "$(cat out)"
run 0 $train $recipes/table.yaml rated.csv -o r2.aem --quiet -j 1 --steps 2

# Text: every byte counts once, lines are named by their number, any name is text where it is given, and what is none is refused.
yes 'Under the trees the grass is green, and the sky is blue.' | head -400 >grass.txt
sed 's/height: 256/height: 32/; s/out: 96/out: 16/' $recipes/text.yaml >short.yaml
run 0 $train short.yaml grass.txt -o x.aem --quiet -j 1 --steps 60
run 0 $train --evaluate x.aem grass.txt; prints "bits_a_byte"; [ "$(awk '$1 == "items" { print $2 }' out)" = 713 ] || fail "items: $(cat out)"
awk '$1 == "bits_a_byte" { exit !($2 < 4) }' out || fail "learnt nothing: $(cat out)"
sed 's/text: bytes/text: lines/' short.yaml >lines.yaml; printf 'One\r\n\n  \nTwo two\nThree' >three; run 0 $train lines.yaml grass.txt -o l.aem --quiet -j 1 --steps 2
run 0 $features -m l.aem three -o three.npy --reconstruct made.npy; present three.npy
run 0 $train --evaluate l.aem three; [ "$(awk '$1 == "items" { print $2 }' out)" = 3 ] || fail "items: $(cat out)"
mkdir texts; cp three texts/three.txt; cp grass.txt texts/other.csv; run 0 $train --evaluate l.aem texts; [ "$(awk '$1 == "items" { print $2 }' out)" = 3 ] || fail "items: $(cat out)"
printf '\n \n' >blank; run 1 $features -m l.aem blank -o y.npy; says "blank: holds no text"; absent y.npy
sed 's/out: 256, init/out: 128, init/' short.yaml >bad.yaml; run 1 $train bad.yaml grass.txt -o y.aem; says "logits has 128 channels, expected 256, one a byte"; absent y.aem

# Words: lines are near that have words in common, in any order; capitals and signs are none; a class for every number.
awk 'BEGIN { srand(5); split("fish sea net boat wave salt", a); split("star moon night sky comet dark", b)
    for (i = 0; i < 400; i++) { s = "the"; for (k = 0; k < 6; k++) s = s " and the " (i % 2 ? a[1 + int(6 * rand())] : b[1 + int(6 * rand())]); print s } }' >lines.txt
run 0 $train $recipes/sentences.yaml lines.txt -o w.aem --quiet -j 1 --steps 60
run 0 $train --evaluate w.aem lines.txt; awk '$1 == "bits_a_word" { exit !($2 < 4) }' out || fail "learnt nothing: $(cat out)"
asked() { printf 'the'; for w; do printf ' and the %s' "$w"; done; echo; }
{ asked boat net wave fish salt sea; echo; asked dark night comet sky moon star; asked boat net wave fish salt sea | tr a-z A-Z | tr ' ' ';'; } >asked.txt
run 0 $search -m w.aem --build w.index lines.txt; run 0 $search -m w.aem --index w.index -k 5 asked.txt; [ "$(wc -l <out)" = 15 ] || fail "$(cat out)"
awk -F '[\t:]' '$6 % 2 != ($2 == 3) { exit 1 }' out || fail "neighbours of another kind: $(cat out)"
[ "$(head -5 out | cut -f 2-)" = "$(tail -5 out | cut -f 2-)" ] || fail "capitals and signs make a difference: $(cat out)"
sed 's/out: 8192, init/out: 4096, init/' $recipes/sentences.yaml >bad.yaml; run 1 $train bad.yaml lines.txt -o y.aem; says "logits has 4096 channels, expected 8192, one a word"; absent y.aem

# What is missing is no 0 to learn: of lines with one number missing in every second, it follows from the other all the same.
awk 'BEGIN { srand(3); print "a,b"; for (i = 0; i < 1200; i++) { a = int(1000 * rand()); print a "," (i % 2 ? "" : 2 * a) } }' >holes.csv
run 0 $train $recipes/table.yaml holes.csv -o h.aem --quiet -j 1 --steps 200 --seed 1
run 0 $features -m h.aem holes.csv -o x.csv -f --reconstruct whole.csv
(echo a,b; cat whole.csv) | paste -d, holes.csv - >both.csv
awk -F, 'NR > 1 && $2 == "" { x = $1 - 500; y = $NF; xy += x * y; xx += x * x; yy += y * y } END { exit !(xy > 0 && xy * xy / xx / yy > 0.5 && xy / xx * 289 > 0.5) }' both.csv ||
    fail "what is missing does not follow: $(head -4 both.csv)"
finish
