#!/bin/sh
# aesuperres with models of random weights on pictures made here: superres.sh LIB AESUPERRES MAKEMODEL
make=$(realpath "$3")
. "$1"
export LC_ALL=C

# recipe NAME SCALE
recipe()
{
    cat <<END
recipe: 1
name: $1
task: superres
scale: $2
residual: true
networks:
  - name: net
    inputs: [{name: image, channels: 3}]
    layers:
      - {op: conv, out: 16, act: relu}
      - {op: conv, kernel: 2, stride: 2, pad: 0}
      - {op: residual}
      - {op: conv, out: $((12 * $2 * $2))}
      - {op: shuffle, factor: $((2 * $2))}
END
}

mkdir models
for scale in 2 4; do
    recipe clean-$scale $scale >clean-$scale.yaml
    sed 's/clean/photo/; s/channels: 3}\]/channels: 3}, {name: level, channels: 1}]/; s/layers:/layers:\n      - {op: concat, from: [image, level]}/
        $a data: {strength: [0, 1]}' clean-$scale.yaml >photo-$scale.yaml
    $make clean-$scale.yaml models/superres-x$scale.aem 0.5 && $make photo-$scale.yaml models/superres-photo-x$scale.aem 0.5 ||
        fail "no model"
done
cp models/superres-x2.aem models/superres-fast-x2.aem
sed 's/photo-2/noise/; /strength/d' photo-2.yaml >noise.yaml; $make noise.yaml models/noise.aem
sed 's/clean-2/other/; s/superres/denoise/; /scale/d; s/out: 48/out: 12/; s/factor: 4/factor: 2/' clean-2.yaml >other.yaml
$make other.yaml models/other.aem || fail "no denoiser"
export AE_MODEL_PATH=$PWD/models

# picture FILE WIDTH HEIGHT: a binary PPM with a pattern and noise
picture()
{
    { printf 'P6\n%d %d\n255\n' $2 $3; awk -v w=$2 -v h=$3 'BEGIN { srand(1); for (i = 0; i < w * h * 3; i++)
        printf "%c", 60 + int(i / (3 * w)) % 50 + int(20 * rand()) }'; } >"$1"
}
# sized FILE WIDTH HEIGHT, of a PPM
sized() { [ "$(sed -n 2p "$1")" = "$2 $3" ] || fail "$1 is $(sed -n 2p "$1"), not $2 $3"; }

picture a.ppm 90 70
run 0 $tool a.ppm; sized a.x2.ppm 180 140; silent
run 0 $tool -s 4 a.ppm; sized a.x4.ppm 360 280
run 0 $tool -s 1.5 a.ppm; sized a.x1.5.ppm 135 105
run 0 $tool -s 3 -v a.ppm; sized a.x3.ppm 270 210; says "model photo-4"
run 0 $tool -d 0 -v -f a.ppm; says "model clean-2"
run 0 $tool -m clean -v -f a.ppm; says "model clean-2"
run 0 $tool -m fast -v -f a.ppm; says "to 180 x 140"
run 0 $tool -m models/superres-x4.aem -v -f a.ppm; says "model clean-4"
run 0 $tool -m photo -d 0 -o d0.ppm a.ppm; run 0 $tool -m photo -d 1 -o d1.ppm a.ppm
run 0 $tool -o d.ppm a.ppm; same d.ppm d1.ppm; cmp -s d0.ppm d1.ppm && fail "--denoise has no effect"
run 1 $tool -m fast -s 4 a.ppm; says "none enlarges by 4"
run 2 $tool -m clean -d 0.5 a.ppm; says "clean-2 does not denoise"
run 1 $tool -m other a.ppm; says "does not enlarge pictures"
run 1 $tool -m models/superres-x2.aem -s 3 -f a.ppm; says "does not enlarge that much"
run 1 $tool -m noise -o n.ppm a.ppm; says "how strong the noise is"; absent n.ppm

# the same bytes for all tiles, threads and ways in and out
for how in "-s 2 --precision f32" "-s 4 --precision bf16" "-s 2.7 --precision f32"; do
    run 0 $tool -f $how -j 1 --tile 1000 -o t.ppm a.ppm
    for tile in 32 40 64; do
        run 0 $tool -f $how -j 3 --tile $tile -o u.ppm a.ppm; same t.ppm u.ppm
    done
    $tool $how <a.ppm >piped.ppm 2>err || fail "pipe: $(cat err)"; same t.ppm piped.ppm
done

# formats, batches, comparison
run 0 $tool -o in.png a.ppm; run 0 $tool -q 90 -o in.jpg a.ppm
mkdir -p tree/deep; cp in.png tree/deep/; cp in.jpg tree/; echo text >tree/note.txt
run 0 $tool -r -o large tree; present large/deep/in.png large/in.jpg; absent large/note.txt
run 0 $tool --json -f in.png; prints '"width": 360, "height": 280, "model": "photo-2"'; prints '"status": "done"'
for s in 2 1.5 4; do
    run 0 $tool -s $s -f --compare both.ppm -o c.ppm a.ppm
    w=$(sed -n 2p c.ppm | cut -d' ' -f1); sized both.ppm $((2 * w + 2 + w / 200)) "$(sed -n 2p c.ppm | cut -d' ' -f2)"
    # its right half is the output
    tail -c $((w * 3)) c.ppm >last; tail -c $((w * 3)) both.ppm >half; same last half
done
run 2 $tool --compare both.png in.png in.jpg; says "--compare takes one input"

# EXIF dimensions become those of the output
if command -v exiftool >/dev/null; then
    cp in.jpg exif.jpg; exiftool -q -overwrite_original -ExifImageWidth=180 -ExifImageHeight=140 -Orientation#=6 -Make=Me exif.jpg
    run 0 $tool -s 4 -o exif4.jpg exif.jpg
    got=$(exiftool -s3 -n -ExifImageWidth -ExifImageHeight -ImageWidth -Orientation -Make exif4.jpg | tr '\n' ' ')
    [ "$got" = "720 560 720 6 Me " ] || fail "EXIF: $got"
fi

# too large: refused before anything is made
printf 'P5\n9000 9000\n255\n' >big.pgm; truncate -s +81000000 big.pgm
run 1 $tool big.pgm; says "18000 x 18000 pixels would exceed max_pixels"; absent big.x2.pgm; rm big.pgm
printf 'P5\n400000 2\n255\n' >wide.pgm; truncate -s +800000 wide.pgm
run 1 $tool -s 3 wide.pgm; says "would exceed max_edge"; absent wide.x3.pgm

# what must be refused, without output and without stopping the rest
printf '' >empty.png; head -c 200 in.png >cut.png; head -c 300 in.jpg >cut.jpg; echo "no picture" >text.jpg
printf 'P6\n0 0\n255\n' >zero.ppm
rm -f ./*.x2.*
run 1 $tool missing.png empty.png cut.png cut.jpg text.jpg zero.ppm a.ppm
for f in missing.png empty.png cut.png cut.jpg text.jpg zero.ppm; do
    says "aesuperres: $f: "; absent ${f%.*}.x2.${f##*.}
done
[ "$(grep -c "^aesuperres: " err)" -eq 7 ] || fail "not a line a file and one of all: $(cat err)"; says "1 of 7 inputs done, 6 failed"
present a.x2.ppm
run 1 $tool -f -o a.ppm a.ppm; says "is the input"
run 1 $tool --format pnm -o /dev/full a.ppm; says "No space left"
for bad in "-s 1" "-s 5" "-s x" "--denoise 2" "--tile 31" "--precision f64" "-q 0"; do run 2 $tool $bad a.ppm; done
finish
