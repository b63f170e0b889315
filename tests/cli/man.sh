#!/bin/sh
# The options of --help, with their letters, are those of the man page, which also names every environment variable that the sources ask for and no
# page that does not exist: man.sh LIB TOOL PAGE SOURCE RECIPE-PAGE
page=$(realpath "$3") source=$4 recipe=$(realpath "$5")
. "$1"

run 0 $tool --help
sed -n 's/^  *\(-[a-zA-Z]\)*,* *\(--[a-z0-9-]*\).*/\1 \2/p' out | sort >options
# paragraphs that begin with ".TP" and ".BR \-o ", " \-\-output ..."
sed -n '/^\.TP/{n;s/\\-/-/g;s/^\.BR* //;s/[" ,]*\(-[a-zA-Z]\)*[" ,]*\(--[a-z0-9-]*\).*/\1 \2/p}' "$page" | grep '^\(-[a-zA-Z]\)* --' | sort >listed
[ "$(wc -l <options)" -gt 5 ] || fail "--help lists no options"
diff options listed >difference || fail "man page (>) and --help (<) differ: $(cat difference)"

sed -n '/^\.SH ENVIRONMENT/,/^\.SH EXAMPLES/p' "$page" >environment
grep -rhoE --include='*.c' 'getenv\("[A-Z_]+"' "$source/lib" "$source/codecs" "$source/tools" | sed 's/.*"\(.*\)"/\1/' | sort -u >variables
[ "$(wc -l <variables)" -ge 5 ] || fail "few environment variables: $(cat variables)"
for v in $(cat variables); do
    grep -qw -- "$v" environment || fail "no word of $v under ENVIRONMENT"
    grep -qw -- "$v" "$source/man/aesuite.7" || fail "no word of $v in aesuite(7)"
done
for p in $(sed -n '/^\.SH SEE ALSO/,$s/^\.BR \([a-z]*\) (\([0-9]\)).*/\1.\2/p' "$page" "$source/man/aesuite.7" | sort -u); do
    [ -s "$source/man/$p" ] || [ "$p" = recipe.5 ] || fail "SEE ALSO names $p, which does not exist"
done
grep -q "^\.BR $("$tool" --version | sed 's/ .*//') (1)" "$source/man/aesuite.7" || fail "aesuite(7) does not name this tool"
for word in holdout charbonnier validate_every conv; do grep -qF "$word" "$recipe" || fail "recipe(5) lacks $word"; done
# what is not troff is said by troff, where it is there
if command -v groff >/dev/null; then
    for p in "$page" "$source/man/aesuite.7" "$recipe"; do groff -K utf8 -man -Tutf8 -wall -z "$p" 2>warnings; [ ! -s warnings ] || fail "$p: $(head -3 warnings)"; done
fi
finish
