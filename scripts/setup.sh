# SPDX-License-Identifier: BSD-2-Clause
# Read by ./quickstart and ./check: packages, build trees. Debian 12 package names; other systems are told what they lack.

packages='gcc g++ libc6-dev meson ninja-build pkgconf libdnnl-dev libxxhash-dev libyaml-dev libzstd-dev libfftw3-dev libsoxr-dev libpng-dev libjpeg-dev libtiff-dev
libwebp-dev libavcodec-dev libavformat-dev libavutil-dev libswscale-dev libavif-dev libheif-dev libjxl-dev libraw-dev liblcms2-dev libsndfile1-dev libogg-dev zlib1g-dev libseccomp-dev libcmocka-dev'

say() { printf '%s\n' "$*"; }

seconds() { date +%s.%N; }

# elapsed START: seconds since then, one decimal
elapsed() { seconds | awk -v start="$1" '{ printf "%.1f", $1 - start }'; }

missing_packages()
{
    for package in $packages; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || printf ' %s' "$package"
    done
}

install_packages()
{
    if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
        for program in cc c++ meson ninja pkg-config; do
            if ! command -v $program >/dev/null; then
                say "$0: no $program, and no apt-get to install it. Needed, by their Debian names:" $packages >&2
                exit 1
            fi
        done
        return
    fi
    missing=$(missing_packages)
    [ -n "$missing" ] || return 0
    as_root=
    if [ "$(id -u)" -ne 0 ]; then
        as_root='sudo -n'
        $as_root true 2>/dev/null || as_root=none
    fi
    if [ "$as_root" != none ]; then
        say "Installing$missing"
        mkdir -p build
        if $as_root apt-get -q update >build/packages.log 2>&1 &&
            $as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends install $missing >>build/packages.log 2>&1; then
            return
        fi
        tail -n 5 build/packages.log >&2
    fi
    say "$0: these packages are missing and could not be installed from here. As root, please run" >&2
    say "  apt-get update && apt-get install$missing" >&2
    exit 1
}

# configure DIRECTORY [MESON OPTION]...: unless that has been done
configure()
{
    tree=$1
    shift
    [ ! -f "$tree/build.ninja" ] || return 0
    mkdir -p "$tree"
    meson setup "$@" "$tree" >"$tree/setup.log" 2>&1 || { tail -n 15 "$tree/setup.log" >&2; return 1; }
}

# compile DIRECTORY [TARGET]...
compile()
{
    tree=$1
    shift
    if [ -t 1 ]; then
        ninja -C "$tree" "$@"
    else
        ninja --quiet -C "$tree" "$@"
    fi
}
