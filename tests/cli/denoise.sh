#!/bin/sh
# aedenoise with models of random weights on pictures made here: denoise.sh LIB AEDENOISE MAKEMODEL
make=$(realpath "$3")
. "$1"
export LC_ALL=C

cat >tiny.yaml <<'END'
recipe: 1
name: tiny
task: denoise
residual: true
networks:
  - name: net
    inputs: [{name: image, channels: 3}, {name: level, channels: 2}]
    layers:
      - {op: concat, from: [image, level]}
      - {op: unshuffle}
      - {op: conv, out: 16, act: relu}
      - {op: residual}
      - {op: conv, out: 12}
      - {op: shuffle}
END
sed 's/denoise/superres/; s/residual: true/residual: true\nscale: 2/; s/name: tiny/name: bigger/' tiny.yaml >bigger.yaml
sed 's/name: tiny/name: fixed/; s/channels: 3/channels: 3, height: 24, width: 40/; s/channels: 2/channels: 2, height: 24, width: 40/' tiny.yaml >fixed.yaml
mkdir models
$make tiny.yaml models/photo.aem 0.3 && $make tiny.yaml models/balanced.aem 0.3 && $make fixed.yaml models/fixed.aem 0.3 || fail "no model"
export AE_MODEL_PATH=$PWD/models

# picture FILE WIDTH HEIGHT: a binary PPM with a pattern and noise
picture()
{
    { printf 'P6\n%d %d\n255\n' $2 $3; awk -v w=$2 -v h=$3 'BEGIN { srand(1); for (i = 0; i < w * h * 3; i++)
        printf "%c", 60 + int(i / (3 * w)) % 50 + int(20 * rand()) }'; } >"$1"
}

picture a.ppm 90 70
picture b.ppm 40 24
run 0 $tool a.ppm; present a.denoised.ppm; silent
cmp -s a.ppm a.denoised.ppm && fail "nothing was done"
run 0 $tool -f --strength 0 a.ppm; same a.ppm a.denoised.ppm
run 0 $tool -f -v a.ppm; says "noise found: luminance"; says "model tiny"
run 0 $tool -f --noise-map map.png a.ppm; present map.png
run 1 $tool -f --noise-map map.xyz a.ppm; says "map.xyz: no format"
run 2 $tool -f --noise-map a.ppm a.ppm; says "noise-map: a.ppm is an input"
rm -f map.png
run 0 $tool --sigma 10 --level 2 -v -o s.png a.ppm; says "noise given: luminance 5.77, chroma 10.00"; present s.png

# the same bytes for all tiles, threads and ways in and out
for precision in f32 bf16; do
    run 0 $tool -f --precision $precision -j 1 --tile 1000 -o t.ppm a.ppm
    for tile in 32 40 64; do
        run 0 $tool -f --precision $precision -j 3 --tile $tile -o u.ppm a.ppm; same t.ppm u.ppm
    done
    $tool --precision $precision <a.ppm >piped.ppm 2>err || fail "pipe: $(cat err)"; same t.ppm piped.ppm
    cat a.ppm | $tool --precision $precision - -o v.ppm -f || fail "pipe to file"; same t.ppm v.ppm
done
run 0 $tool -o - --format png a.ppm; [ "$(head -c 4 out | tail -c 3)" = PNG ] || fail "no PNG on standard output"

# JPEG's blocks are smoothed below quality 75, in the same bytes for all tiles, and the result is not quantised as coarsely again
run 0 $tool --strength 0 -q 15 -o rough.jpg a.ppm; run 0 $tool --strength 0 -q 90 -o fine.jpg a.ppm
run 0 $tool -v -o smooth.png rough.jpg; says "JPEG blocks smoothed"
run 0 $tool -f -j 3 --tile 32 -o tiled.png rough.jpg; same smooth.png tiled.png
run 0 $tool -v --deblock off -o off.png rough.jpg; grep -q blocks err && fail "--deblock off has no effect"
cmp -s smooth.png off.png && fail "blocks stay as they are"
run 0 $tool -v -o fine.png fine.jpg; grep -q blocks err && fail "blocks are seen at quality 90"
run 0 $tool -v -f --deblock on -o fine.png fine.jpg; says "JPEG blocks smoothed"
run 0 $tool -v -f --deblock on -o b.png b.ppm; grep -q blocks err && fail "blocks are seen in a file that is no JPEG"
run 0 $tool rough.jpg; run 0 $tool -v --strength 0 -o /dev/null --format png rough.denoised.jpg
[ "$(wc -c <rough.denoised.jpg)" -gt "$(wc -c <rough.jpg)" ] || fail "a smoothed file has the quality of its rough source"

# broken pixels
{ printf 'P6\n120 100\n255\n'; awk 'BEGIN { srand(2); for (i = 0; i < 12000; i++) for (c = 0; c < 3; c++)
    printf "%c", i % 1200 == 550 ? 126 : 40 + int(i / 1200) + int(5 * rand()) }'; } >hot.ppm
run 0 $tool -v -o mended.ppm hot.ppm; says "hot or dead pixels"
run 0 $tool -v -f --keep-defects -o kept.ppm hot.ppm; grep -q "dead pixels" err && fail "--keep-defects has no effect"

# formats, names, batches
run 0 $tool --strength 0 -o in.png a.ppm; run 0 $tool --strength 0 -q 90 -o in.jpg a.ppm
run 0 $tool in.png in.jpg; present in.denoised.png in.denoised.jpg
run 0 $tool --format png -o as/ in.jpg; present as/in.png
run 0 $tool -q 5 -o small.jpg in.jpg
[ "$(wc -c <small.jpg)" -lt "$(wc -c <in.denoised.jpg)" ] || fail "--quality has no effect"
mkdir -p tree/deep; cp in.png tree/deep/; cp in.jpg tree/; echo text >tree/note.txt
run 0 $tool -r -o clean tree; present clean/deep/in.png clean/in.jpg; absent clean/note.txt
run 0 $tool --json -f in.png; prints '"width": 90, "height": 70, "model": "tiny"'; prints '"status": "done"'
run 0 $tool --compare both.png -o c.png in.png; run 0 $tool --strength 0 -o both.ppm both.png
head -c 11 both.ppm | grep -q '^182 70$' || fail "comparison: $(head -c 11 both.ppm)"
run 2 $tool --compare both.png in.png in.jpg; says "--compare takes one input"
run 0 $tool -m fixed -o f.ppm b.ppm; present f.ppm
run 1 $tool -m fixed -f a.ppm; says "takes pictures of 40 x 24 pixels only"

# what must be refused, without output and without stopping the rest
printf '' >empty.png; head -c 200 in.png >cut.png; head -c 300 in.jpg >cut.jpg; echo "no picture" >text.jpg
{ head -c 200 in.png; printf 'XXXXXXXX'; tail -c +209 in.png; } >bad.png
printf 'P6\n0 0\n255\n' >zero.ppm; printf 'P6\n1000000 1000000\n255\n' >huge.ppm
printf '\000\000\000\030ftypheic\000\000\000\000mif1heic' >phone.heic
printf 'II*\000\020\000\000\000CR\002\000' >camera.cr2
cp in.png mis.jpg
rm -f ./*.denoised.*
run 1 $tool missing.png empty.png cut.png cut.jpg text.jpg bad.png zero.ppm huge.ppm phone.heic camera.cr2 mis.jpg a.ppm
for f in missing.png empty.png cut.png cut.jpg text.jpg bad.png zero.ppm huge.ppm phone.heic camera.cr2; do
    says "aedenoise: $f: "; absent ${f%.*}.denoised.${f##*.}
done
[ "$(grep -c '^aedenoise: ' err)" -le 11 ] || fail "more than a line a file: $(cat err)"
present a.denoised.ppm mis.denoised.jpg
[ -z "$(find . -name '*denoised*' -newer mis.jpg ! -name 'a.denoised.ppm' ! -name 'mis.denoised.jpg')" ] || fail "left behind: $(ls -a)"
run 1 $tool -f -o a.ppm a.ppm; says "is the input"
run 1 $tool --format pnm -o /dev/full a.ppm; says "No space left"
run 1 $tool -o /proc/nothing.ppm a.ppm; says "/proc/nothing.ppm"
run 1 $tool -o x.xyz a.ppm; says "x.xyz"; absent x.xyz
run 2 $tool --format xyz a.ppm; says "none of png"
for bad in "--sigma -1" "--sigma x" "--strength 2" "--tile 31" "--precision f64" "--level nan" "-q 0" "-j 0"; do run 2 $tool $bad a.ppm; done

# models
run 1 $tool -m nowhere a.ppm; says "nowhere"
echo "no model" >models/text.aem; run 1 $tool -m text a.ppm; says "text.aem"
size=$(wc -c <models/photo.aem)
head -c $((size / 2)) models/photo.aem >models/half.aem; run 1 $tool -m half a.ppm; says "half"
{ head -c $((size - 50)) models/photo.aem; printf 'XXXX'; tail -c 46 models/photo.aem; } >models/hit.aem; run 1 $tool -m hit a.ppm; says "hit"
$make bigger.yaml models/bigger.aem 2>/dev/null && { run 1 $tool -m bigger -f a.ppm; says "does not denoise"; }

# interrupted: 130, nothing left
picture long.ppm 1500 1200
mkfifo slow; rm -f long.out.ppm
( cat long.ppm; : >fed; sleep 5 ) >slow &
feeder=$!
$tool -o long.out.ppm - <slow 2>err & victim=$!
for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do [ -e fed ] || sleep 0.5; done # it reads, so it listens to signals, too
kill -INT $victim; wait $victim; got=$?
kill $feeder 2>/dev/null
[ $got -eq 130 ] || fail "interrupted: exit $got: $(cat err)"
absent long.out.ppm; [ -z "$(ls -a | grep 'long.out')" ] || fail "left behind: $(ls -a)"
finish
