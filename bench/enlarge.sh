#!/bin/sh
# Photographs as one meets them: made small by several filters, through JPEG of quality 75, and enlarged: bicubic, a clean model, one for
# photographs. PSNR on Y.
#   bench/enlarge.sh BUILD CLEAN_MODEL PHOTO_MODEL PICTURE...
set -eu
build=$1 clean=$2 photo=$3
shift 3
for filter in lanczos area bilinear; do
    for model in "$clean" "$photo"; do
        "$build/bench/superres" -f $filter -q 75 "$model" "$@" | tail -n 1
    done | awk -v filter=$filter '{ plain = $7; db[NR] = $10 }
        END { printf "%-8s bicubic %.2f, clean %.2f, photo %.2f dB: %+.2f over bicubic, %+.2f over clean\n", filter, plain, db[1], db[2], db[2] - plain, db[2] - db[1] }'
done
