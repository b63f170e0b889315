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

# several pages: numbered files where there is a directory for them, else refused unless the first is asked for
run 1 $tool pages.tif; says "holds 3 pictures"; says "--first-picture"; absent pages.denoised.tif
run 1 $tool -c both.png -o nums/ pages.tif; says "--first-picture"; absent nums/pages-1.tif
run 0 $tool --first-picture pages.tif; present pages.denoised.tif; says "2 further pictures dropped"
run 0 $tool -o nums/ --format ppm --json=pages.json pages.tif; silent; present nums/pages-1.ppm nums/pages-2.ppm nums/pages-3.ppm; absent nums/pages.ppm
[ "$(grep -c '"picture": .*"status": "done"' pages.json)" -eq 3 ] || fail "no record for each page: $(cat pages.json)"
grep -q '"pictures": 3' pages.json || fail "no record of the file: $(cat pages.json)"
for i in 1 2 3; do run 0 $tool -o one.ppm -f page$i.ppm; same one.ppm nums/pages-$i.ppm; done
run 0 $tool --track 3 -o third.ppm pages.tif; same third.ppm nums/pages-3.ppm
run 1 $tool --track 4 -f -o third.ppm pages.tif; says "picture 4 of 3"
rm nums/pages-2.ppm
run 1 $tool -o nums/ --format ppm pages.tif; says "pages-1.ppm exists"
run 0 $tool -o nums/ --format ppm --skip-existing pages.tif; same one.ppm nums/pages-3.ppm; present nums/pages-2.ppm
cp page1.ppm pages-2.ppm
run 1 $tool -o other/ --format ppm pages.tif pages-2.ppm; says "pages-2.ppm is"; present other/pages-1.ppm other/pages-2.ppm; absent other/pages-3.ppm
# ... and items of one file
run 1 $compress --lossless -o one.aec pages.tif; says "holds 3 pictures"; absent one.aec
run 0 $compress --lossless --verify pages.tif; run 0 $decompress --format ppm pages.aec
for i in 1 2 3; do same page$i.ppm pages/pages-$i.ppm; done
for jobs in 1 3; do run 0 $compress --lossless -j $jobs --archive set$jobs.aec colours.png pages.tif turned.tif; done; same set1.aec set3.aec
[ "$($decompress -l set1.aec | wc -l)" -eq 5 ] || fail "not five items: $($decompress -l set1.aec)"
run 0 $decompress --format ppm -o set set1.aec; for i in 1 2 3; do same page$i.ppm set/pages-$i.ppm; done
run 1 $compress --lossless --append --archive set1.aec pages.tif; says "there is an item pages-1.tif already"
run 0 $compress --lossless --append --archive set1.aec --skip-existing pages.tif
# a page that is damaged: those before it are there, and whoever wants all of them hears of it
run 1 $compress --lossless --archive torn.aec torn.tif colours.png; says "torn-2.tif"; says "1 pictures behind it are left out"
[ "$($decompress -l torn.aec | wc -l)" -eq 2 ] || fail "not what could be read: $($decompress -l torn.aec)"
rm torn.aec; run 1 $compress --lossless torn.tif; says "picture 2"; absent torn.aec .ae-*
run 1 $tool -o torn/ torn.tif; says "1 of its 3 pictures were done"; present torn/torn-1.tif; absent torn/torn-2.tif torn/torn-3.tif
run 0 $compress --lossless --first-picture -f pages.tif; run 0 $decompress -f -o one.ppm pages.aec; same one.ppm page1.ppm

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
run 0 $compress --lossless -f colours.png
for f in jpg webp tif bmp; do # as a profile, where it can be made and kept; named in any case
    run 0 $decompress -f -o back.$f colours.aec; says "cICP "; says "sBIT dropped"
    grep -q "cICP dropped" err || { [ $f != bmp ] && run 0 $tool -f -o again.png back.$f && run 0 python3 "$py" same-chunk iCCP again.png again.png; } || fail "$f: no profile"
done

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
