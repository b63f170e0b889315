#!/bin/sh
# Kills of whoever writes many files: kills.sh LIB AECOMPRESS AEDECOMPRESS AEDENOISE MAKEMODEL SCRIPT
de=$(realpath "$3") denoise=$(realpath "$4") make=$(realpath "$5") script=$(realpath "$6")
. "$1"
run 0 python3 "$script" "$tool" "$de" "$denoise" "$make"
[ $failures -eq 0 ] || cat out
finish
