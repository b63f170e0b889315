#!/bin/sh
# The shipped networks for pictures give the same bytes in every tile, on any number of threads, in each precision:
#   tiles.sh SOURCE AEDENOISE AESUPERRES
set -u
source=$1 denoise=$2 superres=$3
work=$(mktemp -d) || exit 99
trap 'rm -rf "$work"' EXIT
bad=0

# hold PICTURE COMMAND...: one window for the whole picture, and many
hold()
{
    picture=$1
    shift
    for precision in f32 bf16; do
        "$@" --quiet -f --precision $precision --tile 1000 -j 1 -o "$work/whole.ppm" "$picture" || exit 1
        "$@" --quiet -f --precision $precision --tile 97 -j 3 -o "$work/tiles.ppm" "$picture" || exit 1
        cmp "$work/whole.ppm" "$work/tiles.ppm" || { echo "$* --precision $precision: tiles differ"; bad=1; }
    done
}

for model in fast balanced best photo; do
    hold "$source/samples/reeds.jpg" "$denoise" -m "$source/models/$model.aem" --sigma 20
done
for model in superres-fast-x2 superres-x2 superres-x4 superres-photo-x2 superres-photo-x4; do
    hold "$source/samples/guitar.png" "$superres" -s "${model##*x}" -m "$source/models/$model.aem"
done
exit $bad
