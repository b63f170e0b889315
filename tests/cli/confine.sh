#!/bin/sh
# Files that crash their decoder, or take it over:
# confine.sh LIB aecompress aedecompress badpng.so aedenoise makemodel soundtool badmux.so
bad=$(realpath "$4")
de=$(realpath "$3")
denoise=$(realpath "$5") make=$(realpath "$6") sound=$(realpath "$7") badmux=$(realpath "$8")
. "$1"
ulimit -c 0

# ppm NAME WIDTH: noise
ppm() { { printf 'P6 %d 9 255\n' "$2"; head -c $(($2 * 27)) /dev/urandom; } >"$1.ppm"; }
hurt() { LD_PRELOAD="$bad" "$@"; }

for p in first:40 late:76 crash:77 taken:78 end:79 last:41; do ppm "${p%:*}" "${p#*:}"; done
run 0 "$tool" --no-confine --no-sync --lossless *.ppm
run 0 "$de" --no-sync --format png *.aec
rm *.aec

# whatever happens to a decoder is its own item's error
run 1 hurt "$tool" --lossless --no-sync -j 2 -o made/ first.png late.png crash.png end.png last.png
says "late.png: its decoder crashed (Segmentation fault)"
says "crash.png: its decoder crashed (Segmentation fault)"
says "end.png: its decoder ended before its time"
says "2 of 5 inputs done, 3 failed"
present made/first.aec made/last.aec
absent made/late.aec made/crash.aec made/end.aec
run 1 hurt "$tool" --lossless --no-sync --archive a.aec first.png late.png crash.png end.png last.png
run 0 "$de" -l a.aec
[ "$(wc -l <out)" -eq 2 ] || fail "an archive of what was whole has other items: $(cat out)"
run 0 "$de" -o first2.png made/first.aec
same first.png first2.png

# rows longer than what processes share at a time, and many at once
{ printf 'P6 50000 3 255\n'; head -c 450000 /dev/urandom; } >wide.ppm
run 0 "$tool" --lossless --no-sync -o apart.aec wide.ppm
run 0 "$tool" --lossless --no-sync --no-confine -o here.aec wide.ppm
same apart.aec here.aec
for i in 1 2 3 4 5 6 7 8 9; do cp last.png many$i.png; done
run 0 "$tool" --lossless --no-sync -j 9 --archive many.aec many?.png

# --no-confine: the tool dies of it
run 139 sh -c 'LD_PRELOAD="$0" "$@"; exit $?' "$bad" "$tool" --no-confine --lossless --no-sync -f -o made/ crash.png last.png
run 134 sh -c 'LD_PRELOAD="$0" "$@"; exit $?' "$bad" "$tool" --no-confine --lossless --no-sync -f -o made/ taken.png

# what is taken over can do nothing, where the kernel allows to take that away
: >keep
ppm tool 80
run 0 "$tool" --lossless --no-sync -o made/tool.aec tool.ppm
run 0 "$tool" --lossless --no-sync -v -f -o made/first.aec first.png
if grep -q 'can be opened (Landlock), system calls are restricted' err; then
    run 0 hurt "$tool" --lossless --no-sync -f -o made/ taken.png
    present made/taken.aec
    absent escaped
    [ -e keep ] || fail "a decoder removed a file"
    mkdir temporary
    run 0 hurt env TMPDIR=temporary "$de" --no-sync -v -o made/tool.png made/tool.aec
    says "files are written where the outputs go and nowhere else (Landlock)"
    present made/tool.png made/first.aec
    absent escaped made/keep
    [ -e keep ] || fail "a tool removed a file that is not its own"
    ln -s ../tool.png made/link.png; : >tool.png
    run 0 env TMPDIR=temporary "$de" --no-sync -f -o made/link.png made/tool.aec
    same made/tool.png tool.png
    run 0 env TMPDIR=temporary "$de" --no-sync --labels-out labels.csv -o made/a/b/ made/tool.aec
    present labels.csv made/a/b/tool.png
    run 134 sh -c 'LD_PRELOAD="$0" "$@"; exit $?' "$bad" "$de" --no-confine --no-sync -f -o made/tool.png made/tool.aec
else
    says "decoders run"
fi

# what copies streams of a stranger's file into another is no part of the tool, either
sound_recipe same.yaml same "      - {op: conv, kernel: 1, bias: false, init: identity}"
tool="$denoise --quiet --no-sync -m ./same.aem"
run 0 "$make" same.yaml same.aem
run 0 "$sound" make wav s16 48000 2 30000 noise a.wav
for kind in m4a mkv avi; do
    run 0 $tool -o a.$kind a.wav
    run 0 $tool -o apart.$kind a.$kind
    run 0 $tool --no-confine -o here.$kind a.$kind
    same apart.$kind here.$kind
    run 1 sh -c 'LD_PRELOAD="$0" "$@"' "$badmux" $tool -o made/bad.$kind a.$kind
    says "its decoder crashed (Segmentation fault)"
    absent made/bad.$kind
    run 139 sh -c 'LD_PRELOAD="$0" "$@"; exit $?' "$badmux" $tool --no-confine -o made/bad.$kind a.$kind
done
run 0 $tool -o - --format m4a a.m4a
same out here.m4a
finish
