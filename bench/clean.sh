#!/bin/sh
# Clean pictures through the default, blind: PSNR to the input.
#   bench/clean.sh BUILD PICTURE...
set -eu
build=$1
shift
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
"$build/tools/aedenoise/aedenoise" --quiet --format png -o "$out" "$@"
for input in "$@"; do
    name=$(basename "${input%.*}")
    "$build/bench/psnr" "$input" "$(ls "$out/$name".*)" | sed 1q
done | awk '{ s += $1; if (NR == 1 || $1 < w) w = $1 } END { printf "%d pictures: mean %.2f dB, least %.2f dB\n", NR, s / NR, w }'
