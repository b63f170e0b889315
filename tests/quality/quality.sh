#!/bin/sh
# The shipped models on the sample pictures, held to results.csv:  quality.sh SOURCE AWGN PSNR AEDENOISE SUPERRES AECOMPRESS AEDECOMPRESS NOISE_LEFT
set -u
source=$1 awgn=$2 psnr=$3 denoise=$4 superres=$5 compress=$6 decompress=$7 left=$8
samples=$source/samples
work=$(mktemp -d) || exit 99
trap 'rm -rf "$work"' EXIT

for model in fast balanced best; do
    "$awgn" "$source/models/$model.aem" "$samples/dog.png" "$samples/guitar.png" |
        sed "s/.*: \([0-9.]*\) \/ \([0-9.]*\) \/ \([0-9.]*\) dB/$model 15,\1\n$model 25,\2\n$model 50,\3/"
done >"$work/figures"
for name in dog guitar; do
    "$denoise" --quiet -m "$source/models/photo.aem" -o "$work/$name.png" "$samples/$name.png" || exit 1
    "$psnr" "$samples/$name.png" "$work/$name.png" | awk -v name="clean $name" 'NR == 1 { printf "%s,%.2f\n", name, ($1 == "inf" || $1 + 0 > 60) ? 60 : $1 }'
done >>"$work/figures"

# Who adds white noise is given the network that knows it, told within a tenth of what it is; a photograph is not.
awk 'BEGIN { srand(7); print "P3 224 160 255"; for (i = 0; i < 224 * 160 * 3; i++) { v = 60 + 120 * ((int(i / 3) % 224) / 224)
    v += 25 * sqrt(-2 * log(1 - rand())) * cos(6.283185307 * rand()); print int(v < 0 ? 0 : v > 255 ? 255 : v + 0.5) } }' >"$work/white.ppm"
awk 'BEGIN { print "P3 224 160 255"; for (i = 0; i < 224 * 160 * 3; i++) print int(60.5 + 120 * ((int(i / 3) % 224) / 224)) }' >"$work/flat.ppm"
AE_MODEL_PATH=$source/models "$denoise" --quiet --json -f -o "$work/x.ppm" "$work/white.ppm" >"$work/json" || exit 1
grep -q '"model": *"balanced"' "$work/json" || { echo "white noise: $(cat "$work/json")"; exit 1; }
sed 's/.*"noise_white": *\([0-9.]*\).*/\1/' "$work/json" | awk '{ exit !($1 > 22.5 && $1 < 27.5) }' || { echo "white noise of 25: $(cat "$work/json")"; exit 1; }
AE_MODEL_PATH=$source/models "$denoise" --quiet --json -f -o "$work/x.ppm" "$samples/reeds.jpg" | grep -q '"model": *"photo"' || { echo "not photo"; exit 1; }

# More --level leaves less of it.
for level in 0.5 1 4; do
    AE_MODEL_PATH=$source/models "$denoise" --quiet -f --level $level -o "$work/level$level.ppm" "$work/white.ppm" || exit 1
done
"$left" "$work/flat.ppm" "$work/white.ppm" "$work"/level0.5.ppm "$work"/level1.ppm "$work"/level4.ppm |
    awk '{ print "noise left", $1; if (NR > 1 && $1 > last + 0.002) bad = 1; last = $1 } END { exit bad }' || exit 1

# Enlargers: by the protocol; those for photographs on what the area filter and JPEG made. All beat bicubic enlargement.
for model in superres-fast-x2 superres-x2 superres-x4 superres-photo-x2 superres-photo-x4; do
    how=''; case $model in *photo*) how='-f area -q 75' ;; esac
    "$superres" $how "$source/models/$model.aem" "$samples/dog.png" "$samples/guitar.png" |
        awk -v model=$model '/^mean/ { printf "%s,%.2f\n", model, $10; if ($10 > $7 + 0.2) won = 1 } END { if (!won) print model ",no better than bicubic" }'
done >"$work/enlarged"
cat "$work/enlarged"
grep -q 'no better' "$work/enlarged" && exit 1
cat "$work/enlarged" >>"$work/figures"

# The codec at half a bit a pixel; the portable kernels must give the same samples.
for name in dog guitar; do
    "$compress" --quiet -m "$source/models/codec.aem" --target-bpp 0.5 -o "$work/$name.aec" "$samples/$name.png" || exit 1
    bytes=$(wc -c <"$work/$name.aec")
    [ "$bytes" -le 6912 ] && [ "$bytes" -ge 6705 ] || { echo "$name: $bytes bytes are not 0.5 bits a pixel less 3 %"; exit 1; }
    AE_MODEL_PATH=$source/models "$decompress" --quiet -f -o "$work/$name.png" "$work/$name.aec" || exit 1
    AE_CPU=scalar AE_MODEL_PATH=$source/models "$decompress" --quiet -o "$work/$name.scalar.png" "$work/$name.aec" || exit 1
    cmp "$work/$name.png" "$work/$name.scalar.png" || exit 1
    "$psnr" "$samples/$name.png" "$work/$name.png" | awk -v name="codec $name" 'NR == 1 { printf "%s,%.2f\n", name, $1 }'
done >>"$work/figures"

awk -F, 'FNR == NR { measured[$1] = $2; next } /^#/ { next }
    { printf "%-12s %6s, was %s\n", $1, measured[$1], $2; n++; if (!(measured[$1] + 0 >= $2 - 0.1)) bad++ }
    END { exit !(n > 0 && bad == 0) }' "$work/figures" "$source/tests/quality/results.csv"
