#!/bin/bash
# SPDX-License-Identifier: MIT
#
# readme.sh - the first program in README.md compiles, links and is as short as it says.
#
#   readme.sh ROOT LIBRARY-FOLDER

. "$(dirname -- "$0")/lib.sh"
root=$1
libdir=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

awk '/^```c$/ { inside = 1; next } /^```/ { if (inside) exit } inside' "$root/README.md" \
	>"$work/server.c"
check "README.md has a program" test -s "$work/server.c"
for cc in gcc clang; do
	have $cc || { skip "README.md, $cc" "no $cc"; continue; }
	check "README.md's program builds with $cc" $cc -std=gnu11 -Wall -Wextra -Werror \
		-I"$root/include" "$work/server.c" -o "$work/server" -L"$libdir" -lweft
done
check "README.md's program is at most 30 lines" test "$(grep -c . "$work/server.c")" -le 30
finish
