#!/bin/sh
# Items of archives: which are meant, several on standard output, repair of many: items.sh LIB AECOMPRESS AEDECOMPRESS
de=$(realpath "$3")
. "$1"
co=$tool de=$de

# picture FILE WIDTH GREY: a binary PGM of WIDTH x 16
picture()
{
    { printf 'P5\n%d 16\n255\n' "$2"; awk -v w="$2" -v g="$3" 'BEGIN { for (i = 0; i < 16 * w; i++) printf "%c", 33 + (g + i * i) % 90 }'; } >"$1"
}

export LC_ALL=C
long=$(printf 'a%.0s' 1 2 3 4 5 6 7 8 9 10)
long=$long$long$long$long$long$long$long$long$long$long$long
mkdir -p in/sub
picture 'in/b[1].pgm' 16 1; picture in/b1.pgm 16 2; picture 'in/sub/w*.pgm' 16 3; picture in/sub/wide.pgm 20 4
picture "in/sub/$long.pgm" 16 5
run 0 $co -q 100 -r -a s.aec in
listed() { run 0 $de --json -l "$@" s.aec; sed -n 's/.*"item": "\([^"]*\)".*/\1/p' out | sort | tr '\n' ' '; }
is() { [ "$1" = "$2" ] || fail "got '$1', expected '$2'"; }
is "$(listed -i b1.pgm -i 'sub/w*.pgm' -i b1.pgm)" 'b1.pgm sub/w*.pgm '
is "$(listed -i 'b[1].pgm')" 'b[1].pgm '
is "$(listed -i 'b[1]*')" 'b[1].pgm '
is "$(listed -i 'b?.pgm')" 'b1.pgm '
is "$(listed -i '*wide*' -i 'b1*')" 'b1.pgm sub/wide.pgm '
run 1 $de -l -i nope -i b1.pgm s.aec; says "no item is called nope"; prints "b1.pgm"
run 1 $de -i 'x*' -o out1/ s.aec; says "no item matches x"
run 1 $de -i nope -i b1.pgm -o some/ s.aec; present some/b1.png; says "1 of the names given are not in it"

# A tar archive on standard output; one item is a picture.
$de -o - s.aec >all.tar 2>err || fail "tar: $(cat err)"
mkdir untar; tar -xf all.tar -C untar || fail "tar does not read it"
run 0 $de -o dir/ s.aec
diff -r dir untar >difference || fail "what is in the tar archive differs: $(cat difference)"
$de <s.aec >pipe.tar 2>err || fail "tar in a pipe: $(cat err)"
is "$(tar -tf pipe.tar | sort)" "$(cd dir && find . -type f | sed 's/^..//' | sort)"
$de -i b1.pgm -o - s.aec >one.png; cmp -s one.png dir/b1.png || fail "one item is not a picture"
$de -q 90 --format jpeg -i 'sub/w*.pgm' -i b1.pgm -o - s.aec >jpegs.tar 2>err || fail "$(cat err)"
is "$(tar -tf jpegs.tar | sort | tr '\n' ' ')" 'b1.jpg sub/w*.jpg '

# Items carry when their files were changed, and who may read them: packed or not, through a repair and in a tar archive.
mkdir old; picture old/p1.pgm 16 1; picture old/p2.pgm 16 2; picture old/wide.pgm 300 3; { printf 'P6\n300 300\n255\n'; head -c 270000 "$0" /dev/zero | tail -c 270000; } >old/big.ppm
touch -d '2001-02-03 04:05:06 UTC' old/p1.pgm; touch -d '1960-01-01 UTC' old/p2.pgm; touch -d '2010-10-10 10:10:10 UTC' old/wide.pgm old/big.ppm
chmod 600 old/p2.pgm old/big.ppm; chmod 640 old/wide.pgm
run 0 $co -q 100 -r -a old.aec old
run 0 $de --json -l old.aec; for t in 981173106 -315619200 1286705410; do prints "\"mtime\": $t"; done; prints '"mode": "600"'
TZ=UTC run 0 $de -v -l old.aec; prints "2001-02-03 04:05"; prints "1960-01-01 00:00"
ages() { (cd "$1" && stat -c '%Y %n' p1.* p2.* wide.* big.*); }
for archive in old.aec repaired.aec; do
    run 0 $de --format ppm -f -o older/ $archive
    is "$(ages older | sed 's/[.].*//')" "$(ages old | sed 's/[.].*//')"
    is "$(stat -c %a older/p2.ppm older/big.ppm | tr '\n' ' ')" "600 600 "
    run 0 $de --repair -f -o repaired.aec old.aec; cmp -s old.aec repaired.aec || fail "a repaired archive lacks something"
done
$de --format ppm -o - old.aec >old.tar 2>err || fail "tar: $(cat err)"
rm -r older; mkdir older; tar -xf old.tar -C older; is "$(ages older | sed '/ p2/d; s/[.].*//')" "$(ages old | sed '/ p2/d; s/[.].*//')" # before 1970 there is no tar
run 0 $co -q 100 -f -r --metadata none -a old.aec old; run 0 $de --json -l old.aec; grep -q mtime out && fail "--metadata none keeps times"
run 0 $co -q 100 -f -r --metadata times -a old.aec old; run 0 $de --json -l old.aec; prints 981173106

# Nothing to put in: no archive.
mkdir empty; : >list
run 1 $co -a n.aec in; says "-r takes the files in it"; absent n.aec
run 1 $co -a n.aec missing.pgm; absent n.aec
run 1 $co -a n.aec -r empty; says "nothing to put into it"; absent n.aec
run 0 $co -a n.aec --files-from list; absent n.aec
cp s.aec kept.aec
run 0 $co -f -a kept.aec --files-from list; cmp -s s.aec kept.aec || fail "replaced by nothing"

# Many small items, packed: the repaired file is the same, in less time than each of them takes alone.
mkdir many
# Labels: of an IDX set, of a table, in packs and alone; shown, given back, kept by a repair and beside what is added.
printf '\000\000\010\003\000\000\000\005\000\000\000\002\000\000\000\002abcdefghijklmnopqrst' >set-images-idx3-ubyte
printf '\000\000\010\001\000\000\000\005\001\002\003\004\011' | gzip >set-labels-idx1-ubyte.gz
run 0 $co --lossless -a set.aec --labels set-labels-idx1-ubyte.gz set-images-idx3-ubyte
run 0 $de -l set.aec; prints 'set-images/4  (9)'
run 0 $de -l --json set.aec; prints '"label": "9"'
printf 'file,kind\nb1,"a, ""b"\nwide,cat\n' >kinds.csv
run 0 $co -q 100 -a set.aec --append --labels kinds.csv old/p1.pgm old/wide.pgm
run 0 $de --repair -o set2.aec set.aec
run 0 $de --labels-out l.csv -o set/ set2.aec
is "$(cat l.csv)" "$(printf 'item,label\nset-images/0,1\nset-images/1,2\nset-images/2,3\nset-images/3,4\nset-images/4,9\n'; printf '%s\n' 'p1.pgm,"a, ""b"' wide.pgm,cat)"
run 1 $co --lossless -a none.aec --labels kinds.csv set-images-idx3-ubyte; says "3 lines of labels for 5 items"; absent none.aec
run 1 $co --lossless -a none.aec --labels set-labels-idx1-ubyte.gz old/p1.pgm; says "5 labels"; absent none.aec
run 2 $co --lossless --labels kinds.csv old/p1.pgm
run 0 $co --lossless -a both.aec set-images-idx3-ubyte set-labels-idx1-ubyte.gz; run 0 $de -l both.aec # numbers are an array
prints "5, u8  lossless     set-labels-idx1-ubyte.gz"; prints "set-images/4"; run 0 $de -t both.aec

i=0; while [ $i -lt 40 ]; do picture many/$i.pgm 16 $i; i=$((i + 1)); done
i=0; while [ $i -lt 25 ]; do mkdir many/$i; ln many/*.pgm many/$i; i=$((i + 1)); done
run 0 $co -q 100 -r -a many.aec many
run 0 $de --repair -o again.aec many.aec; cmp -s again.aec many.aec || fail "a whole archive of $(wc -c <many.aec) bytes was not taken over as it is, but as $(wc -c <again.aec)"
run 0 $de --repair -i '1*' -o part.aec many.aec; run 0 $de -t part.aec; prints "all well"
finish
