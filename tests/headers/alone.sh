#!/bin/sh
# alone.sh INCLUDE-DIR HEADER COMPILER...
include=$1 header=$2
shift 2
exec "$@" -Wall -Wextra -Wpedantic -Wshadow -Werror -fsyntax-only "-I$include" "$include/$header"
