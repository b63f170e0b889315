# Helpers of the CLI tests. Each test works in a directory of its own that goes away.
set -u
tool=$(realpath "$2")
work=$(mktemp -d) && cd "$work" || exit 99
trap 'cd /; chmod -R u+w "$work"; rm -rf "$work"' EXIT
failures=0

fail()
{
    echo "FAIL: $*" >&2
    failures=$((failures + 1))
}

# run STATUS COMMAND...: runs with output in out and err, and checks the exit status.
run()
{
    want=$1
    shift
    "$@" >out 2>err </dev/null
    got=$?
    [ $got -eq "$want" ] || fail "$*: exit $got, not $want: $(cat err)"
}

# says FRAGMENT: the last command's stderr contains it. silent: stderr is empty.
says() { grep -qF -- "$1" err || fail "stderr lacks '$1': $(cat err)"; }
silent() { [ ! -s err ] || fail "stderr is not empty: $(cat err)"; }
prints() { grep -qF -- "$1" out || fail "stdout lacks '$1': $(cat out)"; }
same() { cmp -s "$1" "$2" || fail "$1 and $2 differ"; }
absent() { for f; do [ ! -e "$f" ] || fail "$f exists"; done; }
present() { for f; do [ -s "$f" ] || fail "$f is missing or empty"; done; }
# sound_recipe FILE NAME LAYERS: of a denoiser of sound
sound_recipe()
{
    cat >"$1" <<END
recipe: 1
name: $2
task: denoise
sound: {bands: 128, linear: 96}
networks:
  - name: net
    inputs: [{name: image, channels: 1, width: 128}]
    layers:
$3
END
}
finish() { [ $failures -eq 0 ]; exit; }
