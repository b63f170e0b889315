#!/bin/sh
# What pictures are and mean goes through the tools: pictures.sh LIB AEDENOISE MAKEMODEL AECOMPRESS AEDECOMPRESS PICTURES.PY
make=$(realpath "$3") compress=$(realpath "$4") decompress=$(realpath "$5") py=$(realpath "$6")
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
      - {op: conv, out: 3}
END
mkdir models
$make tiny.yaml models/photo.aem 0.1 || fail "no model"
export AE_MODEL_PATH=$PWD/models
python3 "$py" make || fail "no pictures"

# several pages: refused, unless the first is asked for
run 1 $tool pages.tif; says "holds 3 pictures"; says "--first-picture"; absent pages.denoised.tif
run 0 $tool --first-picture pages.tif; present pages.denoised.tif; says "2 further pages dropped"
run 1 $compress --lossless --quiet pages.tif; says "--first-picture"; absent pages.aec
run 1 $compress --lossless --archive set.aec pages.tif colours.png; says "pages.tif"
[ "$($decompress -l set.aec | wc -l)" -eq 1 ] || fail "the other item is missing"
run 0 $compress --lossless --first-picture pages.tif; present pages.aec

# as many pixels as may be
run 1 $tool --max-pixels 1599 -o small.png colours.png; says "max_pixels (1599"; absent small.png
run 1 $compress --lossless --max-pixels 1k -o small.aec colours.png; says "max_pixels (1024"; absent small.aec
run 0 $compress --lossless --max-pixels 1600 -o small.aec colours.png

# what samples mean, through .aec and through a filter
run 0 $compress --lossless -f colours.png
run 0 $decompress -f -o back.png colours.aec; silent
run 0 $tool -f -o filtered.png colours.png
for chunk in cICP gAMA cHRM sBIT mDCV; do
    run 0 python3 "$py" same-chunk $chunk colours.png back.png
    run 0 python3 "$py" same-chunk $chunk colours.png filtered.png
done
run 0 $compress --lossless --metadata icc,exif -f colours.png; run 0 $decompress -f -o back.png colours.aec
run 1 python3 "$py" same-chunk cICP colours.png back.png
run 0 $decompress -f -o back.jpg colours.aec; silent
run 0 $compress --lossless -f colours.png; run 0 $decompress -f -o back.jpg colours.aec; says "cICP dropped"

# upright where EXIF does not go along
run 0 $tool -f -c both.ppm turned.tif; [ "$(head -c 8 both.ppm | tail -n 1)" = "10 7" ] || fail "the comparison is not upright"
run 0 $compress --lossless --metadata none -f turned.tif; run 0 $decompress -f -o turned.ppm turned.aec; same turned.ppm upright.ppm
run 0 $compress --lossless -f turned.tif; run 0 $decompress -f -o turned.ppm turned.aec; same turned.ppm aside.ppm

# floats beyond 0 and 1 keep every bit where nothing is to be lost, alone and in archives
run 0 $compress --lossless --verify bright.pfm; run 0 $decompress -o back.pfm bright.aec; same bright.pfm back.pfm
run 0 $compress -q 100 -f --archive floats.aec bright.pfm colours.png; run 0 $decompress --format pfm -o floats floats.aec
same bright.pfm floats/bright.pfm
run 0 $decompress -f -o back.png bright.aec; says "rounded to 16 bits"
run 0 $compress -q 95 -f bright.pfm; says "rounded to 16 bits, within 0 and 1"
finish
