#!/bin/sh
# Real noise: what the default does, blind, to pictures NAME_real.* beside their references NAME_mean.* in a folder.
#   bench/real.sh BUILD DIR [aedenoise options]
set -eu
build=$1 dir=$2
shift 2
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
"$build/tools/aedenoise/aedenoise" --quiet --format png "$@" -o "$out" "$dir"/*_real.*
for noisy in "$dir"/*_real.*; do
    name=$(basename "${noisy%_real.*}")
    clean=$(ls "$dir/$name"_mean.*) result=$(ls "$out/$name"_real.*)
    before=$("$build/bench/psnr" "$noisy" "$clean" | sed 1q) after=$("$build/bench/psnr" "$result" "$clean" | sed 1q)
    echo "${before%% *} ${after%% *} $name"
done | awk '{ b += $1; a += $2; d = $2 - $1; if (NR == 1 || d < w) { w = d; name = $3 } if (d < -0.2) bad++ }
    END { printf "%d pictures: %.2f -> %.2f dB, %+.2f; least %+.2f (%s); worse by more than 0.2 dB: %d\n", NR, b / NR, a / NR, (a - b) / NR, w, name, bad }'
