#!/bin/sh
# Batches as they are run from a shell, one situation a paragraph: situations.sh LIB COPYTOOL AECOMPRESS AEDECOMPRESS
co=$(realpath "$3") de=$(realpath "$4")
. "$1"
export LC_ALL=C
fresh() { cd "$work" && rm -rf s && mkdir s && cd s && for i in 1 2 3 4 5; do echo "text $i" >t$i.txt; done; }
files() { find "$@" -type f | sort | tr '\n' ' '; }
is() { [ "$1" = "$2" ] || fail "got '$1', expected '$2'"; }
only_json() { [ -s out ] && [ "$(grep -vc '^{.*}$' out)" -eq 0 ] || fail "not JSON lines alone: $(cat out)"; }
# picture FILE GREY: a binary PGM of 16 x 16
picture() { { printf 'P5\n16 16\n255\n'; awk -v g="$2" 'BEGIN { for (i = 0; i < 256; i++) printf "%c", 33 + (g + i * i) % 90 }'; } >"$1"; }

# --- where outputs go
fresh; run 0 $tool -o new/ t1.txt; is "$(files new)" "new/t1.txt "                                # DIR/ for one input
fresh; mkdir there; run 0 $tool -o there t1.txt; is "$(files there)" "there/t1.txt "              # an existing directory
fresh; run 2 $tool -o z.txt t1.txt t2.txt; says "not a directory"; absent z.txt                   # a file's name for several
fresh; mkdir in; cp t1.txt in; run 2 $tool -r -o z.txt in; absent z.txt                           # and for a tree of one
fresh; mkdir in; picture in/a.pgm 1; run 2 $co --lossless -r -o set.aec in; says "set.aec"; absent set.aec  # an archive is -a
fresh; mkdir -p a/x b/x; cp t1.txt a/x/n.txt; cp t2.txt b/x/n.txt; run 0 $tool -r -o o/ a b; is "$(files o)" "o/a/x/n.txt o/b/x/n.txt "
fresh; mkdir a b; cp t1.txt a/n.txt; cp t2.txt b/n.txt; run 0 $tool -o o/ a/n.txt b/n.txt; is "$(files o)" "o/a/n.txt o/b/n.txt "
fresh; run 1 $tool -o o/ missing/t1.txt t1.txt; same t1.txt o/t1.txt                              # what is refused takes no name
fresh; picture a.pgm 1; cp a.pgm a.ppm; run 0 $co --lossless a.pgm a.ppm; [ "$(ls *.aec | wc -l)" -eq 2 ] || fail "two inputs, one output: $(ls)"
fresh; run 0 $tool -o deep/er/still/ t1.txt; present deep/er/still/t1.txt                         # directories are made
fresh; run 1 $tool -o /proc/none/ t1.txt; says "/proc/none"
fresh; mkdir in; run 1 $tool in; [ "$(wc -l <err)" -eq 1 ] || fail "more than one line: $(cat err)"; run 1 $tool -o o/ in t1.txt t2.txt; says "1 argument wrong"

fresh; mkdir in; picture in/a.pgm 1; touch in/b.csv in/c.txt in/d.json in/e.ts; run 0 $co --lossless -r -o o in; is "$(files o)" "o/a.aec "; says "4 files of other kinds were left out, such as in/b.csv"
run 0 $co --lossless -r -a s.aec in; says "4 files of other kinds"; run 0 $de -r -t in o; says "5 files of other kinds"; run 0 $co --lossless -r --quiet -a s2.aec in; silent
run 1 $co --lossless -o o in/a.pgm in/c.txt -f; says "c.txt: is empty"                             # one by one: an error

# --- what a tree holds beside files of its own
fresh; mkdir -p in/sub; cp t1.txt in; cp t2.txt in/sub; ln -s nowhere.txt in/z.txt; run 0 $tool -r -o o in; says "1 link to directories or to nothing was left out, such as in/z.txt"; is "$(files o)" "o/sub/t2.txt o/t1.txt "
fresh; mkdir -p in/sub; cp t1.txt in; cp t2.txt in/sub; ln -s ../in in/up; ln -s round in/round; ln -s ../t3.txt in/t3.txt; run 0 $tool -r -o o in; says "2 links"; is "$(files o)" "o/sub/t2.txt o/t1.txt o/t3.txt "
run 0 $tool -r --quiet -o quiet in; silent
fresh; mkdir in; mkfifo in/p.txt; cp t1.txt in; run 0 $tool -r -o o in; is "$(files o)" "o/t1.txt "   # nobody waits for a pipe
fresh; picture a.pgm 1; run 1 $co -m a.pgm -o a.aec a.pgm; says "a.pgm: not a model but an input"; absent a.aec

# --- with what belongs to others: as nobody where root runs the tests, to whom nothing is closed
as= other=yes
if [ "$(id -u)" -eq 0 ]; then as="setpriv --reuid=65534 --regid=65534 --clear-groups"; chmod 755 "$work"; $as test -x "$co" -a -x "$tool" 2>/dev/null || other=; fi
theirs() { fresh; mkdir -p in/a in/closed in/z; cp t1.txt in/a; cp t2.txt in/closed; cp t3.txt in/z; [ -z "$as" ] || chown -R 65534 "$work/s"; }
if [ -n "$other" ]; then
    theirs; chmod 0 in/closed; run 1 $as $tool -r -o o in; says "in/closed: Permission denied"; says "1 argument wrong"; is "$(files o)" "o/a/t1.txt o/z/t3.txt "; chmod 755 in/closed
    theirs; chmod 0 in/closed in/z; run 1 $as $tool -r -o o in; says "in/closed: Permission denied"; says "in/z: Permission denied"; is "$(files o)" "o/a/t1.txt "; chmod 755 in/closed in/z
    theirs; chmod 0 in/closed/t2.txt; run 1 $as $tool -r -o o in; says "in/closed/t2.txt: Permission denied"; is "$(files o)" "o/a/t1.txt o/z/t3.txt "
    theirs; mkdir shut; chmod 555 shut; chown 0 shut 2>/dev/null; run 1 $as $tool -o shut/ t1.txt; says "shut"; is "$(files shut)" ""; run 1 $as $tool -o shut/new/ t1.txt; says "shut"
    theirs; mkdir o; echo old >o/t1.txt; chmod 444 o/t1.txt; [ -z "$as" ] || chown 65534 o; run 1 $as $tool -o o/ t1.txt; is "$(cat o/t1.txt)" old     # exists
    theirs; for i in 1 2; do picture in/z/$i.pgm $i; done; run 0 $as $co --lossless -a mine.aec in/z/1.pgm; chmod 444 mine.aec; cp mine.aec before; run 1 $as $co --lossless --append -a mine.aec in/z/2.pgm; says "mine.aec"; same before mine.aec
    theirs; for i in 1 2; do picture in/z/$i.pgm $i; done; chmod 0 in/z/1.pgm; run 1 $as $co --lossless -r -a s.aec in/z; says "1.pgm"; run 0 $as $de -l s.aec; is "$(wc -l <out | tr -d ' ')" 1
    theirs; picture in/z/1.pgm 1; run 0 $as $co --lossless -o s.aec in/z/1.pgm; chmod 0 s.aec; run 1 $as $de -t s.aec; says "s.aec: Permission denied"; run 1 $as $de -o p.png s.aec; absent p.png
    [ -z "$as" ] || chown -R 0 "$work/s"
fi

# --- xargs, find, parallel runs
fresh; ls t?.txt | xargs -n 2 $tool -o o/ 2>err || fail "xargs: $(cat err)"; is "$(ls o | wc -l)" 5   # the last chunk has one
fresh; mkdir o; ls t?.txt | xargs -n 4 $tool -o o 2>err || fail "xargs: $(cat err)"; is "$(ls o | wc -l)" 5
fresh; ls t?.txt | xargs -P 5 -n 1 $tool -o o/ 2>err || fail "xargs -P: $(cat err)"; is "$(ls o | wc -l)" 5
fresh; mv t1.txt 'a b
c.txt'; find . -name '*.txt' -print0 | $tool --files-from - -o o/ 2>err || fail "find -print0: $(cat err)"; is "$(ls o | wc -l)" 6
fresh; find . -name '*.txt' | $tool --files-from - -o o/ 2>err || fail "find: $(cat err)"; is "$(files o | wc -w)" 5
fresh; printf 't1.txt\r\nt2.txt\r\n' >dos; run 0 $tool --files-from dos -o o/; is "$(files o)" "o/t1.txt o/t2.txt "        # a list from Windows
fresh; printf '\357\273\277t1.txt\nt2.txt' >bom; run 0 $tool --files-from bom -o o/; is "$(files o)" "o/t1.txt o/t2.txt "
fresh; mkdir none; run 1 $co --lossless -r -a n.aec none; absent n.aec; run 1 $co --lossless -r -o o none; run 1 $de -r -o o none
fresh; find . -name '*.nothing' | $tool --files-from - -o o/ 2>err || fail "an empty list: $(cat err)"
fresh; ls t?.txt >list; run 0 $tool --files-from list -o o/ t1.txt; is "$(files o | wc -w)" 5     # listed and named: once
fresh; $tool --skip-existing -o o/ t?.txt 2>err1 & $tool --skip-existing -o o/ t?.txt 2>err2 || fail "one of two: $(cat err2)"
wait $! || fail "two at once: $(cat err1)"; for i in 1 2 3 4 5; do same t$i.txt o/t$i.txt; done
fresh; run 0 $tool -j auto -o o/ t?.txt; is "$(files o | wc -w)" 5
fresh; for k in 1 2 3; do run 0 $tool --shard $k/3 -o o/ t?.txt; done; is "$(files o | wc -w)" 5

# --- going on
fresh; run 0 $tool -o o/ t1.txt t2.txt; echo new >t1.txt; run 0 $tool --skip-existing -o o/ t?.txt; is "$(cat o/t1.txt)" "text 1"; is "$(files o | wc -w)" 5
fresh; run 0 $tool -o o/ t1.txt t2.txt; touch -d '1 hour' t1.txt; echo new >>t1.txt; touch -d '1 hour' t1.txt; run 0 $tool --newer -o o/ t?.txt; same t1.txt o/t1.txt
fresh; run 0 $tool -o o/ t1.txt; run 1 $tool -o o/ t1.txt; says "exists"; run 0 $tool -f -o o/ t1.txt
fresh; echo bad >t3.txt; run 1 $tool -v -o o/ t?.txt; is "$(files o | wc -w)" 4; says "t3.txt"; says "4 of 5 inputs done"; says "1 failed"
# stopped SIGNAL STATUS: a batch of 150 files and a tree of as many, in the middle
stopped()
{
    for how in "*.pgm" "-r tree"; do
        fresh; mkdir tree; picture a.pgm 1; i=0; while [ $i -lt 150 ]; do ln a.pgm $i.pgm; ln a.pgm tree/$i.pgm; i=$((i + 1)); done; rm a.pgm
        # a shell's background jobs ignore SIGINT, which env undoes
        env --default-signal=INT $co --lossless -o o/ $how 2>err & pid=$!; tries=0; while [ -z "$(ls o 2>/dev/null)" ] && [ $tries -lt 200 ]; do sleep 0.05; tries=$((tries + 1)); done
        kill -$1 $pid 2>/dev/null; wait $pid; got=$?; [ $got -eq $2 ] || [ $got -eq 0 ] || fail "SIG$1: exit $got: $(cat err)"     # 0: it was done already
        [ $got -eq 0 ] || { says "--skip-existing goes on"; }
        [ -z "$(find . -name '.ae-*')" ] || fail "left after SIG$1: $(find . -name '.ae-*')"
        run 0 $co --lossless --skip-existing -o o/ $how; is "$(ls o | wc -l)" 150; run 0 $de -t o/*.aec
    done
}
stopped TERM 143; stopped INT 130

# --- records
fresh; echo bad >t2.txt; run 1 $tool --json -v -o o/ t?.txt; only_json; is "$(wc -l <out | tr -d ' ')" 5
fresh; echo '{"mine": 1}' >log; run 0 $tool --json=log -o o/ t1.txt; is "$(wc -l <log | tr -d ' ')" 2; is "$(head -1 log)" '{"mine": 1}'
fresh; run 0 $tool --dry-run --json -o o/ t?.txt; only_json; absent o
fresh; run 0 $tool --quiet -o o/ t?.txt; silent
fresh; $tool --json t1.txt -o - >got 2>err; same t1.txt got; grep -q '^{' err || fail "no record on standard error"
fresh; run 0 $tool --json=- -o o/ t1.txt; only_json; absent ./-
for closed in '<&-' '>&-' '2>&-' '<&- >&- 2>&-'; do    # no file takes the number of what is closed, and messages with it
    fresh; picture a.pgm 1; eval "$co --lossless -v -o a.aec a.pgm $closed" || fail "$closed: exit $?"
    run 0 $de -t a.aec; eval "$de -v -o b.pgm a.aec $closed" || fail "$closed: exit $?"; same a.pgm b.pgm
done
for lost in '>&-' '>/dev/full'; do
    fresh; picture a.pgm 1; $co --lossless a.pgm
    for command in "$de -l a.aec" "$de -t a.aec" "$co --dry-run -f a.pgm" "$tool --dry-run t1.txt"; do
        eval "$command $lost" 2>err && fail "$command $lost: exit 0"; says "standard output cannot be written"
    done
    eval "$co --lossless -o - a.pgm $lost" 2>err && fail "$lost: exit 0"; eval "$co --lossless --json -f a.pgm $lost" 2>err && fail "$lost: exit 0"; says "--json: cannot write"
done
run 1 $de --json=/dev/full -l a.aec; says "--json: /dev/full cannot be written"
fresh; timeout 20 $co --lossless -o a.aec <&- 2>err; is $? 1; absent a.aec

# --- archives
fresh; mkdir in; for i in 1 2 3; do picture in/$i.pgm $i; done
run 0 $co --lossless -r -a s.aec in; run 1 $co --lossless -r -a s.aec in; says "exists"; run 0 $co --lossless -r -f -a s.aec in
run 0 $de --json -t s.aec; only_json; prints '"items": 3'; prints '"status": "done"'
run 0 $de --json -l s.aec; only_json; is "$(wc -l <out | tr -d ' ')" 3
run 0 $de --json=log -t s.aec; run 0 $de --json=log -t s.aec; is "$(wc -l <log | tr -d ' ')" 2
run 1 $de --json -t missing.aec s.aec; only_json; prints '"status": "failed"'; says "missing.aec"
head -c 200 s.aec >cut.aec; run 1 $de --json -t cut.aec; only_json; prints '"status": "failed"'
echo nonsense >n.aec; run 1 $de --json -l n.aec; only_json; prints '"error"'
echo s.aec | $de --files-from - -t >out 2>err || fail "-t --files-from: $(cat err)"; prints "3 items, all well"
run 0 $de -o o/ s.aec; is "$(files o)" "o/1.png o/2.png o/3.png "; run 1 $de -o o/ s.aec; says "exists already (-f overwrites it)"; cp o/1.png x.png; run 1 $de -o x.png s.aec; says "3 items do not go into one file"; run 0 $de --skip-existing -o o/ s.aec
run 0 $de --dry-run -o p/ s.aec; absent p; is "$(wc -l <out | tr -d ' ')" 3
run 0 $de s.aec; is "$(files s)" "s/1.png s/2.png s/3.png "                                       # beside it, in a directory called like it
run 0 $de -i 2.pgm -o two.png s.aec; present two.png
run 2 $de -o one.png s.aec s.aec; absent one.png
run 1 $de -o one.png s.aec; says "3 items do not go into one file one.png"; run 1 $de -o all.tar s.aec; absent one.png all.tar; run 0 $de -o named.d s.aec
run 1 $co --lossless --append -a s.aec in/1.pgm t1.txt; run 0 $de -t s.aec                              # what fails spoils nothing

# --- on a terminal: items and bytes while it runs
if command -v script >/dev/null; then
    i=0; mkdir more; while [ $i -lt 120 ]; do ln in/1.pgm more/$i.pgm; i=$((i + 1)); done; run 0 $co --lossless -r -a more.aec more
    script -qc "$de -t more.aec" /dev/null >typed </dev/null; grep -q "of 120 items.* MB" typed || fail "no progress of -t: $(tr '\r' '\n' <typed | head -3)"
    script -qc "$de -o shown/ more.aec" /dev/null >typed </dev/null; grep -q "of 120 items.* MB" typed || fail "no progress of extraction: $(tr '\r' '\n' <typed | head -3)"
fi
cd "$work"
finish
