#!/bin/sh
# More --level and more --strength leave less noise: a line a picture, the share of its noise that is left at each.
#   bench/levels.sh BUILD FOLDER [aedenoise options]     FOLDER: NAME_real.* beside NAME_mean.* (bench/cameras makes such)
# Exit status 1 where one step leaves more than the one before, by more than rounding does.
set -eu
build=$1 dir=$2
shift 2
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
for step in level=0.5 level=1 level=1.5 level=2 level=3 level=4 strength=0.25 strength=0.5 strength=0.75 strength=1; do
    "$build/tools/aedenoise/aedenoise" --quiet --format png "--${step%=*}" "${step#*=}" "$@" -o "$out/$step" "$dir"/*_real.*
done
for noisy in "$dir"/*_real.*; do
    name=$(basename "${noisy%_real.*}")
    for of in level=0.5 level=1 level=1.5 level=2 level=3 level=4 -- strength=0.25 strength=0.5 strength=0.75 strength=1; do
        [ "$of" = -- ] && echo -- || "$build/bench/noise_left" "$dir/$name"_mean.* "$noisy" "$out/$of/${name}_real.png"
    done | tr '\n' ' '
    echo "$name"
done | awk '{ rises = 0; for (i = 2; i < NF; i++) if ($i != "--" && $(i - 1) != "--" && $i > $(i - 1) + 0.002) rises++; bad += rises; print $0 (rises ? "  RISES" : "") }
    END { printf "%d pictures, %d steps that leave more noise\n", NR, bad; exit bad > 0 }'
