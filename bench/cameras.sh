#!/bin/sh
# Cameras without noise reduction, blind, beside ffmpeg's nlmeans with the one strength that is best for the set.
#   bench/cameras.sh BUILD ISO PICTURE... [-- aedenoise options]
# A line a picture: noisy, ours, nlmeans; then the means and the least differences. NLMEANS: the strengths to try, none to leave it out.
set -eu
build=$1 iso=$2
shift 2
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
mkdir "$out/in" "$out/ours" "$out/nl"
pictures=
while [ $# -gt 0 ] && [ "$1" != -- ]; do
    pictures="$pictures $1"
    shift
done
[ $# -gt 0 ] && shift
"$build/bench/cameras" "$iso" "$out/in" $pictures
score() { "$build/bench/psnr" "$1" "$2" | sed 's/ .*//;q'; }
"$build/tools/aedenoise/aedenoise" --quiet --format png "$@" -o "$out/ours" "$out"/in/*_real.ppm
for s in ${NLMEANS-4 6 8 11 15 20}; do
    for noisy in "$out"/in/*_real.ppm; do
        ffmpeg -v error -y -i "$noisy" -vf "format=gbrp,nlmeans=s=$s:p=7:r=15,format=rgb24" "$out/nl/x.png"
        score "$out/nl/x.png" "${noisy%_real.ppm}_mean.ppm"
    done > "$out/nl/$s"
done
best=$(for s in ${NLMEANS-4 6 8 11 15 20}; do awk -v s="$s" '{ t += $1 } END { print t, s }' "$out/nl/$s"; done | sort -g | tail -1 | sed 's/.* //')
for noisy in "$out"/in/*_real.ppm; do
    name=$(basename "${noisy%_real.ppm}")
    echo "$(score "$noisy" "$out/in/${name}_mean.ppm") $(score "$out/ours/${name}_real.png" "$out/in/${name}_mean.ppm") $name"
done > "$out/ours.txt"
if [ -n "$best" ]; then cat "$out/nl/$best"; else sed 's/ .*//' "$out/ours.txt"; fi | paste -d' ' "$out/ours.txt" - | awk -v s="${best:-none}" '
    { printf "%.2f %.2f %.2f %s\n", $1, $2, $4, $3; b += $1; a += $2; n += $4; g = $2 - $1; d = $2 - $4
      if (NR == 1 || g < lg) lg = g; if (NR == 1 || d < ld) ld = d }
    END { printf "%d pictures: %.2f -> %.2f dB, least gain %+.2f; nlmeans at %s: %.2f; over it %+.2f, least %+.2f\n", NR, b / NR, a / NR, lg, s, n / NR, (a - n) / NR, ld }'
