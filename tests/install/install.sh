#!/bin/sh
# What `meson install` puts in place. Where the prefix lies inside the build tree it installs there for good and also tries what has been
# installed; elsewhere it installs below a temporary DESTDIR.
#   install.sh SOURCE BUILD PREFIX BINDIR LIBDIR INCLUDEDIR DATADIR MANDIR COMPILER...
set -u
source=$1 build=$2 prefix=$3 bin=$4 lib=$5 include=$6 data=$7 man=$8
shift 8
work=$(mktemp -d) || exit 99
trap 'rm -rf "$work"' EXIT
failures=0

fail()
{
    echo "FAIL: $*" >&2
    failures=$((failures + 1))
}

case $prefix in
    "$build"/*) DESTDIR='' at_home=true; rm -rf "$prefix" ;;
    *) DESTDIR=$work at_home=false ;;
esac
export DESTDIR
meson install -C "$build" --no-rebuild >"$work/log" 2>&1 || { cat "$work/log" >&2; exit 1; }
root=$DESTDIR$prefix

for f in $bin/aecompress $bin/aedecompress $man/man1/aecompress.1 $man/man1/aedecompress.1 $bin/aeanomaly $bin/aefeatures $bin/aesample $bin/aesearch $bin/aedenoise $bin/aesuperres $bin/aetrain $lib/libaesuite.so $lib/pkgconfig/aesuite.pc $man/man1/aedenoise.1 $man/man1/aesuperres.1 $man/man1/aetrain.1 $man/man5/recipe.5 $man/man7/aesuite.7; do
    [ -s "$root/$f" ] || fail "$f is not installed"
done
for f in "$source"/include/ae/*.h; do
    cmp -s "$f" "$root/$include/ae/${f##*/}" || fail "${f##*/} is not installed"
done
for f in "$source"/models/*.aem; do
    [ ! -e "$f" ] || cmp -s "$f" "$root/$data/aesuite/models/${f##*/}" || fail "${f##*/} is not installed"
done
for f in "$source"/models/recipes/*.yaml "$source"/models/recipes/*/*.yaml; do
    cmp -s "$f" "$root/$data/aesuite/recipes/${f#"$source"/models/recipes/}" || fail "${f##*/} is not installed"
done

# Tools find their library wherever the tree is put.
for module in "$build"/codecs/aesuite-*.so; do
    [ -s "$root/$lib/${module##*/}" ] || fail "${module##*/} is not installed"
done
for tool in aeanomaly aecompress aedecompress aedenoise aefeatures aesample aesearch aesuperres aetrain; do
    env -u LD_LIBRARY_PATH "$root/$bin/$tool" --version >"$work/out" 2>&1 || fail "$tool: $(cat "$work/out")"
done

# Nothing of this machine is compiled in, and a tree that is moved finds its models.
strip -g -o "$work/stripped.so" "$root/$lib/libaesuite.so" && grep -q "$source/models" "$work/stripped.so" && fail "the library names the source's directory"
# a BMP of one pixel
printf 'BM\072\0\0\0\0\0\0\0\066\0\0\0\050\0\0\0\001\0\0\0\001\0\0\0\001\0\030\0\0\0\0\0\004\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\001\002\003\0' >"$work/one.bmp"
cp -r "$root" "$work/moved"; cp "$source/tests/model/golden/tiny.aem" "$work/moved/$data/aesuite/models/only-moved.aem"
"$work/moved/$bin/aecompress" --quiet --lossless -o "$work/bmp.aec" "$work/one.bmp" 2>"$work/out" || fail "a tree that was moved does not load its modules: $(cat "$work/out")"
env HOME="$work" XDG_DATA_HOME="$work" AE_MODEL_PATH= "$work/moved/$bin/aetrain" --show only-moved >"$work/out" 2>&1 ||
    fail "a tree that was moved does not find its models: $(cat "$work/out")"

if $at_home; then
    export HOME="$work" XDG_DATA_HOME="$work" AE_MODEL_PATH=
    mkdir -p "$root/$data/aesuite/models"
    cp "$source/tests/model/golden/tiny.aem" "$root/$data/aesuite/models/only-installed.aem"
    "$root/$bin/aetrain" --show only-installed >"$work/out" 2>&1 || fail "an installed model is not found: $(cat "$work/out")"

    cat >"$work/user.c" <<'END'
#include <ae/model.h>
#include <stdio.h>
int main(void)
{
    char path[4096];
    ae_error err;
    if (ae_model_find("only-installed", path, sizeof(path), &err) != AE_OK) {
        puts(err.message);
        return 1;
    }
    puts(path);
    return 0;
}
END
    export PKG_CONFIG_PATH="$root/$lib/pkgconfig"
    "$@" "$work/user.c" -o "$work/user" $(pkg-config --cflags --libs aesuite) >"$work/out" 2>&1 || fail "compiling: $(cat "$work/out")"
    found=$(LD_LIBRARY_PATH=$root/$lib "$work/user" 2>&1)
    [ "$found" = "$root/$data/aesuite/models/only-installed.aem" ] || fail "a program of one's own finds '$found'"
fi
[ $failures -eq 0 ]
