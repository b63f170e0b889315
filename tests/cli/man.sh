#!/bin/sh
# The options of --help, with their letters, are those of the man page: man.sh LIB TOOL PAGE
page=$(realpath "$3")
. "$1"

run 0 $tool --help
sed -n 's/^  *\(-[a-zA-Z]\)*,* *\(--[a-z0-9-]*\).*/\1 \2/p' out | sort >options
# paragraphs that begin with ".TP" and ".BR \-o ", " \-\-output ..."
sed -n '/^\.TP/{n;s/\\-/-/g;s/^\.BR* //;s/[" ,]*\(-[a-zA-Z]\)*[" ,]*\(--[a-z0-9-]*\).*/\1 \2/p}' "$page" | grep '^\(-[a-zA-Z]\)* --' | sort >listed
[ "$(wc -l <options)" -gt 5 ] || fail "--help lists no options"
diff options listed >difference || fail "man page (>) and --help (<) differ: $(cat difference)"
finish
