#!/bin/sh
# Each tool on files whose n-th operation fails: faults.sh LIB aecompress badfiles.so faults.py TOOLS...
bad=$(realpath "$3") script=$(realpath "$4") tools=
lib=$1
for t in "$2" "$5" "$6" "$7" "$8" "$9" "${10}" "${11}" "${12}" "${13}"; do tools="$tools $(realpath "$t")"; done
. "$lib"
ulimit -c 0
run 0 python3 "$script" "$bad" $tools
[ $failures -eq 0 ] || cat out
finish
