#!/bin/sh
# A damaged tile costs itself and nothing else, whatever coded it: damage.sh LIB AECOMPRESS AEDECOMPRESS SCRIPT [SOUNDTOOL]
de=$(realpath "$3") script=$(realpath "$4") sound=${5:+$(realpath "$5")}
. "$1"
export LC_ALL=C
run 0 python3 "$script" "$tool" "$de" $sound
[ $failures -eq 0 ] || cat out
finish
