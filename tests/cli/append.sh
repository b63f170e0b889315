#!/bin/sh
# Archives that are killed, interrupted, damaged and written to by several: append.sh LIB AECOMPRESS AEDECOMPRESS SCRIPT
de=$(realpath "$3") script=$(realpath "$4")
. "$1"
export LC_ALL=C
run 0 python3 "$script" "$tool" "$de"
[ $failures -eq 0 ] || cat out
finish
