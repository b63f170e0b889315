#!/bin/sh
# What all filters share, shown on a tool that copies: batch.sh LIB COPYTOOL
. "$1"

run 0 $tool --help; prints "Usage: copytool"; prints "--skip-existing"; prints "[default: 2]"; silent
run 0 $tool -j 9 -h; prints "[default: 2]"
run 0 $tool --version; prints "copytool (aesuite)"
run 0 $tool -V; silent
run 2 $tool --no-such-option; says "copytool: unknown or ambiguous option '--no-such-option' (try --help)"
[ "$(wc -l <err)" -eq 1 ] || fail "a usage error takes more than one line"

printf one >a.txt; printf two >b.txt; printf badly >c.txt
mkdir -p tree/deep/er tree/.hidden; printf x >tree/x.txt; printf y >tree/deep/er/y.txt; printf z >tree/.hidden/z.txt; printf n >tree/note.md
ln -s .. tree/deep/loop

run 0 $tool a.txt b.txt; same a.txt a.copy.txt; same b.txt b.copy.txt; silent
run 1 $tool a.txt; says "copytool: a.txt: a.copy.txt exists"
printf new >a.txt
run 0 $tool --skip-existing a.txt; [ "$(cat a.copy.txt)" = one ] || fail "--skip-existing wrote"
run 0 $tool -f a.txt; same a.txt a.copy.txt

rm -f ./*.copy.txt
run 1 $tool a.txt c.txt missing.txt tree b.txt; same a.txt a.copy.txt; same b.txt b.copy.txt; absent c.copy.txt
says "copytool: c.txt: begins with bad"; says "copytool: missing.txt: No such file"; says "copytool: tree: is a directory (-r takes"

run 0 $tool -r -o mirror tree; same tree/x.txt mirror/x.txt; same tree/deep/er/y.txt mirror/deep/er/y.txt
absent mirror/.hidden mirror/note.md mirror/deep/loop
run 0 $tool -r -o tree/out tree; run 0 $tool -r -f -o tree/out tree; absent tree/out/out; rm -r tree/out
run 0 $tool -r tree; present tree/x.copy.txt; run 0 $tool -r --skip-existing tree; absent tree/x.copy.copy.txt

run 0 $tool -o single.txt a.txt; same a.txt single.txt
run 0 $tool -o new/dir/ a.txt; same a.txt new/dir/a.txt
run 2 $tool -o single.txt a.txt b.txt; says "single.txt is not a directory"
run 2 $tool -o new.txt a.txt b.txt; says "new.txt is not a directory, but there are 2 inputs"; absent new.txt
run 2 $tool -r -o new.txt tree; absent new.txt
run 1 $tool -o d a.txt tree/../a.txt; says "tree/../a.txt: would be written to d/a.txt, as a.txt is"; same a.txt d/a.txt
mkdir -p t1/in t2/in; printf 1 >t1/in/s.txt; printf 2 >t2/in/s.txt; printf 3 >t1/own.txt
run 0 $tool -r -o tops t1/ t2; same t1/in/s.txt tops/t1/in/s.txt; same t2/in/s.txt tops/t2/in/s.txt; same t1/own.txt tops/own.txt
run 1 $tool -f -o a.txt a.txt; says "is the input a.txt itself"; [ "$(cat a.txt)" = new ] || fail "the input was overwritten"
ln a.txt hard.txt; run 1 $tool -f -o hard.txt a.txt; says "is the input"
cp a.txt e.txt; cp a.txt e.copy.txt; run 1 $tool -f e.txt e.copy.txt; says "the output e.copy.txt is the input e.copy.txt itself"
run 1 $tool -o /dev/full a.txt; says "No space left on device"
run 1 $tool -o /proc/no-such-place/x/ a.txt; says "/proc/no-such-place"
mkdir plain.copy.txt; cp a.txt plain.txt; run 1 $tool plain.txt; says "is a directory"

$tool <a.txt >piped 2>err || fail "pipe: $(cat err)"; same a.txt piped
$tool - -o from.txt <a.txt 2>err || fail "pipe to file"; same a.txt from.txt
run 0 $tool a.txt -o -; same a.txt out
run 2 $tool a.txt b.txt -o -; says "cannot all go to standard output"
run 2 $tool a.txt - ; says "standard input"
printf dash >-d.txt; run 0 $tool -- -d.txt; same ./-d.txt ./-d.copy.txt

for i in 1 2 3 4 5; do printf $i >s$i.txt; done
run 0 $tool -o all s?.txt; run 0 $tool -o k1 --shard 1/2 s?.txt; run 0 $tool -o k2 --shard 2/2 s?.txt
[ "$(cat k1/* | tr -d '\n')$(cat k2/* | tr -d '\n')" = 13524 ] || fail "shards: $(ls k1 k2)"
run 0 $tool -o k3 --shard 7/7 s?.txt; absent k3
for bad in 0/2 3/2 x 1 1/2/3 -1/2; do run 2 $tool --shard $bad s1.txt; says "--shard"; done

run 0 $tool --dry-run -o plan/ s1.txt; prints "s1.txt -> plan/s1.txt"; absent plan
run 1 $tool --json -f s1.txt c.txt missing.txt; prints '"input": "s1.txt", "output": "s1.copy.txt"'; prints '"status": "failed", "error": "begins with bad"'
[ "$(wc -l <out)" -eq 3 ] || fail "--json: $(cat out)"
run 0 $tool --json=log a.txt -o -; same a.txt out; grep -q '"status": "done"' log || fail "--json=FILE"
run 0 $tool --json a.txt -o -; same a.txt out; says '"bytes": 3'
run 0 $tool -j 5 --json -f s1.txt; prints "\"threads\": 5"
printf 'kept\n' >log; run 0 $tool --json=log -f s1.txt; [ "$(wc -l <log)" -eq 2 ] || fail "--json=FILE overwrote"
run 2 $tool --json=s1.txt -f s1.txt; says "--json: s1.txt is an input"; same s1.txt s1.copy.txt
run 2 $tool --json=./s1.copy.txt -f s1.txt; says "is where the result goes"
run 0 $tool --dry-run --json -o plan/ s1.txt; [ "$(grep -vc '^{' out)" -eq 0 ] || fail "--dry-run --json: $(cat out)"
run 1 $tool --json=/proc/no-such-place a.txt -o -; says "/proc/no-such-place"
printf 's1.txt\n\ns 2.txt\n' >list; printf two >"s 2.txt"; run 0 $tool -o from --files-from list; same "s 2.txt" "from/s 2.txt"; same s1.txt from/s1.txt
printf 's1.txt\0s2.txt\0' >list0; $tool -o from0 --files-from - <list0 || fail "--files-from -"; same s2.txt from0/s2.txt
: >none; run 0 $tool -o from --files-from none; run 1 $tool --files-from no-such-list; says "--files-from: no-such-list"
run 0 $tool --newer -o fresh/ s1.txt s2.txt; printf more >s2.txt; touch -d '1 hour ago' s1.txt; touch -d '1 hour' s2.txt
printf old >fresh/s1.txt; run 0 $tool --newer -o fresh/ s1.txt s2.txt; same s2.txt fresh/s2.txt; [ "$(cat fresh/s1.txt)" = old ] || fail "--newer wrote"
run 0 $tool -j auto -f s1.txt; run 2 $tool -j 0 s1.txt; run 2 $tool -j x s1.txt; says "neither auto nor a whole number"
mkdir empty; run 1 $tool -r empty; says "no input found"
run 1 $tool ""; says "empty file name"
finish
